"""Membranes, recurrent spikes, thresholds and heads on examples that can be worked out by hand."""

import numpy as np
import pytest

from nmhw.sim.learning import membrane, spike_response
from nmhw.sim.learning.float_form import run_batch
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.head import cross_entropy
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.thresholds import (
    initial_thresholds,
    moved_thresholds,
    surrogate,
    threshold_at,
)


def test_membranes_decay_and_are_reset_to_zero() -> None:
    drive = np.array([[[0.6], [0.6], [0.6], [0.6]]])
    excess, spikes = membrane.step_membranes(0.5, np.ones((4, 1)), drive)
    np.testing.assert_allclose(excess[0, :, 0], [-0.4, -0.1, 0.05, -0.4])
    assert spikes[0, :, 0].tolist() == [0, 0, 1, 0]


def test_a_recurrent_spike_arrives_one_step_later() -> None:
    drive = np.array([[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    loop = np.array([[0.0, 1.0], [0.0, 0.0]])
    _, spikes = membrane.step_membranes(0.5, np.ones((3, 2)), drive, loop)
    assert spikes[0].tolist() == [[1, 0], [0, 1], [0, 0]]


def test_every_input_is_credited_to_the_first_spike_at_or_behind_it() -> None:
    rule = named("mpd-ed", n_steps=5, decay=0.5, width=2.0)
    excess = np.array([-0.5, 0.0, -0.5, 0.0, -0.5]).reshape(1, 5, 1)
    spikes = (excess >= 0).astype(float)
    d_spikes = np.array([9.0, 1.0, 9.0, 3.0, 9.0]).reshape(1, 5, 1)
    dv, entered = membrane.reverse(rule, excess, spikes, d_spikes)
    np.testing.assert_allclose(dv[0, :, 0], [0.5, 1.0, 1.5, 3.0, 0.0])
    np.testing.assert_allclose(entered[0, :, 0], [0, 1, 0, 3, 0])


def test_stbp_lets_errors_in_everywhere() -> None:
    rule = named("stbp", n_steps=3, decay=0.5)
    excess = np.zeros((1, 3, 1)) - 0.5
    dv, entered = membrane.reverse(rule, excess, np.zeros((1, 3, 1)), np.ones((1, 3, 1)))
    g = float(surrogate(rule, np.array(-0.5)))
    np.testing.assert_allclose(entered[0, :, 0], [g, g, g])
    np.testing.assert_allclose(dv[0, :, 0], [1.75 * g, 1.5 * g, g])


def test_surrogates() -> None:
    x = np.array([-1.0, -0.5, 0.0, 0.5, 2.0])
    np.testing.assert_allclose(
        surrogate(named("mpd-ed", surrogate="triangle", width=1.0), x), [0, 0.5, 1, 0.5, 0]
    )
    atan = named("mpd-ed", width=2.0)
    np.testing.assert_allclose(surrogate(atan, x), 1 / (1 + (np.pi * x) ** 2))


def test_the_ramp_ends_near_zero() -> None:
    rule = named("mpd-ed", threshold="ramp", n_steps=4)
    falling = [threshold_at(rule, np.ones(2), t).tolist() for t in range(4)]
    np.testing.assert_allclose(falling, np.repeat([[1.02], [0.77], [0.52], [0.27]], 2, axis=1))


def test_homeostasis_moves_thresholds_towards_the_target_rate() -> None:
    rule = named("mpd-ed", threshold="homeostatic", target_rate=0.25, homeostasis_rate=0.1)
    spikes = np.zeros((1, 4, 3))
    spikes[0, :, 0], spikes[0, 0, 1] = 1, 1
    (moved,) = moved_thresholds(rule, [np.ones(3)], [spikes])
    np.testing.assert_allclose(moved, [1.075, 1.0, 0.975])


@pytest.mark.parametrize("law", ["homeostatic", "learnable"])
def test_thresholds_per_neuron_are_used(law: str) -> None:
    net = parse_sizes("3-2-2")
    rule = named("mpd-ed", threshold=law, n_steps=2)
    weights = [np.full((3, 2), 0.4), np.eye(2)]
    thresholds = initial_thresholds(net, rule)
    assert [t.tolist() for t in thresholds] == [[1.0, 1.0]]
    inputs = np.ones((1, 2, 3))
    thresholds[0][1] = 9.0
    result = run_batch(net, weights, rule, inputs, [0], thresholds=thresholds)
    assert result.scores.tolist() == [[2.0, 0.0]]
    assert result.threshold_gradients[0][1] == 0.0
    assert result.threshold_gradients[0][0] != 0.0


def test_srm_responses_are_reset_by_a_spike() -> None:
    rule = named("srm", n_steps=6, tau_m=4.0, tau_s=2.0, theta0=0.5)
    drive = np.zeros((1, 6, 1))
    drive[0, 0] = 1.5
    done = spike_response.step_responses(rule, drive)
    eps = [2 * (0.75 ** (k + 1) - 0.5 ** (k + 1)) for k in range(6)]
    assert 1.5 * eps[0] >= 0.5  # fires at once, and nothing is left of the input
    assert done.spikes[0, :, 0].tolist() == [1, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(done.rise[0, :, 0], [1.5 * eps[0], 0, 0, 0, 0, 0])
    np.testing.assert_allclose(done.reach[0, 0, 0], 1.5 * (1 - 1 / rule.tau_grad))


def test_cross_entropy_equals_its_definition() -> None:
    scores = np.array([[1.0, 2.0, 0.5], [700.0, 0.0, -700.0]])
    loss, error = cross_entropy(scores, np.array([1, 2]))
    p = np.exp(scores[0]) / np.exp(scores[0]).sum()
    assert np.isclose(loss, (-np.log(p[1]) + 1400.0) / 2)
    np.testing.assert_allclose(error[0], (p - [0, 1, 0]) / 2)
    np.testing.assert_allclose(error[1], [0.5, 0.0, -0.5], atol=1e-12)


def test_event_driven_rules_learn_a_small_task() -> None:
    rng = np.random.default_rng(1)
    patterns = rng.random((3, 12))
    net = parse_sizes("12-20-3")
    labels = np.arange(60) % 3
    noisy = np.clip(patterns[labels] + 0.1 * rng.normal(size=(60, 12)), 0, 1)
    for name, lr in (("std-ed", 0.3), ("mpd-ed", 0.3), ("srm", 1.0)):
        rule = named(name)
        x = noisy if rule.uses_times else np.zeros((60, rule.n_steps, 12))
        if not rule.uses_times:
            step = np.minimum((noisy * rule.n_steps).astype(int), rule.n_steps - 1)
            np.put_along_axis(x, step[:, None, :], 1.0, axis=1)
        weights = initial_weights(net, rule, 0)
        start = run_batch(net, weights, rule, x, labels)
        for _ in range(60):
            result = run_batch(net, weights, rule, x, labels)
            weights = [w - lr * g for w, g in zip(weights, result.gradients, strict=True)]
        end = run_batch(net, weights, rule, x, labels)
        assert end.loss < 0.5 * start.loss, (name, start.loss, end.loss)
