"""Sums that saturate event by event: delivery to the currents themselves, and their cell.

An independent twin of rules a to d of ``nmhw.values.arithmetic``, event by event and neuron by
neuron. ``x64[:n]`` collects the spikes that aliases bring, ``x64[n:2n]`` marks currents that
overflowed; both are zero between two populations.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.cells import count_spikes, decay, fit, reset, write_spikes
from nmhw.sim.kernels.compiled import STAMP, late_kernel
from nmhw.sim.kernels.fields import (
    G_ALIAS,
    G_THRESHOLD,
    G_U_KEEP,
    G_V_BIAS,
    G_V_KEEP,
    G_V_RESET,
    P_BASE,
    P_DECAY_BITS,
    P_END_RUN,
    P_FIRST_RUN,
    P_FLOOR,
    P_HAS_CURRENT,
    P_IS_SPIKING,
    P_MAX_SPIKES,
    P_RESET,
    P_SECOND,
    P_SIZE,
    P_STATE,
    P_STRICT,
    P_U_DECAY,
    P_V_BITS,
    P_V_DECAY,
    P_V_WRAP,
    RUN_LENGTH,
    RUN_NEURON,
)


def _close_over_add(stamp: str) -> Any:
    def add_in_order(
        targets, weights, pointers, at, indices_at, weights_at, events, first, end, u64, u_at,
        marks, n, bits, mode,
    ):  # fmt: skip
        """Add sparse rows to the currents at ``u_at``; events are sorted, repeats are counts."""
        _ = stamp  # part of the cache key
        s = first
        while s < end:
            row = np.int64(events[s])
            times = np.int64(0)
            while s < end and np.int64(events[s]) == row:
                times += 1
                s += 1
            for k in range(pointers[at + row], pointers[at + row + 1]):
                j = np.int64(targets[indices_at + k])
                wide = u64[u_at + j] + times * np.int64(weights[weights_at + k])
                narrow = fit(wide, bits, mode)
                u64[u_at + j] = narrow
                if narrow != wide:
                    marks[n + j] = 1

    return add_in_order


add_in_order = late_kernel(_close_over_add(STAMP))


def _close_over_update(stamp: str) -> Any:
    def update_saturating(
        pop, params, x64, u64, v64, resting, rest_steps, runs, active_in, ring, ring_at
    ):
        """Update one population whose input is in its currents already.

        Returns (spikes, neurons with an overflow).
        """
        _ = stamp  # part of the cache key
        base, state, second, n = pop[P_BASE], pop[P_STATE], pop[P_SECOND], pop[P_SIZE]
        bits, floored, most = pop[P_DECAY_BITS], pop[P_FLOOR], pop[P_MAX_SPIKES]
        v_bits, v_mode = pop[P_V_BITS], pop[P_V_WRAP]
        clipped = 0
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            first = runs[r, RUN_NEURON] - base
            n_active = 0
            for j in range(first, first + runs[r, RUN_LENGTH]):
                k = state + j
                u, v, bias = u64[k], v64[k], params[G_V_BIAS, k]
                active = v != 0 or u != 0 or bias != 0
                total = u = decay(u, params[G_U_KEEP, k], pop[P_U_DECAY], bits, floored)
                u64[k] = u if pop[P_HAS_CURRENT] else 0
                if second >= 0:
                    u2 = u64[second + j]
                    active = active or u2 != 0
                    u2 = decay(u2, params[G_U_KEEP, second + j], pop[P_U_DECAY], bits, floored)
                    u64[second + j] = u2
                    total = u + u2
                n_active += active
                kept = decay(v, params[G_V_KEEP, k], pop[P_V_DECAY], bits, floored)
                driven = fit(kept - v + total, v_bits, v_mode)
                biased = fit(driven + bias, v_bits, v_mode)
                after = fit(v + biased, v_bits, v_mode)
                hit = driven != kept - v + total or biased != driven + bias or after != v + biased
                clipped += hit or x64[n + j] != 0
                x64[n + j] = 0
                sent = x64[j]
                if pop[P_IS_SPIKING]:
                    threshold = params[G_THRESHOLD, k]
                    own = count_spikes(after, threshold, pop[P_STRICT], most)
                    own = min(own, most - sent)
                    if own:
                        after = reset(after, own, threshold, params[G_V_RESET, k], pop[P_RESET])
                    sent += own
                    x64[j] = sent
                    to = params[G_ALIAS, k]
                    if to >= 0:
                        x64[to] = min(x64[to] + sent, most)
                v64[k] = after
            active_in[r] = n_active
        at = ring_at
        for j in range(n):
            at = write_spikes(j, x64[j], ring, at)
            x64[j] = 0
        return at - ring_at, clipped

    return update_saturating


update_saturating = late_kernel(_close_over_update(STAMP))
