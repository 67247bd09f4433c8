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
            stripped = [strip(target, builder, k, p) for k, p in zip(kind, parts, strict=True)]
            return target.make_tuple(builder, kind, stripped)
        array = target.make_array(kind)(target, builder, item)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        array.parent = cgutils.get_null_value(array.parent.type)
        return array._getvalue()

    def generate(target: Any, builder: Any, signature: Any, args: Any) -> Any:
        return strip(target, builder, signature.args[0], args[0])

    return value(value), generate
