"""The float run: a network under a profile in float64, the reference for every deployment.

Groups of populations that form a loop are executed step by step; everything between such groups
is computed for all steps of a chunk at once (one sparse or dense product per projection), which
is what makes it fast. Results do not depend on how the work is cut into chunks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.sim.float_loop import Chunk, Progress, ProgressMeter, run_chunk
from nmhw.sim.float_program import FloatProgram, prepare
from nmhw.sim.float_signal import Signal, SpikeSignal, signal_of_events, signal_of_values
from nmhw.values.delays import split_by_delay
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network, Population
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile
from nmhw.values.result import ProbeData, RunResult
from nmhw.values.topology import output_delay

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Inputs = SpikeEvents | NDArray[Any]

# Elements of the largest array of a chunk: 8 M float64 = 64 MB.
_CHUNK_ELEMENTS = 8_000_000


def run_float(
    network: Network,
    profile: Profile,
    inputs: Mapping[str, Inputs] | Inputs,
    *,
    probes: Sequence[Probe] = (),
    continuous: bool = False,
    drain_steps: int | None = None,
    progress: Progress | None = None,
    chunk_elements: int = _CHUNK_ELEMENTS,
) -> RunResult:
    """Execute a network in float64.

    Parameters
    ----------
    network : Network
    profile : Profile
        Complete (see ``resolve_profile``).
    inputs : SpikeEvents or (samples, steps, ...) array, or a mapping of them by input name
    probes : sequence of Probe
        "v" (after the reset) and "u" of any population.
    continuous : bool
        Keep state and delay lines from one sample to the next.
    drain_steps : int, optional
        Steps without input after the T input steps; default D, the longest input-to-output delay.
    progress : callable(done, total), optional
        Called now and then with neuron updates done and to do.
    chunk_elements : int
        Bound on the elements of the largest intermediate array.

    Returns
    -------
    RunResult
        ``backend`` "float"; ``spikes`` of inputs and spiking populations over T + D steps,
        unshifted; ``probes[(name, "v")]`` also for every population without spikes that feeds an
        output.

    Raises
    ------
    InputError
        For missing inputs, wrong shapes, or inputs that differ in samples or steps.
    ProfileError, UnsupportedError
        See ``discretize`` and ``projection_delays``; also when multi-spike neurons run away.
    """
    program = prepare(split_by_delay(network, profile.dt_s), profile, probes)
    given = _checked_inputs(network, inputs)
    first = next(iter(given.values()))
    n_samples, n_steps = _extent(first)
    drain = output_delay(program.network, program.depth) if drain_steps is None else drain_steps
    executed = n_steps + drain
    total_steps = executed * n_samples if continuous else executed
    n_rows = 1 if continuous else n_samples
    rows = max(1, min(n_rows, chunk_elements // max(1, program.widest * total_steps)))
    span = max(1, min(total_steps, chunk_elements // (rows * program.widest)))
    chunks = []
    work = sum(p.size for p in network.populations) * total_steps * n_rows
    meter = ProgressMeter(progress, work)
    for start in range(0, n_rows, rows):
        stop = min(n_rows, start + rows)
        part = (0, n_samples) if continuous else (start, stop)
        signals = {
            name: _signal(value, *part, executed, continuous) for name, value in given.items()
        }
        extent = (stop - start, total_steps, executed)
        chunks.append(run_chunk(program, signals, extent, span, meter))
    shape = (n_samples, executed)
    return _collect(program, given, chunks, rows, shape, n_steps, continuous=continuous)


def _checked_inputs(network: Network, inputs: Mapping[str, Inputs] | Inputs) -> dict[str, Inputs]:
    names = [port.name for port in network.inputs]
    if not isinstance(inputs, Mapping):
        if len(names) != 1:
            raise InputError(
                "the network has several inputs",
                got="one array",
                hint="a dict by " + ", ".join(names),
            )
        inputs = {names[0]: inputs}
    if set(inputs) != set(names):
        raise InputError("wrong input names", got=sorted(inputs), limit=", ".join(names))
    for port in network.inputs:
        value = inputs[port.name]
        if isinstance(value, SpikeEvents):
            size, shape = value.n_neurons, value.shape
        else:
            shape = value.shape[2:]
            size = int(np.prod(shape))
        if size != port.size or (not isinstance(value, SpikeEvents) and value.ndim < 3):
            raise InputError(
                "input has the wrong shape", got=shape, limit=port.shape, where=port.name,
                hint="events, or an array (samples, steps, ...)",
            )  # fmt: skip
    extents = {name: _extent(value) for name, value in inputs.items()}
    if len(set(extents.values())) > 1:
        raise InputError("inputs differ in (samples, steps)", got=extents)
    return {name: inputs[name] for name in names}


def _extent(value: Inputs) -> tuple[int, int]:
    if isinstance(value, SpikeEvents):
        return value.n_samples, value.n_steps
    return int(value.shape[0]), int(value.shape[1])


def _signal(value: Inputs, first: int, last: int, executed: int, continuous: bool) -> Signal:
    if isinstance(value, SpikeEvents):
        return signal_of_events(value, first, last, executed, continuous=continuous)
    return signal_of_values(value, first, last, executed, continuous=continuous)


def _collect(
    program: FloatProgram,
    given: Mapping[str, Inputs],
    chunks: Sequence[Chunk],
    rows: int,
    shape: tuple[int, int],
    n_steps: int,
    *,
    continuous: bool,
) -> RunResult:
    """Join the chunks: events sorted by sample, step, index; probes (samples, steps, neurons)."""
    n_samples, executed = shape
    spikes = {n: v for n, v in given.items() if isinstance(v, SpikeEvents)}
    for name, population in program.populations.items():
        parts = []
        for k, chunk in enumerate(chunks):
            signal = chunk.signals[name]
            if isinstance(signal, SpikeSignal):
                step, sample, index, value = signal.arrays()
                parts.append((step, sample + k * rows, index, value))
        if parts:
            step, sample, index, value = (np.concatenate(c) for c in zip(*parts, strict=True))
            if continuous:
                sample, step = np.divmod(step, executed)
            spikes[name] = _events(population, (sample, step, index), value, shape)
    probes = {}
    for probe in program.probes:
        key = (probe.population, probe.variable)
        values = np.concatenate([c.probes[key] for c in chunks], axis=1).transpose(1, 0, 2)
        steps = np.arange(executed, dtype=np.int64)[:: probe.every]
        if continuous:
            values = values.reshape(n_samples, steps.size, -1)
        probes[key] = ProbeData(*key, steps, np.ascontiguousarray(values))
    return RunResult(
        backend="float",
        n_samples=n_samples,
        n_steps=n_steps,
        drain_steps=executed - n_steps,
        depths=dict(program.depth),
        spikes=spikes,
        probes=probes,
        counters=None,
        spike_totals={
            n: np.bincount(e.index, minlength=e.n_neurons).astype(np.int64)
            for n, e in spikes.items()
            if n in program.populations
        },
    )


def _events(
    population: Population, address: tuple[Ints, Ints, Ints], count: Floats, shape: tuple[int, int]
) -> SpikeEvents:
    sample, step, index = address
    n_samples, executed = shape
    order = np.argsort((sample * executed + step) * population.size + index, kind="stable")
    repeats = count[order].astype(np.int64)
    sample, step, index = (np.repeat(a[order], repeats) for a in address)
    return SpikeEvents(
        sample.astype(np.int32),
        step.astype(np.int32),
        index.astype(np.int32),
        n_samples,
        executed,
        population.shape,
    )
