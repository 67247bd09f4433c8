"""Crossbars whose axons have one sign or one type: what a network's integers become on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.copies import copy_sources, count_copies
from nmhw.values.chip import ChipSpec
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def lower_crossbar(network: QuantizedNetwork, ledger: Ledger) -> QuantizedNetwork:
    """Return the network as the chip's axons can hold it (unchanged on chips without such rules).

    Raises
    ------
    DoesNotFitError
        When the copies outgrow the chip.
    """
    chip = ledger.chip
    if chip.arithmetic.weight_coding == "axons":
        return _lower_axons(network, ledger)
    if not any(rule.kind == "source-sign" and rule.severity == "error" for rule in chip.rules):
        return network
    lowered = copy_sources(
        network, split_by_sign, chip_name=chip.name, n_neurons=count_neurons(chip)
    )
    note_copies(lowered, "synapses of both signs, and a source has one sign", ledger)
    return lowered


def _lower_axons(network: QuantizedNetwork, ledger: Ledger) -> QuantizedNetwork:
    """Give every source one axon per plane of its weights, on every core it reaches."""
    chip = ledger.chip
    widths = {p.name: count_axons(network, p.name) for p in network.populations}

    def planes(projection: QuantizedProjection, matrix: csr_array) -> list[csr_array]:
        return split_by_type(matrix, widths[projection.target])

    lowered = copy_sources(
        network,
        planes,
        chip_name=chip.name,
        n_neurons=count_neurons(chip),
        core=(largest_budget(chip, "neurons"), largest_budget(chip, "in_axons")),
        plane_bits=1,
    )
    for name, n_axons in widths.items():
        types = "1, -1" if n_axons == 2 else ", ".join(f"{t}" for t in type_weights(n_axons))
        text = (
            f"each source takes {n_axons} axons of the core, whose types weigh {types} (times "
            f"{1 << _shift_of(network, name)}): weights of {n_axons} axons"
        )
        ledger.note("axon-types", name, text, "assumption")
    note_copies(lowered, "several axons (types, cores) to reach, and a neuron reaches one", ledger)
    return lowered


def count_axons(network: QuantizedNetwork, population: str) -> int:
    """Return the axons per source that hold all weights into ``population`` (at least 2)."""
    incoming = [p for p in network.projections if p.target == population]
    low = min((int(p.weights.min(initial=0)) for p in incoming), default=0)
    high = max((int(p.weights.max(initial=0)) for p in incoming), default=0)
    if low >= -1 and high <= 1:
        return 2
    return 3 if low >= -4 and high <= 3 else 4


def type_weights(n_axons: int) -> list[int]:
    """Return what the axon types weigh, in units of the first."""
    if n_axons == 2:
        return [1, -1]
    return [1 << b for b in range(n_axons - 1)] + [-(1 << (n_axons - 1))]


def split_by_type(matrix: csr_array, n_axons: int) -> list[csr_array]:
    """Return the weights as one matrix per axon type: signs, or bits in two's complement."""
    if n_axons == 2:
        return _planes(matrix, [np.maximum(matrix.data, 0), np.minimum(matrix.data, 0)])
    code = matrix.data & ((1 << n_axons) - 1)
    types = type_weights(n_axons)
    return _planes(matrix, [((code >> b) & 1) * weight for b, weight in enumerate(types)])


def largest_budget(chip: ChipSpec, resource: str) -> int:
    """Return the largest budget of any core (2^30 where unlimited)."""
    return max(group.budget.get(resource, 1 << 30) for group in chip.cores)


def _shift_of(network: QuantizedNetwork, population: str) -> int:
    return max((p.shift for p in network.projections if p.target == population), default=0)


def split_by_sign(projection: QuantizedProjection, matrix: csr_array) -> list[csr_array]:
    """Return the positive and the negative weights."""
    return _planes(matrix, [np.maximum(matrix.data, 0), np.minimum(matrix.data, 0)])


def _planes(matrix: csr_array, data: list[Any]) -> list[csr_array]:
    planes = []
    for values in data:
        plane = matrix.copy()
        plane.data = values
        plane.eliminate_zeros()
        planes.append(plane)
    return planes


def count_neurons(chip: ChipSpec) -> int:
    """Return how many neurons all cores hold."""
    each = [group.count * group.budget.get("neurons", 1 << 40) for group in chip.cores]
    return sum(each) * chip.board.n_chips


def note_copies(network: QuantizedNetwork, reason: str, ledger: Ledger) -> None:
    """Say which sources have copies, and what these cost."""
    inputs = {port.name for port in network.inputs}
    for name, copies in count_copies(network).items():
        origin = network.copies[name]
        n_sources = np.unique(origin[origin.size - copies :]).size
        cost = f"{copies} more neurons, with all their synapses, updates and spikes"
        if name in inputs:
            cost = f"{copies} more input axons, whose events the host sends as well"
        text = f"{n_sources} sources have {reason}: {cost}"
        ledger.note("copies", name, text, "assumption")
