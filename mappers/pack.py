"""Pack: parts into cores under all budgets at once; the recount of every merged core decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.footprint import CoreLoad, demand_of, excess, merge_loads
from nmhw.mappers.split import Part
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec, CoreSpec

#: A part that uses this share of some budget opens a core of its own.
_FULL = 0.5
#: Resources whose demands add up when loads merge (index widths apart, which only grow).
_ADDITIVE = ("neurons", "out_axons", "synapses", "synapse_bits")

Score = Literal["shared-packets", "fullest"]


@dataclass(slots=True, eq=False)
class PackedCore:
    """One core under construction: its group, its parts and their joint demand."""

    group: int
    load: CoreLoad
    n_out_axons: int
    demand: dict[str, int]
    order: int


@dataclass(frozen=True, slots=True, eq=False)
class Packing:
    """Cores in topological order of their first part.

    Attributes
    ----------
    cores : tuple of PackedCore
    missing : int
        Cores beyond those the chip has (they sit in the last group that fits).
    """

    cores: tuple[PackedCore, ...]
    missing: int


def pack_parts(
    wiring: Wiring,
    chip: ChipSpec,
    parts: Sequence[Part],
    rates: Mapping[str, NDArray[Any]],
    score: Score,
) -> Packing | None:
    """Put every part on a core: big parts first-fit in topological order, then the leftovers.

    ``score`` says which core a leftover joins: the one whose input axons it shares most packets
    with, or the fullest one it fits. Returns None when a part fits no group of cores.
    """
    packer = _Packer(wiring, chip, rates, score)
    sized = [(packer.fullness(part), order, part) for order, part in enumerate(parts)]
    big = [item for item in sized if item[0] > _FULL]
    small = sorted(
        (item for item in sized if item[0] <= _FULL), key=lambda item: (-item[0], item[1])
    )
    for _, order, part in big:
        if not packer.has_free() and packer.join(part):
            continue
        if not packer.open(part, order):
            return None
    for _, order, part in small:
        if not packer.join(part) and not packer.open(part, order):
            return None
    cores = sorted(packer.cores, key=lambda core: core.order)
    return Packing(tuple(cores), max(0, -sum(min(0, left) for left in packer.left)))


class _Packer:
    def __init__(
        self, wiring: Wiring, chip: ChipSpec, rates: Mapping[str, NDArray[Any]], score: Score
    ) -> None:
        self.wiring, self.chip, self.rates, self.score = wiring, chip, rates, score
        self.groups: tuple[CoreSpec, ...] = chip.cores
        self.left = [group.count * chip.board.n_chips for group in chip.cores]
        self.cores: list[PackedCore] = []

    def fullness(self, part: Part) -> float:
        """Return the largest share of any budget, in the roomiest group."""
        demand = demand_of(self.wiring, self.chip, part.load, part.n_out_axons)
        if demand is None:
            return 1.0
        return min(_share(demand, group) for group in self.groups)

    def has_free(self) -> bool:
        """Whether any core is still empty."""
        return any(left > 0 for left in self.left)

    def open(self, part: Part, order: int) -> bool:
        """Give ``part`` a core of its own, in the tightest group with a free one."""
        demand = demand_of(self.wiring, self.chip, part.load, part.n_out_axons)
        if demand is None:
            return False
        fitting = [g for g, group in enumerate(self.groups) if not excess(demand, group.budget)]
        if not fitting:
            return False
        group = min(fitting, key=lambda g: (self.left[g] <= 0, -_share(demand, self.groups[g]), g))
        self.left[group] -= 1
        self.cores.append(PackedCore(group, part.load, part.n_out_axons, demand, order))
        return True

    def join(self, part: Part) -> bool:
        """Add ``part`` to the best core that has room for it."""
        alone = demand_of(self.wiring, self.chip, part.load, part.n_out_axons)
        assert alone is not None
        best: tuple[tuple[float, float], PackedCore, CoreLoad, dict[str, int]] | None = None
        flags = self._flag_axons(part.load)
        for core in self.cores:
            budget = self.groups[core.group].budget
            if any(core.demand[r] + alone[r] > budget[r] for r in _ADDITIVE if r in budget):
                continue
            if _joint_in_axons(core.load, part.load, flags) > budget.get("in_axons", np.inf):
                continue  # merging would only find the same
            merged = merge_loads(self.wiring, core.load, part.load)
            demand = demand_of(self.wiring, self.chip, merged, core.n_out_axons + part.n_out_axons)
            if demand is None or excess(demand, budget):
                continue
            rank = self._rank(core, part, _share(demand, self.groups[core.group]))
            if best is None or rank > best[0]:
                best = (rank, core, merged, demand)
        if best is None:
            return False
        _, core, core.load, core.demand = best
        core.n_out_axons += part.n_out_axons
        return True

    def _flag_axons(self, load: CoreLoad) -> dict[str, NDArray[np.bool_]]:
        """Return per source node (n,) whether an element is an axon of ``load``."""
        flags = {source: np.zeros(self.wiring.sizes[source], np.bool_) for source in load.axons}
        for source, elements in load.axons.items():
            flags[source][elements] = True
        return flags

    def _rank(self, core: PackedCore, part: Part, share: float) -> tuple[float, float]:
        saved = 0.0
        for source, elements in part.load.axons.items():
            there = core.load.axons.get(source)
            if there is not None:
                common = np.intersect1d(there, elements, assume_unique=True)
                saved += float(self.rates[source][common].sum())
        return (saved, -share) if self.score == "shared-packets" else (share, saved)


def _joint_in_axons(core: CoreLoad, part: CoreLoad, flags: Mapping[str, NDArray[np.bool_]]) -> int:
    """Return the input axons of a core that holds both; ``flags`` are those of ``part``."""
    common = sum(
        int(np.count_nonzero(flags[source][elements]))
        for source, elements in core.axons.items()
        if source in flags
    )
    return core.n_in_axons + part.n_in_axons - common


def _share(demand: Mapping[str, int], group: CoreSpec) -> float:
    return max((demand[r] / limit for r, limit in group.budget.items()), default=0.0)
