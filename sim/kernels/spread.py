"""Spikes times a sparse matrix as dense rows: the float run's sums, in the order of the spikes."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, source_stamp


def _close_over_elements(stamp: str) -> Any:
    def spread_elements(first, index, value, pointers, columns, weights, out):
        """Add ``value[k]`` times row ``index[k]`` of a CSR matrix to its row of ``out``.

        ``first[r]:first[r + 1]`` are the events of row r. The sums have the order, and so the bits,
        of SciPy's product of two sparse matrices, without its lists of the elements it met.
        """
        _ = stamp  # part of the cache key
        for r in range(np.uint64(out.shape[0])):
            sums = out[r]
            for k in range(np.uint64(first[r]), np.uint64(first[r + np.uint64(1)])):
                i, times = np.uint64(index[k]), value[k]
                for p in range(np.uint64(pointers[i]), np.uint64(pointers[i + np.uint64(1)])):
                    sums[np.uint64(columns[p])] += times * weights[p]

    return spread_elements


def _close_over_runs(stamp: str) -> Any:
    def spread_runs(
        first, index, value, pointers, starts, places, weights, channels, sums, out
    ):  # fmt: skip
        """Do the same by runs of neighboring columns, which are numbered with channels last.

        ``pointers`` (n_source + 1,) number the runs of every row; run p has the columns from
        ``starts[p]`` on and the weights ``places[p]:places[p + 1]``. ``sums`` (n_target,) is
        scratch; in ``out`` channels are first.
        """
        _ = stamp  # part of the cache key
        n_channels = np.uint64(channels)
        n_pixels = np.uint64(sums.size) // n_channels
        for r in range(np.uint64(out.shape[0])):
            if first[r] == first[r + np.uint64(1)]:
                continue
            for j in range(np.uint64(sums.size)):
                sums[j] = 0.0
            for k in range(np.uint64(first[r]), np.uint64(first[r + np.uint64(1)])):
                i, times = np.uint64(index[k]), value[k]
                for p in range(np.uint64(pointers[i]), np.uint64(pointers[i + np.uint64(1)])):
                    at, column = np.uint64(places[p]), np.uint64(starts[p])
                    for j in range(np.uint64(places[p + np.uint64(1)]) - at):
                        sums[column + j] += times * weights[at + j]
            row = out[r]
            for c in range(n_channels):
                for q in range(n_pixels):
                    row[c * n_pixels + q] = sums[q * n_channels + c]

    return spread_runs


spread_elements = entry_point(_close_over_elements(source_stamp()))
spread_runs = entry_point(_close_over_runs(source_stamp()))
