"""Counting per row and core: events times a sparse fan-out table, without an event matrix."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, source_stamp
from nmhw.sim.kernels.intrinsics import prefetch


def _close_over(stamp: str) -> Any:
    def count_fan_out(sample, step, index, steps, first_row, indptr, columns, values, out):
        """Add row ``index[k]`` of a CSR table to ``out[row of event k]`` for every event.

        The row of an event is ``sample * steps + step - first_row``.
        """
        _ = stamp  # part of the cache key
        for k in range(index.size):
            row = np.uint64(np.int64(sample[k]) * steps + step[k] - first_row)
            i = np.uint64(index[k])
            for p in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
                out[row, np.uint64(columns[p])] += values[p]

    return count_fan_out


def _close_over_dense(stamp: str) -> Any:
    def count_dense_fan_out(sample, step, index, steps, first_row, table, out):
        """Add ``table[index[k]]`` to ``out[row of event k]`` for every event (see above)."""
        _ = stamp  # part of the cache key
        flat = table.ravel()
        width = np.uint64(table.shape[1])
        for k in range(np.uint64(index.size)):
            ahead = k + np.uint64(8)
            if ahead < np.uint64(index.size):
                for p in range(np.uint64(0), width, np.uint64(16)):
                    prefetch(flat, np.uint64(index[ahead]) * width + p)
            row = np.uint64(np.int64(sample[k]) * steps + step[k] - first_row)
            fan = table[np.uint64(index[k])]
            sums = out[row]
            for p in range(width):
                sums[p] += fan[p]

    return count_dense_fan_out


def _close_over_weights(stamp: str) -> Any:
    def count_weights(sample, step, index, steps, first_row, weights, out):
        """Add ``weights[index[k]]`` to ``out[row of event k]`` for every event (see above)."""
        _ = stamp  # part of the cache key
        for k in range(np.uint64(index.size)):
            row = np.uint64(np.int64(sample[k]) * steps + step[k] - first_row)
            out[row] += weights[np.uint64(index[k])]

    return count_weights


def _close_over_classes(stamp: str) -> Any:
    def count_classes(sample, step, index, steps, first_row, classes, out):
        """Add 1 to ``out[row of event k, class of index[k]]`` for every event (see above)."""
        _ = stamp  # part of the cache key
        for k in range(np.uint64(index.size)):
            row = np.uint64(np.int64(sample[k]) * steps + step[k] - first_row)
            out[row, np.uint64(classes[np.uint64(index[k])])] += 1

    return count_classes


def _close_over_home(stamp: str) -> Any:
    def count_home(sample, step, index, steps, first_row, home, packets, spikes, sent):
        """Book every event and the packets it sends at its own core (see above)."""
        _ = stamp  # part of the cache key
        for k in range(np.uint64(index.size)):
            row = np.uint64(np.int64(sample[k]) * steps + step[k] - first_row)
            i = np.uint64(index[k])
            column = np.uint64(home[i])
            spikes[row, column] += 1
            sent[row, column] += packets[i]

    return count_home


def _close_over_sources(stamp: str) -> Any:
    def count_sources(index, out):
        """Add 1 to ``out[index[k]]`` for every event: bincount without a copy to int64."""
        _ = stamp  # part of the cache key
        for k in range(np.uint64(index.size)):
            out[np.uint64(index[k])] += 1

    return count_sources


def _close_over_products(stamp: str) -> Any:
    def add_products(seen, weights, out, first_row, first_column):
        """Add ``seen @ weights.T`` to ``out`` from a row and a column on.

        ``seen`` (rows, classes), ``weights`` (columns, classes) and ``out`` are int32.
        """
        _ = stamp  # part of the cache key
        n_classes = np.uint64(seen.shape[1])
        start = np.uint64(first_column)
        for r in range(np.uint64(seen.shape[0])):
            sums = out[np.uint64(first_row) + r]
            counts = seen[r]
            for k in range(np.uint64(weights.shape[0])):
                row = weights[k]
                total = np.int32(0)
                for c in range(n_classes):
                    total = np.int32(total + np.int32(counts[c] * row[c]))
                sums[start + k] += total

    return add_products


add_products = entry_point(_close_over_products(source_stamp()))
count_sources = entry_point(_close_over_sources(source_stamp()))
count_classes = entry_point(_close_over_classes(source_stamp()))
count_home = entry_point(_close_over_home(source_stamp()))
count_weights = entry_point(_close_over_weights(source_stamp()))
count_dense_fan_out = entry_point(_close_over_dense(source_stamp()))
count_fan_out = entry_point(_close_over(source_stamp()))
