"""Synapses per source and core of sparse projections, counted from blocks of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import narrow_pointers

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
    from scipy.sparse import csr_array

    cores = home.astype(np.int32)
    n_source = indptr.size - 1
    found, counts = [np.zeros(0, np.int32)], [np.zeros(0, np.int64)]
    pointers = np.zeros(n_source + 1, np.int64)
    for first, end in row_blocks(indptr):
        column = cores[targets[indptr[first] : indptr[end]]]
        rows = (indptr[first : end + 1] - indptr[first]).astype(np.int32)
        shape = (end - first, n_cores)
        if shape[0] * n_cores > max(_SMALL, 8 * column.size):  # mostly empty
            block = csr_array((np.ones(column.size, np.int64), column, rows), shape=shape)
            block.sum_duplicates()
        else:
            flat = np.repeat(np.arange(shape[0]) * n_cores, np.diff(rows)) + column
            per_place = np.bincount(flat, minlength=shape[0] * n_cores)
            block = csr_array(per_place.reshape(shape).astype(np.int64, copy=False))
        found.append(block.indices.astype(np.int32))
        counts.append(block.data)
        pointers[first + 1 : end + 1] = pointers[first] + block.indptr[1:]
    index = np.concatenate(found)
    del found
    entries = (np.concatenate(counts), index, narrow_pointers(pointers))
    return csr_array(entries, shape=(n_source, n_cores))


def row_blocks(pointers: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Yield (first, end) rows with some million entries together (a longer row alone)."""
    first, n_rows = 0, pointers.size - 1
    while first < n_rows:
        end = int(np.searchsorted(pointers, pointers[first] + _BLOCK, side="right")) - 1
        end = min(max(end, first + 1), n_rows)
        yield first, end
        first = end
