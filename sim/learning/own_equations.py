"""Tick and SRM layers written out pair by pair and step by step, as their equations stand.

Slow on purpose: no running sums, no recursion, no sorting. What `spike_time` and `spike_response`
compute must equal this.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule

Floats = NDArray[np.float64]


def fire_in_ticks(rule: GradientRule, weights: Floats, times: Floats) -> list[tuple[int, float]]:
    """Return (tick, slope per unit of time) of every target; (-1, 0.0) where it stays silent.

    The first tick n with u[n] >= theta[n] and u[n] > 0, where u[n] = sum_i w_ij max(n - n_i, 0) / Q
    and theta[n] = theta0 - k (n - opens) / Q. The slope is that of u - theta since the tick before.

    Parameters
    ----------
    weights : (n_in, n_out)
    times : (n_in,)
        On the grid of 1 / Q, inf = silent.
    """
    q = rule.n_steps
    opens = q if rule.threshold == "window" else 0
    found = []
    for j in range(weights.shape[1]):
        spike = (-1, 0.0)
        for n in range(opens, opens + round(rule.t_end * q) + 1):
            u, before = (
                math.fsum(
                    w * max(at - round(t * q), 0) / q
                    for w, t in zip(weights[:, j], times, strict=True)
                    if math.isfinite(t)
                )
                for at in (n, n - 1)
            )
            if u > 0 and u >= rule.theta0 - rule.slope * (n - opens) / q:
                spike = (n, (u - before) * q + rule.slope)
                break
        found.append(spike)
    return found


def tick_gradients(
    rule: GradientRule, weights: Floats, times: Floats, d_times: Floats
) -> tuple[Floats, Floats]:
    """Return dL/dw (n_in, n_out) and dL/dt (n_in,) of one sample, from the tick times.

    -e_j (t_j - t_i) and sum_j w_ij e_j over inputs of earlier ticks, e_j = dL/dt_j / slope; no
    error enters a neuron that fired in the tick in which its window opened.
    """
    at_weights, at_times = np.zeros(weights.shape), np.zeros(times.shape)
    opens = rule.n_steps if rule.threshold == "window" else -1
    for j, (n, slope) in enumerate(fire_in_ticks(rule, weights, times)):
        if n < 0 or n == opens:
            continue
        e = d_times[j] * min(1 / slope, rule.slope_clip)
        for i, t in enumerate(times):
            if math.isfinite(t) and round(t * rule.n_steps) < n:
                at_weights[i, j] = -e * (n / rule.n_steps - t)
                at_times[i] += weights[i, j] * e
    return at_weights, at_times


def respond(
    rule: GradientRule, weights: Floats, events: Floats
) -> list[list[tuple[int, float, float]]]:
    """Return (step, du, h) of every spike of every target, from the events since the last one.

    u[t] = sum w_ij eps[t - t_i] and h[t] = sum w_ij b^(t - t_i + 1) over the events (i, t_i) with
    t_i behind the last spike and t_i <= t; du[t] = u[t] - u[t - 1], where u of a step with a spike
    counts as 0.

    Parameters
    ----------
    weights : (n_in, n_out)
    events : (T, n_in)
    """
    b = 1 - 1 / rule.tau_grad
    spikes = []
    for j in range(weights.shape[1]):
        own: list[tuple[int, float, float]] = []
        last, before = -1, 0.0
        for t in range(len(events)):
            since = [
                (t - at, float(weights[i, j] * events[at, i]))
                for at in range(last + 1, t + 1)
                for i in np.flatnonzero(events[at])
            ]
            u = math.fsum(w * psp(rule, age) for age, w in since)
            if u >= rule.theta0:
                own.append((t, u - before, math.fsum(w * b ** (age + 1) for age, w in since)))
                last, before = t, 0.0
            else:
                before = u
        spikes.append(own)
    return spikes


def response_gradients(
    rule: GradientRule, weights: Floats, events: Floats, d_times: Floats
) -> tuple[Floats, Floats]:
    """Return dL/dw (n_in, n_out) and dL/dt of every step's inputs (T, n_in).

    Each event (i, t) is credited to the next spike t* >= t of j: dL/dw_ij -= dL/dt_j eps[t* - t] /
    du and dL/dt_i += w_ij dL/dt_j b^(t* - t + 1) / h, with 1 / du and 1 / h clipped.

    Parameters
    ----------
    d_times : (T, n_out)
        dL/dt of a spike in each step.
    """
    at_weights, at_times = np.zeros(weights.shape), np.zeros(events.shape)
    b = 1 - 1 / rule.tau_grad
    for j, own in enumerate(respond(rule, weights, events)):
        for t in range(len(events)):
            later = [spike for spike in own if spike[0] >= t]
            if not later:
                continue
            star, rise, reach = later[0]
            by_rise = min(1 / rise, rule.weight_clip) if rise > 0 else 0.0
            by_reach = min(1 / reach, rule.time_clip) if reach > 0 else 0.0
            e = d_times[star, j]
            at_weights[:, j] -= events[t] * e * psp(rule, star - t) * by_rise
            at_times[t] += weights[:, j] * e * b ** (star - t + 1) * by_reach
    return at_weights, at_times


def psp(rule: GradientRule, age: int) -> float:
    """Return eps, the double-exponential response ``age`` steps behind an input."""
    rise, fall = (1 - 1 / rule.tau_s) ** (age + 1), (1 - 1 / rule.tau_m) ** (age + 1)
    return rule.tau_m / (rule.tau_m - rule.tau_s) * (fall - rise)
