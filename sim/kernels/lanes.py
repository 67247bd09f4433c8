"""Vector form of cells with several spikes per step, a lower bound, late resets or rests.

What ``neurons.py`` leaves to the general update, as long as int32 lanes compute it exactly
(``sim/lanes.py`` says when): one compiled variant per decay, current, time of the reset and rest
(``V_*`` in ``fields.py``), parameters per neuron. A neuron that passes one more threshold after a
spike is flagged, and counts its spikes in the scan: few do, and a division has no lanes.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, inlined, kernel, late_kernel
from nmhw.sim.kernels.fields import (
    I_BIAS,
    I_KEEP,
    I_SUBTRACT,
    I_THRESHOLD,
    I_U_BIAS,
    I_U_KEEP,
    I_V_MIN,
    P_BASE,
    P_CLEAR_MASK,
    P_DECAY_BITS,
    P_DECAY_MASK,
    P_END_RUN,
    P_FIRST_RUN,
    P_FLOOR,
    P_MAX_SPIKES,
    P_SHIFT,
    P_SIZE,
    P_STATE_MASK,
    P_STRICT,
    P_SUM_BITS,
    P_U_BITS,
    P_U_CLEAR_MASK,
    P_U_DECAY_MASK,
    P_U_WRAP,
    P_V_BITS,
    RUN_ACC,
    RUN_LENGTH,
    RUN_NEURON,
    V_CURRENT,
    V_DECAYS,
    V_FACTOR,
    V_LATE,
    V_RESTS,
    V_SHIFT,
    V_SUBTRACT,
)
from nmhw.sim.kernels.intrinsics import mask_of_64, trailing_zeros
from nmhw.sim.kernels.neurons import scan_flags

TOP = np.int32(2147483647)


@inlined
def _by_shift(x, keep, decays, kept):
    return np.int32((x - ((x >> keep) & decays)) & kept)


@inlined
def _by_factor(x, keep, bits, low, up):
    """Return x * keep / 2^bits in 32 bits (see ``neurons.update_current``)."""
    rest = np.int32(np.int32((x & low) * keep) + ((x >> np.int32(31)) & up))
    return np.int32(np.int32((x >> bits) * keep) + (rest >> bits))


@inlined
def _by_constant(x, keep):
    return max(np.int32(x - keep), np.int32(0)) if x > 0 else min(np.int32(x + keep), np.int32(0))


@inlined
def _bounded_sum(x, y, lowest, limit):
    """Return x + y, at least ``lowest``, then saturated to +-limit; and whether it saturated."""
    total = np.int32(x + y)
    wraps = np.int32((x ^ total) & (y ^ total)) < np.int32(0)
    whole = np.int32(TOP ^ (x >> np.int32(31))) if wraps else total
    bounded = max(whole, lowest)
    inside = min(max(bounded, np.int32(-limit)), limit)
    return inside, (inside != bounded) | (wraps & (bounded == whole))


@inlined
def _top(pop):
    """Return the largest v behind the reset: only cells whose sum is wider than v have one."""
    return np.int32((np.int64(1) << (pop[P_V_BITS] - 1)) - 1) if pop[P_SUM_BITS] else TOP


@kernel
def _scan_several(pop, flags, v, params, out, at):
    """List the spikes of flagged neurons, those of flags 2 and 3 counted and reset here."""
    most, strict = np.int32(pop[P_MAX_SPIKES]), np.int32(pop[P_STRICT])
    survives = np.int32(pop[P_STATE_MASK])
    top = _top(pop)
    base, clipped = np.uint64(pop[P_BASE]), np.int64(0)
    count = np.uint64(at)
    for k in range(np.uint64(0), np.uint64(pop[P_SIZE]), np.uint64(64)):
        mask = mask_of_64(flags, base + k)
        while mask:
            i = k + trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            if flags[base + i] == 1:
                out[count] = np.uint32(i)
                count += np.uint64(1)
                continue
            x = v[base + i]
            threshold = np.int32(params[I_THRESHOLD, base + i] + 1 - strict)
            n = np.int32(min(np.int32(x - strict) // threshold, most))
            if survives:
                # a reset that subtracts, or none
                x = np.int32(x - n * params[I_SUBTRACT, base + i])
            else:
                x = np.int32(-params[I_SUBTRACT, base + i])
            clipped += (x > top) & (flags[base + i] == 2)  # 3: its current is counted already
            v[base + i] = min(x, top)
            for _ in range(n):
                out[count] = np.uint32(i)
                count += np.uint64(1)
    return np.int64(count) - at, clipped


def _close_over_update_lanes(
    stamp: str, decay: int, has_current: bool, late: bool, rests: bool
) -> Any:
    is_shift, is_factor = decay == V_SHIFT, decay == V_FACTOR
    is_constant = decay == V_SUBTRACT  # else V_CONVERGE

    def update_lanes(
        pop, runs, acc, u, v, params, resting, rest_steps, flags, active, ring, ring_at
    ):
        """Update one population and list its spikes; return (spikes, saturations)."""
        _ = stamp  # part of the cache key
        shift = np.int32(pop[P_SHIFT])
        decays, kept = np.int32(pop[P_DECAY_MASK]), np.int32(pop[P_CLEAR_MASK])
        u_decays, u_kept = np.int32(pop[P_U_DECAY_MASK]), np.int32(pop[P_U_CLEAR_MASK])
        bits = np.int32(pop[P_DECAY_BITS])
        low = np.int32((np.int64(1) << pop[P_DECAY_BITS]) - 1)
        up = np.int32(0) if pop[P_FLOOR] else low
        survives = np.int32(pop[P_STATE_MASK])
        several = np.int32(pop[P_MAX_SPIKES] > 1)
        lift = np.int32(1 - pop[P_STRICT])
        width = pop[P_SUM_BITS] if pop[P_SUM_BITS] else pop[P_V_BITS]
        limit = np.int32((np.int64(1) << (width - 1)) - 1)
        top = _top(pop)
        half = np.int64(1) << (pop[P_U_BITS] - 1)
        u_top, u_low = np.int32(half - (1 - pop[P_U_WRAP])), np.int32(1 - half)
        u_mask = np.int32(-pop[P_U_WRAP])
        u_over = np.int32(-2 * half) if pop[P_U_WRAP] else np.int32(half - 1)
        keep, bias = params[I_KEEP], params[I_BIAS]
        u_keep, u_bias = params[I_U_KEEP], params[I_U_BIAS]
        threshold, subtract, lowest = params[I_THRESHOLD], params[I_SUBTRACT], params[I_V_MIN]
        clipped, n_again = np.int32(0), np.int32(0)
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            n = np.uint64(runs[r, RUN_NEURON])
            at = np.uint64(runs[r, RUN_ACC])
            length = np.uint64(runs[r, RUN_LENGTH])
            n_active = np.int32(0)
            for j in range(length):
                old, summed = v[n + j], np.int32(acc[at + j])
                acc[at + j] = 0
                before, hit, is_awake = old | summed | bias[n + j], False, True
                if rests:
                    rest = resting[n + j]
                    is_awake = rest <= 0
                x = bias[n + j]
                if has_current:
                    a = u[n + j]
                    before = before | a | u_bias[n + j]
                    if is_factor:
                        a = _by_factor(a, u_keep[n + j], bits, low, up)
                    else:
                        a = _by_shift(a, u_keep[n + j], u_decays, u_kept)
                    a = np.int32(a + np.int32((summed << shift) + u_bias[n + j]))
                    if a > u_top:
                        a = np.int32((a & u_mask) + u_over)
                        hit = True
                    elif a < u_low:
                        a = np.int32((a & u_mask) - u_over)
                        hit = True
                    u[n + j] = a
                    x = np.int32(x + a)
                else:
                    x = np.int32(x + (summed << shift))
                n_active = np.int32(n_active + np.int32(before != 0))
                held, fires = old, False
                if late:
                    fires = (old > threshold[n + j]) & is_awake
                    held = np.int32((old & survives) - subtract[n + j]) if fires else old
                if is_shift:
                    decayed = _by_shift(held, keep[n + j], decays, kept)
                elif is_factor:
                    decayed = _by_factor(held, keep[n + j], bits, low, up)
                elif is_constant:
                    decayed = _by_constant(held, keep[n + j])
                else:
                    total = np.int32(held + x)
                    x = np.int32(-keep[n + j]) if total > 0 else keep[n + j]
                    x = x if total != 0 else np.int32(0)
                    decayed = total
                new, over = _bounded_sum(decayed, x, lowest[n + j], limit)
                after, again = new, False
                if not late:
                    fires = (new > threshold[n + j]) & is_awake
                    after = np.int32((new & survives) - subtract[n + j]) if fires else new
                    passed = np.int32(np.int32(new - threshold[n + j]) - lift)
                    again = fires & (passed > threshold[n + j]) & (several != 0)
                over = over | ((after > top) & (not again))
                after = new if again else min(after, top)
                hit = hit | (over & is_awake)
                v[n + j] = after if is_awake else old
                if rests:
                    left = max(np.int32(rest - 1), np.int32(0))
                    resting[n + j] = rest_steps[n + j] if fires else left
                clipped = np.int32(clipped + np.int32(hit))
                n_again = np.int32(n_again + np.int32(again))
                flags[n + j] = np.uint8(fires) + np.uint8(again) + np.uint8(again & hit)
            active[r] = n_active
        if n_again:
            n_spikes, more = _scan_several(pop, flags, v, params, ring, ring_at)
            return n_spikes, np.int64(clipped) + more
        return scan_flags(flags, pop[P_BASE], pop[P_SIZE], ring, ring_at), np.int64(clipped)

    return update_lanes


@cache
def lanes_kernel(variant: int) -> Any:
    """Return the kernel of a variant (``P_VARIANT``), compiled when its address is asked for."""
    flags = (bool(variant & bit) for bit in (V_CURRENT, V_LATE, V_RESTS))
    return late_kernel(_close_over_update_lanes(STAMP, variant % V_DECAYS, *flags))
