"""Functional layers, ``functional.conv2d(x, weight)`` and the like, as modules."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nmhw.torch.tracing import Call, Trace

_CONVS: dict[str, Any] = {"conv1d": nn.Conv1d, "conv2d": nn.Conv2d}
_CONV_NAMES = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_POOL_NAMES = (
    "input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad",
    "divisor_override",
)  # fmt: skip
_PRODUCTS = ("matmul", "__matmul__", "mm")


def _named(call: Call, names: tuple[str, ...]) -> dict[str, Any]:
    given = dict(zip(names, call.arguments, strict=False)) | call.keywords
    return {k: v for k, v in given.items() if k != "input"}


def weights_of(call: Call, trace: Trace) -> nn.Linear | nn.Conv1d | nn.Conv2d | None:
    """Return a functional linear layer or convolution as a module; None for other functions."""
    if call.function == "linear":
        given = _named(call, ("input", "weight", "bias"))
        return linear_of(given["weight"], given.get("bias"))
    if call.function in _PRODUCTS and len(call.inputs) == 2 and call.inputs[0] in trace.driven:
        left, right = (trace.values[v] for v in call.inputs)
        # x @ w with a matrix of (in, out); a vector or a batch of matrices is something else
        return linear_of(right.t(), None) if right.ndim == 2 and left.ndim >= 2 else None
    if call.function not in _CONVS:
        return None
    given = _named(call, _CONV_NAMES)
    weight, bias = given.pop("weight"), given.pop("bias", None)
    groups = int(given.get("groups", 1))
    made = _CONVS[call.function](
        weight.shape[1] * groups, weight.shape[0], tuple(weight.shape[2:]), bias=bias is not None,
        **given,
    )  # fmt: skip
    _fill(made, weight, bias)
    return made  # type: ignore[no-any-return]


def linear_of(weight: torch.Tensor, bias: torch.Tensor | None = None) -> nn.Linear:
    """Return a linear layer with the weights given, (out, in)."""
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    _fill(made, weight, bias)
    return made


def _fill(made: Any, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    made.weight = nn.Parameter(weight.detach(), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach(), requires_grad=False)


def pool_of(call: Call, n_axes: int) -> nn.Module | None:
    """Return a functional average pool, or a mean over the map, as a module; None for others.

    Parameters
    ----------
    n_axes : axes of the tensor that the function takes
    """
    if call.function.startswith("avg_pool2d"):
        return nn.AvgPool2d(**_named(call, _POOL_NAMES))
    if call.function.startswith("adaptive_avg_pool2d"):
        return nn.AdaptiveAvgPool2d(**_named(call, ("input", "output_size")))
    if call.function == "mean":
        dims = _named(call, ("input", "dim")).get("dim")
        maps = {n_axes - 2, n_axes - 1}
        if isinstance(dims, tuple | list) and {d % n_axes for d in dims} == maps:
            return nn.AdaptiveAvgPool2d(1)
    return None


def rank_of(call: Call) -> int:
    """Return how many axes of a function's input belong to one sample; 0 = it does not say."""
    ranks = {"conv1d": 2, "conv2d": 3, "mean": 3}
    return 3 if "pool2d" in call.function else ranks.get(call.function, 0)
