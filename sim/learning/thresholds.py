"""Threshold laws over time and over samples, and the surrogate derivatives at a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork

Floats = NDArray[np.float64]


def surrogate(rule: GradientRule, excess: Floats) -> Floats:
    """Return the stand-in for ds/dv at ``excess`` = v - theta.

    atan: (alpha / 2) / (1 + (pi alpha x / 2)^2); triangle: max(0, 1 - abs(x) / width) / width.
    """
    if rule.surrogate == "atan":
        return rule.width / 2 / (1 + (np.pi / 2 * rule.width * excess) ** 2)
    return np.maximum(0.0, 1 - np.abs(excess) / rule.width) / rule.width


def may_enter(rule: GradientRule, excess: Floats) -> NDArray[np.bool_]:
    """Return the mask M: where an error may enter a neuron."""
    if rule.mask == "spike":
        return excess >= 0
    if rule.mask == "band":
        return np.abs(excess) < rule.band
    return np.ones(excess.shape, dtype=bool)


def initial_thresholds(net: LearningNetwork, rule: GradientRule) -> list[Floats]:
    """Return ``theta0`` for every neuron of every spiking population, head excluded if it is none.

    Only "homeostatic" and "learnable" thresholds ever differ from it.
    """
    positions = net.feedforward if rule.head == "spiking" else net.feedforward[:-1]
    return [np.full(net.layers[k].n_out, rule.theta0) for k in positions]


def threshold_at(rule: GradientRule, per_neuron: Floats, step: int) -> Floats:
    """Return theta[t] of a membrane rule, (n,): falling for "ramp", else constant."""
    if rule.threshold == "ramp":
        falling = rule.theta0 * (1.0 - step / rule.n_steps) + rule.theta_floor
        return np.full(per_neuron.size, falling)
    return per_neuron


def moved_thresholds(
    rule: GradientRule, thresholds: list[Floats], spikes: list[Floats]
) -> list[Floats]:
    """Return homeostatic thresholds after a sample or a batch: up if a neuron fired too often.

    theta_j <- max(theta_floor, theta_j + homeostasis_rate (rate_j - target_rate)), with rate_j in
    spikes per step, mean over the batch.

    Parameters
    ----------
    thresholds : list of (n,)
    spikes : list of (B, T, n)
    """
    moved = []
    for theta, s in zip(thresholds, spikes, strict=True):
        step = rule.homeostasis_rate * (s.mean(axis=(0, 1)) - rule.target_rate)
        moved.append(np.maximum(rule.theta_floor, theta + step))
    return moved
