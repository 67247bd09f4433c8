"""Networks written as sizes: ``64-128-10``, ``1x8x8-c8k3p1-p2-10``, ``700-r128-20``."""

from __future__ import annotations

import math
import re

from nmhw.errors import UsageError
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.values.linear import Pool, Shape
from nmhw.values.quantized import ConvGeometry

_FORMS = (
    "inputs N or CxHxW, then N (dense), rN (dense, recurrent), cCkK[sS][pP] (convolution), "
    "pK (pool), the last one N: e.g. 64-128-10 or 1x8x8-c8k3s1p1-p2-10"
)
_CONV = re.compile(r"c(\d+)k(\d+)(?:s(\d+))?(?:p(\d+))?")
_MAX_NEURONS = 10_000_000


def parse_sizes(text: str) -> LearningNetwork:
    """Return the network that a string of sizes describes.

    Parameters
    ----------
    text : str
        Terms joined by ``-``. First the inputs, ``N`` or ``CxHxW``. Then ``N``: dense; ``rN``:
        dense with recurrent connections among its targets; ``cCkKsSpP``: C channels, kernel
        K x K, stride S (1), padding P (0); ``pK``: K x K pool with stride K in front of the next
        layer. The last term, ``N``, is the head.

    Raises
    ------
    UsageError
        For a term that is none of these, an empty layer, or a shape that does not fit.
    """
    first, *terms = text.strip().split("-")
    shape = _input_shape(first, text)
    in_shape = shape
    layers: list[LearningLayer] = []
    pool: Pool | None = None
    if not terms or not terms[-1].isdecimal():
        raise UsageError("a network ends with its number of outputs", got=text, hint=_FORMS)
    for k, term in enumerate(terms):
        name = "head" if k == len(terms) - 1 else f"layer{len(layers) + 1}"
        if re.fullmatch(r"p\d+", term):
            pool, shape = _pool(term, shape, pool, text)
            continue
        layer = _layer(name, term, shape, pool, text)
        if not 0 < layer.n_out <= _MAX_NEURONS:
            raise UsageError("a layer has no targets, or too many", got=term, limit=_MAX_NEURONS)
        layers.append(layer)
        if term.startswith("r"):
            layers.append(_recurrent(layer))
        shape, pool = layer.target_shape, None
    return LearningNetwork(tuple(layers), in_shape)


def dense_layer(name: str, n_in: int, n_out: int, pool: Pool | None = None) -> LearningLayer:
    """Return an all-to-all layer."""
    shape = (n_in, n_out)
    return LearningLayer(name, "dense", n_in, n_out, None, shape, pool=pool, target_shape=(n_out,))


def conv_layer(
    name: str,
    in_shape: tuple[int, int, int],
    weight_shape: tuple[int, int, int, int],
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    pool: Pool | None = None,
) -> LearningLayer:
    """Return a layer with a shared kernel.

    Raises
    ------
    UsageError
        If the kernel is larger than the padded input.
    """
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, weight_shape[2:], strict=True)]
    extent = (in_shape[1] + padding[0] + padding[1], in_shape[2] + padding[2] + padding[3])
    if min(stride) < 1 or reach[0] > extent[0] or reach[1] > extent[1]:
        raise UsageError("the kernel is larger than its input", got=reach, limit=extent, where=name)
    out = [(e - r) // s + 1 for e, r, s in zip(extent, reach, stride, strict=True)]
    out_shape = (weight_shape[0], out[0], out[1])
    geometry = ConvGeometry(in_shape, out_shape, stride, padding, dilation, groups)
    n_in, n_out = math.prod(in_shape), math.prod(out_shape)
    return LearningLayer(
        name, "conv", n_in, n_out, geometry, weight_shape, pool=pool, target_shape=out_shape
    )


def _recurrent(layer: LearningLayer) -> LearningLayer:
    n = layer.n_out
    name = f"{layer.name}.recurrent"
    return LearningLayer(name, "dense", n, n, None, (n, n), is_recurrent=True, target_shape=(n,))


def _input_shape(term: str, text: str) -> Shape:
    if not re.fullmatch(r"\d+(x\d+x\d+)?", term) or "0" in term.split("x"):
        raise UsageError("the first size is that of the inputs", got=text, hint=_FORMS)
    return tuple(int(n) for n in term.split("x"))


def _plane(shape: Shape, term: str, text: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        hint = "give the inputs as CxHxW, and no dense layer in front"
        raise UsageError(f"{term} needs channels, rows and columns", got=text, hint=hint)
    return shape[0], shape[1], shape[2]


def _pool(term: str, shape: Shape, before: Pool | None, text: str) -> tuple[Pool, Shape]:
    c, h, w = _plane(shape, term, text)
    k = int(term[1:])
    if before is not None or not 1 <= k <= min(h, w):
        raise UsageError("a pool fits its input and stands before a layer", got=term, limit=(h, w))
    return Pool("sum", (c, h, w), (k, k), (k, k)), (c, h // k, w // k)


def _layer(name: str, term: str, shape: Shape, pool: Pool | None, text: str) -> LearningLayer:
    if re.fullmatch(r"r?\d+", term):
        return dense_layer(name, math.prod(shape), int(term.lstrip("r")), pool)
    match = _CONV.fullmatch(term)
    if match is None:
        raise UsageError("no such term in a network's sizes", got=repr(term), hint=_FORMS)
    c_in, h, w = _plane(shape, term, text)
    c_out, k, stride, pad = (
        int(value or default) for value, default in zip(match.groups(), (0, 0, 1, 0), strict=True)
    )
    if min(c_out, k, stride) < 1:
        raise UsageError("channels, kernel and stride are at least 1", got=term)
    kernel = (c_out, c_in, k, k)
    padding = (pad, pad, pad, pad)
    return conv_layer(name, (c_in, h, w), kernel, (stride, stride), padding, pool=pool)
