"""Crossbars whose axons have one sign: what the integers of a network become on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    if not any(rule.kind == "source-sign" and rule.severity == "error" for rule in chip.rules):
        return network
    lowered = copy_sources(
        network, split_by_sign, chip_name=chip.name, n_neurons=count_neurons(chip)
    )
    note_copies(lowered, "synapses of both signs, and a source has one sign", ledger)
    return lowered


def split_by_sign(projection: QuantizedProjection, matrix: csr_array) -> list[csr_array]:
    """Return the positive and the negative weights."""
    planes = []
    for keep in (matrix.data > 0, matrix.data < 0):
        plane = matrix.copy()
        plane.data = np.where(keep, plane.data, 0)
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
