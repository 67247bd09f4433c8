"""One NIR node and the shape that arrives at it -> the linear operations and the bias it means.

The rules for convolution and pooling are PyTorch's (cross-correlation, floor, zero padding).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import NirError
from nmhw.io.nir_nodes import RawNode, place
from nmhw.values.linear import Conv, Delay, Dense, LinearOp, Pool, Reshape, Scale, Shape, Sparse
from nmhw.values.notice import Notice

MAX_ELEMENTS = 1 << 25

Floats = NDArray[np.float64]
Where = Callable[[str], str]


def build_ops(node: RawNode, shape: Shape, file: str, name: str) -> tuple[LinearOp, ...]:
    """Return the operations of a linear node for data of shape ``shape``.

    Raises
    ------
    NirError
        ``nir.shape-mismatch``, ``nir.conv-*``, ``nir.window``, ``nir.too-large``.
    """

    def where(field: str) -> str:
        return place(file, name, field)

    builders: Mapping[str, Callable[[RawNode, Shape, Where], tuple[LinearOp, ...]]] = {
        "Linear": _linear,
        "Affine": _linear,
        "Conv1d": _conv,
        "Conv2d": _conv,
        "SumPool2d": _pool,
        "AvgPool2d": _pool,
        "Scale": _scale,
        "Delay": _delay,
    }
    ops = builders[node.type](node, shape, where)
    n_out = math.prod(ops[-1].output_shape)
    check_size(n_out, place(file, name))
    return ops


def check_size(n_elements: int, where: str) -> None:
    """Refuse data too large for memory: ``nir.too-large``."""
    if n_elements > MAX_ELEMENTS:
        raise NirError(
            "the network is too large for memory",
            got=f"{n_elements} elements",
            limit=MAX_ELEMENTS,
            where=where,
            rule="nir.too-large",
        )


def build_bias(node: RawNode, output_shape: Shape, where: str) -> Floats | None:
    """Return the bias in the shape of the node's output, or None where it is zero.

    Raises
    ------
    NirError
        ``nir.bias-length``.
    """
    if "bias" not in node.fields:
        return None
    bias = node.real("bias").astype(np.float64)
    is_conv = node.type.startswith("Conv")
    wanted = output_shape[:1] if is_conv else output_shape
    if bias.shape != wanted:
        raise NirError(
            "the bias does not fit the weights",
            got=f"shape {bias.shape}",
            limit=f"shape {wanted}",
            where=where,
            rule="nir.bias-length",
        )
    if not bias.any():
        return None
    spread = bias.reshape(-1, *(1,) * (len(output_shape) - 1)) if is_conv else bias
    return np.ascontiguousarray(np.broadcast_to(spread, output_shape))


def window_notices(node: RawNode, where: str) -> list[Notice]:
    """Return what was assumed about a convolution: ``nir.same-padding-stride``."""
    if node.fields.get("padding") == "same" and set(node.ints("stride")) != {1}:
        text = "padding 'same' with a stride: padded as for stride 1, then strided"
        return [Notice("nir.same-padding-stride", where, text, kind="assumption")]
    return []


def weight_input_shape(weight_shape: Shape) -> Shape:
    """Return what a Linear or Affine takes: leading axes of the weight are blocks side by side."""
    return (*weight_shape[:-2], weight_shape[-1])


def conv_channels(node: RawNode, where: Where) -> int:
    """Return the number of input channels, groups included.

    Raises
    ------
    NirError
        ``nir.conv-weight``, ``nir.conv-groups``.
    """
    n_spatial = 1 if node.type == "Conv1d" else 2
    weight = node.real("weight")
    if weight.ndim != n_spatial + 2:
        raise NirError(
            f"a {node.type} weight has {n_spatial + 2} axes (out, in / groups, kernel)",
            got=f"shape {weight.shape}",
            where=where("weight"),
            rule="nir.conv-weight",
        )
    groups = node.ints("groups")[0]
    if groups < 1 or weight.shape[0] % groups:
        raise NirError(
            "groups must divide the output channels",
            got=groups,
            limit=f"a divisor of {weight.shape[0]}",
            where=where("groups"),
            rule="nir.conv-groups",
        )
    return int(weight.shape[1]) * groups


def _linear(node: RawNode, shape: Shape, where: Where) -> tuple[LinearOp, ...]:
    weight = node.real("weight").astype(np.float64)
    if weight.ndim == 2:
        return (Dense(np.ascontiguousarray(weight)),)
    from scipy.sparse import coo_array, csr_array

    # y[g] = W[g] x[g]: a block diagonal matrix, kept sparse, explicit zeros included
    n_out, n_in = weight.shape[-2:]
    n_blocks = math.prod(weight.shape[:-2])
    block, out, source = np.unravel_index(np.arange(weight.size), (n_blocks, n_out, n_in))
    places = (block * n_in + source, block * n_out + out)
    sizes = (n_blocks * n_in, n_blocks * n_out)
    matrix = csr_array(coo_array((weight.ravel(), places), shape=sizes))
    output_shape = (*weight.shape[:-2], n_out)
    return (
        Reshape(shape, (sizes[0],)),
        Sparse(matrix),
        Reshape((sizes[1],), tuple(int(n) for n in output_shape)),
    )


def _conv(node: RawNode, shape: Shape, where: Where) -> tuple[LinearOp, ...]:
    channels = conv_channels(node, where)
    n_spatial = 1 if node.type == "Conv1d" else 2
    if len(shape) != n_spatial + 1 or shape[0] != channels:
        raise NirError(
            "the data that arrive do not fit the kernel",
            got=f"shape {shape}",
            limit=f"{channels} channels and {n_spatial} spatial axes",
            where=where("weight"),
            hint="check the layer in front, and axes of batch or time in the Input's shape",
            rule="nir.shape-mismatch",
        )
    weight = node.real("weight").astype(np.float64)
    kernel = tuple(int(n) for n in weight.shape[2:])
    stride = _spread(node, "stride", n_spatial, 1, where)
    dilation = _spread(node, "dilation", n_spatial, 1, where)
    pads = _conv_padding(node, kernel, dilation, where)
    if n_spatial == 1:
        weight, stride, dilation = weight[:, :, None, :], (1, *stride), (1, *dilation)
        pads, shape = [(0, 0), *pads], (shape[0], 1, shape[1])
    op = Conv(
        np.ascontiguousarray(weight),
        (shape[0], shape[1], shape[2]),
        (stride[0], stride[1]),
        (*pads[0], *pads[1]),
        (dilation[0], dilation[1]),
        node.ints("groups")[0],
        n_spatial == 1,
    )
    _check_window(op, where("weight"), where("padding"))
    return (op,)


def _conv_padding(
    node: RawNode, kernel: Shape, dilation: Shape, where: Where
) -> list[tuple[int, int]]:
    padding = node.fields["padding"]
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        # the odd element goes behind the data
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(p, p) for p in _spread(node, "padding", len(kernel), 0, where)]


def _pool(node: RawNode, shape: Shape, where: Where) -> tuple[LinearOp, ...]:
    if len(shape) != 3:
        raise NirError(
            "pooling needs channels, height and width",
            got=f"shape {shape}",
            where=where("kernel_size"),
            hint="check axes of batch or time in the Input's shape",
            rule="nir.shape-mismatch",
        )
    kernel = _spread(node, "kernel_size", 2, 1, where)
    stride = _spread(node, "stride", 2, 1, where)
    padding = _spread(node, "padding", 2, 0, where)
    # judged before as_conv builds the depthwise kernel
    check_size(shape[0] * kernel[0] * kernel[1], where("kernel_size"))
    op = Pool(
        "sum" if node.type == "SumPool2d" else "avg",
        (shape[0], shape[1], shape[2]),
        (kernel[0], kernel[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1]),
    )
    _check_window(op.as_conv(), where("kernel_size"), where("padding"))
    return (op,)


def _spread(node: RawNode, field: str, n: int, lowest: int, where: Where) -> Shape:
    """Return a field of one value or of one value per axis as one value per axis."""
    values = node.ints(field)
    if len(values) not in (1, n) or min(values, default=lowest - 1) < lowest:
        raise NirError(
            f"{field} must be one number or {n}, each at least {lowest}",
            got=values,
            where=where(field),
            rule="nir.window",
        )
    return values * n if len(values) == 1 else values


def _check_window(op: Conv, where: str, where_padding: str) -> None:
    """Refuse windows that never fit, and padding that would not fit into memory."""
    _, h, w = op.in_shape
    top, bottom, left, right = op.padding
    check_size(op.in_shape[0] * (h + top + bottom) * (w + left + right), where_padding)
    out = op.out_spatial
    if min(out) < 1:
        raise NirError(
            "the kernel is larger than its padded input",
            got=f"output of {out[0]} x {out[1]}",
            limit="at least 1 x 1",
            where=where,
            hint="check the shape that arrives, padding and dilation",
            rule="nir.window",
        )


def _scale(node: RawNode, shape: Shape, where: Where) -> tuple[LinearOp, ...]:
    return (Scale(_broadcast(node.real("scale"), shape)),)


def _delay(node: RawNode, shape: Shape, where: Where) -> tuple[LinearOp, ...]:
    return (Delay(_broadcast(node.real("delay"), shape)),)


def _broadcast(array: NDArray[np.float64], shape: Shape) -> Floats:
    """Spread one value, or drop the batch axis, as shape inference has settled."""
    values = array.astype(np.float64)
    full = np.full(shape, values.ravel()[0]) if values.size == 1 else values.reshape(shape)
    return np.ascontiguousarray(full)
