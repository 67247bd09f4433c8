"""Given integers end up in the registers, and are checked against the chip's grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from nmhw.errors import UnsupportedError, UsageError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import make_explicit, quantize_network
from nmhw.mappers.quantize.explicit import whole_numbers
from nmhw.sim.reference import run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Dense, Pool, Reshape
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile

LOIHI, GENERIC, SPINNAKER2 = (load_chip(n) for n in ("loihi1-d18", "generic", "spinnaker2"))
EULER = Profile("test", dt_s=1e-3)
R = np.random.default_rng(3)


def network(kind: str = "cubalif", **parameters: Any) -> Network:
    times = {"tau_mem_s": 0.02, "tau_syn_s": 0.005} if kind == "cubalif" else {"tau_mem_s": 0.02}
    build = Network.build("net").input("in", 3)
    build.population("pop", 2, kind, **times, **parameters)  # type: ignore[arg-type]
    build.project("in", "pop", R.normal(size=(2, 3)), name="w")
    return build.output("out", "pop").done()


def test_registers_take_the_given_integers() -> None:
    pop = {
        "threshold": [100, 200], "v_decay": 128, "u_decay": 4095, "bias_mantissa": -3,
        "bias_exponent": 5, "v0": 7, "scale": 640.0,
    }  # fmt: skip
    weights = np.array([[2, -4, 6], [254, -256, 0]])
    q = quantize_network(
        network(), LOIHI, EULER, explicit={"pop": pop, "w": {"weight": weights, "exponent": 2}}
    )
    p, w = q.populations[0], q.projections[0]
    assert p.threshold.tolist() == [6400, 12800]
    assert (p.v_keep.tolist(), p.u_keep.tolist()) == ([4096 - 128] * 2, [0, 0])
    assert (p.v_bias.tolist(), p.v0.tolist(), p.scale.tolist()) == ([-96] * 2, [7] * 2, [640.0] * 2)
    assert w.shift == 3
    np.testing.assert_array_equal(w.weights.astype(int) * 2, weights.T)
    assert q.losses == ()


def test_what_is_not_given_follows_the_given_threshold() -> None:
    q = quantize_network(network(v_leak=0.2), LOIHI, EULER, explicit={"pop": {"threshold": 1000}})
    p = q.populations[0]
    np.testing.assert_allclose(p.scale, 64000)
    np.testing.assert_allclose(p.v_bias, 0.01 * 64000)
    automatic = quantize_network(network(v_leak=0.2), LOIHI, EULER)
    np.testing.assert_array_equal(p.v_keep, automatic.populations[0].v_keep)
    assert np.abs(q.projections[0].weights).max() > 30


def test_given_weights_alone_set_the_scale() -> None:
    net = network("lif")
    floats = net.projections[0].ops[0].weight  # type: ignore[attr-defined]
    integers = 2 * np.rint(floats * 40).astype(int)
    q = quantize_network(net, LOIHI, EULER, explicit={"w": {"weight": integers}})
    # 80 integers per weight, 64 LSB each, gain dt / tau = 1 / 20
    np.testing.assert_allclose(q.populations[0].scale, 80 * 64 * 20, rtol=0.02)


BAD: list[tuple[str, Any, Any, str]] = [
    ("threshold", 1 << 17, LOIHI, r"threshold: outside .* grid: got 131072 \(limit 0\.\.131071\)"),
    ("threshold", 2.5, LOIHI, r"pop: threshold: must be whole numbers: got 2\.5"),
    ("threshold", [1, 2, 3], LOIHI, r"pop: threshold: wrong number of .*: got 3 \(limit 1 or 2\)"),
    ("v_decay", 4096, LOIHI, r"pop: v_decay: outside .* grid: got 4096 \(limit 0\.\.4095\)"),
    ("v_shift", 4, LOIHI, r"pop: v_shift: the chip has no shift decay"),
    ("bias_mantissa", 5000, LOIHI, r"pop: bias_mantissa: outside the chip's grid: got 5000"),
    ("current_bias_mantissa", 1, LOIHI, r"the chip has no bias on the current"),
    ("v_reset", 5, LOIHI, r"v_reset needs the reset to a value: got reset zero"),
    ("refractory_steps", 1, LOIHI, r"refractory_steps: .* got 1 \(limit 0\.\.0\)"),
    ("scale", -1.0, LOIHI, r"pop: scale: scale must be positive"),
    ("vth", 5, LOIHI, r"pop: explicit: no such field: got vth; try: one of threshold, v_decay"),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value", "chip", "text"), BAD)
def test_values_off_the_grid_are_refused_by_name(
    field: str, value: Any, chip: Any, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        quantize_network(network(), chip, EULER, explicit={"pop": {field: value}})


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"weight": 9, "sign_mode": "mixed"}, r"w: weight: a weight is not .* got 9 .*-256\.\.254"),
        ({"weight": -300}, r"w: weight: a weight is not on the chip's grid: got -300"),
        (
            {"weight": 10, "bits": 4},
            r"got 10 \(limit -256\.\.224 in steps of 32 \(4 bits, mixed\)\)",
        ),
        ({"weight": 10, "exponent": 8}, r"w: exponent: outside the chip's grid: got 8"),
        ({"weight": np.ones((3, 3))}, r"w: weight: weight has the wrong shape: got \(3, 3\)"),
        ({"exponent": 2}, r"w: explicit needs the weight too"),
    ],
)
def test_weights_off_the_grid_are_refused_by_name(entry: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        quantize_network(network(), LOIHI, EULER, explicit={"w": entry})


def test_odd_positive_weights_are_stored_excitatory() -> None:
    q = quantize_network(network(), LOIHI, EULER, explicit={"w": {"weight": 9}})
    assert q.projections[0].sign_mode == "excitatory"


def test_unknown_names_and_float_chips_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no such population or projection: got 'lif'.*pop, w"):
        quantize_network(network(), LOIHI, EULER, explicit={"lif": {"threshold": 1}})
    with pytest.raises(UnsupportedError, match="given integers need a chip with integer states"):
        quantize_network(network(), SPINNAKER2, EULER, explicit={"pop": {"threshold": 1}})


def test_literal_dense_lif_steps_as_its_integer_equations() -> None:
    weights = R.integers(-127, 128, (5, 8))
    build = Network.build("w1").input("in", 8)
    build.population("h", 5, "lif", tau_mem_s=16, v_threshold=20000)
    build.project("in", "h", weights, bias=13, delay_steps=1)
    net = build.output("out", "h").done()
    q = make_explicit(net, GENERIC, explicit={"in>h": {"exponent": 6}})
    assert (q.populations[0].spec.v_decay, q.populations[0].spec.compare) == ("shift", ">=")
    raster = R.random((1, 60, 8)) < 0.3
    run = run_reference(
        q, {"in": SpikeEvents.from_dense(raster, (8,))}, n_steps=60, probes=[Probe("h", "v", 1)]
    )
    v = np.zeros(5, np.int64)
    for step in range(60):
        summed = weights @ raster[0, step - 1].astype(int) if step else 0
        v = v - (v >> 4) + (summed << 6 if step else 0) + 13
        fires = v >= 20000
        v = np.where(fires, 0, v)
        np.testing.assert_array_equal(run.spikes["h"].dense()[0, step], fires)
        np.testing.assert_array_equal(run.probes["h", "v"].values[0, step], v)
    assert run.spikes["h"].dense().sum() > 10


def test_literal_convolutions_pools_and_sparse_networks_keep_their_integers() -> None:
    kernel, readout = R.integers(-127, 128, (3, 2, 3, 3)), R.integers(-127, 128, (4, 12))
    build = (
        Network.build("w2").input("in", (2, 6, 6)).population("c", (3, 4, 4), "if", v_threshold=90)
    )
    build.population("o", 4, "if", v_threshold=300)
    build.project("in", "c", Conv(kernel.astype(float), (2, 6, 6)), name="conv", delay_steps=1)
    chain = (Pool("sum", (3, 4, 4), (2, 2), (2, 2)), Reshape((3, 2, 2), (12,)))
    build.project("c", "o", ops=(*chain, Dense(readout.astype(float))), name="fc", delay_steps=1)
    matrix = csr_array(np.array([[0, 5, 0, -7], [0, 0, 3, 0], [1, 0, 0, 0], [0, 0, 0, 2]]))
    build.project("o", "o", matrix, name="rec", delay_steps=2)
    profile = Profile("subtract", reset="subtract", compare=">=")
    q = make_explicit(build.output("out", "o").done(), GENERIC, profile=profile)
    conv, fc, rec = q.projections
    np.testing.assert_array_equal(conv.weights, kernel)
    np.testing.assert_array_equal(fc.weights, readout.T)
    assert len(fc.pools) == 1
    assert rec.weights.tolist() == [5, -7, 3, 1, 2]
    assert [p.delay_steps for p in q.projections] == [1, 1, 2]
    assert q.populations[0].threshold.tolist() == [90] * 48
    assert q.populations[0].spec.reset == "subtract"


def test_literal_numbers_must_be_whole() -> None:
    def net(weight: float, **parameters: Any) -> Network:
        build = Network.build("x").input("in", 1).population("h", 1, "if", **parameters)
        return build.project("in", "h", np.full((1, 1), weight)).output("out", "h").done()

    with pytest.raises(UsageError, match=r"in>h: weight: must be whole numbers"):
        make_explicit(net(1.5), GENERIC)
    with pytest.raises(UsageError, match=r"h: v_threshold / 1: must be whole numbers"):
        make_explicit(net(1.0, v_threshold=2.5), GENERIC)
    with pytest.raises(UsageError, match=r"in>h: weight: .* got 200 \(limit -127\.\.127"):
        make_explicit(net(200.0), GENERIC)
    with pytest.raises(UsageError, match=r"h: v0: not a whole number"):
        make_explicit(net(1.0, v0=0.5), GENERIC)


@pytest.mark.parametrize(
    ("value", "got"),
    [([1, np.nan], "nan"), ("abc", "abc"), ([[1, 2.5]] * 50, r"2\.5"), (["x", "y"], "x")],
)
def test_values_that_are_no_whole_numbers_show_the_first_of_them(value: Any, got: str) -> None:
    with pytest.raises(UsageError, match=rf"^h: weight: must be whole numbers: got {got} \["):
        whole_numbers("h", "weight", value, None, 0, 9)
