"""Traffic: packets from core to core, at given or unit firing rates.

A packet is one spike of one source to one destination core, the source's own core included. Input
elements send theirs from the chip's port.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.footprint import CoreLoad

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Packets per sample between used cores.

    Attributes
    ----------
    between : (n, n) float64
        From core (row) to core (column); the diagonal holds what stays on the core.
    from_port : (n,) float64
        From the input port.
    """

    between: Floats
    from_port: Floats

    @property
    def packets(self) -> float:
        """All packets, those from the port included."""
        return float(self.between.sum() + self.from_port.sum())


def count_traffic(
    loads: Sequence[CoreLoad], sizes: Mapping[str, int], rates: Mapping[str, NDArray[Any]]
) -> Traffic:
    """Count the packets between ``loads``; their order is the order of rows and columns."""
    n = len(loads)
    home = locate(loads, sizes)
    between, from_port = np.zeros((n, n)), np.zeros(n)
    for to, load in enumerate(loads):
        for source, elements in load.axons.items():
            weights = rates[source][elements]
            if source in home:
                between[:, to] += np.bincount(home[source][elements], weights, minlength=n)
            else:
                from_port[to] += weights.sum()
    return Traffic(between, from_port)


def count_out_axons(loads: Sequence[CoreLoad], sizes: Mapping[str, int]) -> list[int]:
    """Return the distinct (neuron, destination core) pairs of every core."""
    unit = {name: np.ones(size) for name, size in sizes.items()}
    return [int(row.sum()) for row in count_traffic(loads, sizes, unit).between]


def locate(loads: Sequence[CoreLoad], sizes: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Return the position in ``loads`` of every neuron of every population."""
    home: dict[str, NDArray[np.int64]] = {}
    for position, load in enumerate(loads):
        for population, neurons in load.members.items():
            cores = home.setdefault(population, np.full(sizes[population], -1, np.int64))
            cores[neurons] = position
    return home
