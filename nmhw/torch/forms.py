"""Values of a traced module as linear forms of spikes, element by element.

Every element of a value carries a label: which source, sample and step it comes from and which
feature of that. Functions that only move elements are applied to the labels themselves, so that
any order of axes of samples, steps, heads and tokens is followed without guessing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nmhw.errors import TorchError
from nmhw.torch.chain import Chain
from nmhw.torch.label_rows import find_rows, row_blocks, row_labels, selection
from nmhw.torch.layers import AXES, PRODUCTS, RESHAPES, SAME, follow, keeps_values
from nmhw.torch.tracing import Call, Trace, tensors_in
from nmhw.values.linear import Conv, Dense, LinearOp, Scale, Shape

JOINS = frozenset({"stack", "cat", "concat", "concatenate", "hstack", "vstack"})
REDUCTIONS = frozenset({"mean", "sum"})
DIFFERENCES = frozenset({"sub", "sub_", "__sub__", "__isub__"})
#: Functions that change neither places nor values.
_STILL = frozenset(
    {"to", "float", "double", "half", "type", "type_as", "cpu", "contiguous", "clone", "detach",
     "alias", "dropout"}
)  # fmt: skip
_MOVES = (SAME | RESHAPES | AXES | JOINS | {"t", "__get__", "flip", "roll", "tile"}) - _STILL


@dataclass(frozen=True, slots=True, eq=False)
class Branch:
    """One chain of linear operations from a source to a value.

    Attributes
    ----------
    labels : int64 tensor in the shape of the value
        ``group * size + feature`` with group = step * samples + sample; -1 where the branch adds
        nothing.
    key : layers and functions passed, alike in every step
    """

    source: str
    shape: Shape
    labels: torch.Tensor
    ops: tuple[LinearOp, ...] = ()
    names: tuple[str, ...] = ()
    key: tuple[Any, ...] = ()

    @property
    def size(self) -> int:
        """Features of one sample and step."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A sum of branches and a constant ``offset`` (None = 0); ``calls`` are the layers passed."""

    branches: tuple[Branch, ...] = ()
    offset: torch.Tensor | None = None
    calls: frozenset[int] = frozenset()


def is_move(call: Call) -> bool:
    """Whether a call only moves elements."""
    if call.module is not None:
        return keeps_values(call)
    return call.function in _MOVES or call.function in _STILL


def apply_again(call: Call, tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return what the call makes of other tensors in the places of its own."""
    if call.module is not None:
        return tensors_in(call.module(tensors[0]))
    waiting = iter(tensors)
    args = [_substitute(value, waiting) for value in call.arguments]
    keywords = {name: _substitute(value, waiting) for name, value in call.keywords.items()}
    return tensors_in(call.target(*args, **keywords))


def _substitute(value: Any, waiting: Iterator[torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return next(waiting)
    if isinstance(value, dict):
        return {k: _substitute(v, waiting) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_substitute(v, waiting) for v in value])
    return value


def moved(call: Call, index: int, forms: Sequence[Form], trace: Trace) -> list[Form]:
    """Return the forms of a moving call's outputs."""
    made = [trace.values[k] for k in call.outputs]
    if call.function in _STILL or isinstance(call.module, nn.Dropout | nn.Identity):
        return [forms[0]] * len(made)
    given = [trace.values[k] for k in call.inputs]
    keys: dict[Any, Branch] = {}
    places: dict[Any, dict[int, torch.Tensor]] = {}
    for k, form in enumerate(forms):
        seen: dict[Any, int] = {}
        for branch in form.branches:
            key = (branch.source, branch.key)
            seen[key] = seen.get(key, 0) + 1
            keys.setdefault((key, seen[key]), branch)
            places.setdefault((key, seen[key]), {})[k] = branch.labels
    outputs: list[list[Branch]] = [[] for _ in made]
    for key, branch in keys.items():
        new = [
            places[key].get(k, _absent(t) if forms[k].branches or call.function in JOINS else t)
            for k, t in enumerate(given)
        ]
        for k, labels in enumerate(apply_again(call, new)):
            if (labels >= 0).any():
                outputs[k].append(replace(branch, labels=labels))
    offsets: list[torch.Tensor | None] = [None] * len(made)
    if any(form.offset is not None for form in forms):
        parts = [_offset(f, t, call.function in JOINS) for f, t in zip(forms, given, strict=True)]
        offsets = list(apply_again(call, parts))
    calls = frozenset().union(*(f.calls for f in forms))
    return [Form(tuple(b), o, calls) for b, o in zip(outputs, offsets, strict=True)]


def _absent(tensor: torch.Tensor) -> torch.Tensor:
    return torch.full(tensor.shape, -1, dtype=torch.int64)


def _offset(form: Form, given: torch.Tensor, is_join: bool) -> torch.Tensor:
    if form.offset is not None:
        return form.offset
    return torch.zeros_like(given) if form.branches or is_join else given


def summed(call: Call, forms: Sequence[Form], trace: Trace) -> Form | None:
    """Return the sum (or difference) of forms of one shape, or None; constants may broadcast."""
    shape = trace.values[call.outputs[0]].shape
    numbers = [a for a in call.arguments if isinstance(a, int | float) and a != 0]
    if call.keywords.get("alpha", 1) != 1 or numbers:
        return None
    offset: torch.Tensor | None = None
    branches: list[Branch] = []
    for k, (number, form) in enumerate(zip(call.inputs, forms, strict=True)):
        if form.branches and trace.values[number].shape != shape:
            return None
        is_taken = call.function in DIFFERENCES and k == 1
        branches += map(_negative, form.branches) if is_taken else form.branches
        if form.offset is not None:
            part = form.offset.expand(shape) * (-1 if is_taken else 1)
            offset = part if offset is None else offset + part
    calls = frozenset().union(*(f.calls for f in forms))
    return Form(tuple(branches), offset, calls)


def _negative(branch: Branch) -> Branch:
    op = Scale(np.full(branch.shape, -1.0))
    return replace(
        branch, ops=(*branch.ops, op), names=(*branch.names, "neg"), key=(*branch.key, "neg")
    )


def transformed(call: Call, index: int, forms: Sequence[Form], trace: Trace) -> Form | None:
    """Return the form behind a linear layer or function, or None where it is no linear form."""
    moving = [k for k, form in enumerate(forms) if form.branches]
    if len(moving) != 1:
        return None
    form, number = forms[moving[0]], call.inputs[moving[0]]
    try:
        branches = tuple(_apply(call, branch, number, moving[0], trace) for branch in form.branches)
    except (TorchError, _NoLinearFormError):
        return None
    given = [trace.values[k] for k in call.inputs]
    zeros = torch.zeros_like(given[moving[0]])
    part = zeros if form.offset is None else form.offset
    tensors = [part if k == moving[0] else t for k, t in enumerate(given)]
    offset: torch.Tensor | None = apply_again(call, tensors)[0]
    if offset is not None and not bool(offset.any()):
        offset = None
    return Form(branches, offset, form.calls | {index})


def fed(form: Form, layer: nn.Linear, given: torch.Tensor, made: torch.Tensor, name: str) -> Form:
    """Return the form behind the linear layer that some neurons hold in front of them."""
    n_in = given.shape[-1]
    branches = tuple(
        _rows_times(b, layer.weight, n_in, made, (*b.key, layer), name) for b in form.branches
    )
    part = torch.zeros_like(given) if form.offset is None else form.offset
    return Form(branches, layer(part).reshape(made.shape), form.calls)


class _NoLinearFormError(Exception):
    """A layer mixes samples, steps or features in a way that no chain of operations has."""


def _apply(call: Call, branch: Branch, number: int, place: int, trace: Trace) -> Branch:
    given, made = trace.values[number], trace.values[call.outputs[0]]
    key = (*branch.key, call.module or call.function)
    name = call.name.replace(": ", ".")
    if isinstance(call.module, nn.Linear):
        return _rows_times(branch, call.module.weight, given.shape[-1], made, key, name)
    if call.function == "linear" and place == 0:
        return _rows_times(branch, call.arguments[1], given.shape[-1], made, key, name)
    if call.function in REDUCTIONS:
        return _reduced(call, branch, given, made, key, name)
    rows = find_rows(branch.labels.reshape(given.shape[0], -1), branch.size)
    is_whole = rows is not None and rows.is_identity(branch.size)
    last = branch.ops[-1] if branch.ops else None
    is_norm = isinstance(call.module, _BatchNorm)
    is_folded = is_norm and is_whole and isinstance(last, Dense | Conv)
    if call.function in (*PRODUCTS, "neg") or (is_norm and not is_folded):
        return _scaled(call, branch, given, place, trace, key, name)
    if rows is None or rows.n_rows != 1:
        raise _NoLinearFormError
    ops, names = list(branch.ops), list(branch.names)
    if not is_whole:
        ops.append(selection(rows.features[0], branch.size))
        names.append(f"{name}_order")
    shape = branch.shape if is_whole else (int(rows.features.shape[1]),)
    chain = Chain(shape, ops, names)
    chain.reshape(tuple(given.shape[1:]), name)
    follow(chain, call, trace)
    labels = row_labels(rows, math.prod(chain.shape)).reshape(made.shape)
    return Branch(branch.source, chain.shape, labels, tuple(chain.ops), tuple(chain.names), key)


def _rows_times(
    branch: Branch, weight: torch.Tensor, n_in: int, made: torch.Tensor, key: Any, name: str
) -> Branch:
    """Return the branch behind a matrix that every row of ``n_in`` elements is multiplied with."""
    rows = find_rows(branch.labels.reshape(-1, n_in), branch.size)
    if rows is None:
        raise _NoLinearFormError
    matrix = weight.detach().cpu().double().numpy()
    width = int(matrix.shape[0])
    shape = (width,) if rows.n_rows == 1 else (rows.n_rows, width)
    labels = row_labels(rows, width).reshape(made.shape)
    ops, names = list(branch.ops), list(branch.names)
    chain = Chain(branch.shape, ops, names)
    if rows.is_identity(branch.size):
        chain.reshape((n_in,), name)
        chain.add(Dense(np.ascontiguousarray(matrix)), name)
    else:
        chain.reshape((branch.size,), name)
        chain.add(row_blocks(rows.features, matrix, branch.size), name)
        chain.reshape(shape, f"{name}_out")
    return Branch(branch.source, shape, labels, tuple(chain.ops), tuple(chain.names), key)


def _scaled(
    call: Call, branch: Branch, given: torch.Tensor, place: int, trace: Trace, key: Any, name: str
) -> Branch:
    """Return the branch behind an elementwise affine function."""
    ones, zeros = torch.ones_like(given), torch.zeros_like(given)
    gains = []
    for probe in (ones, zeros):
        tensors = [probe if k == place else trace.values[n] for k, n in enumerate(call.inputs)]
        gains.append(apply_again(call, tensors)[0].double())
    gain = gains[0] - gains[1]
    if gain.shape != given.shape:
        raise _NoLinearFormError
    flat, factor = branch.labels.reshape(-1).numpy(), gain.reshape(-1).numpy()
    inside = flat >= 0
    scale = np.ones(branch.size)
    scale[flat[inside] % branch.size] = factor[inside]
    if not np.array_equal(scale[flat[inside] % branch.size], factor[inside]):
        raise _NoLinearFormError
    op = Scale(np.ascontiguousarray(scale.reshape(branch.shape)))
    return replace(branch, ops=(*branch.ops, op), names=(*branch.names, name), key=key)


def _reduced(
    call: Call, branch: Branch, given: torch.Tensor, made: torch.Tensor, key: Any, name: str
) -> Branch:
    """Return the branch behind a sum or mean over axes of features."""
    axes = call.keywords.get("dim", call.arguments[1] if len(call.arguments) > 1 else None)
    listed = [axes] if isinstance(axes, int) else axes
    if not isinstance(listed, list | tuple):
        raise _NoLinearFormError
    dims = sorted(int(d) % given.ndim for d in listed)
    kept = [d for d in range(given.ndim) if d not in dims]
    n_in = math.prod(given.shape[d] for d in dims)
    value = 1.0 if call.function == "sum" else 1.0 / n_in
    turned = replace(branch, labels=branch.labels.permute(*kept, *dims).reshape(-1, n_in))
    weight = torch.full((1, n_in), value, dtype=torch.float64)
    return _rows_times(turned, weight, n_in, made, key, name)
