"""Delivery: events of one projection in one step to the accumulators of its target.

``events[first:end]`` are source indices; an index that appears twice counts twice. All sums are
exact: the program refuses networks whose sums could leave their accumulator.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import STAMP, late_kernel
from nmhw.sim.kernels.fields import TILE
from nmhw.sim.kernels.intrinsics import add_rows_64, add_rows_128, add_run, prefetch


def _close_over_pool_events(stamp: str) -> Any:
    def pool_events(pointers, pooled, at, indices_at, events, first, end, out):
        """Write the pooled elements of all events to ``out``; return how many."""
        _ = stamp  # part of the cache key
        count = 0
        for s in range(first, end):
            i = at + np.int64(events[s])
            for k in range(pointers[i], pointers[i + 1]):
                out[count] = pooled[indices_at + k]
                count += 1
        return count

    return pool_events


pool_events = late_kernel(_close_over_pool_events(STAMP))


def _close_over_add_dense8(stamp: str) -> Any:
    def add_dense8(pool, at, rows, width, flush, events, first, end, sums, acc, acc_at):
        """Add int8 rows: four per pass into int16 sums, moved to int32 before they overflow."""
        _ = stamp  # part of the cache key
        weights = pool[at : at + rows * width].reshape((rows, width))
        target = acc[acc_at : acc_at + width]
        part = sums[:width]
        s = first
        while s < end:
            stop = min(end, s + flush)
            for j in range(width):
                part[j] = 0
            while s + 4 <= stop:
                w0 = weights[events[s]]
                w1 = weights[events[s + 1]]
                w2 = weights[events[s + 2]]
                w3 = weights[events[s + 3]]
                for j in range(width):
                    part[j] += np.int16(np.int16(w0[j]) + np.int16(w1[j])) + np.int16(
                        np.int16(w2[j]) + np.int16(w3[j])
                    )
                s += 4
            while s < stop:
                w0 = weights[events[s]]
                for j in range(width):
                    part[j] += w0[j]
                s += 1
            for j in range(width):
                target[j] += part[j]

    return add_dense8


add_dense8 = late_kernel(_close_over_add_dense8(STAMP))


def _close_over_add_dense_tiles(stamp: str) -> Any:
    def add_dense_tiles(pool, at, rows, width, flush, events, first, end, sums, acc, acc_at):
        """Add int8 rows tile by tile; ``sums`` is there for the form that ``add_dense8`` has."""
        _ = stamp  # part of the cache key
        for column in range(0, width, TILE):
            base, to = at + column * rows, acc_at + column
            s = first
            while s < end:
                stop = min(end, s + flush)
                if column + TILE <= width:
                    add_rows_128(pool, base, events, s, stop, acc, to)
                else:
                    add_rows_64(pool, base, events, s, stop, acc, to)
                s = stop

    return add_dense_tiles


add_dense_tiles = late_kernel(_close_over_add_dense_tiles(STAMP))


def _close_over_add_dense16(stamp: str) -> Any:
    def add_dense16(pool, at, rows, width, events, first, end, acc, acc_at):
        """Add int16 rows to int32 accumulators."""
        _ = stamp  # part of the cache key
        weights = pool[at : at + rows * width].reshape((rows, width))
        target = acc[acc_at : acc_at + width]
        for s in range(first, end):
            row = weights[events[s]]
            for j in range(width):
                target[j] += row[j]

    return add_dense16


add_dense16 = late_kernel(_close_over_add_dense16(STAMP))


def _close_over_add_sparse_wide(stamp: str) -> Any:
    def add_sparse_wide(quads, weights, pointers, at, quads_at, events, first, end, acc, acc_at, n):
        """Add sparse rows, four synapses per pass.

        One uint64 holds four uint16 targets, one uint32 four int8 weights. The targets of a quad
        differ, so its four reads may come before its four writes. Rows are prefetched two events
        ahead.
        """
        _ = stamp  # part of the cache key
        low = np.uint64(65535)
        target = acc[acc_at : acc_at + n]
        rows = pointers[at:]
        base = np.uint64(quads_at)
        for s in range(np.uint64(first), np.uint64(end)):
            row = np.uint64(events[s])
            if s + np.uint64(2) < np.uint64(end):
                ahead = np.uint64(events[s + np.uint64(2)])
                a = base + np.uint64(rows[ahead])
                b = base + np.uint64(rows[ahead + np.uint64(1)])
                for k in range(a, b, np.uint64(8)):
                    prefetch(quads, k)
                for k in range(a, b, np.uint64(16)):
                    prefetch(weights, k)
            a = base + np.uint64(rows[row])
            b = base + np.uint64(rows[row + np.uint64(1)])
            for k in range(a, b):
                x = quads[k]
                w = weights[k]
                i0 = x & low
                i1 = (x >> np.uint64(16)) & low
                i2 = (x >> np.uint64(32)) & low
                i3 = x >> np.uint64(48)
                a0 = target[i0] + np.int32(np.int8(w))
                a1 = target[i1] + np.int32(np.int8(w >> np.uint32(8)))
                a2 = target[i2] + np.int32(np.int8(w >> np.uint32(16)))
                a3 = target[i3] + (np.int32(w) >> np.int32(24))
                target[i0] = a0
                target[i1] = a1
                target[i2] = a2
                target[i3] = a3

    return add_sparse_wide


add_sparse_wide = late_kernel(_close_over_add_sparse_wide(STAMP))


def _close_over_add_sparse(stamp: str) -> Any:
    def add_sparse(
        targets, weights, pointers, at, indices_at, weights_at, events, first, end, acc, acc_at
    ):
        """Add sparse rows of wide weights, prefetched two events ahead."""
        _ = stamp  # part of the cache key
        rows = pointers[at:]
        start, start_w, base = np.uint64(indices_at), np.uint64(weights_at), np.uint64(acc_at)
        for s in range(np.uint64(first), np.uint64(end)):
            row = np.uint64(events[s])
            if s + np.uint64(2) < np.uint64(end):
                ahead = np.uint64(events[s + np.uint64(2)])
                a, b = np.uint64(rows[ahead]), np.uint64(rows[ahead + np.uint64(1)])
                for k in range(a, b, np.uint64(16)):
                    prefetch(targets, start + k)
                    prefetch(weights, start_w + k)
            for k in range(np.uint64(rows[row]), np.uint64(rows[row + np.uint64(1)])):
                acc[base + np.uint64(targets[start + k])] += weights[start_w + k]

    return add_sparse


add_sparse = late_kernel(_close_over_add_sparse(STAMP))


def _close_over_add_sparse_packed(stamp: str) -> Any:
    def add_sparse_packed(packed, pointers, at, packed_at, bits, events, first, end, acc, acc_at):
        """Add sparse rows of one uint32 per synapse: target above, weight in the lowest bits.

        The targets of a row differ, so four reads may come before four writes. Rows are
        prefetched two events ahead.
        """
        _ = stamp  # part of the cache key
        rows = pointers[at:]
        start, base = np.uint64(packed_at), np.uint64(acc_at)
        low, up = np.uint32(bits), np.uint32(32 - bits)
        for s in range(np.uint64(first), np.uint64(end)):
            row = np.uint64(events[s])
            if s + np.uint64(2) < np.uint64(end):
                ahead = np.uint64(events[s + np.uint64(2)])
                a = start + np.uint64(rows[ahead])
                b = start + np.uint64(rows[ahead + np.uint64(1)])
                for k in range(a, b, np.uint64(16)):
                    prefetch(packed, k)
            k = start + np.uint64(rows[row])
            b = start + np.uint64(rows[row + np.uint64(1)])
            while k + np.uint64(4) <= b:
                x0 = packed[k]
                x1 = packed[k + np.uint64(1)]
                x2 = packed[k + np.uint64(2)]
                x3 = packed[k + np.uint64(3)]
                i0 = base + np.uint64(x0 >> low)
                i1 = base + np.uint64(x1 >> low)
                i2 = base + np.uint64(x2 >> low)
                i3 = base + np.uint64(x3 >> low)
                a0 = acc[i0] + (np.int32(x0 << up) >> np.int32(up))
                a1 = acc[i1] + (np.int32(x1 << up) >> np.int32(up))
                a2 = acc[i2] + (np.int32(x2 << up) >> np.int32(up))
                a3 = acc[i3] + (np.int32(x3 << up) >> np.int32(up))
                acc[i0] = a0
                acc[i1] = a1
                acc[i2] = a2
                acc[i3] = a3
                k += np.uint64(4)
            while k < b:
                x0 = packed[k]
                acc[base + np.uint64(x0 >> low)] += np.int32(x0 << up) >> np.int32(up)
                k += np.uint64(1)

    return add_sparse_packed


add_sparse_packed = late_kernel(_close_over_add_sparse_packed(STAMP))


def _close_over_add_conv(stamp: str) -> Any:
    def add_conv(
        table, table_at, segments, segments_at, weights, weights_at, events, first, end, acc, acc_at
    ):
        """Add kernels to channel-last accumulators with a margin, so without edge tests.

        ``table`` holds three words per source: accumulator offset, kernel offset (-1: reaches
        nothing) and the place of its list of segments (one list per stride phase): their number,
        then per segment the distance from the accumulator offset and the length. A segment is one
        contiguous run of (kernel columns x output channels).
        """
        _ = stamp  # part of the cache key
        for s in range(first, end):
            row = table_at + 3 * np.int64(events[s])
            w = np.int64(table[row + 1])
            if w < 0:
                continue
            w += weights_at
            start = acc_at + np.int64(table[row])
            p = segments_at + np.int64(table[row + 2])
            for _ in range(segments[p]):
                a = np.uint64(start + np.int64(segments[p + 1]))
                b = np.uint64(w)
                length = segments[p + 2]
                p += 2
                add_run(acc, a, weights, b, np.uint64(length))
                w += length

    return add_conv


add_conv = late_kernel(_close_over_add_conv(STAMP))


def _close_over_fold(stamp: str) -> Any:
    def fold(acc, at, rows, length, stride, shift, out, out_at):
        """Move the valid elements of an accumulator, shifted, to ``out`` and clear them."""
        _ = stamp  # part of the cache key
        for r in range(rows):
            a = at + r * stride
            b = out_at + r * length
            if shift >= 0:
                for j in range(length):
                    out[b + j] += np.int64(acc[a + j]) << shift
            else:
                for j in range(length):
                    out[b + j] += np.int64(acc[a + j]) >> -shift
            for j in range(length):
                acc[a + j] = 0

    return fold


fold = late_kernel(_close_over_fold(STAMP))
