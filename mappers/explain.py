"""Explain: why a network does not fit, in sentences that name layer, resource, need and limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nmhw.errors import DoesNotFitError
from nmhw.mappers.bounds import bound_cores
from nmhw.mappers.cut import AxonExcess
from nmhw.mappers.footprint import RESOURCES, demand_of, format_amount
from nmhw.mappers.split import Part
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec


@dataclass(frozen=True, slots=True)
class Shortage:
    """A network whose slices fit cores, but that needs more cores than there are.

    Attributes
    ----------
    n_needed : int
        Cores of the best packing found.
    missing : int
        Cores that the chip lacks (of some group, when groups differ).
    parts : tuple of Part
        Slices of that packing.
    n_cores_at : callable
        Cores needed with weights of so many bits, None if they do not fit; for the hints.
    """

    n_needed: int
    missing: int
    parts: tuple[Part, ...]
    n_cores_at: Callable[[int], int | None]


def refuse(wiring: Wiring, chip: ChipSpec, sentences: Sequence[str]) -> DoesNotFitError:
    """Return the error that carries all ``sentences``."""
    name = wiring.network.name
    return DoesNotFitError(
        f"{name!r} does not fit on {chip.name}", violations=sentences, rule="map.does-not-fit"
    )


def explain_axons(chip: ChipSpec, found: Sequence[AxonExcess]) -> list[str]:
    """Return sentences for output axons that no cut brings under the limit."""
    return [
        f"{e.population!r} does not fit on {chip.name}: {e.needed} output axons needed by one core "
        f"however it is cut, limit {e.limit}; fits with: smaller layers behind it, or fewer "
        f"connections"
        for e in found
    ]


def explain_shortage(wiring: Wiring, chip: ChipSpec, shortage: Shortage) -> list[str]:
    """Return sentences for too few cores: every layer that alone is too large, then the sum."""
    per_layer: dict[str, list[Part]] = {}
    for part in shortage.parts:
        per_layer.setdefault(part.population, []).append(part)
    have = chip.n_cores
    sentences = [
        f"{name!r} does not fit on {chip.name}: needs {len(parts)} cores "
        f"({_filling(wiring, chip, name, parts)}), limit {have}, {len(parts) - have} short"
        for name, parts in per_layer.items()
        if len(parts) > have
    ]
    bound = bound_cores(wiring, chip)
    ranked = sorted(per_layer.items(), key=lambda item: (-len(item[1]), item[0]))[:3]
    largest = ", ".join(
        f"{name!r} {len(parts)} ({_filling(wiring, chip, name, parts)})" for name, parts in ranked
    )
    sentences.append(
        f"{wiring.network.name!r} does not fit on {chip.name}: needs {shortage.n_needed} cores, "
        f"limit {have}, {shortage.missing} cores short (no mapping below {bound.n_cores}, by "
        f"{RESOURCES[bound.resource]}); most cores: {largest}; "
        f"fits with: {_ways_out(wiring, chip, shortage, ranked)}"
    )
    return sentences


def _ways_out(
    wiring: Wiring,
    chip: ChipSpec,
    shortage: Shortage,
    ranked: Sequence[tuple[str, list[Part]]],
) -> str:
    """Name what would fit: narrower weights (tried), a larger board, a smaller layer."""
    ways = []
    widest = max((p.weight_bits for p in wiring.network.projections), default=0)
    for bits in sorted((w for w in chip.arithmetic.weight_bits if w < widest), reverse=True):
        needed = shortage.n_cores_at(bits)
        if needed is not None:
            ways.append(f"{bits}-bit weights ({needed} cores)")
            break
    n_chips = chip.board.n_chips * -(-shortage.n_needed // chip.n_cores)
    ways.append(f"a board of {n_chips} chips (chip.with_(board=({n_chips}, 1)))")
    name, parts = ranked[0]
    if len(parts) > shortage.missing:
        ways.append(f"{name!r} about {-(-100 * shortage.missing // len(parts))} % smaller")
    return " | ".join(ways)


def _filling(wiring: Wiring, chip: ChipSpec, name: str, parts: Sequence[Part]) -> str:
    """Say which budget fills the cores of a layer, and how far."""
    budget = chip.cores[0].budget
    shares = dict.fromkeys(budget, 0.0)
    for part in parts:
        demand = demand_of(wiring, chip, part.load, part.n_out_axons)
        for resource, limit in budget.items():
            share = demand[resource] / limit if demand is not None else 0.0
            shares[resource] = max(shares[resource], share)
    if not shares:
        return "no budget"
    resource = max(shares, key=lambda r: shares[r])
    per_core = format_amount(resource, budget[resource])
    if resource == "neurons":
        n, of_each = wiring.sizes[name], wiring.compartments[name]
        counted = f"{n} neurons" if of_each == 1 else f"{n} neurons of {of_each} compartments"
        return f"{counted}, limit {per_core} per core"
    share = 100.0 * shares[resource]
    return f"{RESOURCES[resource]} {share:.0f} % full, limit {per_core} per core"
