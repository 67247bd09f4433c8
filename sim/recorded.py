"""Counts of spikes that were recorded elsewhere, on a mapped network: nothing is executed.

The same tables and counters as behind a run (``fanout``, ``step_counter``, ``counters``) take the
spikes of a record in place of those of the kernels. A population's spikes are put into its own
window of the chip's time, where its executed spikes would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UnsupportedError
from nmhw.sim.counters import count_events
from nmhw.sim.engine_output import EngineOutput, EventChunk
from nmhw.sim.event_input import constant_events, fit_steps
from nmhw.sim.fanout import build_fan_out
from nmhw.sim.kernels.count import count_sources
from nmhw.sim.step_counter import StepCounter
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation
from nmhw.values.result import RunResult

#: Kinds that spikes alone do not tell: which updates found a state, an input or a bias.
UNCOUNTED = ("neuron.active", "neuron.idle")


def count_recorded(
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    spikes: Mapping[str, SpikeEvents],
    *,
    n_samples: int,
    n_steps: int,
) -> RunResult:
    """Count every event that is linear in the spikes, per core and per step.

    Parameters
    ----------
    spikes : mapping of input and population to SpikeEvents
        Of ``n_steps`` steps, one per compartment; populations that are missing are silent.

    Raises
    ------
    InputError
        For a missing input, or events of another shape.
    UnsupportedError
        For a chip that works without steps alone.
    """
    if "steps" not in chip.arithmetic.timings:
        raise UnsupportedError(
            "records have steps, which this chip has not", where=chip.name, rule="cost.steps"
        )
    total = n_steps + quantized.drain_steps
    inputs = {port.name: _record_of(spikes, port.name, port.size) for port in quantized.inputs
              if port.name not in quantized.constant_inputs}  # fmt: skip
    inputs = {name: fit_steps(events, total) for name, events in inputs.items()}
    inputs |= constant_events(quantized, n_samples, total)
    made = {p.name: _placed(p, spikes, n_samples, n_steps, total) for p in quantized.populations}
    fan_out = build_fan_out(quantized, mapping)
    counter = None
    if StepCounter.fits(fan_out, n_samples * total):
        counter = StepCounter(quantized, fan_out, n_samples=n_samples, n_steps=total)
        events = {name: (e.sample, e.step, e.index) for name, e in made.items()}
        counter.add(EventChunk(0, n_samples * total, total, events))
    output = _output(quantized, made, inputs, n_samples, total)
    counters = count_events(
        quantized, fan_out, chip, output, inputs, n_steps=total, step_counter=counter
    )
    totals = {kind: n for kind, n in counters.totals.items() if kind not in UNCOUNTED}
    return RunResult(
        backend="recorded",
        n_samples=n_samples,
        n_steps=n_steps,
        drain_steps=quantized.drain_steps,
        depths={p.name: p.depth for p in quantized.populations},
        spikes={**inputs, **made},
        probes={},
        counters=replace(counters, totals=totals, uncounted=UNCOUNTED),
        spike_totals=output.spike_totals,
    )


def _record_of(spikes: Mapping[str, SpikeEvents], name: str, size: int) -> SpikeEvents:
    if name not in spikes:
        raise InputError("an input has no recorded spikes", where=name, rule="cost.input")
    if spikes[name].n_neurons != size:
        raise InputError(
            "recorded spikes of another shape", got=spikes[name].shape, limit=size, where=name
        )
    return spikes[name]


def _placed(
    population: QuantizedPopulation, spikes: Mapping[str, SpikeEvents], n_samples: int,
    n_steps: int, total: int,
) -> SpikeEvents:  # fmt: skip
    """Return a population's spikes in the chip's time; what a lowering added fires always."""
    if population.is_added:
        first = int(population.depth)
        sample, step, index = np.indices((n_samples, total - first, population.size), np.int32)
        flat = (sample.ravel(), (step + np.int32(first)).ravel(), index.ravel())
        return SpikeEvents(*flat, n_samples, total, population.shape)
    if population.name not in spikes:
        none = np.zeros(0, np.int32)
        return SpikeEvents(none, none, none, n_samples, total, population.shape)
    events = _record_of(spikes, population.name, population.size)
    inside = events.step < n_steps
    later = events.step[inside] + np.int32(population.depth)
    return SpikeEvents(events.sample[inside], later, events.index[inside], n_samples, total,
                       population.shape)  # fmt: skip


def _output(
    quantized: QuantizedNetwork, made: Mapping[str, SpikeEvents],
    inputs: Mapping[str, SpikeEvents], n_samples: int, total: int,
) -> EngineOutput:  # fmt: skip
    """Return what the kernels would have left behind."""
    totals, late, steps = {}, {}, {}
    for name, events in made.items():
        totals[name] = np.zeros(events.n_neurons, np.int64)
        count_sources(np.ascontiguousarray(events.index), totals[name])
        longest = max((p.delay_steps for p in quantized.projections if p.source == name), default=0)
        late[name] = np.zeros((longest, events.n_neurons), np.int64)
        behind = total - 1 - events.step
        near = behind < longest
        np.add.at(late[name], (behind[near], events.index[near]), 1)
        flat = events.sample.astype(np.int64) * total + events.step
        counted = np.bincount(flat, minlength=n_samples * total)
        steps[name] = counted.reshape(n_samples, total).astype(np.int32)
    nothing: dict[str, NDArray[Any]] = {name: np.zeros(0, np.int64) for name in made}
    return EngineOutput(
        spikes={**inputs, **made}, dropped=(), probes={}, states={}, spike_totals=totals,
        undelivered=late, step_counts=steps, active_updates=nothing,
        saturations=dict.fromkeys(made, 0), core_active=None,
    )  # fmt: skip
