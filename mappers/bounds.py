"""Bounds: how few cores could ever do, whatever the mapper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.encoding import legal_encodings
from nmhw.mappers.wiring import ProjectionWiring, Wiring
from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CoreBound:
    """No mapping uses fewer than ``n_cores`` cores, because of ``resource``."""

    n_cores: int
    resource: str


def bound_cores(wiring: Wiring, chip: ChipSpec) -> CoreBound:
    """Return the largest of the bounds total demand / budget, over all resources.

    Totals count what no cut can avoid: every neuron and synapse once, every source one input axon
    somewhere, every connected neuron one output axon, a shared kernel once.
    """
    best = CoreBound(1, "neurons")
    for resource, total in _totals(wiring, chip).items():
        needed = _cores_for(chip, resource, total)
        if needed > best.n_cores:
            best = CoreBound(needed, resource)
    return best


def _totals(wiring: Wiring, chip: ChipSpec) -> dict[str, int]:
    reached: dict[str, Ints] = {}
    synapses = bits = 0
    for wires in (w for found in wiring.incoming.values() for w in found):
        source, elements = wires.projection.source, wires.connected()
        before = reached.get(source)
        reached[source] = elements if before is None else np.union1d(before, elements)
        synapses += wires.n_synapses
        bits += _fewest_bits(wires, chip, int(elements.size))
    populations = {p.name: p.size for p in wiring.network.populations}
    axons = {source: int(elements.size) for source, elements in reached.items()}
    n_axons = sum(axons.values())
    n_neurons = sum(p.size * p.n_compartments for p in wiring.network.populations)
    totals = {
        "neurons": n_neurons,
        "in_axons": n_axons,
        "out_axons": sum(n for source, n in axons.items() if source in populations),
        "synapses": synapses,
        "synapse_bits": bits,
        "neuron_profiles": len(np.unique(np.concatenate(list(wiring.profiles.values())))),
        "threshold_profiles": len(np.unique(np.concatenate(list(wiring.thresholds.values())))),
        "memory_bits": bits,
    }
    if chip.memory is not None:
        slots = sum(size * wiring.delay_slots[name] for name, size in populations.items())
        totals["memory_bits"] += (
            chip.memory.bits_per_neuron * n_neurons
            + chip.memory.bits_per_neuron_delay_slot * slots
            + chip.memory.bits_per_in_axon * n_axons
        )
    return totals


def _fewest_bits(wires: ProjectionWiring, chip: ChipSpec, n_axons: int) -> int:
    """Bits without headers and rounding, in the format that would need least."""
    options = []
    for encoding, weight_bits in legal_encodings(chip, wires.projection):
        if encoding.kind == "shared":
            stored = weight_bits * int(wires.projection.weights.size)
        else:
            index = min(encoding.index_bits) if encoding.kind == "sparse" else 0
            stored = wires.n_synapses * (weight_bits + index + encoding.extra_bits)
        options.append(stored + n_axons * encoding.axon_bits)
    return min(options, default=0)


def _cores_for(chip: ChipSpec, resource: str, total: int) -> int:
    """Return how many of the roomiest cores hold ``total``."""
    fixed = chip.memory.fixed_bits if chip.memory and resource == "memory_bits" else 0
    sizes = []
    for group in chip.cores:
        limit = group.budget.get(resource)
        if limit is None:
            return 1
        sizes.append((limit - fixed, group.count * chip.board.n_chips))
    needed, left = 0, total
    for size, count in sorted(sizes, reverse=True):
        if size <= 0:
            continue
        used = min(count, -(-left // size))
        needed, left = needed + used, left - used * size
        if left <= 0:
            return needed
    roomiest = max((size for size, _ in sizes), default=0)
    return needed + (-(-left // roomiest) if roomiest > 0 else 0)
