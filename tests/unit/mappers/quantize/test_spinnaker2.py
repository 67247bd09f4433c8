"""The SpiNNaker2 rule: one scale per population, truncated 8-bit weights, float32 coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.reference import run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import preset

CHIP = load_chip("spinnaker2")
PROFILE = preset("spinnaker2").with_(dt_s=1e-3)
R = np.random.default_rng(2)
W_IN, W_REC = R.normal(size=(6, 4)), R.normal(size=(6, 6)) * 0.3


def network(bias: float = 0.0, kind: str = "cubalif") -> Network:
    times = {"tau_mem_s": 0.02, "tau_syn_s": 0.004} if kind == "cubalif" else {"tau_mem_s": 0.02}
    build = Network.build("rnn").input("in", 4)
    build.population("pop", 6, kind, r=20.0, v_threshold=0.8, **times)  # type: ignore[arg-type]
    build.project("in", "pop", W_IN, bias=bias).project("pop", "pop", W_REC)
    return build.output("out", "pop").done()


def test_weights_are_truncated_at_one_scale_over_all_projections() -> None:
    q = quantize_network(network(), CHIP, PROFILE)
    s = 127 / max(np.abs(W_IN).max(), np.abs(W_REC).max())
    for projection, weights in zip(q.projections, (W_IN, W_REC), strict=True):
        np.testing.assert_array_equal(projection.weights, np.trunc(weights * s + 1e-9 * weights).T)
        assert projection.weights.dtype == np.int8
        np.testing.assert_allclose(projection.weight_scale, s)
    assert max(np.abs(p.weights.astype(int)).max() for p in q.projections) == 127
    np.testing.assert_allclose(q.populations[0].scale, s)


def test_run_equals_the_written_rule_in_float32() -> None:
    q = quantize_network(network(), CHIP, PROFILE)
    s = 127 / max(np.abs(W_IN).max(), np.abs(W_REC).max())
    w_in, w_rec = (np.asarray(p.weights, np.float64) for p in q.projections)
    f = np.float32
    a, b, g = f(1 - 1e-3 / 0.004), f(1 - 1e-3 / 0.02), f(20 * 1e-3 / 0.02)
    w_gain, threshold = f(1e-3 / 0.004), f(0.8 * s)
    raster = R.random((1, 80, 4)) < 0.4
    run = run_reference(
        q, {"in": SpikeEvents.from_dense(raster, (4,))}, n_steps=80, probes=[Probe("pop", "v", 1)]
    )
    u, v, z = np.zeros(6, f), np.zeros(6, f), np.zeros(6)
    for step in range(80):
        x = f(raster[0, step - 1] @ w_in + z @ w_rec) if step else np.zeros(6, f)
        u = a * u + w_gain * x
        v = b * v + g * u
        z = (v > threshold).astype(float)
        v = v - f(z) * threshold
        np.testing.assert_array_equal(run.probes["pop", "v"].values[0, step], v)
        np.testing.assert_array_equal(run.spikes["pop"].dense()[0, step], z)
    assert run.spikes["pop"].dense().sum() > 20


def test_bias_of_a_population_without_current_is_a_drive() -> None:
    q = quantize_network(network(0.3, "lif"), CHIP, PROFILE)
    assert q.populations[0].floats is not None
    drive = q.populations[0].floats["drive"] / q.populations[0].scale
    np.testing.assert_allclose(drive, 0.3, rtol=1e-6)  # r dt / tau = 1


def test_bias_on_a_current_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="bias on the synaptic current"):
        quantize_network(network(0.3), CHIP, PROFILE)


def test_a_population_without_weights_has_scale_one() -> None:
    build = Network.build("x").input("in", 2).population("pop", 3, "if")
    net = build.project("in", "pop", np.zeros((3, 2))).output("out", "pop").done()
    q = quantize_network(net, CHIP, preset("spinnaker2"))
    assert q.populations[0].scale.tolist() == [1.0] * 3
    assert not q.projections[0].weights.any()
