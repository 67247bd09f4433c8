"""The multi-spike SRM rule in float64: times of several spikes per neuron, no surrogate.

Forward, with b_x = 1 - 1 / tau_x and c = tau_m / (tau_m - tau_s); I the summed input of a step:

    m = (m + I) b_m    r = (r + I) b_s    u = c (m - r)    h = (h + I) b_grad
    s = 1 if u >= theta; behind a spike m, r and h are 0

so that an input of step t counts eps[t* - t] = c (b_m^(t*-t+1) - b_s^(t*-t+1)) at step t*, and only
until the next spike of the target. Backward every input spike (i, t) is credited to that next spike
t* alone; du is u[t*] minus u of the step before (0 behind a spike):

    A_w = dL/dt_j max(-1/du, -weight_clip)      A_t = dL/dt_j max(-1/h, -time_clip)
    dL/dw_ij += A_w eps[t* - t]                 dL/dt_i += -w_ij A_t b_grad^(t*-t+1)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """What one layer did; arrays (B, T, n).

    Attributes
    ----------
    spikes : float64
    rise : float64
        du: how much the membrane rose in the step.
    reach : float64
        h: the input since the last spike under the backward kernel.
    """

    spikes: Floats
    rise: Floats
    reach: Floats


def psp(rule: GradientRule, age: NDArray[np.int64]) -> Floats:
    """Return eps of an input that arrived ``age`` steps ago."""
    b_m, b_s = 1 - 1 / rule.tau_m, 1 - 1 / rule.tau_s
    scale = rule.tau_m / (rule.tau_m - rule.tau_s)
    return scale * (b_m ** (age + 1) - b_s ** (age + 1))


def step_responses(rule: GradientRule, drive: Floats) -> Responses:
    """Return spikes, du and h for summed inputs ``drive`` of shape (B, T, n)."""
    b_m, b_s, b_g = (1 - 1 / tau for tau in (rule.tau_m, rule.tau_s, rule.tau_grad))
    scale = rule.tau_m / (rule.tau_m - rule.tau_s)
    spikes, rise, reach = (np.zeros(drive.shape) for _ in range(3))
    m = r = h = before = np.zeros(drive[:, 0].shape)
    for t in range(drive.shape[1]):
        m, r, h = (m + drive[:, t]) * b_m, (r + drive[:, t]) * b_s, (h + drive[:, t]) * b_g
        u = scale * (m - r)
        rise[:, t], reach[:, t] = u - before, h
        spikes[:, t] = u >= rule.theta0
        stays = 1 - spikes[:, t]
        m, r, h, before = m * stays, r * stays, h * stays, u * stays
    return Responses(spikes, rise, reach)


def slope_factors(rule: GradientRule, done: Responses) -> tuple[Floats, Floats]:
    """Return (max(-1/du, -weight_clip), max(-1/h, -time_clip)) at spikes, else 0; (B, T, n).

    A spike with h <= 0 carries nothing to earlier spikes.
    """
    at_weights = np.zeros(done.rise.shape)
    at_times = np.zeros(done.rise.shape)
    fired = done.spikes > 0
    steep = fired & (done.rise > 0)
    at_weights[steep] = np.maximum(-1 / done.rise[steep], -rule.weight_clip)
    held = fired & (done.reach > 0)
    at_times[held] = np.maximum(-1 / done.reach[held], -rule.time_clip)
    return at_weights, at_times


def reverse(rule: GradientRule, done: Responses, d_times: Floats) -> tuple[Floats, Floats]:
    """Return what every step's input is credited with; (B, T, n) each.

    Parameters
    ----------
    d_times : (B, T, n)
        dL/dt of the spike in step t; ignored where there is none.

    Returns
    -------
    at_weights, at_times
        A_w eps[t* - t] and -A_t b_grad^(t*-t+1) of the next spike t* >= t; 0 if there is none.
    """
    b_grad = 1 - 1 / rule.tau_grad
    weight_factor, time_factor = slope_factors(rule, done)
    at_weights, at_times = np.zeros(d_times.shape), np.zeros(d_times.shape)
    error_w, error_t = np.zeros(d_times[:, 0].shape), np.zeros(d_times[:, 0].shape)
    age = np.zeros(error_w.shape, dtype=np.int64)
    for t in range(d_times.shape[1] - 1, -1, -1):
        fired = done.spikes[:, t] > 0
        error_w = np.where(fired, d_times[:, t] * weight_factor[:, t], error_w)
        error_t = np.where(fired, d_times[:, t] * time_factor[:, t], error_t)
        age = np.where(fired, 0, age + 1)
        at_weights[:, t] = error_w * psp(rule, age)
        at_times[:, t] = -error_t * b_grad ** (age + 1)
    return at_weights, at_times
