"""Local rules, compiled: twins of the NumPy methods in ``sim/learning/local``.

Arguments as ``LearningRule`` says: parameters (a tuple in field order), the step's activity, the
rule's state. A block is returned as (rows, cols, dw). All that they call is in this file, so that
Numba's disk cache notices every edit without a stamp of other files.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from nmhw.sim.kernels.compiled import CHECK_BOUNDS, OPTIONS, entry_point, kernel

trigger: Any = njit(**OPTIONS) if CHECK_BOUNDS else entry_point


@kernel
def _active(x):
    n = 0
    for i in range(x.size):
        n += x[i] != 0.0
    found = np.empty(n, np.int64)
    n = 0
    for i in range(x.size):
        if x[i] != 0.0:
            found[n] = i
            n += 1
    return found


@kernel
def _raise(trace, keep, spikes):
    for i in range(trace.size):
        trace[i] = keep * trace[i] + spikes[i]


@kernel
def _trace_error(x, signal):
    rows, cols = _active(x), _active(signal)
    dw = np.empty((rows.size, cols.size))
    for i in range(rows.size):
        for j in range(cols.size):
            dw[i, j] = x[rows[i]] * signal[cols[j]]
    return rows, cols, dw


@trigger
def stdp_step(p, a, s):
    """Update both traces."""
    _raise(s.x, p[0], a.pre)
    _raise(s.y, p[1], a.post)


@trigger
def stdp_pre(p, a, s):
    """Depress."""
    rows, cols = _active(a.pre), np.arange(a.post.size)
    dw = np.empty((rows.size, cols.size))
    for i in range(rows.size):
        for j in range(cols.size):
            dw[i, j] = -a.rate * p[3] * s.y[j]
            if p[4] != 0.0:
                dw[i, j] *= a.weights[rows[i], j] - p[5]
    return rows, cols, dw


@trigger
def stdp_post(p, a, s):
    """Potentiate."""
    rows, cols = np.arange(a.pre.size), _active(a.post)
    dw = np.empty((rows.size, cols.size))
    for i in range(rows.size):
        for j in range(cols.size):
            dw[i, j] = a.rate * p[2] * (s.x[i] - p[7])
            if p[4] != 0.0:
                dw[i, j] *= p[6] - a.weights[i, cols[j]]
    return rows, cols, dw


@trigger
def reward_step(p, a, s):
    """Update traces, then eligibility."""
    _raise(s.x, p[0], a.pre)
    _raise(s.y, p[1], a.post)
    for i in range(a.pre.size):
        for j in range(a.post.size):
            e = s.e[i, j] * p[2]
            if a.post[j] != 0.0:
                e += p[3] * s.x[i]
            if a.pre[i] != 0.0:
                e -= p[4] * s.y[j]
            s.e[i, j] = e


@trigger
def eprop_step(p, a, s):
    """Update the trace."""
    _raise(s.x, p[0], a.pre)


@trigger
def eprop_error(p, a, s):
    """Change synapses with a trace and an error."""
    return _trace_error(s.x, -a.rate * a.error * a.psi)


@trigger
def decolle_step(p, a, s):
    """Filter once and twice."""
    _raise(s.q, p[0], a.pre)
    _raise(s.p, p[1], s.q)


@trigger
def decolle_error(p, a, s):
    """Change synapses with a trace and an error."""
    return _trace_error(s.p, -a.rate * a.error * a.psi)


@trigger
def sdsp_step(p, a, s):
    """Update the calcium."""
    _raise(s.ca, p[1], a.post)


@trigger
def sdsp_pre(p, a, s):
    """Move the synapses of active sources by one jump."""
    rows, cols = _active(a.pre), np.arange(a.post.size)
    dw = np.empty((rows.size, cols.size))
    for i in range(rows.size):
        for j in range(cols.size):
            w, ca, jump = a.weights[rows[i], j], s.ca[j], 0.0
            if a.v[j] >= p[0]:
                if p[2] <= ca < p[3]:
                    jump = 1.0
            elif p[2] <= ca < p[4]:
                jump = -1.0
            dw[i, j] = min(max(w + a.scale * p[5] * jump, p[6]), p[7]) - w
    return rows, cols, dw


STDP = {"on_step": stdp_step, "on_pre": stdp_pre, "on_post": stdp_post}
REWARD_STDP = {"on_step": reward_step}
EPROP = {"on_step": eprop_step, "on_error": eprop_error}
DECOLLE = {"on_step": decolle_step, "on_error": decolle_error}
SDSP = {"on_step": sdsp_step, "on_pre": sdsp_pre}
