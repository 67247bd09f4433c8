"""Operations of the layers that stay on the host: multiply-accumulates, additions, elements."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from nmhw.torch.tracing import Call, Trace
from nmhw.values.trace import HostOperation

_MATRIX = frozenset({"matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "mv", "dot"})
_ATTENTION = "scaled_dot_product_attention"


def count_call(row: HostOperation, call: Call, trace: Trace) -> HostOperation:
    """Return the row with the operations of one more call."""
    given = [trace.values[k] for k in call.inputs]
    made = trace.values[call.outputs[0]]
    row = replace(row, n_calls=row.n_calls + 1)
    products = _products(call, given, made)
    if not products:
        return replace(row, elements=row.elements + made.numel())
    for macs, effective, is_addition in products:
        row = replace(
            row, macs=row.macs + macs,
            accumulates=row.accumulates + effective * is_addition,
            effective_macs=row.effective_macs + effective * (not is_addition),
        )  # fmt: skip
    if call.function == _ATTENTION:  # its softmax
        row = replace(row, elements=row.elements + products[0][0] // max(1, given[0].shape[-1]))
    return row


def _products(
    call: Call, given: list[torch.Tensor], made: torch.Tensor
) -> list[tuple[int, int, bool]]:
    """Return (dense, effective, whether they are additions) of every matrix product in a call."""
    module: Any = call.module
    if isinstance(module, nn.Linear) or call.function == "linear":
        weight = module.weight if module is not None else call.arguments[1]
        return [_matrix(given[0].reshape(-1, given[0].shape[-1]), weight.T)]
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        macs = made.numel() * math.prod(module.weight.shape[1:])
        return [(macs, _conv(module, given[0]), _is_binary(given[0]))]
    if call.function in _MATRIX and len(given) >= 2:
        return [_matrix(given[0], given[1])]
    if call.function == _ATTENTION:
        query, key, value = given[:3]
        scores = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), -1)
        return [_matrix(query, key.transpose(-2, -1)), _matrix(scores, value)]
    if call.function == "einsum" and len(given) == 2 and isinstance(call.arguments[0], str):
        return [_einsum(call.arguments[0], given[0], given[1])]
    if call.function == "multi_head_attention_forward":
        query, key = given[0], given[1]
        width, n = query.shape[-1], query.numel()
        projected = 2 * n * width + 2 * key.numel() * width
        pairs = 2 * n * key.shape[0]  # (steps of the sequence, batch, width)
        return [(projected + pairs, projected + pairs, False)]
    return []


def _matrix(left: torch.Tensor, right: torch.Tensor) -> tuple[int, int, bool]:
    left = left[None, :] if left.ndim == 1 else left
    right = right[:, None] if right.ndim == 1 else right
    used = (left != 0).sum(-2).double() * (right != 0).sum(-1).double()
    batch = math.prod(used.shape[:-1])
    macs = batch * left.shape[-2] * left.shape[-1] * right.shape[-1]
    return macs, int(used.sum()), _is_binary(left) or _is_binary(right)


def _einsum(equation: str, left: torch.Tensor, right: torch.Tensor) -> tuple[int, int, bool]:
    sizes: dict[str, int] = {}
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    for term, tensor in zip(terms, (left, right), strict=True):
        sizes |= dict(zip(term, tensor.shape, strict=False))
    masks = [(t != 0).double() for t in (left, right)]
    effective = int(torch.einsum(f"{terms[0]},{terms[1]}->", *masks))
    return math.prod(sizes.values()), effective, _is_binary(left) or _is_binary(right)


def _conv(module: nn.Conv1d | nn.Conv2d, given: torch.Tensor) -> int:
    """Return the products of a convolution whose operands both differ from 0."""
    used = (module.weight.detach() != 0).double()
    mask = (given != 0).double()
    reached: torch.Tensor = module._conv_forward(mask, used, None)  # type: ignore[arg-type]
    return int(reached.sum())


def _is_binary(tensor: torch.Tensor) -> bool:
    """Whether there is nothing but 0 and 1."""
    return bool(((tensor == 0) | (tensor == 1)).all())
