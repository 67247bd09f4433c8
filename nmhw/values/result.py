"""RunResult: what an execution produced, before any price is put on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents


@dataclass(frozen=True, slots=True, eq=False)
class Counters:
    """Exact event counts of a chip run (all samples, T + D steps each).

    Attributes
    ----------
    cores : (n_cores,) int64
        Used global core indices, ascending; the columns of everything below.
    totals : mapping of event kind to (n_cores,) int64
        Kinds of ``nmhw.values.chip.EVENT_KINDS``: synop.dense|sparse|shared at the core that
        stores the synapse; neuron.visit|active|idle|spike at the neuron's core; axon.in at the
        receiving, axon.out at the sending core; hop.x, hop.y, hop.local booked at the sending
        core, those of input events at the receiving core.
    steps : mapping of event kind to (n_samples * n_steps, n_cores) int32, or None
        The same per step, rows ordered sample-major (hops are not kept per step).
    synops_by_projection, spikes_by_population, events_by_input : mappings of name to int
    connections : int
        Spikes times fan-out before lowering (zero weights of dense and conv layers included).
    saturations : mapping of population to int
        Times a state was clipped or wrapped.
    n_tiles, n_chips : int
        Tiles and chips that hold neurons.
    """

    n_samples: int
    n_steps: int
    cores: NDArray[np.int64]
    totals: Mapping[str, NDArray[np.int64]]
    steps: Mapping[str, NDArray[np.int32]] | None
    synops_by_projection: Mapping[str, int]
    spikes_by_population: Mapping[str, int]
    events_by_input: Mapping[str, int]
    connections: int
    saturations: Mapping[str, int]
    n_tiles: int
    n_chips: int

    def total(self, kind: str) -> int:
        """Sum over cores of one kind; a prefix ("synop", "hop") sums the kinds below it."""
        return sum(
            int(counts.sum())
            for name, counts in self.totals.items()
            if name == kind or name.startswith(kind + ".")
        )


@dataclass(frozen=True, slots=True, eq=False)
class ProbeData:
    """One probed variable: ``values`` (samples, steps kept, neurons), integer for integer chips.

    ``steps`` are the simulated step numbers kept (every k-th); values are taken after the reset.
    """

    population: str
    variable: str
    steps: NDArray[np.int64]
    values: NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class RunResult:
    """Result of a chip run or of the float run.

    Attributes
    ----------
    backend : "numba" | "reference" | "lava" | "float"
    n_samples, n_steps : int
        T, the steps of the input; ``n_steps + drain_steps`` were simulated.
    depths : mapping of population to d_p; its window is [d_p, d_p + T)
    spikes : mapping of population (and input) to SpikeEvents over all simulated steps, unshifted
    probes : mapping of (population, variable) to ProbeData
    membranes : mapping of population to (samples, steps T, neurons)
        Window of v of the readout population where the readout needs it.
    counters : Counters or None (None for the float run)
    spike_totals : mapping of population to (n_neurons,) int64, over all samples and steps
    """

    backend: str
    n_samples: int
    n_steps: int
    drain_steps: int
    depths: Mapping[str, int]
    spikes: Mapping[str, SpikeEvents]
    probes: Mapping[tuple[str, str], ProbeData]
    counters: Counters | None
    spike_totals: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)

    def windowed(self, name: str) -> SpikeEvents:
        """Return the events of a population or input in its own window of T steps."""
        return self.spikes[name].window(self.depths.get(name, 0), self.n_steps)
