"""ReckOn: pairs of neurons share decay and threshold; what the chip has no wires for is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.mappers.quantize.shared_pairs import mean_of_groups
from nmhw.mappers.rules import check_rules

X = (np.random.default_rng(13).random((3, 30, 20)) < 0.3).astype(np.uint8)


def network(
    n_hidden: int = 31, n_out: int = 5, *, out: str = "li", tau_s: Any = 0.01, out_bias: float = 0.0
) -> Any:
    r = np.random.default_rng(14)
    build = nmhw.Network.build("x").input("in", 20)
    build.population("h", n_hidden, "lif", tau_mem_s=tau_s)
    build.population("o", n_out, out, tau_mem_s=0.02)
    build.project("in", "h", r.normal(1.0, 2.0, (n_hidden, 20)), bias=0.3)
    build.project("h", "h", r.normal(0, 0.5, (n_hidden, n_hidden)))
    build.project("h", "o", r.normal(0.1, 0.3, (n_out, n_hidden)), bias=out_bias)
    return give_meaning(build.output("out", "o").done(), "snntorch", dt_s=1e-3)


def test_pairs_have_one_decay_one_threshold_and_one_scale() -> None:
    tau_s = np.random.default_rng(15).uniform(5e-3, 20e-3, 31)
    deployed = nmhw.deploy(network(tau_s=tau_s), "reckon")
    h = deployed.quantized.population("h")
    for values in (h.v_keep, h.threshold, h.scale):
        np.testing.assert_array_equal(values[:30:2], values[1:30:2])
    keep = 1 - 1e-3 / tau_s
    np.testing.assert_allclose(h.v_keep / 2**15, mean_of_groups(keep, 2), atol=2**-15)
    notes = [n for n in deployed.quantized.notices if n.rule == "quantize.shared-pair"]
    assert [n.where for n in notes] == ["h"]
    assert "2 neighboring neurons share one v_keep" in notes[0].text
    assert check_rules(deployed.quantized, deployed.chip, deployed.mapping) == ([], [])


def test_equal_neighbors_lose_nothing() -> None:
    q = nmhw.quantize(network(), "reckon")
    assert not [n for n in q.notices if n.rule == "quantize.shared-pair"]
    assert max(loss.decay_error for loss in q.losses) < 1e-3


def test_the_chip_run_is_close_to_float_and_equal_in_both_backends() -> None:
    deployed = nmhw.deploy(network(), "reckon", calibration=X)
    run, other = (deployed.run(X, backend=b) for b in ("numba", "reference"))
    np.testing.assert_array_equal(run.spikes["h"].dense(), other.spikes["h"].dense())
    expected = nmhw.run_float(network(), X).spikes["h"].dense().sum()
    assert run.spikes["h"].dense().sum() == pytest.approx(expected, rel=0.1)
    assert expected > 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_hidden": 257}, "257 hidden neurons, limit 256"),
        ({"n_out": 17}, "17 outputs, limit 16"),
        ({"out": "lif"}, "outputs do not spike"),
    ],
)
def test_other_layers_are_refused_by_rule(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DoesNotFitError, match=message):
        nmhw.deploy(network(**changes), "reckon")


def test_the_mean_of_an_odd_last_neuron_is_its_own() -> None:
    np.testing.assert_array_equal(mean_of_groups(np.array([1.0, 3, 5, 7, 9]), 2), [2, 2, 6, 6, 9])


def test_an_output_cannot_have_a_bias() -> None:
    with pytest.raises(UnsupportedError, match="no input reaches an output"):
        nmhw.quantize(network(out_bias=0.5), "reckon")
    q = nmhw.quantize(network(out_bias=0.5), "reckon", allow=("bias",))
    assert q.constant_inputs == ()


def test_weights_of_one_matrix_share_their_shift() -> None:
    r = np.random.default_rng(16)
    build = nmhw.Network.build("x").input("in", 20)
    for name, scale in (("h", 1.0), ("k", 30.0)):
        build.population(name, 16, "lif", tau_mem_s=0.01, v_threshold=scale)
        build.project("in", name, r.normal(size=(16, 20)), bias=0.3)
    build.population("o", 5, "li", tau_mem_s=0.02)
    build.project("h", "o", r.normal(size=(5, 16))).project("k", "o", r.normal(size=(5, 16)))
    network = give_meaning(build.output("out", "o").done(), "snntorch", dt_s=1e-3)
    deployed = nmhw.deploy(network, "reckon")
    shifts = {p.shift for p in deployed.quantized.projections if p.target != "o"}
    assert len(shifts) == 1
