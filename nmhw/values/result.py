"""RunResult: what an execution produced, before any price is put on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import SpikesNotKeptError
from nmhw.values.events import SpikeEvents
from nmhw.values.noc import NocTimes


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
    is_continuous : bool
        State was kept from sample to sample: the chip was reset once.
    is_stepless : bool
        Run event by event: a neuron is visited once per update, and nothing happens per step.
    uncounted : tuple of str
        Kinds that happened and could not be counted (recorded spikes say nothing of states).
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
    is_continuous: bool = False
    is_stepless: bool = False
    uncounted: tuple[str, ...] = ()

    @property
    def n_resets(self) -> int:
        """Times the state was reset."""
        return 1 if self.is_continuous else self.n_samples

    def total(self, kind: str) -> int:
        """Sum over cores of one kind; a prefix ("synop", "hop") sums the kinds below it."""
        return sum(
            int(counts.sum())
            for name, counts in self.totals.items()
            if name == kind or name.startswith(kind + ".")
        )


@dataclass(frozen=True, slots=True, eq=False)
class ProbeData:
    """One probed variable; NumPy functions and indices take it as the array ``values``.

    Attributes
    ----------
    steps : (steps kept,) int64
        Simulated step numbers kept (every k-th), drain included.
    values : (samples, steps kept, neurons)
        Integer for integer chips; taken after the reset.
    """

    population: str
    variable: str
    steps: NDArray[np.int64]
    values: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """(samples, steps kept, neurons)."""
        return self.values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: Any) -> Any:
        return self.values[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype, copy=copy)


class KeptSpikes(dict[str, SpikeEvents]):
    """Spikes by population; asking for those that were counted and not kept says why."""

    def __init__(self, spikes: Mapping[str, SpikeEvents], not_kept: Collection[str]) -> None:
        super().__init__(spikes)
        self.not_kept = frozenset(not_kept)

    def __missing__(self, name: str) -> SpikeEvents:
        if name not in self.not_kept:
            raise KeyError(name)
        raise SpikesNotKeptError(
            "the spikes of this population were counted and not kept",
            where=name,
            hint="a larger keep_spikes (--keep-spikes), or counters.spikes_by_population",
            rule="run.spikes-dropped",
        )


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
        Populations that are no output are left out when all spikes are too many to keep.
    probes : mapping of (population, variable) to ProbeData
    counters : Counters or None (None for the float run)
    spike_totals : mapping of population to (n_neurons,) int64, over all samples and steps
    events_by_layers : mapping of population to layers passed since the input event -> events
        Of runs event by event (not saved; the summary of a run states it).
    noc : NocTimes or None
        Of runs with latency "noc".
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
    events_by_layers: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    noc: NocTimes | None = None

    def __post_init__(self) -> None:
        names = set(self.spike_totals)
        if self.counters is not None:
            names |= self.counters.events_by_input.keys()
        kept = KeptSpikes(self.spikes, names - self.spikes.keys())
        object.__setattr__(self, "spikes", kept)

    @property
    def probes_by_population(self) -> dict[str, dict[str, ProbeData]]:
        """The probes as population -> variable -> ProbeData."""
        nested: dict[str, dict[str, ProbeData]] = {}
        for (population, variable), probe in self.probes.items():
            nested.setdefault(population, {})[variable] = probe
        return nested

    def windowed(self, name: str) -> SpikeEvents:
        """Return the events of a population or input in its own window of T steps."""
        return self.spikes[name].window(self.depths.get(name, 0), self.n_steps)
