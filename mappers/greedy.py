"""The greedy mapper: split, pack, place, route, verify; simple and exact in its counts."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.base import Progress, say_nothing
from nmhw.mappers.bounds import bound_cores
from nmhw.mappers.cut import AxonExcess, Split, cut_network
from nmhw.mappers.explain import Shortage, explain_axons, explain_shortage, refuse
from nmhw.mappers.footprint import (
    CoreLoad,
    check_resources,
    demand_of,
    encodings_of,
)
from nmhw.mappers.impossible import find_impossible
from nmhw.mappers.layers import place_layers
from nmhw.mappers.metrics import measure
from nmhw.mappers.pack import Packing, Score, pack_parts
from nmhw.mappers.place import place_cores
from nmhw.mappers.split import Part, split_balanced, split_filled
from nmhw.mappers.traffic import count_out_axons, count_traffic
from nmhw.mappers.verify import verify
from nmhw.mappers.wiring import Wiring, wire, with_weight_bits
from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping, Slice, Utilization
from nmhw.values.notice import Notice
from nmhw.values.quantized import QuantizedNetwork

Rates = MappingOf[str, NDArray[Any]]

_SPLITS: tuple[Split, ...] = (split_balanced, split_filled)
_SCORES: tuple[Score, ...] = ("shared-packets", "fullest")


@dataclass(frozen=True, slots=True)
class GreedyMapper:
    """Slices by tile or by run, first-fit packing, annealed placement."""

    name: str = "greedy"

    def map(
        self,
        quantized: QuantizedNetwork,
        chip: ChipSpec,
        *,
        rates: Rates | None = None,
        seed: int = 0,
        progress: Progress = say_nothing,
    ) -> Mapping:
        """Map ``quantized`` to ``chip``; see ``Mapper.map``."""
        check_resources(chip)
        progress("wiring")
        wiring = wire(quantized)
        weights = wiring.default_rates(rates)
        impossible = find_impossible(wiring, chip)
        if impossible:
            raise refuse(wiring, chip, impossible)
        if chip.has_rule("layer-per-core"):
            loads, cores = place_layers(wiring, chip)
            traffic = count_traffic(loads, wiring.sizes, weights)
        else:
            progress("cutting and packing")
            packing = _fitting_packing(wiring, chip, weights)
            progress(f"placing {len(packing.cores)} cores")
            loads = [core.load for core in packing.cores]
            traffic = count_traffic(loads, wiring.sizes, weights)
            cores = place_cores(chip, [core.group for core in packing.cores], traffic, seed)
        order = np.argsort(cores)
        mapping = Mapping(
            chip_name=chip.name,
            slices=_slices(wiring, loads, cores),
            encodings={
                (name, int(cores[i])): kind
                for i in order
                for name, kind in sorted(encodings_of(chip, loads[i]).items())
            },
            utilization=_utilization(wiring, chip, loads, cores),
            metrics=measure(chip, cores, traffic, bound_cores(wiring, chip)),
            mapper=self.name,
        )
        progress("verifying")
        return _verified(quantized, chip, mapping, wiring)


def map_network(
    quantized: QuantizedNetwork,
    chip: ChipSpec,
    *,
    rates: Rates | None = None,
    seed: int = 0,
    progress: Progress = say_nothing,
) -> Mapping:
    """Map a quantized network to a chip with the default mapper.

    Parameters
    ----------
    quantized : QuantizedNetwork
    chip : ChipSpec
    rates : mapping of input or population name to (n,) float, optional
        Spikes per sample of every element, by which packets are weighted; default 1 each.
    seed : int
        Root of the placement's random numbers.
    progress : callable(phase), optional
        Told what the mapper begins with.

    Returns
    -------
    Mapping
        Accepted by ``verify``. ``metrics`` holds n_cores, cores_lower_bound, packets (one per
        spike and destination core), unicast_hops, avg_hops, max_hops, max_link_load, ...

    Raises
    ------
    DoesNotFitError
        With one sentence per violated budget.
    UnsupportedError
        For a chip whose budgets name a resource that cannot be counted.
    """
    return GreedyMapper().map(quantized, chip, rates=rates, seed=seed, progress=progress)


@dataclass(frozen=True, slots=True)
class _Attempt:
    parts: tuple[Part, ...]
    packing: Packing


def _fitting_packing(wiring: Wiring, chip: ChipSpec, rates: Rates) -> Packing:
    """Return the packing with the fewest cores, then packets, or say why there is none.

    Budgets that only warn are kept as well where the chip has the cores for it.
    """
    for limits in _with_soft_budgets(chip):
        attempts, stuck = _attempts(wiring, limits, rates, _SPLITS)
        fitting = [a.packing for a in attempts if a.packing.missing == 0]
        if fitting:
            return min(fitting, key=lambda p: (len(p.cores), _packets(p, rates)))
    if not attempts:
        raise refuse(wiring, chip, explain_axons(chip, stuck) or _unexplained(wiring, chip))
    best = min(attempts, key=lambda a: (a.packing.missing, len(a.packing.cores)))

    def n_cores_at(weight_bits: int) -> int | None:
        thin = with_weight_bits(wiring, weight_bits)
        tried = _attempts(thin, chip, rates, (split_filled,))[0] if thin is not None else []
        return min((len(a.packing.cores) for a in tried if a.packing.missing == 0), default=None)

    shortage = Shortage(len(best.packing.cores), best.packing.missing, best.parts, n_cores_at)
    raise refuse(wiring, chip, explain_shortage(wiring, chip, shortage))


def _attempts(
    wiring: Wiring, chip: ChipSpec, rates: Rates, splits: Sequence[Split]
) -> tuple[list[_Attempt], tuple[AxonExcess, ...]]:
    """Try every way to split, against every group's budget, with every packing score."""
    attempts = []
    stuck: tuple[AxonExcess, ...] = ()
    for budgets in _reference_budgets(chip):
        for split in splits:
            cut = cut_network(wiring, chip, budgets, split, rates)
            if cut is None:
                continue
            if cut.excess:
                stuck = stuck or cut.excess
                continue
            for score in _SCORES:
                packing = pack_parts(wiring, chip, cut.parts, rates, score)
                if packing is not None:
                    attempts.append(_Attempt(cut.parts, packing))
    return attempts, stuck


def _with_soft_budgets(chip: ChipSpec) -> list[ChipSpec]:
    """Return the chip with its soft budgets enforced, if it has any, and as it is."""
    if not any(group.soft_budget for group in chip.cores):
        return [chip]
    strict = []
    for group in chip.cores:
        budget = dict(group.budget)
        for resource, limit in group.soft_budget.items():
            budget[resource] = min(limit, budget.get(resource, limit))
        strict.append(replace(group, budget=budget))
    return [replace(chip, cores=tuple(strict)), chip]


def _reference_budgets(chip: ChipSpec) -> list[list[dict[str, int]]]:
    """Return the budgets slices are cut for: each group's, the least of all, and any of them."""
    budgets: list[dict[str, int]] = []
    for group in chip.cores:
        if dict(group.budget) not in budgets:
            budgets.append(dict(group.budget))
    if len(budgets) == 1:
        return [budgets]
    names = {resource for budget in budgets for resource in budget}
    least = {r: min(b[r] for b in budgets if r in b) for r in sorted(names)}
    return [[budget] for budget in budgets] + [[least], budgets]


def _packets(packing: Packing, rates: Rates) -> float:
    return float(
        sum(
            rates[source][elements].sum()
            for core in packing.cores
            for source, elements in core.load.axons.items()
        )
    )


def _unexplained(wiring: Wiring, chip: ChipSpec) -> list[str]:
    limits = "; ".join(f"{g.name}: {dict(g.budget)}" for g in chip.cores)
    name = wiring.network.name
    return [f"{name!r} does not fit on {chip.name}: no core holds every slice, limits {limits}"]


def _slices(
    wiring: Wiring, loads: Sequence[CoreLoad], cores: NDArray[np.int64]
) -> tuple[Slice, ...]:
    """Return all slices by population, then core."""
    found = []
    for population in wiring.network.populations:
        here = [
            Slice(population.name, load.members[population.name], int(core))
            for load, core in zip(loads, cores, strict=True)
            if population.name in load.members
        ]
        found += sorted(here, key=lambda part: part.core)
    return tuple(found)


def _utilization(
    wiring: Wiring, chip: ChipSpec, loads: Sequence[CoreLoad], cores: NDArray[np.int64]
) -> tuple[Utilization, ...]:
    """Recount every core with the destinations it really has."""
    entries = []
    out_axons = count_out_axons(loads, wiring.sizes)
    for i in np.argsort(cores):
        core = int(cores[i])
        demand = demand_of(wiring, chip, loads[i], out_axons[i])
        assert demand is not None
        budget = chip.core_spec(core).budget
        used: dict[str, tuple[int, int | None]] = {
            resource: (value, budget.get(resource)) for resource, value in demand.items()
        }
        entries.append(Utilization(core, used))
    return tuple(entries)


def _verified(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, wiring: Wiring
) -> Mapping:
    verdict = verify(quantized, chip, mapping)
    if len(verdict.violations) > len(verdict.broken_rules):  # not the user's fault
        raise RuntimeError("the mapper and verify disagree: " + "; ".join(verdict.violations))
    if verdict.broken_rules:
        raise refuse(wiring, chip, verdict.broken_rules)
    notices = tuple(Notice("map.verify", chip.name, text) for text in verdict.warnings)
    return Mapping(
        mapping.chip_name,
        mapping.slices,
        mapping.encodings,
        mapping.utilization,
        mapping.metrics,
        mapping.mapper,
        (*mapping.notices, *notices),
    )
