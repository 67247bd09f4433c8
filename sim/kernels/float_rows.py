"""Fast form of the float32 update: at most one spike, reset in the same step, no refractory time.

The same operations in the same order and rounding as ``cells.update_float``, in vector lanes.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, inlined, late_kernel
from nmhw.sim.kernels.fields import (
    F_DRIVE,
    F_THRESHOLD,
    F_U_GAIN,
    F_U_KEEP,
    F_V_GAIN,
    F_V_KEEP,
    F_V_RESET,
    P_BASE,
    P_END_RUN,
    P_FIRST_RUN,
    P_HAS_CURRENT,
    P_IS_SPIKING,
    P_RESET,
    P_SHIFT,
    P_STATE,
    P_STRICT,
    RESET_NONE,
    RESET_SUBTRACT,
    RUN_ACC,
    RUN_LENGTH,
    RUN_NEURON,
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
    def update_float_rows(pop, runs, acc, uf, vf, params, flags, active):
        """Update one float32 population; ``v_reset`` is 0 where the reset is to zero."""
        _ = stamp  # part of the cache key
        shift, zero = np.int32(pop[P_SHIFT]), np.float32(0)
        kind, strict, spiking = pop[P_RESET], pop[P_STRICT] != 0, pop[P_IS_SPIKING] != 0
        u_keep, u_gain = params[F_U_KEEP], params[F_U_GAIN]
        v_keep, v_gain = params[F_V_KEEP], params[F_V_GAIN]
        drive, threshold, v_reset = params[F_DRIVE], params[F_THRESHOLD], params[F_V_RESET]
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            k = np.uint64(pop[P_STATE] + runs[r, RUN_NEURON] - pop[P_BASE])
            a = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            if pop[P_HAS_CURRENT]:
                for j in range(length):
                    moves = (vf[k + j] != zero) | (uf[k + j] != zero) | (drive[k + j] != zero)
                    n_active = np.int32(n_active + np.int32(moves | (acc[a + j] != 0)))
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
                    moves = (vf[k + j] != zero) | (drive[k + j] != zero)
                    n_active = np.int32(n_active + np.int32(moves | (acc[a + j] != 0)))
                    x = np.float32(np.int32(np.int32(acc[a + j]) << shift))
                    acc[a + j] = 0
                    u = np.float32(u_gain[k + j] * x)
                    v = _step_membrane(vf[k + j], u, v_keep[k + j], v_gain[k + j], drive[k + j])
                    fires = _fires(v, threshold[k + j], strict, spiking)
                    flags[n + j] = fires
                    after = _after_spike(v, threshold[k + j], v_reset[k + j], kind)
                    vf[k + j] = after if fires else v
            active[r] = n_active
        return np.int32(0)

    return update_float_rows


update_float_rows = late_kernel(_close_over_update_float_rows(STAMP))
