"""Footprint: the exact demand of a core for every resource a budget can name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.encoding import AxonBlock, cheapest_encoding
from nmhw.mappers.wiring import ProjectionWiring, Sources, Wiring
from nmhw.mappers.words import count_words, counts_words
from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]
Demand = dict[str, int]

#: Every resource that can be counted, with the unit its texts use.
RESOURCES = {
    "neurons": "neurons",
    "in_axons": "input axons",
    "out_axons": "output axons",
    "synapses": "synapses",
    "synapse_bits": "synapse memory",
    "neuron_profiles": "neuron profiles",
    "threshold_profiles": "threshold profiles",
    "synapse_formats": "synapse formats",
    "memory_bits": "memory",
    "kernel_words": "kernel memory words",
    "neuron_words": "neuron memory words",
    "bias_words": "bias memory words",
}


@dataclass(frozen=True, slots=True, eq=False)
class CoreLoad:
    """What sits on one core (or would, in one slice).

    Attributes
    ----------
    members : mapping of population name to neurons, ascending
    blocks : mapping of projection name to its axons into this core
    axons : mapping of source node to its distinct elements with a synapse here, ascending
    profiles, thresholds : distinct numbers of ``Wiring.profiles`` and ``.thresholds``
    n_neurons : int
        Compartments included.
    n_delay_slots : int
        Ring-buffer slots of all neurons together.
    """

    members: Mapping[str, Ints]
    blocks: Mapping[str, AxonBlock]
    axons: Mapping[str, Sources]
    profiles: frozenset[int]
    thresholds: frozenset[int]
    n_neurons: int
    n_delay_slots: int

    @property
    def n_in_axons(self) -> int:
        """Distinct sources."""
        return sum(sources.size for sources in self.axons.values())


def load_slice(wiring: Wiring, population: str, neurons: Ints) -> CoreLoad:
    """Return the load of one slice alone on a core."""
    blocks: dict[str, AxonBlock] = {}
    axons: dict[str, Sources] = {}
    for wires in wiring.incoming[population]:
        block = _block(wires, neurons)
        if block.sources.size:
            blocks[wires.projection.name] = block
            source = wires.projection.source
            axons[source] = _union(axons.get(source), block.sources)
    return CoreLoad(
        members={population: neurons},
        blocks=blocks,
        axons=axons,
        profiles=_profiles(wiring, population, neurons),
        thresholds=frozenset(np.unique(wiring.thresholds[population][neurons]).tolist()),
        n_neurons=int(neurons.size) * wiring.compartments[population],
        n_delay_slots=int(neurons.size) * wiring.delay_slots[population],
    )


def merge_loads(wiring: Wiring, first: CoreLoad, second: CoreLoad) -> CoreLoad:
    """Return the load of a core that holds both (without recounting what they do not share)."""
    both = first.members.keys() & second.members.keys()
    members, blocks = {**first.members, **second.members}, {**first.blocks, **second.blocks}
    for population in both:
        merged = _union(first.members[population], second.members[population])
        joined = load_slice(wiring, population, merged)
        members[population] = merged
        blocks.update(joined.blocks)
    axons = dict(first.axons)
    for source, elements in second.axons.items():
        axons[source] = _union(axons.get(source), elements)
    return CoreLoad(
        members,
        blocks,
        axons,
        first.profiles | second.profiles,
        first.thresholds | second.thresholds,
        first.n_neurons + second.n_neurons,
        first.n_delay_slots + second.n_delay_slots,
    )


def demand_of(wiring: Wiring, chip: ChipSpec, load: CoreLoad, n_out_axons: int) -> Demand | None:
    """Return what ``load`` takes of every resource, or None if its synapses have no legal format.

    ``n_out_axons`` = distinct (neuron here, destination core) pairs, which depend on where the
    targets are.
    """
    synapse_bits = 0
    formats = set()
    for block in load.blocks.values():
        best = cheapest_encoding(chip, block, load.n_neurons)
        if best is None:
            return None
        synapse_bits += best.bits
        formats.add((best.format, block.projection.shift, block.projection.sign_mode))
    demand = {
        "neurons": load.n_neurons,
        "in_axons": load.n_in_axons,
        "out_axons": n_out_axons,
        "synapses": sum(block.n_synapses for block in load.blocks.values()),
        "synapse_bits": synapse_bits,
        "neuron_profiles": len(load.profiles),
        "threshold_profiles": len(load.thresholds),
        "synapse_formats": len(formats),
    }
    demand["memory_bits"] = _memory_bits(chip, load, synapse_bits)
    if counts_words(chip):
        demand.update(count_words(wiring, chip, load.members))
    return demand


def encodings_of(chip: ChipSpec, load: CoreLoad) -> dict[str, str]:
    """Return the kind of the cheapest legal format of every projection into a core."""
    kinds: dict[str, str] = {}
    for name, block in load.blocks.items():
        best = cheapest_encoding(chip, block, load.n_neurons)
        if best is not None:
            kinds[name] = best.encoding.kind
    return kinds


def excess(demand: Demand, budget: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return resource -> (needed, limit) for every budget that ``demand`` exceeds."""
    over = {}
    for resource, limit in budget.items():
        if demand[resource] > limit:
            over[resource] = (demand[resource], limit)
    return over


def format_amount(resource: str, value: int) -> str:
    """Format a demand: memory in kbit or Mbit with three digits, everything else as a count."""
    if not resource.endswith("_bits"):
        return str(value)
    if value >= 1_000_000:
        return f"{value / 1e6:.2f} Mbit"
    return f"{value / 1e3:.1f} kbit" if value >= 10_000 else f"{value} bit"


def check_resources(chip: ChipSpec) -> None:
    """Refuse a chip whose budgets name a resource that cannot be counted.

    Raises
    ------
    UnsupportedError
        Naming the resource.
    """
    for group in chip.cores:
        for resource in (*group.budget, *group.soft_budget):
            if resource not in RESOURCES:
                raise UnsupportedError(
                    "the mappers cannot count this resource",
                    got=repr(resource),
                    where=f"{chip.name}, core group {group.name!r}",
                    hint="one of " + ", ".join(RESOURCES),
                    rule="map.resource",
                )


def _profiles(wiring: Wiring, population: str, neurons: Ints) -> frozenset[int]:
    """Return the profile numbers: those of a second compartment are other ones, below 0."""
    numbers = np.unique(wiring.profiles[population][neurons]).tolist()
    if wiring.compartments[population] > 1:
        numbers += [-1 - number for number in numbers]
    return frozenset(numbers)


def _block(wires: ProjectionWiring, neurons: Ints) -> AxonBlock:
    sources, lengths = wires.axons_of(neurons)
    list_lengths, list_counts = _distinct(lengths)
    rows, row_counts = _distinct(wires.rows[sources])
    n_elements = 0
    if wires.projection.storage == "conv":
        n_elements = wires.channels(neurons) * int(np.prod(wires.projection.weights.shape[1:]))
    return AxonBlock(
        wires.projection,
        sources,
        int(neurons.size),
        list_lengths,
        list_counts,
        rows * neurons.size,
        row_counts,
        n_elements,
    )


def _distinct(lengths: Ints) -> tuple[Ints, Ints]:
    """Return distinct lengths, ascending, and how many axons have each."""
    counts = np.bincount(lengths)  # no more than a core's synapses of one source: no sorting
    found = np.flatnonzero(counts)
    return found, counts[found]


def _memory_bits(chip: ChipSpec, load: CoreLoad, synapse_bits: int) -> int:
    memory = chip.memory
    if memory is None:
        return synapse_bits
    return (
        memory.fixed_bits
        + memory.bits_per_neuron * load.n_neurons
        + memory.bits_per_neuron_delay_slot * load.n_delay_slots
        + memory.bits_per_in_axon * load.n_in_axons
        + synapse_bits
    )


def _union(first: NDArray[Any] | None, second: NDArray[Any]) -> NDArray[Any]:
    return second if first is None else np.union1d(first, second)
