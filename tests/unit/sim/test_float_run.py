from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, ProfileError, UsageError
from nmhw.sim.float_run import run_float
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Delay, Dense, Pool, Reshape
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile

DT_S = 0.25


def dyadic(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Multiples of 1/8: their sums are exact, so every order of summation gives the same bits."""
    return rng.integers(-8, 9, shape) / 8.0


def conv_network() -> Network:
    rng = np.random.default_rng(5)
    build = Network.build("conv").input("in", (2, 6, 6))
    build.population("c1", (3, 3, 3), "if").population("out", 4, "if", v_threshold=0.5)
    conv = Conv(dyadic(rng, 3, 2, 3, 3), (2, 6, 6), (2, 2), (1, 1, 1, 1))
    build.project("in", "c1", ops=(conv,), bias=dyadic(rng, 27) / 4)
    pool = Pool("avg", (3, 3, 3), (2, 2), (1, 1))
    chain = (pool, Reshape((3, 2, 2), (12,)), Dense(dyadic(rng, 4, 12)))
    return build.project("c1", "out", ops=chain).output("y", "out").done()


def test_expanded_and_unexpanded_projections_give_the_same_spikes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.random.default_rng(1).integers(0, 2, (4, 12, 2, 6, 6))
    sparse = run_float(conv_network(), Profile("snntorch"), SpikeEvents.from_dense(x))
    dense = run_float(conv_network(), Profile("snntorch"), x.astype(np.float64))
    monkeypatch.setattr("nmhw.sim.float_linear._MAX_EXPANDED", 0)
    unexpanded = run_float(conv_network(), Profile("snntorch"), SpikeEvents.from_dense(x))
    for name in ("c1", "out"):
        assert len(sparse.spikes[name]) > 20
        for other in (dense, unexpanded):
            np.testing.assert_array_equal(sparse.spikes[name].dense(), other.spikes[name].dense())
    assert sparse.spikes["c1"].shape == (3, 3, 3)
    assert "in" in sparse.spikes


def test_events_come_sorted_by_sample_step_index() -> None:
    x = np.random.default_rng(1).integers(0, 2, (4, 12, 2, 6, 6))
    events = run_float(conv_network(), Profile("snntorch"), x, chunk_elements=100).spikes["c1"]
    key = (events.sample.astype(int) * 12 + events.step) * 27 + events.index
    assert (np.diff(key) > 0).all()


def leaky_chain() -> Network:
    build = Network.build("chain").input("in", 1)
    build.population("a", 1, "lif", tau_mem_s=1.0, r=4.0, v_threshold=1.5)
    build.population("b", 1, "li", tau_mem_s=1.0, r=4.0)
    build.project("in", "a", np.array([[1.0]])).project("a", "b", np.array([[1.0]]))
    return build.output("y", "b").done()


def test_hops_delay_every_population_and_add_drain_steps() -> None:
    x = np.zeros((1, 3, 1))
    x[0, :2] = 1.0
    direct = run_float(leaky_chain(), Profile("p", dt_s=DT_S), x)
    hopped = run_float(leaky_chain(), Profile("p", dt_s=DT_S, hop_steps=1), x)
    assert (direct.drain_steps, hopped.drain_steps) == (0, 2)
    assert dict(hopped.depths) == {"in": 0, "a": 1, "b": 2}
    assert direct.spikes["a"].step.tolist() == [1]
    assert hopped.spikes["a"].step.tolist() == [2]
    np.testing.assert_array_equal(hopped.windowed("a").dense(), direct.windowed("a").dense())
    v = hopped.probes["b", "v"].values[0, :, 0]
    np.testing.assert_array_equal(v[2:], direct.probes["b", "v"].values[0, :, 0])
    assert hopped.probes["b", "v"].values.shape == (1, 5, 1)


def test_state_is_kept_between_samples_only_when_continuous() -> None:
    network, profile = leaky_chain(), Profile("p", dt_s=DT_S)
    x = np.ones((2, 1, 1))
    assert len(run_float(network, profile, x).spikes["a"]) == 0  # v = 1, then 1 again
    kept = run_float(network, profile, x, continuous=True, probes=[Probe("a", "v")])
    assert (kept.spikes["a"].sample.tolist(), kept.spikes["a"].step.tolist()) == ([1], [0])
    np.testing.assert_array_equal(kept.probes["a", "v"].values[:, :, 0], [[1.0], [0.0]])
    assert kept.probes["b", "v"].values.shape == (2, 1, 1)


def test_continuous_run_equals_one_long_sample() -> None:
    x = np.random.default_rng(2).integers(0, 2, (5, 7, 2, 6, 6))
    network, profile = conv_network(), Profile("sinabs", multi_spike=True, reset="subtract")
    split = run_float(network, profile, SpikeEvents.from_dense(x), continuous=True)
    joined = run_float(network, profile, x.reshape(1, 35, 2, 6, 6))
    for name in ("c1", "out"):
        long = joined.spikes[name].dense()
        np.testing.assert_array_equal(split.spikes[name].dense().reshape(long.shape), long)


def test_probe_can_keep_every_kth_step() -> None:
    x = np.random.default_rng(2).integers(0, 2, (2, 8, 2, 6, 6))
    network = conv_network()
    full = run_float(network, Profile("p"), x, probes=[Probe("out", "v")]).probes["out", "v"]
    some = run_float(network, Profile("p"), x, probes=[Probe("out", "v", 3)]).probes["out", "v"]
    assert some.steps.tolist() == [0, 3, 6]
    np.testing.assert_array_equal(some.values, full.values[:, ::3])


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    x = np.zeros((3, 10, 2, 6, 6))
    run_float(
        conv_network(), Profile("p"), x, progress=lambda *s: seen.append(s), chunk_elements=300
    )
    assert seen[-1] == (31 * 10 * 3, 31 * 10 * 3)
    assert len(seen) > 10
    assert [s[0] for s in seen] == sorted(s[0] for s in seen)


def test_runaway_activity_is_refused_by_name() -> None:
    build = Network.build("loop").input("in", 1).population("p", 1, "if")
    build.project("in", "p", np.array([[1.0]])).project("p", "p", np.array([[10.0]]))
    network = build.output("y", "p").done()
    profile = Profile("p", multi_spike=True, reset="subtract", compare=">=")
    with pytest.raises(ProfileError, match=r"p: a neuron spikes without bound.*multi_spike=False"):
        run_float(network, profile, np.ones((1, 20, 1)))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": np.zeros((1, 2, 72))}, r"wrong input names: got \['x'\] \(limit in\)"),
        (np.zeros((1, 2, 71)), r"in: input has the wrong shape.*\(2, 6, 6\)"),
        (np.zeros((2, 72)), "in: input has the wrong shape"),
    ],
)
def test_wrong_inputs_are_refused(inputs: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_float(conv_network(), Profile("p"), inputs)


def test_probing_a_current_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no synaptic current"):
        run_float(conv_network(), Profile("p"), np.zeros((1, 2, 72)), probes=[Probe("c1", "u")])


def test_mixed_delays_act_on_single_elements() -> None:
    # y(t) = sum over j of weight[i, j] x_j(t - before[j] - after[i])
    rng = np.random.default_rng(4)
    before, after = np.array([0, 2, 1]), np.array([1, 0])
    weight = dyadic(rng, 2, 3)
    build = Network.build("mixed").input("in", 3).population("y", 2, "linear")
    build.project("in", "y", ops=(Delay(before * DT_S), Dense(weight), Delay(after * DT_S)))
    x = rng.integers(0, 2, (2, 6, 3))
    run = run_float(build.output("out", "y").done(), Profile("p", dt_s=DT_S), x)
    expected = np.zeros((2, 9, 2))
    for i in range(2):
        for j in range(3):
            shift = before[j] + after[i]
            expected[:, shift : shift + 6, i] += weight[i, j] * x[:, :, j]
    assert run.drain_steps == 3
    np.testing.assert_array_equal(run.probes["y", "v"].values, expected)
