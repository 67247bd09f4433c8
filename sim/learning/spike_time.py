"""STD-ED in float64: when a neuron with ramp-shaped PSPs fires, and the exact gradients of that.

A source that fires at t_i adds w_ij max(t - t_i, 0) to the membrane; one spike per neuron. With
C = {i : t_i < t_j}, W = sum_C w_ij, I = sum_C w_ij t_i and a threshold theta0 - k t:

    t_j = (theta0 + I) / (W + k)      D_j = 1 / (W + k)
    dt_j/dw_ij = -(t_j - t_i) D_j     dt_j/dt_i = w_ij D_j      i in C, else 0
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.synapses import Synapses

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class SpikeTimes:
    """What one layer did; arrays (B, n_out).

    Attributes
    ----------
    times : float64
        Local to the layer ("window": 0 is the window's start), inf = silent.
    crossing : float64
        The same on the time axis of the layer's inputs; 0 where silent.
    slope_inverse : float64
        D, not clipped; 0 where silent or clamped.
    is_open : bool
        Fired, and not because the threshold was already passed when the window opened: only then
        does the time depend on weights and inputs.
    """

    times: Floats
    crossing: Floats
    slope_inverse: Floats
    is_open: Bools

    @property
    def fired(self) -> Bools:
        """Whether a neuron fired."""
        return np.isfinite(self.times)


def to_ticks(times: Floats, n_ticks: int) -> Floats:
    """Return the times rounded up to whole ticks of 1 / n_ticks (still as times)."""
    return np.ceil(times * n_ticks - 1e-9) / n_ticks


def fire(synapses: Synapses, weights: Floats, rule: GradientRule, t_in: Floats) -> SpikeTimes:
    """Return the spike times of a layer.

    Parameters
    ----------
    t_in : (B, n_in) float64
        Times up to ``t_end`` ("window": up to 1), inf = silent; on the grid if in ticks.
    """
    if rule.time == "ticks":
        return _fire_in_ticks(synapses, weights, rule, t_in)
    if rule.threshold == "window":
        return _fire_in_window(synapses, weights, rule, t_in)
    return _fire_by_search(synapses, weights, rule, t_in)


def carry_back(
    synapses: Synapses,
    weights: Floats,
    rule: GradientRule,
    t_in: Floats,
    spikes: SpikeTimes,
    d_times: Floats,
) -> tuple[Floats, Floats]:
    """Return the gradients of the weights (their shape) and of the input times (B, n_in).

    Parameters
    ----------
    d_times : (B, n_out) float64
        dL/dt_j; ignored where a neuron is silent or clamped.
    """
    slope_inverse = np.minimum(spikes.slope_inverse, rule.slope_clip)
    e = np.where(spikes.is_open, d_times, 0.0) * slope_inverse
    fired = np.isfinite(t_in)
    t = np.where(fired, t_in, 0.0)
    if rule.threshold == "window":
        at_weights = synapses.gradient(t, e) - synapses.gradient(
            fired.astype(np.float64), e * spikes.crossing
        )
        return at_weights, synapses.carry_back(e, weights) * fired
    matrix = synapses.matrix(weights)
    at_weights = np.zeros(weights.shape)
    at_times = np.zeros(t_in.shape)
    for b in range(len(t_in)):
        causal = causal_set(synapses, t_in[b], spikes.crossing[b], spikes.fired[b])
        ahead = np.where(causal, t[b][:, None] - spikes.crossing[b], 0.0)
        at_weights += synapses.reduce(ahead * e[b])
        at_times[b] = (matrix * causal) @ e[b]
    return at_weights, at_times


def causal_set(synapses: Synapses, t_in: Floats, crossing: Floats, fired: Bools) -> Bools:
    """Return C of one sample, (n_in, n_out): synapses whose input moved the membrane before."""
    return synapses.exists & (t_in[:, None] < crossing[None, :]) & fired[None, :]


def _fire_in_window(s: Synapses, weights: Floats, rule: GradientRule, t_in: Floats) -> SpikeTimes:
    """All inputs precede the window, which opens at 1: no search."""
    fired_in = np.isfinite(t_in)
    total = s.drive(fired_in.astype(np.float64), weights)
    moment = s.drive(np.where(fired_in, t_in, 0.0), weights)
    end = 1.0 + rule.t_end
    early = total - moment >= rule.theta0
    above = end * total - moment > rule.theta0 - rule.slope * rule.t_end
    opened = above & ~early
    steep = np.where(opened, total + rule.slope, 1.0)
    crossing = np.where(opened, (rule.theta0 + rule.slope + moment) / steep, 1.0)
    times = np.where(early | opened, crossing - 1.0, np.inf)
    crossing = np.where(early | opened, crossing, 0.0)
    return SpikeTimes(times, crossing, np.where(opened, 1.0 / steep, 0.0), opened)


def _fire_by_search(s: Synapses, weights: Floats, rule: GradientRule, t_in: Floats) -> SpikeTimes:
    """Look between each two inputs, in order of time, for the first crossing."""
    matrix = s.matrix(weights)
    shape = (len(t_in), s.layer.n_out)
    crossing, inverse = np.zeros(shape), np.zeros(shape)
    fired = np.zeros(shape, dtype=bool)
    for b, times in enumerate(t_in):
        order = np.argsort(times, kind="stable")
        order = order[times[order] < rule.t_end]
        if not order.size:
            continue
        since = times[order][:, None]
        until = np.append(times[order][1:], rule.t_end)[:, None]
        total = np.cumsum(matrix[order], axis=0)
        moment = np.cumsum(matrix[order] * since, axis=0)
        u = total * until - moment
        passed = (u >= rule.theta0 - rule.slope * until) & (u > 0)
        fired[b] = passed.any(axis=0)
        at, j = passed.argmax(axis=0)[fired[b]], np.flatnonzero(fired[b])
        steep = total[at, j] + rule.slope
        t = np.clip((rule.theta0 + moment[at, j]) / steep, since[at, 0], until[at, 0])
        crossing[b, j] = t
        causal = causal_set(s, times, crossing[b], fired[b])
        inverse[b, j] = 1.0 / ((matrix * causal).sum(axis=0)[j] + rule.slope)
    return SpikeTimes(np.where(fired, crossing, np.inf), crossing, inverse, fired)


def _fire_in_ticks(s: Synapses, weights: Floats, rule: GradientRule, t_in: Floats) -> SpikeTimes:
    """Clocked: u += slope, compare, then slope += w of the inputs of this tick; u in ticks."""
    q = rule.n_steps
    shape = (len(t_in), s.layer.n_out)
    opens = q if rule.threshold == "window" else 0
    last = opens + round(rule.t_end * q)
    tick_in = np.where(np.isfinite(t_in), np.round(t_in * q), -1.0)
    u, slope = np.zeros(shape), np.zeros(shape)
    fired, tick, steep = np.zeros(shape, dtype=bool), np.zeros(shape), np.ones(shape)
    for n in range(last + 1):
        u += slope
        theta = rule.theta0 * q - rule.slope * (n - opens)
        now = ~fired & (u >= theta) & (u > 0) & (n >= opens)
        tick[now], steep[now] = n, slope[now] + rule.slope
        fired |= now
        slope += s.drive((tick_in == n).astype(np.float64), weights)
    clamped = fired & (tick == opens) & (rule.threshold == "window")
    is_open = fired & ~clamped
    times = np.where(fired, (tick - opens) / q, np.inf)
    inverse = np.where(is_open, 1.0 / steep, 0.0)
    return SpikeTimes(times, np.where(fired, tick / q, 0.0), inverse, is_open)
