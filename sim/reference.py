"""Plain NumPy twin of the Numba simulator: slow, obvious, and the oracle of every kernel.

One sample at a time, one step at a time, every projection expanded to its synapses. The cell
arithmetic is ``nmhw.values.arithmetic``; nothing here is shared with ``sim/kernels``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError, UsageError
from nmhw.values.arithmetic import CellState, CellStep, add_in_order, initial_state, step_cell
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection
from nmhw.values.result import ProbeData

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceOutput:
    """Everything a step-by-step run produces.

    Attributes
    ----------
    spikes : population or input -> SpikeEvents over all simulated steps
    probes : (population, variable) -> ProbeData
    states : population -> CellState after the last sample
    is_active : population -> (n_samples * n_steps, n) bool, had state, input or bias in the step
    saturations : population -> int
    """

    spikes: Mapping[str, SpikeEvents]
    probes: Mapping[tuple[str, str], ProbeData]
    states: Mapping[str, CellState]
    is_active: Mapping[str, NDArray[np.bool_]]
    saturations: Mapping[str, int]

    @property
    def active_updates(self) -> dict[str, Ints]:
        """Steps in which each neuron had state, input or bias."""
        return {n: mask.sum(axis=0).astype(np.int64) for n, mask in self.is_active.items()}


@dataclass(slots=True)
class _Record:
    """Mutable collections of one run."""

    rasters: dict[str, list[Ints]]
    probed: dict[tuple[str, str], list[NDArray[np.generic]]]
    active: dict[str, list[NDArray[np.bool_]]]
    saturations: dict[str, int]
    states: dict[str, CellState] = field(default_factory=dict)


def run_reference(
    quantized: QuantizedNetwork,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ReferenceOutput:
    """Run ``n_steps`` steps (drain included) of every sample.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents
        Events behind ``n_steps`` are ignored; missing steps are silent.
    continuous : bool
        Keep states and spikes in flight from one sample to the next.

    Raises
    ------
    UnsupportedError
        For a cycle without delay.
    """
    n_samples = next(iter(inputs.values())).n_samples
    matrices = {p.name: _expand(quantized, p) for p in quantized.projections}
    order = _update_order(quantized)
    record = _Record(
        {name: [] for name in quantized.sizes()},
        {(p.population, p.variable): [] for p in probes},
        {p.name: [] for p in quantized.populations},
        {p.name: 0 for p in quantized.populations},
    )
    rasters = {name: _counts(events, n_steps) for name, events in inputs.items()}
    history: dict[str, list[Ints]] = {}
    for sample in range(n_samples):
        if sample == 0 or not continuous:
            record.states = {p.name: initial_state(p) for p in quantized.populations}
            history = {name: [] for name in quantized.sizes()}
        for step in range(n_steps):
            for name, counts in rasters.items():
                history[name].append(counts[sample, step])
            for name in order:
                _update(quantized, name, matrices, history, record)
            _store(probes, step, record)
        for name in quantized.sizes():
            record.rasters[name].append(np.array(history[name][-n_steps:], np.int64))
        if progress is not None:
            progress(sample + 1, n_samples)
    return _finish(quantized, record, probes, n_samples, n_steps)


def _expand(quantized: QuantizedNetwork, projection: QuantizedProjection) -> Any:
    sizes = quantized.sizes()
    stored = stored_synapses(projection, sizes[projection.target])
    matrix = (pooled_map(projection, sizes[projection.source]).astype(np.int64) @ stored).T
    if quantized.population(projection.target).spec.summation == "saturating":
        return matrix.toarray()
    return matrix.tocsr()


def _counts(events: SpikeEvents, n_steps: int) -> Ints:
    counts = np.zeros((events.n_samples, n_steps, events.n_neurons), np.int64)
    inside = events.step < n_steps
    np.add.at(counts, (events.sample[inside], events.step[inside], events.index[inside]), 1)
    return counts


def _update_order(quantized: QuantizedNetwork) -> list[str]:
    """Order populations so that spikes over zero-delay projections arrive in the same step."""
    waits = {
        p.name: {
            q.source for q in quantized.projections if q.target == p.name and not q.delay_steps
        }
        for p in quantized.populations
    }
    order: list[str] = []
    while waits:
        ready = [name for name, sources in waits.items() if not sources & waits.keys()]
        if not ready:
            raise UnsupportedError(
                "a cycle without delay cannot be simulated",
                got=sorted(waits),
                rule="sim.delay-free-cycle",
            )
        order += ready
        waits = {name: sources for name, sources in waits.items() if name not in ready}
    return order


def _update(
    quantized: QuantizedNetwork,
    name: str,
    matrices: Mapping[str, Any],
    history: dict[str, list[Ints]],
    record: _Record,
) -> None:
    population = quantized.population(name)
    now = len(history[quantized.inputs[0].name])
    summed = np.zeros(population.size, np.int64)
    if population.spec.summation == "saturating":
        arrivals = _arrivals(quantized, name, matrices, history, now)
        record.states[name], clipped = add_in_order(population, record.states[name], arrivals)
        result = step_cell(population, record.states[name], summed)
        record.saturations[name] += int((result.is_saturated | clipped).sum())
        _keep(record, history, name, result)
        return
    for projection in quantized.projections:
        when = now - 1 - projection.delay_steps
        if projection.target != name or when < 0:
            continue
        arrived = matrices[projection.name] @ history[projection.source][when]
        shift = projection.shift
        summed += arrived << shift if shift >= 0 else arrived >> -shift
    result = step_cell(population, record.states[name], summed)
    record.saturations[name] += int(result.is_saturated.sum())
    _keep(record, history, name, result)


def _keep(record: _Record, history: dict[str, list[Ints]], name: str, result: CellStep) -> None:
    record.states[name] = result.state
    record.active[name].append(result.is_active)
    history[name].append(result.n_spikes)


def _arrivals(
    quantized: QuantizedNetwork,
    name: str,
    matrices: Mapping[str, Any],
    history: Mapping[str, list[Ints]],
    now: int,
) -> Iterator[tuple[int, Ints]]:
    """Yield what each source brings, inputs first, then populations, indices ascending."""
    for source, spikes in history.items():
        for projection in quantized.projections:
            when = now - 1 - projection.delay_steps
            if (projection.source, projection.target) != (source, name) or when < 0:
                continue
            counts = spikes[when]
            for k in np.flatnonzero(counts):
                yield (
                    projection.synapse,
                    (counts[k] * matrices[projection.name][:, k]) << projection.shift,
                )


def _store(probes: Sequence[Probe], step: int, record: _Record) -> None:
    for probe in probes:
        if step % probe.every == 0:
            value = getattr(record.states[probe.population], probe.variable)
            if value is None:
                raise UsageError("no second synaptic current to probe", where=probe.population)
            record.probed[probe.population, probe.variable].append(value.copy())


def _finish(
    quantized: QuantizedNetwork,
    record: _Record,
    probes: Sequence[Probe],
    n_samples: int,
    n_steps: int,
) -> ReferenceOutput:
    shapes = quantized.shapes()
    spikes = {
        name: SpikeEvents.from_dense(np.array(rasters), shapes[name])
        for name, rasters in record.rasters.items()
    }
    data = {}
    for probe in probes:
        key = (probe.population, probe.variable)
        kept = np.arange(0, n_steps, probe.every, dtype=np.int64)
        values = np.array(record.probed[key]).reshape(n_samples, kept.size, -1)
        data[key] = ProbeData(probe.population, probe.variable, kept, values)
    active = {name: np.array(masks) for name, masks in record.active.items()}
    return ReferenceOutput(spikes, data, record.states, active, record.saturations)
