"""Delivery: events of one projection in one step to the accumulators of its target.

``events[first:end]`` are source indices; an index that appears twice counts twice. All sums are
exact: the program refuses networks whose sums could leave their accumulator.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from nmhw.sim.kernels.compiled import kernel


@intrinsic
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array[index]`` (1-D); never faults."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, args[0]).data
        offset = target.cast(builder, args[1], signature.args[1], types.intp)
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = builder.bitcast(builder.gep(data, [offset]), byte)
        form = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = cgutils.get_or_insert_function(builder.module, form, "llvm.prefetch.p0")
        builder.call(call, [pointer, word(0), word(3), word(1)])
        return target.get_dummy_value()

    return types.none(array, index), generate


@kernel
def pool_events(pointers, pooled, at, indices_at, events, first, end, out):
    """Write the pooled elements of all events to ``out``; return how many."""
    count = 0
    for s in range(first, end):
        i = at + np.int64(events[s])
        for k in range(pointers[i], pointers[i + 1]):
            out[count] = pooled[indices_at + k]
            count += 1
    return count


@kernel
def add_dense8(pool, at, rows, width, flush, events, first, end, sums, acc, acc_at):
    """Add int8 rows: four per pass into int16 sums, which reach int32 before they can overflow."""
    weights = pool[at : at + rows * width].reshape((rows, width))
    target = acc[acc_at : acc_at + width]
    part = sums[:width]
    s = first
    while s < end:
        stop = min(end, s + flush)
        part[:] = 0
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


@kernel
def add_dense16(pool, at, rows, width, events, first, end, acc, acc_at):
    """Add int16 rows to int32 accumulators."""
    weights = pool[at : at + rows * width].reshape((rows, width))
    target = acc[acc_at : acc_at + width]
    for s in range(first, end):
        row = weights[events[s]]
        for j in range(width):
            target[j] += row[j]


@kernel
def add_sparse_wide(quads, weights, pointers, at, quads_at, events, first, end, acc, acc_at):
    """Add sparse rows, four synapses per pass.

    One uint64 holds four uint16 targets, one uint32 four int8 weights. The targets of a quad
    differ, so its four reads may come before its four writes. Rows are prefetched two events
    ahead.
    """
    low = np.uint64(65535)
    base = np.uint64(acc_at)
    for s in range(first, end):
        row = at + np.int64(events[s])
        if s + 2 < end:
            ahead = at + np.int64(events[s + 2])
            a = quads_at + np.int64(pointers[ahead])
            b = quads_at + np.int64(pointers[ahead + 1])
            for k in range(a, b, 8):
                prefetch(quads, k)
            for k in range(a, b, 16):
                prefetch(weights, k)
        a = quads_at + np.int64(pointers[row])
        b = quads_at + np.int64(pointers[row + 1])
        for k in range(a, b):
            x = quads[k]
            w = weights[k]
            i0 = base + (x & low)
            i1 = base + ((x >> np.uint64(16)) & low)
            i2 = base + ((x >> np.uint64(32)) & low)
            i3 = base + (x >> np.uint64(48))
            a0 = acc[i0] + np.int32(np.int8(w))
            a1 = acc[i1] + np.int32(np.int8(w >> np.uint32(8)))
            a2 = acc[i2] + np.int32(np.int8(w >> np.uint32(16)))
            a3 = acc[i3] + (np.int32(w) >> np.int32(24))
            acc[i0] = a0
            acc[i1] = a1
            acc[i2] = a2
            acc[i3] = a3


@kernel
def add_sparse(
    targets, weights, pointers, at, indices_at, weights_at, events, first, end, acc, acc_at
):
    """Add sparse rows of any width (uint32 targets), prefetched two events ahead."""
    for s in range(first, end):
        row = at + np.int64(events[s])
        if s + 2 < end:
            ahead = at + np.int64(events[s + 2])
            for k in range(np.int64(pointers[ahead]), np.int64(pointers[ahead + 1]), 16):
                prefetch(targets, indices_at + k)
                prefetch(weights, weights_at + k)
        for k in range(np.int64(pointers[row]), np.int64(pointers[row + 1])):
            acc[acc_at + np.int64(targets[indices_at + k])] += weights[weights_at + k]


@kernel
def add_conv(
    table, table_at, segments, segments_at, weights, weights_at, events, first, end, acc, acc_at
):
    """Add convolution kernels to channel-last accumulators with a margin, so without edge tests.

    ``table`` holds three words per source: accumulator offset, kernel offset (-1: reaches
    nothing) and the place of its list of segments (one list per stride phase): their number,
    then per segment the distance from the accumulator offset and the length. A segment is one
    contiguous run of (kernel columns x output channels).
    """
    for s in range(first, end):
        row = table_at + 3 * np.int64(events[s])
        w = np.int64(table[row + 1])
        if w < 0:
            continue
        w += weights_at
        start = acc_at + np.int64(table[row])
        p = segments_at + np.int64(table[row + 2])
        for _ in range(segments[p]):
            a = start + np.int64(segments[p + 1])
            length = np.int64(segments[p + 2])
            p += 2
            for k in range(length):
                acc[a + k] += weights[w + k]
            w += length


@kernel
def fold(acc, at, rows, length, stride, shift, out, out_at):
    """Move the valid elements of an accumulator, shifted, to ``out`` and clear them."""
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
