"""A block of weights through the store, compiled: the twin of ``WeightStore.add`` with a grid."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from nmhw.sim.kernels.compiled import CHECK_BOUNDS, OPTIONS, entry_point

_WORD_MASK = np.uint32(0xFFFF)
_BYTE = np.uint32(0xFF)
_EIGHT = np.uint32(8)

_compiled: Any = njit(**OPTIONS) if CHECK_BOUNDS else entry_point


@_compiled
def add_block(codes, values, first, n_out, rows, cols, dw, scale, max_code, state, byte_table):
    """Add ``dw`` to the block rows x cols of a layer that begins at ``first``, in row order.

    ``state`` is that of the layer's shift register; 0 rounds to nearest.

    Returns
    -------
    (state, n_changed)
    """
    n_changed = 0
    fraction = 0.5
    for i in range(rows.size):
        for j in range(cols.size):
            if state != np.uint32(0):
                state = (state >> _EIGHT) ^ byte_table[state & _BYTE]
                state = (state >> _EIGHT) ^ byte_table[state & _BYTE]
                fraction = np.float64(state & _WORD_MASK) / 65536.0
            at = first + rows[i] * n_out + cols[j]
            moved = np.floor(codes[at] + dw[i, j] / scale + fraction)
            code = np.int32(min(max(moved, -float(max_code)), float(max_code)))
            if code != codes[at]:
                codes[at] = code
                values[at] = code * scale
                n_changed += 1
    return state, n_changed
