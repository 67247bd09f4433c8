"""FloatCell: one population's equations per step, after the profile has been applied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FloatCell:
    """Per-step coefficients; arrays have shape (n,).

    With x the summed input of the step (weights times events, plus biases):
    u = u_keep u + u_gain x (``has_current``; "add-decay": u = u_keep (u + u_gain x)), else u = x;
    v = v_keep v + v_gain u + drive; then comparison and reset as the profile says.

    Attributes
    ----------
    u_keep, u_gain : decay and input weight of the synaptic current (0 and 1 without one)
    v_keep, v_gain, drive : membrane decay, weight of the current, constant from v_leak
    threshold, v_reset, v0 : inf threshold for populations that never spike
    v_min : lower bound, -inf when there is none
    """

    has_current: bool
    is_spiking: bool
    u_keep: Floats
    u_gain: Floats
    v_keep: Floats
    v_gain: Floats
    drive: Floats
    threshold: Floats
    v_reset: Floats
    v0: Floats
    v_min: Floats
