"""MPD-ED and STBP in float64: LIF with hard reset, and the masked reverse recursion.

    v[t] = lam v[t-1] (1 - s[t-1]) + sum_i w_ij s_i[t]        s[t] = 1 if v[t] >= theta[t]
    dv[t] = M[t] g(v[t] - theta[t]) dL/ds[t] + lam (1 - s[t]) dv[t+1]        reset detached
    dL/dw_ij = sum_t s_i[t] dv_j[t]           dL/ds_i[t] = sum_j w_ij dv_j[t]

M = s is MPD-ED, M = 1 is STBP, M = (abs(v - theta) < band) lies between.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.thresholds import may_enter, surrogate

Floats = NDArray[np.float64]


def step_membranes(
    decay: float, theta: Floats, drive: Floats, recurrent: Floats | None = None
) -> tuple[Floats, Floats]:
    """Return v - theta before the reset, and the spikes (0.0 or 1.0).

    Parameters
    ----------
    theta : (T, n)
    drive : (B, T, n)
        Summed input per step.
    recurrent : (n, n) or None
        Weights from the layer's own spikes of the step before.

    Returns
    -------
    excess, spikes : (B, T, n) float64
    """
    batch, n_steps, n = drive.shape
    excess, spikes = np.empty(drive.shape), np.zeros(drive.shape)
    v = np.zeros((batch, n))
    for t in range(n_steps):
        v = decay * v + drive[:, t]
        if recurrent is not None and t:
            v = v + spikes[:, t - 1] @ recurrent
        excess[:, t] = v - theta[t]
        spikes[:, t] = excess[:, t] >= 0
        v = v * (1 - spikes[:, t])
    return excess, spikes


def reverse(
    rule: GradientRule,
    excess: Floats,
    spikes: Floats,
    d_spikes: Floats,
    recurrent: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return dL/dv[t] and the error that entered, M g dL/ds.

    Parameters
    ----------
    excess, spikes : (B, T, n)
        Of `step_membranes`.
    d_spikes : (B, T, n)
        dL/ds[t] of the layers behind.
    recurrent : (n, n) or None
        A spike of step t also drives its own layer in step t + 1.

    Returns
    -------
    dv, entered : (B, T, n) float64
    """
    dv, entered = np.zeros(excess.shape), np.zeros(excess.shape)
    gain = surrogate(rule, excess) * may_enter(rule, excess)
    later = np.zeros(excess[:, 0].shape)
    for t in range(excess.shape[1] - 1, -1, -1):
        error = d_spikes[:, t]
        if recurrent is not None:
            error = error + later @ recurrent.T
        entered[:, t] = gain[:, t] * error
        later = entered[:, t] + rule.decay * (1 - spikes[:, t]) * later
        dv[:, t] = later
    return dv, entered
