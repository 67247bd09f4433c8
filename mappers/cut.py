"""Cut a whole network into parts: populations back to front, so that destinations are known.

The output axons of a neuron depend on how its targets are cut. Targets are therefore cut first;
what a cycle leaves unknown is taken from the previous round, until an exact recount agrees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.split import Part, Splitter, fits_any, loosest
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]
Split = Callable[[Splitter], "list[Part] | None"]

#: Rounds in which the output axons of cycles may still grow.
_MAX_ROUNDS = 16
#: Cutting stops once a cycle has driven the number of parts this far beyond the cores there are.
_MAX_PARTS_PER_CORE = 4


@dataclass(frozen=True, slots=True)
class AxonExcess:
    """Parts of ``population`` whose output axons stay above the limit however they are cut."""

    population: str
    needed: int
    limit: int


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Parts of all populations, in the network's order, and what remains above a budget."""

    parts: tuple[Part, ...]
    excess: tuple[AxonExcess, ...] = ()


def cut_network(
    wiring: Wiring,
    chip: ChipSpec,
    budgets: Sequence[Mapping[str, int]],
    split: Split,
    rates: Mapping[str, NDArray[Any]],
) -> Cut | None:
    """Cut every population with ``split`` into parts that fit an empty core.

    ``budgets`` are those of the groups of cores; a part must fit one of them.

    Returns None when a neuron alone exceeds them in something other than output axons.
    """
    names = [p.name for p in wiring.network.populations]
    counts_axons = any("out_axons" in budget for budget in budgets)
    limit = loosest(budgets).get("out_axons")
    inward = {name: np.zeros(wiring.sizes[name], np.int64) for name in names}
    parts: dict[str, list[Part]] = {}
    known: dict[str, Ints] = {}
    over: list[Part] = []
    for _ in range(_MAX_ROUNDS):
        done: dict[str, list[Part]] = {}
        for name in reversed(names):
            degree = inward[name]
            if counts_axons:
                degree = degree + out_degree(wiring, name, done.values())
            if name in parts and np.array_equal(known[name], degree):
                done[name] = parts[name]
                continue
            known[name] = degree
            if limit is not None and degree.max(initial=0) > limit:
                return Cut((), (AxonExcess(name, int(degree.max()), limit),))
            found = split(Splitter(wiring, chip, tuple(budgets), name, degree, rates))
            if found is None:
                return None
            done[name] = found
        parts = done
        exact = {name: out_degree(wiring, name, parts.values()) for name in names}
        parts = {n: [_recounted(p, exact[n]) for p in parts[n]] for n in names}
        if not counts_axons:
            break
        over = [p for n in names for p in parts[n] if not fits_any(wiring, chip, budgets, p)]
        n_parts = sum(len(found) for found in parts.values())
        if not over or n_parts > _MAX_PARTS_PER_CORE * chip.n_cores:
            break
        for name in {part.population for part in over}:
            inward[name] = np.maximum(inward[name], exact[name] - known[name] + inward[name])
    ordered = tuple(part for name in names for part in parts[name])
    return Cut(ordered, tuple(_worst(over, budgets)))


def out_degree(wiring: Wiring, population: str, cut: Iterable[list[Part]]) -> Ints:
    """Return (n,) in how many of the parts each neuron of ``population`` has a synapse."""
    degree = np.zeros(wiring.sizes[population], np.int64)
    for parts in cut:
        for part in parts:
            if population in part.load.axons:
                degree[part.load.axons[population]] += 1
    return degree


def _recounted(part: Part, degree: Ints) -> Part:
    return replace(part, n_out_axons=int(degree[part.neurons].sum()))


def _worst(over: Iterable[Part], budgets: Sequence[Mapping[str, int]]) -> list[AxonExcess]:
    """Return the largest excess of every population."""
    limit = max(budget["out_axons"] for budget in budgets if "out_axons" in budget) if over else 0
    worst: dict[str, int] = {}
    for part in over:
        worst[part.population] = max(part.n_out_axons, worst.get(part.population, 0))
    return [AxonExcess(name, needed, limit) for name, needed in worst.items()]
