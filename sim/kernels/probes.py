"""Membrane and current probes: the states of a step, copied where the run wants them."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, kernel, late_kernel
from nmhw.sim.kernels.fields import (
    P_BASE,
    P_ORDER,
    P_SECOND,
    P_SIZE,
    P_STATE,
    P_UPDATE,
    R_EVERY,
    R_IS_U,
    R_KEPT,
    R_OFFSET,
    R_POPULATION,
    UPDATE_FLOAT,
    UPDATE_FLOAT_ROWS,
    UPDATE_GENERAL,
    UPDATE_SATURATING,
)


@kernel
def _copy_state(values, at, n, order, order_at, out, out_at):
    for j in range(n):
        i = j if order_at < 0 else np.int64(order[order_at + j])
        out[out_at + i] = values[at + j]


def _close_over(stamp: str) -> Any:
    def store_probes(
        probes, sample, step, pops, u32, v32, u64, v64, uf, vf, order, probe_int, probe_float
    ):
        """Copy the probed states of a step to their place, in the author's order."""
        _ = stamp  # part of the cache key
        for r in range(probes.shape[0]):
            probe = probes[r]
            if step % probe[R_EVERY]:
                continue
            pop = pops[probe[R_POPULATION]]
            n, place = pop[P_SIZE], pop[P_ORDER]
            at = probe[R_OFFSET] + (sample * probe[R_KEPT] + step // probe[R_EVERY]) * n
            if pop[P_UPDATE] == UPDATE_FLOAT or pop[P_UPDATE] == UPDATE_FLOAT_ROWS:
                values = uf if probe[R_IS_U] else vf
                _copy_state(values, pop[P_STATE], n, order, place, probe_float, at)
            elif probe[R_IS_U] == 2:
                _copy_state(u64, pop[P_SECOND], n, order, place, probe_int, at)
            elif pop[P_UPDATE] == UPDATE_GENERAL or pop[P_UPDATE] == UPDATE_SATURATING:
                wide = u64 if probe[R_IS_U] else v64
                _copy_state(wide, pop[P_STATE], n, order, place, probe_int, at)
            else:
                narrow = u32 if probe[R_IS_U] else v32
                _copy_state(narrow, pop[P_BASE], n, order, place, probe_int, at)

    return store_probes


store_probes = late_kernel(_close_over(STAMP))
