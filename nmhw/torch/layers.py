"""Layers between neurons as linear operations: weights, pools, folded normalization."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nmhw.errors import TorchError
from nmhw.torch.chain import Chain
from nmhw.torch.functions import pool_of, weights_of
from nmhw.torch.tracing import Call, Trace
from nmhw.values.linear import Conv, Dense, Pool, Scale, Shape

Floats = NDArray[np.float64]

#: Functions that leave values and their order as they are, apart from axes of samples and steps.
SAME = frozenset(
    {"__getitem__", "select", "unbind", "contiguous", "clone", "detach", "to", "float", "double",
     "type", "cpu", "dropout", "dropout1d", "dropout2d", "feature_dropout", "alpha_dropout",
     "stack", "alias", "expand", "repeat", "narrow", "split", "chunk"}
)  # fmt: skip
RESHAPES = frozenset({"flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel"})
AXES = frozenset({"permute", "transpose", "movedim", "swapaxes", "swapdims", "moveaxis"})
SUMS = frozenset({"add", "add_", "__add__", "__radd__", "__iadd__"})
PRODUCTS = frozenset({"mul", "mul_", "__mul__", "__rmul__", "__imul__", "div", "__truediv__"})

#: A tensor joined with others: (offset, size of the whole, number of axes from there on).
PLACE = "place"

_WEIGHTS = (nn.Linear, nn.Conv1d, nn.Conv2d)
_DROPPED = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.Identity)
_SHAPES = (nn.Flatten, nn.Unflatten)
_POOLS = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.LPPool2d)


def is_layer(module: nn.Module) -> bool:
    """Whether a stateless module is taken as one layer, not looked into."""
    in_torch = type(module).__module__.startswith("torch.nn.modules")
    has_no_parts = not any(True for _ in module.children())
    known = (*_WEIGHTS, *_DROPPED, *_SHAPES, *_POOLS, nn.MaxPool2d, _BatchNorm)
    return isinstance(module, known) or (in_torch and has_no_parts)


def has_weights(call: Call, trace: Trace) -> bool:
    """Whether a call takes all channels of its input, or adds to all of them."""
    is_linear = isinstance(call.module, _WEIGHTS) or call.function in SUMS
    return is_linear or (call.module is None and weights_of(call, trace) is not None)


def keeps_values(call: Call) -> bool:
    """Whether a call changes shapes alone."""
    is_shape = isinstance(call.module, (*_DROPPED, *_SHAPES))
    return is_shape or call.function in SAME or call.function in RESHAPES


def is_max_pool(call: Call) -> bool:
    """Whether a call is a max-pool in two dimensions."""
    return isinstance(call.module, nn.MaxPool2d) or call.function.startswith("max_pool2d")


def follow(chain: Chain, call: Call, trace: Trace, *, is_biased: bool = True) -> None:
    """Extend a chain by what one call does.

    Parameters
    ----------
    is_biased : whether the chain carries the biases of the call; one of those through it does

    Raises
    ------
    TorchError
        For a layer or function that is no linear operation, named.
    """
    given = trace.values[call.inputs[0]]
    module = call.module
    if module is None:
        _function(chain, call, trace, is_biased)
    elif isinstance(module, _WEIGHTS):
        _weights(chain, module, given, call.name, is_biased)
    elif isinstance(module, _BatchNorm):
        _normalization(chain, module, call.name, is_biased)
    elif isinstance(module, _POOLS):
        _pool(chain, module, given, call.name)
    elif isinstance(module, _DROPPED):
        if not isinstance(module, nn.Identity):
            chain.note("torch.dropout", call.name, "Dropout does nothing in a trained network")
    elif not isinstance(module, _SHAPES):
        refuse_layer(call)


def refuse_layer(call: Call) -> None:
    """Raise the error for a layer or function that has no place in a network."""
    what = call.function or type(call.module).__name__
    name = what.lower()
    hint = "a Linear, Conv, AvgPool2d, BatchNorm or Flatten layer, or neurons of nmhw.torch"
    if "relu" in name or name in ("sigmoid", "tanh", "gelu", "silu", "softmax", "hardtanh"):
        hint = "neurons in its place (nmhw.torch.LIF); softmax and losses stay outside the module"
    elif "norm" in name:
        hint = "BatchNorm, which folds into the weights of a trained network"
    elif "pool" in name:
        hint = "nn.AvgPool2d, or a convolution with a stride (both change the accuracy: train)"
    elif name in ("cat", "concat", "concatenate"):
        hint = "add the branches, or one layer over the inputs of both"
    raise TorchError(
        "this is no linear operation between neurons", got=what, where=call.name, hint=hint,
        rule="torch.layer",
    )  # fmt: skip


def _array(tensor: torch.Tensor | None) -> Floats | None:
    return None if tensor is None else tensor.detach().cpu().double().numpy()


def _weights(
    chain: Chain, module: nn.Linear | nn.Conv1d | nn.Conv2d, given: torch.Tensor, name: str,
    is_biased: bool,
) -> None:  # fmt: skip
    weight, bias = _array(module.weight), _array(module.bias) if is_biased else None
    assert weight is not None
    if isinstance(module, nn.Linear):
        chain.reshape((module.in_features,), name)
        chain.add(Dense(np.ascontiguousarray(weight[:, chain.take_part()])), name, bias)
        return
    n_axes = 2 if isinstance(module, nn.Conv2d) else 1
    chain.reshape(tuple(given.shape[-1 - n_axes :]), name)
    if module.padding_mode != "zeros":
        raise TorchError(
            "a border that is not zero", got=module.padding_mode, where=name,
            hint='padding_mode="zeros"', rule="torch.padding",
        )  # fmt: skip
    if module.groups > 1:
        chain.embed(name)
    weight = weight[:, chain.take_part()]
    pads = _pads(module)
    stride, dilation = (tuple(int(n) for n in v) for v in (module.stride, module.dilation))
    shape = chain.shape
    if n_axes == 1:
        weight, stride, dilation = weight[:, :, None, :], (1, *stride), (1, *dilation)
        pads, shape = (0, 0, *pads), (shape[0], 1, shape[1])
    op = Conv(
        np.ascontiguousarray(weight), (shape[0], shape[1], shape[2]), (stride[0], stride[1]),
        (pads[0], pads[1], pads[2], pads[3]), (dilation[0], dilation[1]), module.groups,
        n_axes == 1,
    )  # fmt: skip
    spread = None
    if bias is not None:
        full = bias.reshape(-1, *(1,) * (len(op.output_shape) - 1))
        spread = np.ascontiguousarray(np.broadcast_to(full, op.output_shape))
    chain.add(op, name, spread)


def _pads(module: nn.Conv1d | nn.Conv2d) -> tuple[int, ...]:
    """Return padding before and behind every spatial axis; the odd one of 'same' goes behind."""
    if isinstance(module.padding, str):
        if module.padding == "valid":
            return (0, 0) * len(module.kernel_size)
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return tuple(p for t in totals for p in (t // 2, t - t // 2))
    return tuple(int(p) for pad in module.padding for p in (pad, pad))


def _normalization(chain: Chain, module: _BatchNorm, name: str, is_biased: bool) -> None:
    if type(module).__name__ in ("BatchNormThroughTime2d", "BatchNormThroughTime1d") or hasattr(
        module, "bn_list"
    ):
        refuse_step_norm(name)
    mean, variance = _array(module.running_mean), _array(module.running_var)
    if mean is None or variance is None:
        raise TorchError(
            "this BatchNorm keeps no running statistics, so it normalizes by the batch it sees",
            where=name, hint="track_running_stats=True", rule="torch.batch-norm",
        )  # fmt: skip
    gain = 1.0 / np.sqrt(variance + module.eps)
    weight, bias = _array(module.weight), _array(module.bias)
    gain = gain if weight is None else gain * weight
    shift = -mean * gain if bias is None else bias - mean * gain
    if chain.part is not None:
        own = slice(chain.part[0], chain.part[0] + chain.shape[0])
        gain, shift = gain[own], shift[own]
    if not is_biased:
        shift = np.zeros_like(shift)
    spread = (-1, *(1,) * (len(chain.shape) - 1))
    drive = np.ascontiguousarray(np.broadcast_to(shift.reshape(spread), chain.shape))
    last = chain.ops[-1] if chain.ops else None
    if isinstance(last, Dense | Conv):
        factor = gain.reshape(-1, *(1,) * (last.weight.ndim - 1))
        chain.ops[-1] = replace(last, weight=last.weight * factor)
        kept = None if chain.bias is None else chain.bias * gain.reshape(spread)
        chain.bias = drive if kept is None else kept + drive
        text = f"BatchNorm is folded into {chain.names[-1]} with its running statistics"
    else:
        scale = np.ascontiguousarray(np.broadcast_to(gain.reshape(spread), chain.shape))
        chain.add(Scale(scale), name, drive)
        text = "BatchNorm, without weights in front of it, is a scale and a bias"
    chain.note("torch.batch-norm", name, text)


def refuse_step_norm(name: str) -> None:
    """Raise the error for a normalization with other statistics in every step."""
    raise TorchError(
        "BatchNorm per step has other weights in every step, which no chip has", where=name,
        hint="one BatchNorm over samples and steps (tdBN), as nmhw.torch.Sequential applies it",
        rule="torch.batch-norm-per-step",
    )  # fmt: skip


def _pair(value: Any) -> tuple[int, int]:
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    return int(values[0]), int(values[1])


def _pool(chain: Chain, module: Any, given: torch.Tensor, name: str) -> None:
    chain.reshape(tuple(given.shape[-3:]), name)
    channels, height, width = chain.shape
    kind, padding = "avg", (0, 0)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        out = [n or s for n, s in zip(_pair(module.output_size), (height, width), strict=True)]
        if height % out[0] or width % out[1]:
            _refuse_window(name, "an adaptive pool whose windows differ in size")
        kernel = stride = (height // out[0], width // out[1])
    else:
        kernel = _pair(module.kernel_size)
        stride = _pair(module.stride or module.kernel_size)
        if getattr(module, "ceil_mode", False):
            _refuse_window(name, "ceil_mode=True")
        if isinstance(module, nn.AvgPool2d):
            padding = _pair(module.padding)
            if module.divisor_override or (any(padding) and not module.count_include_pad):
                _refuse_window(name, "an average over fewer elements at the border")
        elif module.norm_type == 1:
            kind = "sum"
        else:
            _refuse_window(name, f"a norm of power {module.norm_type}")
    chain.add(
        Pool("sum" if kind == "sum" else "avg", (channels, height, width), kernel, stride, padding),
        name,
    )


def _refuse_window(name: str, got: str) -> None:
    raise TorchError(
        "NIR has no such pool", got=got, where=name,
        hint="kernel and stride that divide the map, padding 0", rule="torch.pool",
    )  # fmt: skip


def max_pool_window(call: Call, shape: Shape) -> Conv | Pool:
    """Return the depthwise sum over a max-pool's windows.

    Raises
    ------
    TorchError
        For indices, or windows over a border that floor division leaves out.
    """
    source: Any = call.module
    if source is None:
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        options = dict(zip(names, call.arguments[1:], strict=False)) | call.keywords
        source = nn.MaxPool2d(options.pop("kernel_size"), **options)
    if source.ceil_mode or source.return_indices:
        _refuse_window(call.name, "ceil_mode=True" if source.ceil_mode else "return_indices=True")
    kernel, padding = _pair(source.kernel_size), _pair(source.padding)
    stride = _pair(source.stride or source.kernel_size)
    dilation, in_shape = _pair(source.dilation), (shape[0], shape[1], shape[2])
    if dilation == (1, 1):
        return Pool("sum", in_shape, kernel, stride, padding)
    ones = np.ones((shape[0], 1, *kernel))
    borders = (padding[0], padding[0], padding[1], padding[1])
    return Conv(ones, in_shape, stride, borders, dilation, shape[0])


def _function(chain: Chain, call: Call, trace: Trace, is_biased: bool) -> None:
    name = call.function
    given = trace.values[call.inputs[0]]
    weights, pool = weights_of(call, trace), pool_of(call, given.ndim)
    if name in SAME or name in RESHAPES:
        return
    if name == PLACE:
        offset, size, rank = call.arguments
        chain.place(offset, size, rank, call.name)
    elif name in AXES:
        _check_axes(chain, call, trace)
    elif weights is not None:
        _weights(chain, weights, given, call.function, is_biased)
    elif pool is not None:
        _pool(chain, pool, given, call.function)
    elif name in PRODUCTS:
        chain.embed(name)
        chain.add(Scale(_constant(chain, call, trace, name in ("div", "__truediv__"))), name)
    elif name in SUMS:
        chain.embed(name)
        chain.drive(_constant(chain, call, trace))
    else:
        refuse_layer(call)


def _constant(chain: Chain, call: Call, trace: Trace, divides: bool = False) -> Floats:
    """Return the numbers and parameters that a sum or product takes, as one map of features."""
    if divides and not (
        isinstance(call.arguments[0], torch.Tensor) and call.inputs[0] in trace.driven
    ):
        refuse_layer(call)
    total: Floats = np.zeros(chain.shape) if call.function in SUMS else np.ones(chain.shape)
    for factor in _constants(call, trace):
        values = np.asarray(factor)
        while values.ndim > len(chain.shape) and values.shape[0] == 1:
            values = values[0]
        try:
            spread = np.broadcast_to(values, chain.shape).astype(np.float64)
        except ValueError:
            raise TorchError(
                "a constant differs between samples or steps", got=values.shape,
                limit=chain.shape, where=call.name, hint="one value per feature or channel",
                rule="torch.constant",
            ) from None  # fmt: skip
        total = total + spread if call.function in SUMS else total * spread
    return 1.0 / total if divides else total


def _constants(call: Call, trace: Trace) -> list[Any]:
    """Return the arguments of a sum or product that the input does not reach."""
    numbers: list[Any] = [a for a in call.arguments if isinstance(a, int | float)]
    return numbers + [_array(trace.values[v]) for v in call.inputs if v not in trace.driven]


def _check_axes(chain: Chain, call: Call, trace: Trace) -> None:
    """Refuse to move axes of the features; those of samples and steps may change places."""
    given, made = trace.values[call.inputs[0]], trace.values[call.outputs[0]]
    rank = len(chain.shape)
    size = math.prod(chain.shape)
    features = given.shape[given.ndim - rank :]
    is_kept = made.shape[made.ndim - rank :] == features and math.prod(features) == size
    if not is_kept or made.stride()[made.ndim - rank :] != given.stride()[given.ndim - rank :]:
        raise TorchError(
            "axes of the features change places", got=f"{tuple(given.shape)} to "
            f"{tuple(made.shape)}", where=call.name, hint="only samples and steps may be swapped",
            rule="torch.axes",
        )  # fmt: skip
