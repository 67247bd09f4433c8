"""Spike times and their gradients on examples that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.sizes import dense_layer
from nmhw.sim.learning.spike_time import SpikeTimes, carry_back, fire, to_ticks
from nmhw.sim.learning.synapses import Synapses

INF = np.inf


def layer(weights: list[list[float]]) -> tuple[Synapses, Any]:
    w = np.array(weights)
    return Synapses(dense_layer("layer", *w.shape)), w


def times_of(rule: GradientRule, weights: list[list[float]], t_in: list[float]) -> SpikeTimes:
    synapses, w = layer(weights)
    return fire(synapses, w, rule, np.array([t_in]))


def test_one_input_and_a_fixed_threshold() -> None:
    spikes = times_of(named("std-ed", threshold="fixed"), [[2.0, 0.1]], [0.25])
    assert spikes.times.tolist() == [[0.75, INF]]  # 0.1 reaches 0.375 by t_end = 4
    assert spikes.slope_inverse.tolist() == [[0.5, 0.0]]


def test_inputs_behind_the_spike_are_no_cause() -> None:
    spikes = times_of(named("std-ed", threshold="fixed"), [[1.0], [1.0], [9.0]], [0.0, 0.5, 0.8])
    assert spikes.times.tolist() == [[0.75]]
    assert spikes.slope_inverse.tolist() == [[0.5]]


def test_an_inhibitory_input_delays_and_can_prevent_a_spike() -> None:
    rule = named("std-ed", threshold="fixed")
    assert times_of(rule, [[1.0], [-0.5]], [0.0, 0.5]).times.tolist() == [[1.5]]
    assert times_of(rule, [[1.0], [-1.5]], [0.0, 0.5]).times.tolist() == [[INF]]


def test_a_falling_threshold_comes_to_meet_the_membrane() -> None:
    rule = named("std-ed", threshold="ramp", slope=0.5, t_end=2.0)
    spikes = times_of(rule, [[0.5, 0.0]], [0.0])
    assert spikes.times.tolist() == [[1.0, INF]]  # 0.5 t = 1 - 0.5 t; a membrane at 0 stays silent
    assert spikes.slope_inverse[0, 0] == 1.0


def test_a_window_maps_inputs_of_0_to_1_to_outputs_of_0_to_1() -> None:
    weights = [[0.5, 3.0, -1.0, -0.4], [0.5, 0.0, 0.0, 0.3]]
    spikes = times_of(named("std-ed"), weights, [0.5, 0.0])
    # u(t) = t - 0.25 meets 2 - t at 1.125; u(1) = 1.5 is past the threshold; u(2) = -1.5;
    # u(t) = -0.1 t + 0.2 is 0 at the window's end
    assert spikes.times.tolist() == [[0.125, 0.0, INF, INF]]
    assert spikes.is_open.tolist() == [[True, False, False, False]]


@pytest.mark.parametrize("law", ["window", "fixed", "ramp"])
def test_a_spike_in_ticks_is_the_first_tick_at_or_behind_the_crossing(law: str) -> None:
    rng = np.random.default_rng(0)
    exact = named("std-ed", threshold=law)
    ticks = exact.with_(time="ticks", n_steps=64)
    t_in = to_ticks(rng.random((20, 9)), 64)
    synapses, w = layer(rng.uniform(0.02, 0.5, (9, 6)).tolist())  # excitatory: u - theta only rises
    a, b = fire(synapses, w, exact, t_in), fire(synapses, w, ticks, t_in)
    assert np.array_equal(a.fired, b.fired)
    np.testing.assert_array_equal(b.times[b.fired], to_ticks(a.times[a.fired], 64))


def test_gradients_of_one_neuron() -> None:
    rule = named("std-ed", threshold="fixed")
    synapses, w = layer([[1.0], [1.0], [9.0]])
    t_in = np.array([[0.0, 0.5, 0.8]])
    at_weights, at_times = carry_back(
        synapses, w, rule, t_in, fire(synapses, w, rule, t_in), np.array([[4.0]])
    )
    np.testing.assert_allclose(at_weights[:, 0], [-2 * 0.75, -2 * 0.25, 0.0])
    np.testing.assert_allclose(at_times, [[2.0, 2.0, 0.0]])


@pytest.mark.parametrize("law", ["window", "fixed", "ramp"])
def test_the_slope_is_clipped(law: str) -> None:
    rule = named("std-ed", threshold=law)
    synapses, w = layer([[0.9]])
    t_in = np.array([[0.25]])
    spikes = fire(synapses, w, rule, t_in)
    free, clipped = (
        carry_back(synapses, w, rule.with_(slope_clip=c), t_in, spikes, np.ones((1, 1)))
        for c in (1e9, spikes.slope_inverse[0, 0] / 2)
    )
    assert free[0][0, 0] < 0
    np.testing.assert_allclose(clipped[0], free[0] / 2)
    np.testing.assert_allclose(clipped[1], free[1] / 2)


def test_silent_and_clamped_neurons_take_no_error() -> None:
    rule = named("std-ed")
    synapses, w = layer([[3.0, -1.0]])
    t_in = np.array([[0.5]])
    spikes = fire(synapses, w, rule, t_in)
    at_weights, at_times = carry_back(synapses, w, rule, t_in, spikes, np.ones((1, 2)))
    assert not at_weights.any()
    assert not at_times.any()
