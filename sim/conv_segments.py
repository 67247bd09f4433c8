"""Convolution as runs of additions into channel-last accumulators with a margin.

An input at (y, x) with stride s, padding p and dilation d reaches output row
``oy = (y + p - ky d) / s`` where that division is exact. With q = (y + p) // s and the phase
r = (y + p) % s, the reachable rows are q + (r - ky d) / s for the taps ky with
(r - ky d) % s == 0: a list that depends on the phase alone. The same holds for columns, and
neighboring columns of all output channels are contiguous. Outputs beyond the border fall into the
margin and are never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.quantized import ConvGeometry

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AccumulatorWindow:
    """Valid sums inside an accumulator of ``size``: rows of ``length``, ``stride`` apart."""

    offset: int
    rows: int
    length: int
    stride: int
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class ConvSegments:
    """What ``add_conv`` reads.

    Attributes
    ----------
    weights : (n,) int64, per phase and input channel: rows x columns x output channels
    table : (3 n_rows,) int32
        Per source row: accumulator offset, kernel offset (-1: reaches nothing), segment list.
    segments : (m,) int32, per phase: number of segments, then (distance, length) of each
    has_pool : bool
        Whether rows are those of the source before the pools (already looked up).
    """

    weights: Ints
    table: NDArray[np.int32]
    segments: NDArray[np.int32]
    window: AccumulatorWindow
    has_pool: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """One spatial direction: quotient and phase of every input, taps of every phase."""

    quotient: Ints
    phase: Ints
    taps: list[list[tuple[int, int]]]
    low: int
    extent: int


def lower_conv(
    geometry: ConvGeometry,
    kernel: NDArray[Any],
    order: Ints | None,
    pool: tuple[Ints, NDArray[np.uint32]] | None,
) -> ConvSegments:
    """Build the tables of one convolution.

    Parameters
    ----------
    kernel : (c_out, c_in / groups, k_h, k_w) integers
    order : author's index of every source row, where it differs
    pool : pointers and pooled indices of the pools in front
        Where every source has at most one pooled element, the lookup goes into the table.
    """
    c_in, height, width = geometry.in_shape
    c_out, out_h, out_w = geometry.out_shape
    per_group = c_out // geometry.groups
    top, _, left, _ = geometry.padding
    rows = _axis(height, top, geometry.stride[0], geometry.dilation[0], kernel.shape[2], out_h)
    cols = _axis(width, left, geometry.stride[1], geometry.dilation[1], kernel.shape[3], out_w)
    by_channel = kernel.reshape(geometry.groups, per_group, -1, *kernel.shape[2:])
    by_channel = by_channel.transpose(0, 2, 3, 4, 1).reshape(c_in, *kernel.shape[2:], per_group)
    blocks, starts, lists, places, at, place = [], [], [], [], 0, 0
    for y_taps in rows.taps:
        for x_taps in cols.taps:
            ky, kx = [k for k, _ in y_taps], [k for k, _ in x_taps]
            block = by_channel[:, ky][:, :, kx].reshape(c_in, -1)
            segments = _segments(y_taps, x_taps, cols.extent, c_out, per_group)
            blocks.append(block.ravel())
            starts.append((at, block.shape[1]))
            lists.append(segments)
            places.append(place)
            at += block.size
            place += len(segments)
    c, y, x = (a.ravel() for a in np.indices((c_in, height, width)))
    phase = rows.phase[y] * len(cols.taps) + cols.phase[x]
    pixel = (rows.quotient[y] - rows.low) * cols.extent + cols.quotient[x] - cols.low
    start = np.array(starts, np.int64).reshape(-1, 2)[phase]
    offset = pixel * c_out + c // (c_in // geometry.groups) * per_group
    table = np.stack([offset, start[:, 0] + c * start[:, 1], np.array(places)[phase]], axis=1)
    table, has_pool = _through_pool(table if order is None else table[order], pool)
    stride, length = cols.extent * c_out, out_w * c_out
    shape = (out_h, length, stride) if stride != length else (1, out_h * length, out_h * length)
    first = (-rows.low * cols.extent - cols.low) * c_out
    window = AccumulatorWindow(first, *shape, rows.extent * stride)
    flat = np.array([word for words in lists for word in words], np.int32)
    table32 = np.ascontiguousarray(table, np.int32).ravel()
    return ConvSegments(np.concatenate(blocks), table32, flat, window, has_pool)


def _axis(size: int, padding: int, stride: int, dilation: int, taps: int, out: int) -> _Axis:
    quotient, phase = np.divmod(np.arange(size, dtype=np.int64) + padding, stride)
    reach: list[list[tuple[int, int]]] = []
    for r in range(stride):
        hits = [(k, (r - k * dilation) // stride) for k in range(taps)]
        hits = [(k, d) for k, d in hits if d * stride == r - k * dilation]
        reach.append(sorted(hits, key=lambda hit: hit[1]))
    lows = [0, *(int(q) + reach[r][0][1] for q, r in zip(quotient, phase, strict=True) if reach[r])]
    highs = [out - 1]
    highs += [int(q) + reach[r][-1][1] for q, r in zip(quotient, phase, strict=True) if reach[r]]
    low, high = min(lows), max(*highs, int(quotient.max(initial=0)))
    return _Axis(quotient, phase, reach, low, high - low + 1)


def _segments(
    y_taps: list[tuple[int, int]],
    x_taps: list[tuple[int, int]],
    extent: int,
    c_out: int,
    per_group: int,
) -> list[int]:
    """Return the number of segments of one phase, then distance and length of each."""
    runs: list[list[int]] = []
    for _, dx in x_taps:
        joins = runs and per_group == c_out and dx == runs[-1][0] + runs[-1][1]
        if joins:
            runs[-1][1] += 1
        else:
            runs.append([dx, 1])
    words = [len(y_taps) * len(runs)]
    for _, dy in y_taps:
        for dx, n in runs:
            words += [(dy * extent + dx) * c_out, n * per_group]
    return words


def _through_pool(table: Ints, pool: tuple[Ints, NDArray[np.uint32]] | None) -> tuple[Ints, bool]:
    """Return the table over the sources before the pool, where each has at most one element."""
    if pool is None:
        return table, False
    pointers, pooled = pool
    if (np.diff(pointers) > 1).any():
        return table, False
    through = np.full((pointers.size - 1, 3), -1, np.int64)
    hit = np.diff(pointers) == 1
    through[hit] = table[pooled]
    return through, True
