"""General neuron update: every form of ``nmhw.values.arithmetic`` in int64, and float32 cells.

An independent twin of the NumPy specification, neuron by neuron; spikes go straight to the list.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, kernel, late_kernel
from nmhw.sim.kernels.fields import (
    DECAY_CLEAR,
    DECAY_CONVERGE,
    DECAY_MULSHIFT,
    DECAY_SHIFT,
    DECAY_SHIFT_TAIL,
    DECAY_SUBTRACT,
    F_DRIVE,
    F_THRESHOLD,
    F_U_GAIN,
    F_U_KEEP,
    F_V_GAIN,
    F_V_KEEP,
    F_V_RESET,
    G_THRESHOLD,
    G_U_BIAS,
    G_U_KEEP,
    G_V_BIAS,
    G_V_KEEP,
    G_V_MIN,
    G_V_RESET,
    OVERFLOW_FULL,
    OVERFLOW_WRAP,
    P_BASE,
    P_DECAY_BITS,
    P_END_RUN,
    P_FIRST_RUN,
    P_FLOOR,
    P_HAS_CURRENT,
    P_HAS_V_MIN,
    P_IS_SPIKING,
    P_MAX_SPIKES,
    P_RESET,
    P_RESET_DELAY,
    P_SHIFT,
    P_STATE,
    P_STRICT,
    P_SUM_BITS,
    P_U_BITS,
    P_U_DECAY,
    P_U_WRAP,
    P_V_BITS,
    P_V_DECAY,
    P_V_WRAP,
    RESET_SUBTRACT,
    RESET_VALUE,
    RESET_ZERO,
    RUN_LENGTH,
    RUN_NEURON,
)


@kernel
def decay(x, keep, kind, bits, floored):
    """Return what one step leaves of a state."""
    if kind == DECAY_MULSHIFT:
        product = x * keep
        if product < 0 and not floored:
            return -(-product >> bits)
        return product >> bits
    if kind == DECAY_SHIFT:
        return x - (x >> keep)
    if kind == DECAY_SUBTRACT:
        return max(x - keep, np.int64(0)) if x > 0 else min(x + keep, np.int64(0))
    if kind == DECAY_CLEAR:
        return np.int64(0)
    if kind == DECAY_SHIFT_TAIL:
        lost = x >> keep
        return x - (lost if lost != 0 or x == 0 else np.int64(1))
    return x


@kernel
def fit(x, bits, mode):
    """Return x brought back into ``bits`` bits."""
    half = np.int64(1) << (bits - 1)
    if mode == OVERFLOW_WRAP:
        if x > half:
            return x - 2 * half
        if x <= -half:
            return x + 2 * half
        return x
    lowest = -half if mode == OVERFLOW_FULL else 1 - half
    return min(max(x, lowest), half - 1)


@kernel
def count_spikes(v, threshold, strict, most):
    """Return how many thresholds v passes, at most ``most``."""
    if v < threshold or (strict and v == threshold):
        return np.int64(0)
    if most == 1:
        return np.int64(1)
    passed = -((-v) // threshold) - 1 if strict else v // threshold
    return min(max(passed, np.int64(1)), most)


@kernel
def _floor_divide(x, y):
    """Return floor(x / y) in float32 as NumPy's ``//`` does (through the exact remainder)."""
    rest = np.fmod(x, y)
    quotient = np.float32(np.float32(x - rest) / y)
    if rest != np.float32(0) and (y < np.float32(0)) != (rest < np.float32(0)):
        quotient = np.float32(quotient - np.float32(1))
    whole = np.float32(np.floor(quotient))
    if np.float32(quotient - whole) > np.float32(0.5):
        whole = np.float32(whole + np.float32(1))
    return whole


@kernel
def _count_spikes_float(v, threshold, strict, most):
    if not (v > threshold if strict else v >= threshold):
        return np.int64(0)
    if most == 1:
        return np.int64(1)
    if strict:
        passed = np.float32(np.float32(-_floor_divide(np.float32(-v), threshold)) - np.float32(1))
    else:
        passed = _floor_divide(v, threshold)
    return np.int64(min(max(passed, np.float32(1)), np.float32(most)))


@kernel
def reset(v, n, threshold, v_reset, kind):
    """Return v after n spikes."""
    if kind == RESET_ZERO:
        return np.int64(0)
    if kind == RESET_VALUE:
        return v_reset
    if kind == RESET_SUBTRACT:
        return v - n * threshold
    return v


@kernel
def _reset_float(v, n, threshold, v_reset, kind):
    if kind == RESET_ZERO:
        return np.float32(0)
    if kind == RESET_VALUE:
        return v_reset
    if kind == RESET_SUBTRACT:
        return np.float32(v - np.float32(np.float32(n) * threshold))
    return v


@kernel
def write_spikes(index, n, ring, at):
    """Write an index n times from ``at`` on; return the next place."""
    for _ in range(n):
        ring[at] = index
        at += 1
    return at


def _close_over_update_general(stamp: str) -> Any:
    def update_general(
        pop, params, x64, u64, v64, resting, rest_steps, runs, active_in, ring, ring_at
    ):
        """Update one population from its summed input ``x64``; return (spikes, saturations)."""
        _ = stamp  # part of the cache key
        base, state = pop[P_BASE], pop[P_STATE]
        bits, floored = pop[P_DECAY_BITS], pop[P_FLOOR]
        late, kind, most = pop[P_RESET_DELAY], pop[P_RESET], pop[P_MAX_SPIKES]
        shift, strict = pop[P_SHIFT], pop[P_STRICT]
        u_decay, v_decay = pop[P_U_DECAY], pop[P_V_DECAY]
        u_bits, u_wrap, v_wrap = pop[P_U_BITS], pop[P_U_WRAP], pop[P_V_WRAP]
        is_wide, bound = pop[P_SUM_BITS] != 0, pop[P_HAS_V_MIN]
        width = pop[P_SUM_BITS] if is_wide else pop[P_V_BITS]
        top = (np.int64(1) << (pop[P_V_BITS] - 1)) - 1
        keeps_u, converges = pop[P_HAS_CURRENT] != 0, v_decay == DECAY_CONVERGE
        fires_late = pop[P_IS_SPIKING] != 0 and late != 0
        fires_now = pop[P_IS_SPIKING] != 0 and late == 0
        clipped = 0
        at = ring_at
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            first = runs[r, RUN_NEURON] - base
            n_active = 0
            for j in range(first, first + runs[r, RUN_LENGTH]):
                k = state + j
                x = x64[j] << shift
                x64[j] = 0
                u, v = u64[k], v64[k]
                threshold, v_reset = params[G_THRESHOLD, k], params[G_V_RESET, k]
                u_bias, v_bias = params[G_U_BIAS, k], params[G_V_BIAS, k]
                active = v != 0 or x != 0 or u != 0 or u_bias != 0 or v_bias != 0
                n_active += active
                wide = decay(u, params[G_U_KEEP, k], u_decay, bits, floored) + x + u_bias
                u = fit(wide, u_bits, u_wrap)
                hit = u != wide
                if keeps_u:
                    u64[k] = u
                n = np.int64(0)
                if resting[base + j] > 0:
                    resting[base + j] -= 1
                else:
                    if fires_late:
                        n = count_spikes(v, threshold, strict, most)
                        if n:
                            v = reset(v, n, threshold, v_reset, kind)
                    v = decay(v, params[G_V_KEEP, k], v_decay, bits, floored) + u + v_bias
                    if converges and v != 0:
                        v -= params[G_V_KEEP, k] if v > 0 else -params[G_V_KEEP, k]
                    below = False
                    if bound == 1:
                        v = max(v, params[G_V_MIN, k])
                    elif bound:
                        below = v < params[G_V_MIN, k]
                    wide = v
                    v = fit(wide, width, v_wrap)
                    hit = hit or v != wide
                    if fires_now:
                        n = count_spikes(v, threshold, strict, most)
                        if n:
                            v = reset(v, n, threshold, v_reset, kind)
                    if is_wide:
                        hit = hit or v > top
                        v = min(v, top)
                    if below and n == 0:
                        v = reset(v, 1, params[G_V_MIN, k], -v_reset, kind)
                    v64[k] = v
                    if n:
                        resting[base + j] = rest_steps[base + j]
                clipped += hit
                at = write_spikes(j, n, ring, at)
            active_in[r] = n_active
        return at - ring_at, clipped

    return update_general


update_general = late_kernel(_close_over_update_general(STAMP))


def _close_over_update_float(stamp: str) -> Any:
    def update_float(pop, params, x64, uf, vf, resting, rest_steps, runs, active_in, ring, ring_at):
        """Update one float32 population; every operation is rounded; return (spikes, 0)."""
        _ = stamp  # part of the cache key
        base, state = pop[P_BASE], pop[P_STATE]
        late, kind, most = pop[P_RESET_DELAY], pop[P_RESET], pop[P_MAX_SPIKES]
        at = ring_at
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            first = runs[r, RUN_NEURON] - base
            n_active = 0
            for j in range(first, first + runs[r, RUN_LENGTH]):
                k = state + j
                x = np.float32(x64[j])
                x64[j] = 0
                u, v = uf[k], vf[k]
                threshold, v_reset = params[F_THRESHOLD, k], params[F_V_RESET, k]
                zero = np.float32(0)
                active = v != zero or x != zero or u != zero or params[F_DRIVE, k] != zero
                n_active += active
                gained = np.float32(params[F_U_GAIN, k] * x)
                if pop[P_HAS_CURRENT]:
                    u = np.float32(np.float32(params[F_U_KEEP, k] * u) + gained)
                    uf[k] = u
                else:
                    u = gained
                n = np.int64(0)
                if resting[base + j] > 0:
                    resting[base + j] -= 1
                else:
                    if pop[P_IS_SPIKING] and late:
                        n = _count_spikes_float(v, threshold, pop[P_STRICT], most)
                        if n:
                            v = _reset_float(v, n, threshold, v_reset, kind)
                    kept = np.float32(params[F_V_KEEP, k] * v)
                    v = np.float32(kept + np.float32(params[F_V_GAIN, k] * u))
                    v = np.float32(v + params[F_DRIVE, k])
                    if pop[P_IS_SPIKING] and not late:
                        n = _count_spikes_float(v, threshold, pop[P_STRICT], most)
                        if n:
                            v = _reset_float(v, n, threshold, v_reset, kind)
                    vf[k] = v
                    if n:
                        resting[base + j] = rest_steps[base + j]
                at = write_spikes(j, n, ring, at)
            active_in[r] = n_active
        return at - ring_at, np.int64(0)

    return update_float


update_float = late_kernel(_close_over_update_float(STAMP))
