"""Weights made of axons: how many axons a source may take, and the scale that loses least there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import DoesNotFitError
from nmhw.mappers.quantize.grid import WeightGrid, axon_grid, pick_grid
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import Part
from nmhw.values.chip import ArithmeticSpec, ChipSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Shares of the largest weight that are tried as the largest weight of the grid.
_SHARES = np.linspace(0.2, 1.0, 33)


def pick_grids(part: Part, gained: Sequence[LoweredProjection], chip: ChipSpec) -> list[WeightGrid]:
    """Return one grid per projection; where axons make weights, one for all, by the fan-in.

    Raises
    ------
    DoesNotFitError
        When a neuron has more sources than its core has pairs of axons.
    """
    arithmetic = chip.arithmetic
    if arithmetic.weight_coding == "binary":
        return [pick_grid(arithmetic, p.weights) for p in gained]
    limit = max((group.budget.get("in_axons", 1 << 30) for group in chip.cores), default=1 << 30)
    fan_in = sum((count_sources(p, part.cell.size) for p in gained), np.zeros(1, np.int64))
    most = int(fan_in.max(initial=0))
    widths = [w for w in arithmetic.weight_bits if w * most <= limit]
    if not widths:
        least = min(arithmetic.weight_bits)
        neuron = int(fan_in.argmax())
        sentence = (
            f"{part.name!r} does not fit on {chip.name}: neuron {neuron} has {most} sources, which "
            f"need {least} axons each (weights -1, 0, 1), {most * least} in all, limit {limit} "
            f"axons per core; fits with: at most {limit // least} inputs per neuron"
        )
        what = f"{part.name!r} does not fit on {chip.name}"
        raise DoesNotFitError(what, violations=[sentence], rule="map.does-not-fit")
    return [axon_grid(max(widths))] * len(gained)


def count_sources(projection: LoweredProjection, n: int) -> Ints:
    """Return how many sources each target (n,) hears, borders of convolutions ignored."""
    used = projection.weights != 0
    fold = int(np.prod([pool.kernel[0] * pool.kernel[1] for pool in projection.pools]))
    if projection.storage == "dense":
        count = used.sum(axis=0)
    elif projection.storage == "conv":
        count = np.repeat(used.sum(axis=(1, 2, 3)), projection.n_positions)
    else:
        assert projection.indices is not None
        count = np.bincount(projection.indices[used], minlength=n)
    return np.asarray(count, np.int64) * fold


def pick_peaks(
    gained: Sequence[LoweredProjection], grids: Sequence[WeightGrid], arithmetic: ArithmeticSpec
) -> list[Floats]:
    """Return per projection what the grid's largest weight stands for, (n_target,).

    The largest weight; on the coarse grids made of axons, the share of it with the least squared
    error, larger weights being clipped.
    """
    if arithmetic.weight_coding == "binary":
        return [p.peak() for p in gained]
    return [_best_peak(p, grid) for p, grid in zip(gained, grids, strict=True)]


def _best_peak(projection: LoweredProjection, grid: WeightGrid) -> Floats:
    peak = projection.peak()
    unit = np.where(peak > 0, peak, 1) / grid.largest
    best = np.full(peak.shape, np.inf)
    chosen = peak
    for share in _SHARES[::-1]:
        scaled = projection.multiply(1 / (share * unit))
        rounded, _ = grid.round(scaled)
        error = _sum_squares(projection, scaled - rounded) * (share * unit) ** 2
        better = error < best * (1 - 1e-9)
        best = np.where(better, error, best)
        chosen = np.where(better, share * peak, chosen)
    return chosen


def _sum_squares(projection: LoweredProjection, values: Floats) -> Floats:
    squares = values * values
    if projection.storage == "dense":
        return np.asarray(squares.sum(axis=0))
    if projection.storage == "conv":
        return np.repeat(squares.sum(axis=(1, 2, 3)), projection.n_positions)
    assert projection.indices is not None
    return np.bincount(projection.indices, squares, projection.n_target).astype(np.float64)
