"""Kernels called by address: a network compiles the forms that it uses, each once.

``run_steps`` would otherwise compile every form of delivery and update into itself, for every
width of accumulator. Instead it reads addresses from a table with one slot per form (``CALL_*`` in
``fields.py``); a slot that a network does not use is 0. Every form has one signature, against which
both sides are compiled, so a call with other types is refused by the compiler.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import Signature
from numba.extending import intrinsic
from numpy.typing import NDArray

from nmhw.sim.kernels import cells, float_rows, neurons, saturating, synapses
from nmhw.sim.kernels import fields as f
from nmhw.sim.kernels.lanes import lanes_kernel
from nmhw.sim.kernels.probes import store_probes

LONG = types.int64


def _array(dtype: Any, ndim: int = 1) -> Any:
    return types.Array(dtype, ndim, "C")


BYTES, I16, I32, I64, F32, U32, U64 = (
    _array(t)
    for t in (
        types.uint8, types.int16, types.int32, types.int64, types.float32, types.uint32,
        types.uint64,
    )
)  # fmt: skip
I8, TABLE = _array(types.int8), _array(types.int64, 2)
I32_ROWS, I64_ROWS, F32_ROWS = (_array(t, 2) for t in (types.int32, types.int64, types.float32))


def _update_int(acc: Any) -> Signature:
    return types.int32(I64, TABLE, acc, I32, I32, I32_ROWS, BYTES, I32)


def _update_float(acc: Any) -> Signature:
    return types.int32(I64, TABLE, acc, F32, F32, F32_ROWS, BYTES, I32)


def _update_lanes(acc: Any) -> Signature:
    head = (I64, TABLE, acc, I32, I32, I32_ROWS, I32, I32, BYTES, I32, U32, LONG)
    return types.UniTuple(LONG, 2)(*head)


def _update_wide(params: Any, state: Any) -> Signature:
    head = (I64, params, I64, state, state, I32, I32, TABLE, I32, U32)
    return types.UniTuple(LONG, 2)(*head, LONG)


def _fold(acc: Any, out: Any) -> Signature:
    return types.none(acc, LONG, LONG, LONG, LONG, LONG, out, LONG)


def _conv(acc: Any) -> Signature:
    return types.none(I32, LONG, I32, LONG, I16, LONG, U32, LONG, LONG, acc, LONG)


UPDATE_WIDE = _update_wide(I64_ROWS, I64)
UPDATE_WIDE_FLOAT = _update_wide(F32_ROWS, F32)
PROBES = types.none(TABLE, LONG, LONG, TABLE, I32, I32, I64, I64, F32, F32, U32, I64, F32)
POOL = LONG(I64, U32, LONG, LONG, U32, LONG, LONG, U32)
DENSE8 = types.none(I8, LONG, LONG, LONG, LONG, U32, LONG, LONG, I16, I32, LONG)
DENSE16 = types.none(I16, LONG, LONG, LONG, U32, LONG, LONG, I32, LONG)
IN_ORDER = types.none(
    U32, I32, U32, LONG, LONG, LONG, U32, LONG, LONG, I64, LONG, I64, LONG, LONG, LONG
)
SPARSE = types.none(U32, I32, U32, LONG, LONG, LONG, U32, LONG, LONG, I32, LONG)
SPARSE_PACKED = types.none(U32, U32, LONG, LONG, LONG, U32, LONG, LONG, I32, LONG)
SPARSE_WIDE = types.none(U64, U32, U32, LONG, LONG, U32, LONG, LONG, I32, LONG, LONG)


def _caller(form: Signature) -> Any:
    """Return a function for kernels: ``call(address, *arguments of the form)``."""

    def call(typing_context: Any, address: Any, *arguments: Any) -> Any:
        for given, wanted in zip(arguments, form.args, strict=True):
            if isinstance(wanted, types.Array) and given != wanted:
                raise TypingError(f"a kernel called by address wants {wanted}, not {given}")

        def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
            convention = target.call_conv
            kind = convention.get_function_type(form.return_type, form.args)
            pointer = builder.inttoptr(values[0], kind.as_pointer())
            status, result = convention.call_function(
                builder, pointer, form.return_type, form.args, values[1:]
            )
            with cgutils.if_unlikely(builder, status.is_error):
                convention.return_status_propagate(builder, status)
            return result

        return form.return_type(types.int64, *form.args), generate

    names = ("typing_context", "address", *(f"a{k}" for k in range(len(form.args))))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind) for name in names]
    )
    return intrinsic(call)


call_update16, call_update32 = _caller(_update_int(I16)), _caller(_update_int(I32))
call_float16, call_float32 = _caller(_update_float(I16)), _caller(_update_float(I32))
call_lanes16, call_lanes32 = _caller(_update_lanes(I16)), _caller(_update_lanes(I32))
call_general, call_float = _caller(UPDATE_WIDE), _caller(UPDATE_WIDE_FLOAT)
call_fold16, call_fold32 = _caller(_fold(I16, I64)), _caller(_fold(I32, I64))
call_fold16_narrow, call_fold32_narrow = _caller(_fold(I16, I32)), _caller(_fold(I32, I32))
call_probes, call_pool = _caller(PROBES), _caller(POOL)
call_dense8, call_dense16 = _caller(DENSE8), _caller(DENSE16)
call_sparse_wide, call_in_order = _caller(SPARSE_WIDE), _caller(IN_ORDER)
call_sparse_packed, call_sparse32 = _caller(SPARSE_PACKED), _caller(SPARSE)
call_conv16, call_conv32 = _caller(_conv(I16)), _caller(_conv(I32))


def _forms() -> dict[int, tuple[Any, Signature]]:
    """Return kernel and signature of every slot."""
    forms = {
        f.CALL_UPDATE + 2 * f.UPDATE_GENERAL: (cells.update_general, UPDATE_WIDE),
        f.CALL_UPDATE + 2 * f.UPDATE_SATURATING: (saturating.update_saturating, UPDATE_WIDE),
        f.CALL_UPDATE + 2 * f.UPDATE_FLOAT: (cells.update_float, UPDATE_WIDE_FLOAT),
        f.CALL_PROBES: (store_probes, PROBES),
        f.CALL_POOL: (synapses.pool_events, POOL),
        f.CALL_DELIVER + f.KIND_DENSE8: (synapses.add_dense8, DENSE8),
        f.CALL_DELIVER + f.KIND_DENSE_TILES: (synapses.add_dense_tiles, DENSE8),
        f.CALL_DELIVER + f.KIND_DENSE16: (synapses.add_dense16, DENSE16),
        f.CALL_DELIVER + f.KIND_SPARSE_WIDE: (synapses.add_sparse_wide, SPARSE_WIDE),
        f.CALL_DELIVER + f.KIND_SPARSE_PACKED: (synapses.add_sparse_packed, SPARSE_PACKED),
        f.CALL_DELIVER + f.KIND_SPARSE32: (synapses.add_sparse, SPARSE),
        f.CALL_DELIVER + f.KIND_CONV16: (synapses.add_conv, _conv(I16)),
        f.CALL_DELIVER + f.KIND_CONV32: (synapses.add_conv, _conv(I32)),
        f.CALL_DELIVER + f.KIND_IN_ORDER: (saturating.add_in_order, IN_ORDER),
    }
    fast = {
        f.UPDATE_UNIFORM: neurons.update_uniform,
        f.UPDATE_UNIFORM_CLAMP: neurons.update_uniform_clamp,
        f.UPDATE_ARRAYS: neurons.update_arrays,
        f.UPDATE_CURRENT: neurons.update_current,
    }
    for is_16, acc in enumerate((I32, I16)):
        for code, update in fast.items():
            forms[f.CALL_UPDATE + 2 * code + is_16] = (update, _update_int(acc))
        slot = f.CALL_UPDATE + 2 * f.UPDATE_FLOAT_ROWS + is_16
        forms[slot] = (float_rows.update_float_rows, _update_float(acc))
        forms[f.CALL_FOLD + is_16] = (synapses.fold, _fold(acc, I64))
        forms[f.CALL_FOLD_NARROW + is_16] = (synapses.fold, _fold(acc, I32))
    return forms


_FORMS = _forms()
_ADDRESSES: dict[int, int] = {}


def address(slot: int) -> int:
    """Return the address of a form, compiled or read from the cache on first use."""
    if slot not in _ADDRESSES:
        if slot >= f.CALL_LANES:
            variant, is_16 = divmod(slot - f.CALL_LANES, 2)
            kernel, form = lanes_kernel(variant), _update_lanes(I16 if is_16 else I32)
        else:
            kernel, form = _FORMS[slot]
        kernel.compile(form)
        compiled = kernel.overloads[form.args]
        name = compiled.fndesc.llvm_func_name
        found = compiled.library.get_pointer_to_function(name)
        if not found:
            raise RuntimeError(f"compiled kernel without an address: {name}")
        _ADDRESSES[slot] = found
    return _ADDRESSES[slot]


def link(slots: Iterable[int]) -> NDArray[np.int64]:
    """Return the table of addresses with these slots filled."""
    table = np.zeros(f.CALL_SLOTS, np.int64)
    for slot in set(slots):
        table[slot] = address(slot)
    return table


def needed_slots(
    pops: NDArray[np.int64],
    ports: NDArray[np.int64],
    projections: NDArray[np.int64],
    probes: NDArray[np.int64],
) -> set[int]:
    """Return the slots that a run with these tables calls."""
    slots = {f.CALL_DELIVER + int(kind) for kind in projections[:, f.J_KIND]}
    if (projections[:, f.J_POOL] >= 0).any():
        slots.add(f.CALL_POOL)
    if len(probes):
        slots.add(f.CALL_PROBES)
    for pop in pops:
        kind, first, end = (int(pop[k]) for k in (f.P_UPDATE, f.P_FIRST_PORT, f.P_END_PORT))
        widths = [int(is_16) for is_16 in ports[first:end, f.A_IS16]]
        if kind >= f.UPDATE_GENERAL:
            slots.add(f.CALL_UPDATE + 2 * kind)
            if kind != f.UPDATE_SATURATING:
                slots.update(f.CALL_FOLD + is_16 for is_16 in widths)
            continue
        first_slot = f.CALL_UPDATE + 2 * kind
        if kind == f.UPDATE_LANES:
            first_slot = f.CALL_LANES + 2 * int(pop[f.P_VARIANT])
        slots.add(first_slot + widths[0])
        slots.update(f.CALL_FOLD_NARROW + is_16 for is_16 in widths[1:])
    return slots
