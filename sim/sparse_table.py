"""Synapses per source and core of sparse projections, counted from blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]

#: Synapses that are worked on at once, so that temporaries stay small.
_BLOCK = 1 << 21
#: Elements of a block's table that are always counted densely.
_SMALL = 1 << 22


def count_per_core(
    indptr: Ints, targets: NDArray[np.integer[Any]], home: Ints, n_cores: int
) -> csr_array:
    """Return (n_source, n_cores) synapse counts of sparse rows, some rows at a time."""
    from scipy.sparse import csr_array, vstack

    blocks = [csr_array((0, n_cores), dtype=np.int64)]
    cores = home.astype(np.int32)
    for first, end in row_blocks(indptr):
        column = cores[targets[indptr[first] : indptr[end]]]
        pointers = (indptr[first : end + 1] - indptr[first]).astype(np.int32)
        shape = (end - first, n_cores)
        if shape[0] * n_cores > max(_SMALL, 8 * column.size):  # mostly empty
            block = csr_array((np.ones(column.size, np.int64), column, pointers), shape=shape)
            block.sum_duplicates()
        else:
            flat = np.repeat(np.arange(shape[0]) * n_cores, np.diff(pointers)) + column
            counts = np.bincount(flat, minlength=shape[0] * n_cores)
            block = csr_array(counts.reshape(shape).astype(np.int64, copy=False))
        blocks.append(block)
    return csr_array(vstack(blocks, format="csr"))


def row_blocks(pointers: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield (first, end) rows with some million entries together (a longer row alone)."""
    first, n_rows = 0, pointers.size - 1
    while first < n_rows:
        end = int(np.searchsorted(pointers, pointers[first] + _BLOCK, side="right")) - 1
        end = min(max(end, first + 1), n_rows)
        yield first, end
        first = end
