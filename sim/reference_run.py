"""The reference backend as a chip run: same result record and counters, no Numba kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EngineOutput, EventChunk
from nmhw.sim.event_input import constant_events
from nmhw.sim.fanout import FanOut, build_fan_out
from nmhw.sim.reference import ReferenceOutput, run_reference
from nmhw.sim.run_result import collect_result
from nmhw.sim.step_counter import StepCounter
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult


def run_chip(
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> RunResult:
    """Execute with ``sim/reference.py``; see ``nmhw.sim.chip_run.run_chip``."""
    first = next(iter(inputs.values()))
    total = first.n_steps + quantized.drain_steps
    cut = {name: events.window(0, first.n_steps) for name, events in inputs.items()}
    cut |= constant_events(quantized, first.n_samples, total)
    reference = run_reference(
        quantized, cut, n_steps=total, probes=probes, continuous=continuous, progress=progress
    )
    return count_run(
        "reference",
        quantized,
        mapping,
        chip,
        cut,
        reference,
        n_steps=first.n_steps,
        continuous=continuous,
    )


def count_run(
    backend: str,
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    reference: ReferenceOutput,
    *,
    n_steps: int,
    continuous: bool,
) -> RunResult:
    """Count a run that was made step by step without the Numba engine.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents
        As they were run: none in the drain.
    n_steps : int
        T, without the drain.
    """
    total = n_steps + quantized.drain_steps
    n_samples = next(iter(inputs.values())).n_samples
    fan_out = build_fan_out(quantized, mapping)
    output = _as_engine_output(quantized, reference, fan_out, total, continuous)
    steps = StepCounter(
        quantized, fan_out, n_samples=n_samples, n_steps=total, continuous=continuous
    )
    names = [p.name for p in quantized.populations]
    arrays = {n: (e.sample, e.step, e.index) for n, e in reference.spikes.items() if n in names}
    steps.add(EventChunk(0, n_samples * total, total, arrays))
    return collect_result(
        backend,
        quantized,
        chip,
        fan_out,
        output,
        inputs,
        n_steps=n_steps,
        continuous=continuous,
        step_counter=steps,
    )


def _as_engine_output(
    quantized: QuantizedNetwork,
    reference: ReferenceOutput,
    fan_out: FanOut,
    n_steps: int,
    continuous: bool,
) -> EngineOutput:
    names = [p.name for p in quantized.populations]
    sizes = quantized.sizes()
    longest = {
        name: max((p.delay_steps for p in quantized.projections if p.source == name), default=0)
        for name in names
    }
    n_samples = next(iter(reference.spikes.values())).n_samples
    core_active = np.zeros((n_samples * n_steps, fan_out.cores.size), np.int32)
    for p in quantized.populations:
        active = reference.is_active[p.name].T.astype(np.int32) * np.int32(p.n_compartments)
        np.add.at(core_active.T, fan_out.homes[p.name], active)
    by_core = {n: fan_out.at_home(n, a) for n, a in reference.active_updates.items()}
    events = {name: reference.spikes[name] for name in names}
    return EngineOutput(
        spikes=reference.spikes,
        dropped=(),
        probes=reference.probes,
        states=reference.states,
        spike_totals={n: _per_neuron(e, np.ones(len(e), np.bool_)) for n, e in events.items()},
        undelivered={
            n: np.array(
                [_per_neuron(e, _is_late(e, k, n_steps, continuous)) for k in range(longest[n])],
                np.int64,
            ).reshape(longest[n], sizes[n])
            for n, e in events.items()
        },
        step_counts={n: e.dense().sum(axis=2).astype(np.int32) for n, e in events.items()},
        active_updates=by_core,
        saturations=reference.saturations,
        core_active=core_active,
    )


def _per_neuron(events: SpikeEvents, chosen: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(events.index[chosen], minlength=events.n_neurons).astype(np.int64)


def _is_late(
    events: SpikeEvents, steps_before_end: int, n_steps: int, continuous: bool
) -> NDArray[np.bool_]:
    """Mark spikes of the step that lies ``steps_before_end`` before a sample (the run) ends."""
    left = n_steps - 1 - events.step.astype(np.int64)
    if continuous:
        left += (events.n_samples - 1 - events.sample.astype(np.int64)) * n_steps
    return np.asarray(left == steps_before_end)
