"""Chips whose cores are convolutions: linear layers as kernels over the whole map, and its cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.values.chip import ChipSpec
from nmhw.values.conv_words import kernel_words
from nmhw.values.linear import Conv, Dense, Pool, Shape
from nmhw.values.network import Projection
from nmhw.values.quantized import ConvGeometry


def stores_kernels_alone(chip: ChipSpec) -> bool:
    """Whether shared kernels are the chip's only form of synapses."""
    return {e.kind for e in chip.encodings} == {"shared"}


def as_convolution(
    lowered: LoweredProjection, projection: Projection, source: Shape, ledger: Ledger
) -> LoweredProjection:
    """Return the projection as one convolution: a matrix becomes a kernel over the whole map.

    Behind a flat layer of n neurons the kernel is 1 x 1 with n channels.

    Raises
    ------
    UnsupportedError
        For a chain that is no single convolution, naming its operations.
    """
    _note_average(projection, ledger)
    if lowered.storage == "conv":
        return lowered
    if lowered.storage == "sparse":
        ops = [type(op).__name__ for op in projection.ops] or ["one to one"]
        heavy = [name for name in ops if name in (Conv.__name__, Dense.__name__)]
        what = "weights follow weights without neurons between them" if len(heavy) > 1 else (
            "this is no single convolution or linear layer"
        )  # fmt: skip
        raise UnsupportedError(
            what,
            got=" > ".join(ops),
            limit=f"one convolution or linear layer per core of {ledger.chip.name}",
            where=f"{projection.target} ({projection.name})",
            hint="neurons between the two layers",
            rule="quantize.weight-chain",
        )
    if lowered.pools:
        source = lowered.pools[-1].output_shape
    channels, height, width = source if len(source) == 3 else (lowered.weights.shape[0], 1, 1)
    n = lowered.n_target
    weights = np.ascontiguousarray(lowered.weights.T).reshape(n, channels, height, width)
    geometry = ConvGeometry((channels, height, width), (n, 1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1)
    words = kernel_words(channels, n, height, width)
    text = (
        f"{projection.name} is a linear layer: it runs as a {height} x {width} convolution over "
        f"the whole map of {channels} channels, in {words:,} kernel words for {weights.size:,} "
        "weights"
    )
    ledger.note("linear-as-convolution", projection.target, text, "assumption")
    return replace(lowered, storage="conv", weights=weights, geometry=geometry)


def _note_average(projection: Projection, ledger: Ledger) -> None:
    for op in projection.ops:
        if isinstance(op, Pool) and op.kind == "avg":
            n = op.kernel[0] * op.kernel[1]
            text = (
                f"{projection.name}: the average over {op.kernel[0]} x {op.kernel[1]} becomes a "
                f"sum, the weights behind it are divided by {n} before they are rounded; it costs "
                "no operation"
            )
            ledger.note("average-pool", projection.target, text, "assumption")
