"""Fast forms of the neuron update: int32 lanes, a byte flag per neuron, then a scan for spikes.

The program picks them only where they are exact: sums, biases and states within the bounds that
keep every int32 operation from wrapping (``sim/bounds.py``). Everything else runs in
``cells.py``.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, kernel, late_kernel
from nmhw.sim.kernels.fields import (
    I_BIAS,
    I_KEEP,
    I_SUBTRACT,
    I_THRESHOLD,
    I_U_BIAS,
    I_U_KEEP,
    P_CLEAR_MASK,
    P_DECAY_BITS,
    P_DECAY_MASK,
    P_END_RUN,
    P_FIRST_RUN,
    P_FLOOR,
    P_HAS_CURRENT,
    P_KEEP,
    P_SHIFT,
    P_STATE_MASK,
    P_SUBTRACT,
    P_THRESHOLD,
    P_U_BITS,
    P_U_WRAP,
    P_V_BITS,
    P_V_WRAP,
    RUN_ACC,
    RUN_LENGTH,
    RUN_NEURON,
)
from nmhw.sim.kernels.intrinsics import count_ones, mask_of_64, trailing_zeros

#: Places that one scan may write behind its last spike.
SCAN_SLACK = 4


@kernel
def scan_flags(flags, base, size, out, at):
    """Append the index of every set byte flag to ``out``, 64 flags at a time.

    The list is made from bit masks: a branch per flag would be mispredicted at every spike. The
    first SCAN_SLACK places are always written, valid or not, as a loop as long as the number of
    spikes would be mispredicted too; ``out`` needs that much room behind its last index.
    """
    count = np.uint64(at)
    start = np.uint64(base)
    for k in range(np.uint64(0), np.uint64(size), np.uint64(64)):
        mask = mask_of_64(flags, start + k)
        end = count + np.uint64(count_ones(mask))
        for _ in range(SCAN_SLACK):
            out[count] = np.uint32(k + trailing_zeros(mask))
            mask &= mask - np.uint64(1)
            count += np.uint64(1)
        while mask:
            out[count] = np.uint32(k + trailing_zeros(mask))
            mask &= mask - np.uint64(1)
            count += np.uint64(1)
        count = end
    return np.int64(count) - at


def _close_over_update_uniform(stamp: str) -> Any:
    def update_uniform(pop, runs, acc, u, v, params, flags, active):
        """One parameter set for all neurons; nothing can overflow."""
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        keep = np.int32(pop[P_KEEP])
        decays = np.int32(pop[P_DECAY_MASK])
        kept = np.int32(pop[P_CLEAR_MASK])
        survives = np.int32(pop[P_STATE_MASK])
        threshold = np.int32(pop[P_THRESHOLD])
        subtract = np.int32(pop[P_SUBTRACT])
        bias = params[I_BIAS]
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            a = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            for j in range(length):
                old = v[n + j]
                before = old | np.int32(acc[a + j]) | bias[n + j]
                n_active = np.int32(n_active + np.int32(before != 0))
                new = np.int32((old - ((old >> keep) & decays)) & kept)
                new = np.int32(new + np.int32((np.int32(acc[a + j]) << shift) + bias[n + j]))
                fires = new > threshold
                flags[n + j] = fires
                v[n + j] = np.int32((new & survives) - subtract) if fires else new
                acc[a + j] = 0
            active[r] = n_active
        return np.int32(0)

    return update_uniform


update_uniform = late_kernel(_close_over_update_uniform(STAMP))


@kernel
def _clamped_sum(x, y, limit):
    """Return x + y saturated to +-limit (at most 2^31 - 1), and 1 where that changed it."""
    total = np.int32(x + y)
    wraps = np.int32((x ^ total) & (y ^ total)) < np.int32(0)
    whole = np.int32(np.int32(2147483647) ^ (x >> np.int32(31))) if wraps else total
    clamped = min(max(whole, np.int32(-limit)), limit)
    return clamped, np.int32(wraps | (clamped != total))


def _close_over_update_uniform_clamp(stamp: str) -> Any:
    def update_uniform_clamp(pop, runs, acc, u, v, params, flags, active):
        """One parameter set, saturating membrane; returns how many saturated."""
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        keep = np.int32(pop[P_KEEP])
        decays = np.int32(pop[P_DECAY_MASK])
        kept = np.int32(pop[P_CLEAR_MASK])
        survives = np.int32(pop[P_STATE_MASK])
        threshold = np.int32(pop[P_THRESHOLD])
        subtract = np.int32(pop[P_SUBTRACT])
        limit = np.int32((np.int64(1) << (pop[P_V_BITS] - 1)) - 1)
        bias = params[I_BIAS]
        clipped = np.int32(0)
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            a = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            for j in range(length):
                old = v[n + j]
                before = old | np.int32(acc[a + j]) | bias[n + j]
                n_active = np.int32(n_active + np.int32(before != 0))
                decayed = np.int32((old - ((old >> keep) & decays)) & kept)
                x = np.int32((np.int32(acc[a + j]) << shift) + bias[n + j])
                new, hit = _clamped_sum(decayed, x, limit)
                clipped = np.int32(clipped + hit)
                fires = new > threshold
                flags[n + j] = fires
                v[n + j] = np.int32((new & survives) - subtract) if fires else new
                acc[a + j] = 0
            active[r] = n_active
        return clipped

    return update_uniform_clamp


update_uniform_clamp = late_kernel(_close_over_update_uniform_clamp(STAMP))


def _close_over_update_arrays(stamp: str) -> Any:
    def update_arrays(pop, runs, acc, u, v, params, flags, active):
        """Parameters per neuron, saturating membrane; returns how many saturated."""
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        decays = np.int32(pop[P_DECAY_MASK])
        kept = np.int32(pop[P_CLEAR_MASK])
        survives = np.int32(pop[P_STATE_MASK])
        limit = np.int32((np.int64(1) << (pop[P_V_BITS] - 1)) - 1)
        keep = params[I_KEEP]
        bias = params[I_BIAS]
        threshold = params[I_THRESHOLD]
        subtract = params[I_SUBTRACT]
        clipped = np.int32(0)
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            a = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            for j in range(length):
                old = v[n + j]
                before = old | np.int32(acc[a + j]) | bias[n + j]
                n_active = np.int32(n_active + np.int32(before != 0))
                decayed = np.int32((old - ((old >> keep[n + j]) & decays)) & kept)
                x = np.int32((np.int32(acc[a + j]) << shift) + bias[n + j])
                new, hit = _clamped_sum(decayed, x, limit)
                clipped = np.int32(clipped + hit)
                fires = new > threshold[n + j]
                flags[n + j] = fires
                v[n + j] = np.int32((new & survives) - subtract[n + j]) if fires else new
                acc[a + j] = 0
            active[r] = n_active
        return clipped

    return update_arrays


update_arrays = late_kernel(_close_over_update_arrays(STAMP))


def _close_over_update_current(stamp: str) -> Any:
    def update_current(pop, runs, acc, u, v, params, flags, active):
        """Synaptic current and membrane, both x * keep / 2^bits; returns how many left their width.

        32-bit lanes: x * keep = (x >> bits) * keep * 2^bits + (x mod 2^bits) * keep, so the
        quotient rounded toward zero (or floored) needs no wider product. Overflow in either mode is
        a mask and an offset.
        """
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        bits = np.int32(pop[P_DECAY_BITS])
        low = np.int32((np.int64(1) << pop[P_DECAY_BITS]) - 1)
        up = np.int32(0) if pop[P_FLOOR] else low
        survives = np.int32(pop[P_STATE_MASK])
        stored = np.int32(-pop[P_HAS_CURRENT])
        u_half = np.int32(np.int64(1) << (pop[P_U_BITS] - 1))
        v_half = np.int32(np.int64(1) << (pop[P_V_BITS] - 1))
        u_top = np.int32(u_half - (1 - pop[P_U_WRAP]))
        v_top = np.int32(v_half - (1 - pop[P_V_WRAP]))
        u_mask = np.int32(-pop[P_U_WRAP])
        v_mask = np.int32(-pop[P_V_WRAP])
        u_over = np.int32(-2 * u_half) if pop[P_U_WRAP] else np.int32(u_half - 1)
        v_over = np.int32(-2 * v_half) if pop[P_V_WRAP] else np.int32(v_half - 1)
        u_low = np.int32(1 - u_half)
        v_low = np.int32(1 - v_half)
        u_keep, v_keep = params[I_U_KEEP], params[I_KEEP]
        u_bias, v_bias = params[I_U_BIAS], params[I_BIAS]
        threshold, subtract = params[I_THRESHOLD], params[I_SUBTRACT]
        clipped = np.int32(0)
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            at = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            for j in range(length):
                a = u[n + j]
                before = v[n + j] | a | np.int32(acc[at + j]) | v_bias[n + j] | u_bias[n + j]
                n_active = np.int32(n_active + np.int32(before != 0))
                c = u_keep[n + j]
                a = np.int32(
                    np.int32((a >> bits) * c)
                    + (np.int32(np.int32((a & low) * c) + ((a >> np.int32(31)) & up)) >> bits)
                )
                a = np.int32(a + np.int32((np.int32(acc[at + j]) << shift) + u_bias[n + j]))
                hit = np.int32(0)
                if a > u_top:
                    a = np.int32((a & u_mask) + u_over)
                    hit = np.int32(1)
                elif a < u_low:
                    a = np.int32((a & u_mask) - u_over)
                    hit = np.int32(1)
                u[n + j] = a & stored
                b = v[n + j]
                c = v_keep[n + j]
                b = np.int32(
                    np.int32((b >> bits) * c)
                    + (np.int32(np.int32((b & low) * c) + ((b >> np.int32(31)) & up)) >> bits)
                )
                b = np.int32(b + np.int32(a + v_bias[n + j]))
                if b > v_top:
                    b = np.int32((b & v_mask) + v_over)
                    hit = np.int32(1)
                elif b < v_low:
                    b = np.int32((b & v_mask) - v_over)
                    hit = np.int32(1)
                clipped = np.int32(clipped + hit)
                fires = b > threshold[n + j]
                flags[n + j] = fires
                v[n + j] = np.int32((b & survives) - subtract[n + j]) if fires else b
                acc[at + j] = 0
            active[r] = n_active
        return clipped

    return update_current


update_current = late_kernel(_close_over_update_current(STAMP))
