"""Fast form of the float32 update: at most one spike, reset in the same step, no refractory time.

The same operations in the same order and rounding as ``cells.update_float``, in vector lanes.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, inlined, late_kernel
from nmhw.sim.kernels.fields import (
    A_LENGTH,
    A_OFFSET,
    A_ROWS,
    A_STRIDE,
    F_DRIVE,
    F_THRESHOLD,
    F_U_GAIN,
    F_U_KEEP,
    F_V_GAIN,
    F_V_KEEP,
    F_V_RESET,
    P_BASE,
    P_HAS_CURRENT,
    P_IS_SPIKING,
    P_RESET,
    P_SHIFT,
    P_STATE,
    P_STRICT,
    RESET_NONE,
    RESET_SUBTRACT,
)


@inlined
def _step_membrane(v, u, keep, gain, drive):
    kept = np.float32(keep * v)
    return np.float32(np.float32(kept + np.float32(gain * u)) + drive)


@inlined
def _fires(v, threshold, strict, spiking):
    return ((v > threshold) | ((v == threshold) & (not strict))) & spiking


@inlined
def _after_spike(v, threshold, v_reset, kind):
    if kind == RESET_SUBTRACT:
        return np.float32(v - threshold)
    return v if kind == RESET_NONE else v_reset


def _close_over_update_float_rows(stamp: str) -> Any:
    def update_float_rows(pop, port, acc, uf, vf, params, flags):
        """Update one float32 population; ``v_reset`` is 0 where the reset is to zero."""
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        kind, strict, spiking = pop[P_RESET], pop[P_STRICT] != 0, pop[P_IS_SPIKING] != 0
        u_keep, u_gain = params[F_U_KEEP], params[F_U_GAIN]
        v_keep, v_gain = params[F_V_KEEP], params[F_V_GAIN]
        drive, threshold, v_reset = params[F_DRIVE], params[F_THRESHOLD], params[F_V_RESET]
        length = np.uint64(port[A_LENGTH])
        for r in range(port[A_ROWS]):
            n = np.uint64(pop[P_BASE] + r * port[A_LENGTH])
            k = np.uint64(pop[P_STATE] + r * port[A_LENGTH])
            a = np.uint64(port[A_OFFSET] + r * port[A_STRIDE])
            if pop[P_HAS_CURRENT]:
                for j in range(length):
                    x = np.float32(np.int32(np.int32(acc[a + j]) << shift))
                    acc[a + j] = 0
                    kept = np.float32(u_keep[k + j] * uf[k + j])
                    u = np.float32(kept + np.float32(u_gain[k + j] * x))
                    uf[k + j] = u
                    v = _step_membrane(vf[k + j], u, v_keep[k + j], v_gain[k + j], drive[k + j])
                    fires = _fires(v, threshold[k + j], strict, spiking)
                    flags[n + j] = fires
                    after = _after_spike(v, threshold[k + j], v_reset[k + j], kind)
                    vf[k + j] = after if fires else v
            else:
                for j in range(length):
                    x = np.float32(np.int32(np.int32(acc[a + j]) << shift))
                    acc[a + j] = 0
                    u = np.float32(u_gain[k + j] * x)
                    v = _step_membrane(vf[k + j], u, v_keep[k + j], v_gain[k + j], drive[k + j])
                    fires = _fires(v, threshold[k + j], strict, spiking)
                    flags[n + j] = fires
                    after = _after_spike(v, threshold[k + j], v_reset[k + j], kind)
                    vf[k + j] = after if fires else v
        return np.int32(0)

    return update_float_rows


update_float_rows = late_kernel(_close_over_update_float_rows(STAMP))


def _close_over_mark_active_float(stamp: str) -> Any:
    def mark_active_float(pop, port, acc, uf, vf, params, marks, counts):
        """Flag and count (in bytes) the neurons that have state, input or drive before the step."""
        _ = stamp  # part of the cache key
        drive = params[F_DRIVE]
        zero = np.float32(0)
        length = np.uint64(port[A_LENGTH])
        for r in range(port[A_ROWS]):
            n = np.uint64(pop[P_BASE] + r * port[A_LENGTH])
            k = np.uint64(pop[P_STATE] + r * port[A_LENGTH])
            a = np.uint64(port[A_OFFSET] + r * port[A_STRIDE])
            for j in range(length):
                moves = (vf[k + j] != zero) | (uf[k + j] != zero) | (drive[k + j] != zero)
                active = moves | (acc[a + j] != 0)
                marks[n + j] = active
                counts[n + j] += np.uint8(active)
        return np.int32(0)

    return mark_active_float


mark_active_float = late_kernel(_close_over_mark_active_float(STAMP))
