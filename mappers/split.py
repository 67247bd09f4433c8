"""Split: populations into slices that each fit one empty core under every budget.

Feature maps are cut into spatial tiles first and channels last (a tile keeps its kernel shared and
needs only its halo as axons), everything else into runs of consecutive neurons. Among tilings the
one with the fewest slices wins, then the one with the fewest incoming packets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.footprint import CoreLoad, demand_of, excess, load_slice
from nmhw.mappers.grid import map_shape
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

#: Slice counts tried one by one before the search over tilings takes bigger strides.
_FINE_COUNTS = 16
#: Tilings with the same number of slices that are compared by packets.
_COMPARED_TILINGS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One slice before it has a core: its load, and the axons it needs outwards."""

    population: str
    neurons: Ints
    load: CoreLoad
    n_out_axons: int

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.neurons.size)


@dataclass(frozen=True, slots=True, eq=False)
class Splitter:
    """Cuts one population; everything it must respect.

    Attributes
    ----------
    budgets : tuple of mappings of resource to limit
        Of the kinds of cores; a slice must fit one of them.
    out_degree : (n,) int64
        Destination cores of every neuron, as far as known.
    rates : mapping of source node to spikes per sample of each element
    """

    wiring: Wiring
    chip: ChipSpec
    budgets: tuple[Mapping[str, int], ...]
    population: str
    out_degree: Ints
    rates: Mapping[str, Floats]

    def part(self, neurons: Ints) -> Part | None:
        """Return the slice, or None if it does not fit an empty core."""
        n_out = int(self.out_degree[neurons].sum())
        limits = loosest(self.budgets)
        if neurons.size > self.most_neurons(int(neurons.size)):
            return None
        if n_out > limits.get("out_axons", n_out):
            return None
        load = load_slice(self.wiring, self.population, neurons)
        part = Part(self.population, neurons, load, n_out)
        return part if fits_any(self.wiring, self.chip, self.budgets, part) else None

    def most_neurons(self, default: int) -> int:
        """Return how many neurons of the population a core holds; ``default`` without a limit."""
        limit = loosest(self.budgets).get("neurons")
        return default if limit is None else limit // self.wiring.compartments[self.population]

    def packets(self, parts: list[Part]) -> float:
        """Return the packets per sample that arrive at ``parts``."""
        return sum(
            float(self.rates[source][elements].sum())
            for part in parts
            for source, elements in part.load.axons.items()
        )


def loosest(budgets: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """Return the limits beyond which no budget holds anything."""
    shared = set.intersection(*(set(budget) for budget in budgets))
    return {r: max(budget[r] for budget in budgets) for r in sorted(shared)}


def fits_any(
    wiring: Wiring, chip: ChipSpec, budgets: Sequence[Mapping[str, int]], part: Part
) -> bool:
    """Whether an empty core with one of ``budgets`` holds ``part``."""
    demand = demand_of(wiring, chip, part.load, part.n_out_axons)
    return demand is not None and any(not excess(demand, budget) for budget in budgets)


def split_filled(splitter: Splitter) -> list[Part] | None:
    """Fill core after core with consecutive neurons (of feature maps: pixel by pixel).

    Every budget only grows with neurons, so the longest run that fits gives the fewest runs.
    Returns None when a single neuron does not fit.
    """
    grouped = _by_group(splitter)
    if grouped is not None:
        return _all_parts(splitter, grouped)
    return _fill(splitter, _sequence(splitter))


def split_balanced(splitter: Splitter) -> list[Part] | None:
    """Cut into equal slices (tiles of feature maps), as few as possible; None if impossible."""
    filled = split_filled(splitter)
    if filled is None:
        return None
    if _by_group(splitter) is not None:
        return filled
    grid = map_shape(splitter.wiring, splitter.population)
    if grid is None:
        return _equal_runs(splitter, len(filled)) or filled
    tiled = _best_tiling(splitter, grid, len(filled))
    if tiled is None:
        return filled
    return min(filled, tiled, key=lambda parts: (len(parts), splitter.packets(parts)))


def _by_group(splitter: Splitter) -> Iterator[Ints] | None:
    """Return the slices that a lowering counted on, if there are any."""
    group = splitter.wiring.network.population(splitter.population).group
    if group is None:
        return None
    return (np.flatnonzero(group == number) for number in np.unique(group))


def _sequence(splitter: Splitter) -> Ints:
    """Neurons in filling order: all channels of a pixel together, pixels row by row."""
    n = splitter.wiring.sizes[splitter.population]
    grid = map_shape(splitter.wiring, splitter.population)
    order = np.arange(n, dtype=np.int64)
    if grid is None:
        return order
    return order.reshape(grid).transpose(1, 2, 0).ravel()


def _fill(splitter: Splitter, order: Ints) -> list[Part] | None:
    parts: list[Part] = []
    start = 0
    while start < order.size:
        part = _longest_run(splitter, order, start, parts[-1].size if parts else 1)
        if part is None:
            return None
        parts.append(part)
        start += part.size
    return parts


def _longest_run(splitter: Splitter, order: Ints, start: int, guess: int) -> Part | None:
    """Return the longest slice that begins at ``start`` and fits (``guess``: its likely length)."""
    left = order.size - start
    limits = loosest(splitter.budgets)
    cap = min(left, splitter.most_neurons(left))
    out_limit = limits.get("out_axons")
    if out_limit is not None:
        out = np.cumsum(splitter.out_degree[order[start : start + cap]])
        cap = int(np.searchsorted(out, out_limit, side="right"))

    def probe(length: int) -> Part | None:
        return splitter.part(np.sort(order[start : start + length]))

    if cap < 1:
        return None
    best, low, high = None, 0, cap + 1
    length = min(cap, max(1, guess))
    while low + 1 < high:
        part = probe(length)
        if part is None:
            high = length
        else:
            best, low = part, length
        grown = min(cap, 2 * length) if high > cap else 0
        length = grown if grown > low else (low + high) // 2
    return best


def _equal_runs(splitter: Splitter, n_parts: int) -> list[Part] | None:
    n = splitter.wiring.sizes[splitter.population]
    chunks = np.array_split(np.arange(n, dtype=np.int64), n_parts)
    return _all_parts(splitter, iter(chunks))


def _all_parts(splitter: Splitter, chunks: Iterator[Ints]) -> list[Part] | None:
    parts = []
    for chunk in chunks:
        part = splitter.part(chunk)
        if part is None:
            return None
        parts.append(part)
    return parts


def _best_tiling(splitter: Splitter, grid: tuple[int, int, int], most: int) -> list[Part] | None:
    """Return the tiling of at most ``most`` tiles with the fewest tiles, then packets, or None."""
    n = math.prod(grid)
    limits = loosest(splitter.budgets)
    fewest = max(1, -(-n // max(1, splitter.most_neurons(n))))
    if "out_axons" in limits:
        total = int(splitter.out_degree.sum())
        fewest = max(fewest, -(-total // limits["out_axons"]))
    for count in _counts(fewest, most):
        found = []
        for cuts in _cuts(grid, count)[:_COMPARED_TILINGS]:
            parts = _all_parts(splitter, _tiles(grid, cuts))
            if parts is not None:
                found.append(parts)
        if found:
            return min(found, key=splitter.packets)
    return None


def _counts(fewest: int, most: int) -> Iterator[int]:
    count, tried = fewest, 0
    while count <= most:
        yield count
        tried += 1
        count += 1 if tried < _FINE_COUNTS else max(1, count // 8)


def _cuts(grid: tuple[int, int, int], count: int) -> list[tuple[int, int, int]]:
    """Return (channel, row, column) cuts with ``count`` tiles, best first."""
    channels, height, width = grid
    found = []
    for rows in range(1, min(height, count) + 1):
        for columns in range(1, min(width, count // rows) + 1):
            by_channel, rest = divmod(count, rows * columns)
            if rest == 0 and by_channel <= channels:
                found.append((by_channel, rows, columns))
    # few channel cuts (they repeat all axons), then tiles as square as the count allows
    return sorted(found, key=lambda c: (c[0], -min(c[1], c[2]), c))


def _tiles(grid: tuple[int, int, int], cuts: tuple[int, int, int]) -> Iterator[Ints]:
    """Yield the neurons of every tile, row by row, channels innermost."""
    neurons = np.arange(math.prod(grid), dtype=np.int64).reshape(grid)
    by_channel, rows, columns = (
        np.array_split(np.arange(n), k) for n, k in zip(grid, cuts, strict=True)
    )
    for y in rows:
        for x in columns:
            for c in by_channel:
                yield neurons[np.ix_(c, y, x)].ravel()
