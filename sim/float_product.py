"""Spikes (CSR rows) times a sparse matrix of weights, as dense rows of float64."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: From this many additions in all it pays to load the compiled product.
MIN_COMPILED = 10_000_000

#: Mean length of the runs of columns from which they are added as runs.
MIN_RUN = 4


class SparseProduct:
    """Products of spikes with one matrix; every way to compute them gives the same bits.

    The first ones are SciPy's, so that short runs need not load a compiled one.

    Parameters
    ----------
    matrix : CSR float64 (n_source, n_target)
    shape : (channels, height, width) of the targets, optional
        Behind a convolution: with channels last, what a source reaches lies in runs.
    """

    def __init__(self, matrix: Any, shape: Sequence[int] = ()) -> None:
        self._matrix = matrix
        self._shape = tuple(shape) if len(shape) == 3 and shape[0] > 1 else ()
        self._done = 0.0

    def of_events(self, events: Any) -> Floats:
        """Return ``events @ matrix`` for CSR events (n_rows, n_source) as (n_rows, n_target)."""
        matrix = self._matrix
        self._done += events.nnz * matrix.nnz / max(1, matrix.shape[0])
        if self._done < MIN_COMPILED:
            return np.asarray((events @ matrix).toarray())
        from nmhw.sim.kernels.spread import spread_elements, spread_runs

        out = np.zeros((events.shape[0], matrix.shape[1]))
        given = (events.indptr.astype(np.int64), events.indices.astype(np.int64), events.data)
        if self._runs is not None:
            sums = np.zeros(matrix.shape[1])
            spread_runs(*given, *self._runs, self._shape[0], sums, out)
            return out
        places = (matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32))
        spread_elements(*given, *places, matrix.data, out)
        return out

    @cached_property
    def _runs(self) -> tuple[Ints, Ints, Ints, Floats] | None:
        """Row pointers, first columns, places of the weights, weights; None: runs too short."""
        from scipy.sparse import csr_array

        if not self._shape or not self._matrix.nnz:
            return None
        shape = self._matrix.shape
        place = np.empty(shape[1], np.int64)
        number = np.arange(shape[1]).reshape(self._shape)
        place[number.transpose(1, 2, 0).ravel()] = np.arange(shape[1])
        columns = place[self._matrix.indices]
        arrays = (self._matrix.data.copy(), columns, self._matrix.indptr.copy())
        m: Any = csr_array(arrays, shape=shape)
        m.sort_indices()
        row = np.repeat(np.arange(shape[0]), np.diff(m.indptr))
        starts = (np.diff(row, prepend=-1) != 0) | (np.diff(m.indices, prepend=-2) != 1)
        begins = np.flatnonzero(starts)
        if m.nnz < MIN_RUN * begins.size:
            return None
        pointers = np.searchsorted(row[begins], np.arange(shape[0] + 1))
        return pointers, m.indices[begins].astype(np.int64), np.append(begins, m.nnz), m.data
