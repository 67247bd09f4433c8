"""The loop over groups of populations and steps of the float run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.float_neuron import FloatPopulation
from nmhw.sim.float_program import Edge, FloatProgram
from nmhw.sim.float_signal import DenseSignal, Signal, SpikeSignal
from nmhw.values.probe import Probe

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]


class ProgressMeter:
    """Adds up neuron updates and tells a callback (done, total)."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def add(self, amount: int) -> None:
        """Report ``amount`` more updates."""
        self._done += amount
        if self._progress is not None:
            self._progress(self._done, self._total)


@dataclass(slots=True, eq=False)
class Chunk:
    """State and record of one batch of samples.

    ``history`` keeps what the members of loops sent in the last steps, by step; ``probes`` have
    shape (steps kept, samples, n).
    """

    n_samples: int
    signals: dict[str, Signal]
    states: dict[str, FloatPopulation] = field(default_factory=dict)
    history: dict[str, dict[int, Floats]] = field(default_factory=dict)
    probes: dict[tuple[str, str], Floats] = field(default_factory=dict)


def run_chunk(
    program: FloatProgram,
    inputs: dict[str, Signal],
    extent: tuple[int, int, int],
    span: int,
    meter: ProgressMeter,
) -> Chunk:
    """Execute all steps for one batch of samples.

    Parameters
    ----------
    inputs : dict of Signal, by input name
    extent : (rows, steps, steps per sample)
        In a continuous stream the steps of all samples follow each other in one row.
    span : int
        Steps computed at once.
    """
    n_rows, n_steps, per_sample = extent
    chunk = Chunk(n_rows, dict(inputs))
    for name, population in program.populations.items():
        cell, kind, size = program.cells[name], population.model.kind, population.size
        chunk.states[name] = FloatPopulation(cell, program.profile, kind, n_rows)
        chunk.history[name] = {}
        spiking = population.model.is_spiking
        values = np.zeros((0 if spiking else n_steps, n_rows, size))
        chunk.signals[name] = SpikeSignal(size, name) if spiking else DenseSignal(values)
    for probe in program.probes:
        kept = _kept(probe, per_sample) * (n_steps // per_sample)
        size = program.populations[probe.population].size
        chunk.probes[probe.population, probe.variable] = np.zeros((kept, n_rows, size))
    for start in range(0, n_steps, span):
        steps = range(start, min(n_steps, start + span))
        for group in program.groups:
            _run_group(program, group, chunk, steps, per_sample)
            meter.add(sum(program.populations[n].size for n in group) * len(steps) * n_rows)
    return chunk


def _kept(probe: Probe, n_steps: int) -> int:
    return -(-n_steps // probe.every)


def _run_group(
    program: FloatProgram, group: tuple[str, ...], chunk: Chunk, steps: range, per_sample: int
) -> None:
    """Execute one loop, or one population outside every loop, for some steps."""
    members = frozenset(group)
    inner = {n: [e for e in program.edges[n] if e.projection.source in members] for n in group}
    edges = [e for incoming in inner.values() for e in incoming]
    feeding = {e.projection.source for e in edges}
    longest = max((e.delay for e in edges), default=0)
    drive = {n: _outer_drive(program, n, members, chunk, steps) for n in group}
    watched = [p for p in program.probes if p.population in members]
    late = [n for n in group if chunk.states[n].is_late]
    for step in steps:
        for name in late:
            spikes = chunk.states[name].fire_late()
            if name in feeding:
                chunk.history[name][step] = spikes
        for name in group:
            x = _add_inner(drive[name][step - steps.start], inner[name], chunk, step)
            out = chunk.states[name].step(x)
            chunk.signals[name].append(step, out)
            if name in feeding:
                chunk.history[name][step] = out
        for name in feeding:
            chunk.history[name].pop(step - longest, None)
        for probe in watched:
            sample, local = divmod(step, per_sample)
            if local % probe.every == 0:
                slot = sample * _kept(probe, per_sample) + local // probe.every
                state = chunk.states[probe.population]
                value = state.v if probe.variable == "v" else state.u
                chunk.probes[probe.population, probe.variable][slot] = value


def _add_inner(x: Floats, edges: list[Edge], chunk: Chunk, step: int) -> Floats:
    for edge in edges:
        sent = chunk.history[edge.projection.source].get(step - edge.delay)
        if sent is not None:
            x = x + edge.map.of_sent(sent)
    return x


def _outer_drive(
    program: FloatProgram, name: str, members: frozenset[str], chunk: Chunk, steps: range
) -> Floats:
    """Return biases and the input from outside the loop: (steps, samples, n)."""
    drive = np.zeros((len(steps), chunk.n_samples, program.populations[name].size))
    for edge in program.edges[name]:
        bias = edge.projection.bias
        if bias is not None:
            drive[max(0, edge.bias_from - steps.start) :] += bias
        if edge.projection.source in members:
            continue
        signal = chunk.signals[edge.projection.source]
        first, last = steps.start - edge.delay, steps.stop - edge.delay
        if isinstance(signal, SpikeSignal):
            rows = edge.map.of_events(signal.rows(first, last, chunk.n_samples))
        else:
            rows = edge.map.of_rows(signal.rows(first, last, chunk.n_samples))
        drive += rows.reshape(drive.shape)
    return drive
