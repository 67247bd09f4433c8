"""What the last layer makes of its inputs, the loss, and the error that enters once per sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def read_time(rule: GradientRule) -> float:
    """Return when the integrator head of STD-ED is read, on the time axis of its inputs."""
    return 2.0 if rule.threshold == "window" else rule.t_end


def time_activity(rule: GradientRule, times: Floats) -> Floats:
    """Return what one unit of weight has summed up by the read-out: max(t_read - t, 0)."""
    return np.where(np.isfinite(times), np.maximum(read_time(rule) - times, 0.0), 0.0)


def step_activity(rule: GradientRule, events: Floats) -> Floats:
    """Return what one unit of weight has summed up after the last step; events (B, T, n).

    The number of spikes; for SRM each spike counts (T - t) / T, so that its time matters.
    """
    if rule.name == "srm":
        return np.einsum("btn,t->bn", events, 1.0 - np.arange(rule.n_steps) / rule.n_steps)
    return events.sum(axis=1)


def timing_scores(rule: GradientRule, times: Floats) -> Floats:
    """Return -timing_gain t, with ``t_end`` for outputs that stay silent."""
    return -rule.timing_gain * np.where(np.isfinite(times), times, rule.t_end)


def cross_entropy(scores: Floats, labels: Ints) -> tuple[float, Floats]:
    """Return the mean loss and its gradient (softmax minus target, over the batch size)."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    logits = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    error = np.exp(logits)
    error[rows, labels] -= 1.0
    return float(-logits[rows, labels].mean()), error / len(labels)
