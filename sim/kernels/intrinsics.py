"""What Numba's Python cannot say: prefetch, and arrays without reference counts."""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


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


@intrinsic
def borrow(context: Any, value: Any) -> Any:
    """Return an array, or a tuple of arrays, that is not reference counted.

    Each function call on a counted array costs two atomic additions per array, which for small
    populations is most of a step. The caller of the kernel keeps the arrays alive.
    """

    def strip(target: Any, builder: Any, kind: Any, item: Any) -> Any:
        if isinstance(kind, types.BaseTuple):
            parts = cgutils.unpack_tuple(builder, item)
            kinds: Any = kind
            stripped = [strip(target, builder, k, p) for k, p in zip(kinds, parts, strict=True)]
            return target.make_tuple(builder, kind, stripped)
        if not isinstance(kind, types.Array):
            return item
        array = target.make_array(kind)(target, builder, item)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return strip(target, builder, signature.args[0], args[0])

    return value(value), generate


@intrinsic
def mask_of_64(context: Any, flags: Any, index: Any) -> Any:
    """Return a uint64 with bit k set where ``flags[index + k]`` (uint8) is not 0."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = target.make_array(signature.args[0])(target, builder, args[0]).data
        offset = target.cast(builder, args[1], signature.args[1], types.intp)
        vector = ir.VectorType(ir.IntType(8), 64)
        pointer = builder.bitcast(builder.gep(data, [offset]), vector.as_pointer())
        bytes_64 = builder.load(pointer, align=1)
        is_set = builder.icmp_unsigned("!=", bytes_64, ir.Constant(vector, None))
        return builder.bitcast(is_set, ir.IntType(64))

    return types.uint64(flags, index), generate


@intrinsic
def trailing_zeros(context: Any, x: Any) -> Any:
    """Return the index of the lowest set bit of a uint64 (64 for 0)."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generate


@intrinsic
def count_ones(context: Any, x: Any) -> Any:
    """Return the number of set bits of a uint64."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), generate


@intrinsic
def add_run(context: Any, acc: Any, at: Any, weights: Any, first: Any, n: Any) -> Any:
    """Add ``weights[first:first + n]`` to ``acc[at:at + n]`` (int16 to int16 or int32).

    Explicit vectors of 32, then 8, then single elements: for runs of a hundred elements the
    overlap test before a compiled loop costs as much as the loop.
    """
    bits = acc.dtype.bitwidth

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = ir.IntType(64)
        out = target.make_array(signature.args[0])(target, builder, args[0]).data
        row = target.make_array(signature.args[2])(target, builder, args[2]).data
        out, row = builder.gep(out, [args[1]]), builder.gep(row, [args[3]])
        place = cgutils.alloca_once_value(builder, ir.Constant(word, 0))
        for lanes in (32, 8, 1):
            short: Any = ir.IntType(16)
            wide: Any = ir.IntType(bits)
            if lanes > 1:
                short, wide = ir.VectorType(short, lanes), ir.VectorType(wide, lanes)
            head = builder.append_basic_block("run.head")
            body = builder.append_basic_block("run.body")
            done = builder.append_basic_block("run.done")
            builder.branch(head)
            builder.position_at_end(head)
            start = builder.load(place)
            stop = builder.add(start, ir.Constant(word, lanes))
            builder.cbranch(builder.icmp_unsigned("<=", stop, args[4]), body, done)
            builder.position_at_end(body)
            source = builder.bitcast(builder.gep(row, [start]), short.as_pointer())
            sink = builder.bitcast(builder.gep(out, [start]), wide.as_pointer())
            value = builder.load(source, align=2)
            value = builder.sext(value, wide) if bits > 16 else value
            total = builder.add(builder.load(sink, align=bits // 8), value)
            builder.store(total, sink, align=bits // 8)
            builder.store(stop, place)
            builder.branch(head)
            builder.position_at_end(done)
        return target.get_dummy_value()

    form = types.void(acc, types.uint64, weights, types.uint64, types.uint64)
    return form, generate


def _add_rows(context: Any, columns: int, weights: Any, events: Any, acc: Any) -> Any:
    """Return what ``add_rows_*`` generates for so many columns."""

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        arrays = (0, 2, 5)
        data = [target.make_array(signature.args[k])(target, builder, args[k]).data for k in arrays]
        rows, chosen, out = (
            builder.gep(pointer, [args[k + 1]]) for pointer, k in zip(data, arrays, strict=True)
        )
        word = ir.IntType(64)
        short, middle, wide = (ir.VectorType(ir.IntType(bits), 64) for bits in (8, 16, 32))
        parts = range(0, columns, 64)
        sums = [cgutils.alloca_once_value(builder, ir.Constant(middle, None)) for _ in parts]
        for part in sums:
            builder.store(ir.Constant(middle, None), part)
        with cgutils.for_range(builder, builder.sub(args[4], args[3]), intp=word) as loop:
            event = builder.zext(builder.load(builder.gep(chosen, [loop.index])), word)
            row = builder.gep(rows, [builder.mul(event, ir.Constant(word, columns))])
            for part, at in zip(sums, parts, strict=True):
                place = builder.bitcast(builder.gep(row, [word(at)]), short.as_pointer())
                value = builder.sext(builder.load(place, align=1), middle)
                builder.store(builder.add(builder.load(part), value), part)
        for part, at in zip(sums, parts, strict=True):
            sink = builder.bitcast(builder.gep(out, [word(at)]), wide.as_pointer())
            total = builder.add(builder.load(sink, align=4), builder.sext(builder.load(part), wide))
            builder.store(total, sink, align=4)
        return target.get_dummy_value()

    form = types.void(weights, types.int64, events, types.int64, types.int64, acc, types.int64)
    return form, generate


@intrinsic
def add_rows_128(
    context: Any, weights: Any, at: Any, events: Any, first: Any, end: Any, acc: Any, acc_at: Any
) -> Any:
    """Add rows ``events[first:end]`` of 128 int8 weights to ``acc[acc_at : acc_at + 128]``.

    Rows follow each other from ``weights[at]`` on. The sums stay in vector registers, as int16:
    the caller limits the number of events.
    """
    return _add_rows(context, 128, weights, events, acc)


@intrinsic
def add_rows_64(
    context: Any, weights: Any, at: Any, events: Any, first: Any, end: Any, acc: Any, acc_at: Any
) -> Any:
    """Add rows of 64 weights as ``add_rows_128`` does."""
    return _add_rows(context, 64, weights, events, acc)
