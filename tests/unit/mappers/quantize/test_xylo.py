"""Float networks in Xylo's integers: decays, order of input and decay, spikes, shifts, refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import DoesNotFitError, InputError, UnsupportedError, UsageError
from nmhw.values.discretize import resolve_profile

CHIP = "xylo-audio2"
BRAILLE = Path(__file__).parents[3] / "data" / "nir-cases" / "03_rnn"
TIMES = {"if": (), "lif": ("tau_mem_s",), "cubalif": ("tau_mem_s", "tau_syn_s")}
OVER: dict[str, Any] = {"integrator": "euler"}


def network(
    profile: str = "rockpool",
    *,
    sizes: tuple[int, ...] = (4, 10, 3),
    kind: str = "cubalif",
    tau_mem_s: Any = 16e-3,
    tau_syn_s: Any = 4e-3,
    weights: tuple[Any, ...] = (),
    recurrent: Any = None,
    **overrides: Any,
) -> nmhw.Network:
    """Return layers in a chain; the last one is the output."""
    rng = np.random.default_rng(5)
    times = {"tau_mem_s": tau_mem_s, "tau_syn_s": tau_syn_s}
    times = {key: times[key] for key in TIMES[kind]}
    build = nmhw.Network.build("chain").input("l0", sizes[0])
    for k, n in enumerate(sizes[1:], 1):
        build.population(f"l{k}", n, kind, **times, v_threshold=1.0)  # type: ignore[arg-type]
    for k, n in enumerate(sizes[1:], 1):
        drawn = rng.normal(0.02, 0.1, (n, sizes[k - 1]))
        build.project(f"l{k - 1}", f"l{k}", weights[k - 1] if weights else drawn)
    if recurrent is not None:
        build.project("l1", "l1", recurrent, name="recurrent")
    built = build.output("out", f"l{len(sizes) - 1}").done()
    meaning = resolve_profile(built, profile, 1e-3, **{**OVER, **overrides})
    return replace(built, profile=meaning)


@pytest.mark.parametrize(
    ("ratio", "integrator", "dash"),
    [(1.2, "euler", 1), (2.9, "euler", 2), (16, "euler", 4), (22, "exponential", 4),
     (23, "exponential", 5), (1e6, "euler", 15)],
)  # fmt: skip
def test_dash_is_the_rounded_logarithm_of_tau_over_dt(
    ratio: float, integrator: str, dash: int
) -> None:
    net = network(tau_mem_s=ratio * 1e-3, tau_syn_s=ratio * 1e-3, integrator=integrator)
    hidden = nmhw.deploy(net, CHIP).quantized.population("l1")
    assert (set(hidden.v_keep), set(hidden.u_keep)) == ({dash}, {dash})
    assert (hidden.spec.v_decay, hidden.spec.u_decay) == ("shift-tail", "shift-tail")


@pytest.mark.parametrize(
    ("which", "rule", "text"),
    [
        ("tau_mem_s", "quantize.decay", "tau / dt = 1"),
        ("tau_syn_s", "quantize.no_current", "tau_syn > dt"),
    ],
)
def test_a_time_constant_of_one_step_is_refused(which: str, rule: str, text: str) -> None:
    with pytest.raises(UnsupportedError, match=text) as caught:
        nmhw.deploy(network(**{which: 1e-3}), CHIP)
    assert caught.value.rule == rule


def test_a_membrane_without_leak_is_refused() -> None:
    with pytest.raises(UnsupportedError, match=r"^l1: no decay of v .* a leak"):
        nmhw.deploy(network(kind="if"), CHIP, allow=["no_current"])


def test_every_input_passes_a_current_that_lasts() -> None:
    net = network(kind="lif")
    with pytest.raises(UnsupportedError, match="tau_syn > dt") as caught:
        nmhw.deploy(net, CHIP)
    assert caught.value.rule == "quantize.no_current"
    hidden = nmhw.deploy(net, CHIP, allow=["no_current"]).quantized.population("l1")
    assert set(hidden.u_keep) == {1}


@pytest.mark.parametrize("order", ["add-decay", "decay-add"])
def test_one_event_brings_the_current_that_the_float_network_has(order: str) -> None:
    net = network(weights=(np.full((10, 4), 0.25), np.ones((3, 10))), synapse_order=order)
    x = np.zeros((1, 12, 4), np.int64)
    x[0, 2, 1] = 1
    deployed = nmhw.deploy(net, CHIP)
    run = deployed.run(x, probes=["l1:u"])
    floats = nmhw.run_float(net, x, probes={"l1": ["u"]})
    scale = deployed.quantized.population("l1").scale[0]
    gain = 1.0  # of u in units of v: the profile's input gain is 1
    chip_u = run.result.probes["l1", "u"].values[0, :12, 0] / scale
    float_u = floats.probes["l1"]["u"].values[0, :12, 0] * gain
    assert float_u.max() > 0
    np.testing.assert_allclose(chip_u[:6], float_u[:6], atol=2.5 / scale * 4)


def test_rates_of_a_recurrent_network_follow_the_float_network() -> None:
    rng = np.random.default_rng(0)
    net = network(
        sizes=(12, 60, 8),
        weights=(rng.normal(0.02, 0.06, (60, 12)), rng.normal(0.02, 0.04, (8, 60))),
        recurrent=rng.normal(0, 0.02, (60, 60)),
    )
    x = (rng.random((4, 200, 12)) < 0.15).astype(np.int64)
    chip = nmhw.deploy(net, CHIP).run(x).spikes["l1"].dense().sum(axis=1).ravel()
    floats = nmhw.run_float(net, x).spikes["l1"].dense().sum(axis=1).ravel()
    assert floats.sum() > 1000
    assert np.corrcoef(chip, floats)[0, 1] > 0.99
    assert chip.sum() == pytest.approx(floats.sum(), rel=0.1)


def test_hidden_hops_take_a_step_and_inputs_none() -> None:
    net = network(sizes=(4, 6, 5, 3), recurrent=np.eye(6) * 0.1)
    quantized = nmhw.deploy(net, CHIP).quantized
    delays = {(q.source, q.target): q.delay_steps for q in quantized.projections}
    assert delays == {("l0", "l1"): 0, ("l1", "l1"): 1, ("l1", "l2"): 1, ("l2", "l3"): 1}
    assert [quantized.population(f"l{k}").depth for k in (1, 2, 3)] == [0, 1, 2]


def test_outputs_fire_once_per_step_and_hidden_neurons_31_times() -> None:
    quantized = nmhw.deploy(network(), CHIP).quantized
    most = {p.name: p.spec.max_spikes_per_step for p in quantized.populations}
    assert most == {"l1": 31, "l2": 1}
    texts = [n.text for n in quantized.notices if n.rule == "quantize.multi-spike"]
    assert any("31 spikes" in t for t in texts)
    assert any("1 spike per step" in t for t in texts)


@pytest.mark.parametrize(
    ("overrides", "rule"),
    [
        ({"reset": "zero"}, "quantize.reset"),
        ({"multi_spike": False}, "quantize.multi_spike"),
    ],
)
def test_what_the_chip_lacks_is_refused_by_name(overrides: dict[str, Any], rule: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        nmhw.deploy(network(**overrides), CHIP)
    assert caught.value.rule == rule


def test_all_weights_of_a_matrix_share_one_shift() -> None:
    rng = np.random.default_rng(2)
    weights = (
        rng.normal(0, 1, (6, 4)),
        rng.normal(0, 1, (5, 6)),
        rng.normal(0, 0.001, (7, 5)),
        rng.normal(0, 1, (3, 7)),
    )
    x = (rng.random((2, 60, 4)) < 0.3).astype(np.int64)
    deployed = nmhw.deploy(network(sizes=(4, 6, 5, 7, 3), weights=weights), CHIP, calibration=x)
    shifts = {q.name: q.shift for q in deployed.quantized.projections}
    recurrent = {s for name, s in shifts.items() if name in ("l1>l2", "l2>l3")}
    assert len(recurrent) == 1
    assert all(np.abs(q.weights.astype(int)).max() <= 128 for q in deployed.quantized.projections)


def test_shifts_of_one_matrix_that_differ_are_refused() -> None:
    net = network(sizes=(4, 6, 5, 3))
    given = {"weight": np.ones((6, 4)), "exponent": 2}
    explicit = {"l0>l1": given, "l1>l2": {**given, "weight": np.ones((5, 6)), "exponent": 1}}
    nmhw.deploy(net, CHIP, explicit=explicit)
    twice = nmhw.Network.build("two").input("a", 2).population("h", 4, "cubalif", tau_mem_s=0.016,
                                                              tau_syn_s=0.004)  # fmt: skip
    twice.population("g", 4, "cubalif", tau_mem_s=0.016, tau_syn_s=0.004)
    twice.population("o", 2, "cubalif", tau_mem_s=0.016, tau_syn_s=0.004)
    twice.project("a", "h", np.ones((4, 2))).project("a", "g", np.ones((4, 2)))
    twice.project("h", "o", np.ones((2, 4))).project("g", "o", np.ones((2, 4)))
    built = twice.output("out", "o").done()
    built = replace(built, profile=resolve_profile(built, "rockpool", 1e-3))
    odd = {
        "a>h": {"weight": np.ones((4, 2)), "exponent": 1},
        "a>g": {"weight": np.ones((4, 2)), "exponent": 3},
    }
    with pytest.raises(DoesNotFitError, match=r"shifts 1, 3, limit 1 shift .one-shift-per-matrix"):
        nmhw.deploy(built, CHIP, explicit=odd)


@pytest.mark.parametrize(
    ("chip", "entry", "what"),
    [
        (CHIP, {"l1": {"alias": [10, *[-1] * 9]}}, "-1..9"),
        (CHIP, {"l1": {"alias": -1}}, "one entry per neuron: got shape () (limit (10,))"),
        (CHIP, {"l1": {"alias": [[-1] * 5] * 2}}, "one entry per neuron: got shape (2, 5)"),
        (CHIP, {"l2": {"alias": [1, -1, -1]}}, "l2: alias: an output neuron has no alias"),
        (CHIP, {"l2": {"u2_shift": 3}}, "l2: u2_shift: an output has one synaptic current"),
        ("loihi1-d18", {"l1": {"alias": 1}}, "no aliases"),
        ("xylo-imu", {"l1": {"u2_shift": 3}}, "one synaptic current"),
        (CHIP, {"l1": {"v_shift": 16}}, "1..15"),
        (CHIP, {"l1": {"threshold": 0}}, "1..32767"),
        (CHIP, {"l0>l1": {"weight": np.ones((10, 4)), "synapse": 1}}, "try: u2_shift of l1"),
        (CHIP, {"l1>l2": {"weight": np.ones((3, 10)), "synapse": 1}}, "output has one"),
        ("xylo-imu", {"l0>l1": {"weight": np.ones((10, 4)), "synapse": 1}}, "chip has one"),
        ("generic", {"l0>l1": {"weight": np.ones((10, 4)), "synapse": 1}}, "chip has one"),
        (CHIP, {"l0>l1": {"weight": np.ones((10, 4)), "exponent": 8}}, "0..7"),
        (CHIP, {"l0>l1": {"weight": np.full((10, 4), -129)}}, "-128..127"),
    ],
)
def test_given_integers_off_the_chip_s_grid_are_refused(
    chip: str, entry: dict[str, Any], what: str
) -> None:
    profile = "lava" if "loihi" in chip else "rockpool"
    with pytest.raises(UsageError) as caught:
        nmhw.deploy(network(profile), chip, explicit=entry)
    assert what in str(caught.value)


def test_more_than_15_events_of_a_channel_in_a_step_are_refused() -> None:
    deployed = nmhw.deploy(network(), CHIP)
    x = np.zeros((1, 5, 4), np.int64)
    x[0, 3, 2] = 15
    deployed.run(x)
    x[0, 3, 2] = 16
    with pytest.raises(InputError, match="16"):
        deployed.run(x)


def test_braille_with_soft_reset_deploys_and_says_what_it_approximates() -> None:
    x = np.load(BRAILLE / "braille_input_letterA_256x12.npy")[None]
    net = nmhw.load(
        BRAILLE / "braille_noDelay_bias_zero.nir", profile="rockpool", dt_s=1e-4,
        reset="subtract", multi_spike=True,
    )  # fmt: skip
    with pytest.raises(UnsupportedError, match="bias on the synaptic current"):
        nmhw.deploy(net, CHIP)
    run = nmhw.deploy(net, CHIP, allow=["bias"]).run(x)
    summary = run.summary()
    assert summary["n_cores"] == 1
    assert summary["spikes"]["lif1.lif"] > 100
    cycles = summary["clock_cycles"]
    assert 0 < cycles["mean"] < cycles["worst"]
    assert cycles["clock_hz"] == pytest.approx(cycles["worst"] * 1.2 / 1e-4)


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_the_second_current_is_probed_where_there_is_one(backend: str) -> None:
    net = network()
    x = np.ones((1, 6, 4), np.int64)
    explicit = {"l1": {"u2_shift": 3}, "l0>l1": {"weight": np.full((10, 4), 9), "synapse": 1}}
    deployed = nmhw.deploy(net, CHIP, explicit=explicit)
    run = deployed.run(x, probes=["l1:u2", "l1:u"], backend=backend)
    assert not run.result.probes["l1", "u"].values.any()
    steps = run.result.probes["l1", "u2"].values[0, :6, 0].tolist()
    expected, current = [], 0
    for _ in range(6):
        current += 4 * 9
        current -= max(current >> 3, 1)
        expected.append(current)
    assert steps == expected
    with pytest.raises(UsageError, match="no second synaptic current"):
        deployed.run(x, probes=["l2:u2"], backend=backend)
    with pytest.raises(UsageError, match="one synaptic current"):
        nmhw.run_float(net, x, probes={"l1": ["u2"]})
