"""Blocks of steps: a population without feedback runs many steps before the next one starts.

The weights of one layer then stay in the cache over a whole block, where steps of all layers in
turn would fetch them every time. Sums of a block lie side by side, so that each dense matrix is
read for all its steps in a row. Spikes are the same; only the order of the work differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.kernels import fields as f
from nmhw.sim.program import Program

Ints = NDArray[np.int64]

#: Longest block, and most spikes that all populations could emit in one.
MAX_STEPS, MAX_SPIKES = 128, 2**22

#: Bytes of the sums of one population over a block.
MAX_SUM_BYTES = 2**19


def choose_block(program: Program, n_steps: int, most: Sequence[int], room: int) -> int:
    """Return how many steps a population may run ahead of the next: 1 in networks with loops.

    Parameters
    ----------
    most : spikes per step of every population, at most
    room : spikes that the rings may hold beyond those that wait for their delay
    """
    if not program.is_feed_forward:
        return 1
    longest = min(MAX_SPIKES, room) // max(1, sum(most))
    return int(np.clip(longest, 1, min(n_steps, MAX_STEPS)))


def block_stride(program: Program, rows: Sequence[int], width: int, block: int) -> int:
    """Return the elements between the sums of two steps: 0 to keep those of one step only.

    Parameters
    ----------
    rows : table rows of the projections that share the accumulator
    width : its length
    """
    table = program.table[list(rows)]
    is_tiled = bool((table[:, f.J_KIND] == f.KIND_DENSE_TILES).all() and len(table))
    return width if block > 1 and is_tiled and 4 * width * block <= MAX_SUM_BYTES else 0
