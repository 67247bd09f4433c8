"""Mapping: which neuron sits on which core, and what that core's budgets look like."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.notice import Notice


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """Part of one population on one core; ``neurons`` ascending, author's indices, int64."""

    population: str
    neurons: NDArray[np.int64]
    core: int


@dataclass(frozen=True, slots=True)
class Utilization:
    """Use of one core: resource -> (used, limit); limit None = unlimited."""

    core: int
    resources: MappingOf[str, tuple[int, int | None]]


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """Slices on physical cores.

    Attributes
    ----------
    slices : tuple of Slice
        ``core`` is the chip's global core index (ChipSpec.position gives chip, x, y). Together
        they hold every neuron of every population exactly once.
    encodings : mapping of (projection name, core) -> "dense" | "sparse" | "shared"
        How the projection's synapses into that core are stored.
    utilization : one entry per used core, ascending
    metrics : mapping
        packets, unicast_hops, n_cores, ... (mapping-time estimates with unit rates or the
        calibration's rates)
    mapper : str
        Name of the method.
    """

    chip_name: str
    slices: tuple[Slice, ...]
    encodings: MappingOf[tuple[str, int], str]
    utilization: tuple[Utilization, ...]
    metrics: MappingOf[str, Any] = field(default_factory=dict)
    mapper: str = "greedy"
    notices: tuple[Notice, ...] = ()

    @property
    def cores(self) -> tuple[int, ...]:
        """Used global core indices, ascending."""
        return tuple(sorted({s.core for s in self.slices}))

    def core_of(self, population: str, size: int) -> NDArray[np.int64]:
        """Return (size,) the global core of every neuron of ``population``; -1 where unmapped."""
        cores = np.full(size, -1, np.int64)
        for part in self.slices:
            if part.population == population:
                cores[part.neurons] = part.core
        return cores
