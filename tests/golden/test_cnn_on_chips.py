"""The published N-MNIST network (8,970 neurons, shared kernels) on three chips, both backends."""

import numpy as np
import pytest

import nmhw
from nmhw.errors import UnsupportedError
from nmhw.mappers.verify import verify

STEPS = 100


@pytest.fixture(scope="module")
def model(data_dir):
    return data_dir / "nir-cases" / "02_cnn" / "cnn_sinabs.nir"


@pytest.fixture(scope="module")
def events():
    rng = np.random.default_rng(7)
    return (rng.random((1, STEPS, 2, 34, 34)) < 0.01).astype(np.int8)


@pytest.mark.parametrize(
    ("chip", "profile"),
    [("spinnaker2", "spinnaker2"), ("loihi1-nahuku", "lava"), ("speck2f", "sinabs")],
)
def test_maps_verifies_and_runs_bit_identically(model, events, chip, profile):
    network = nmhw.load(model, profile=profile)
    assert sum(p.size for p in network.populations) == 8970
    deployed = nmhw.deploy(network, chip)
    assert verify(deployed.quantized, deployed.chip, deployed.mapping).violations == ()
    probes = ("1:v:every=25", "12:v")
    fast = deployed.run(events, backend="numba", probes=probes)
    slow = deployed.run(events, backend="reference", probes=probes, compare_float=False)
    for name, spikes in fast.spikes.items():
        for field in ("sample", "step", "index"):
            np.testing.assert_array_equal(getattr(spikes, field), getattr(slow.spikes[name], field))
    for key, probe in fast.result.probes.items():
        np.testing.assert_array_equal(probe.values, slow.result.probes[key].values)
    for kind, counts in fast.result.counters.totals.items():
        np.testing.assert_array_equal(counts, slow.result.counters.totals[kind])
    assert all(count > 0 for count in fast.summary()["spikes"].values())


def test_soft_reset_is_refused_on_loihi_by_name(model):
    network = nmhw.load(model, profile="spinnaker2")
    with pytest.raises(UnsupportedError, match=r"reset.*subtract|subtract.*reset") as caught:
        nmhw.deploy(network, "loihi1-nahuku")
    assert caught.value.exit_code == 3
