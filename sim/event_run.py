"""Run a mapped network in the event form and count what every core did; see ``event_program``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.chip_run import freeze
from nmhw.sim.counters import count_events
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.event_input import checked_inputs, constant_events, count_samples
from nmhw.sim.event_program import EventProgram, build_event_program
from nmhw.sim.event_reference import EventCells, run_queue
from nmhw.sim.fanout import FanOut, build_fan_out
from nmhw.values.chip import ChipSpec
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

Ints = NDArray[np.int64]
Narrow = NDArray[np.int32]

#: Events that one input event may cause before a loop is held to run forever.
MAX_CAUSED = 10**6
_FIRST_ROOM = 1 << 12


@dataclass(frozen=True, slots=True, eq=False)
class EventTrace:
    """Events that the network made, in the order they were made.

    Attributes
    ----------
    sample, step, node, layers, cause : (n_events,) int32
        ``node`` counts through inputs and populations (``EventProgram.first``), ``layers`` passed
        since the event (or bias tick) number ``cause`` of its sample, entering in time stamp
        ``step``.
    updates, saturations, v : (n_nodes,) int64
        ``v`` after the last sample.
    """

    sample: Narrow
    step: Narrow
    node: Narrow
    layers: Narrow
    cause: Narrow
    updates: Ints
    saturations: Ints
    v: Ints


def trace_events(
    program: EventProgram,
    inputs: Mapping[str, SpikeEvents],
    *,
    backend: str = "numba",
    continuous: bool = False,
    most: int = MAX_CAUSED,
    progress: Callable[[int, int], None] | None = None,
) -> EventTrace:
    """Work off all input events of all samples, in the order of their time stamps.

    Raises
    ------
    InputError
        For missing or unknown inputs, wrong shapes, or events out of range.
    UnsupportedError
        For graded events, and where one event causes more than ``most`` others: a loop that never
        comes to rest.
    """
    quantized = program.quantized
    n_samples = count_samples(inputs, None)
    given = checked_inputs(quantized.inputs, inputs)
    run = _run_numba if backend == "numba" else _run_plain
    v = program.v0.copy()
    updates, clipped = np.zeros(program.n_nodes, np.int64), np.zeros(program.n_nodes, np.int64)
    parts: list[tuple[Narrow, ...]] = []
    for sample in range(n_samples):
        if not continuous:
            v[:] = program.v0
        nodes, steps = _entering(program, given, sample)
        made, stuck = run(program, (nodes, steps), (v, updates, clipped), most)
        if stuck >= 0:
            raise UnsupportedError(
                "one event causes others without end: a loop never comes to rest",
                got=f"more than {most:,} events",
                limit=f"{most:,}",
                where=f"{quantized.name}, sample {sample}, time stamp {int(steps[stuck])}",
                hint="smaller weights around the loop, or timing steps",
                rule="sim.event-loop",
            )
        parts.append((np.full(made[0].size, sample, np.int32), *made))
        if progress is not None:
            progress(sample + 1, n_samples)
    sample_of, node, step, layers, cause = (np.concatenate(c) for c in zip(*parts, strict=True))
    return EventTrace(sample_of, step, node, layers, cause, updates, clipped, v)


def run_event_chip(
    quantized: QuantizedNetwork,
    mapping: CoreMapping,
    chip: ChipSpec,
    inputs: Mapping[str, SpikeEvents],
    *,
    backend: str = "numba",
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
    kept: dict[str, Any] | None = None,
) -> RunResult:
    """Execute without steps and count events per core; the step of an event is its time stamp.

    Parameters
    ----------
    kept : dict, optional
        Where the tables of the network and its mapping are kept for the next run with both.

    Raises
    ------
    InputError, UnsupportedError
        As ``trace_events`` and ``build_event_program``.
    """
    program, fan_out = _keep_tables(quantized, mapping, {} if kept is None else kept)
    n_steps = next(iter(inputs.values())).n_steps
    inputs = {**inputs, **constant_events(quantized, count_samples(inputs, None), n_steps)}
    trace = trace_events(program, inputs, backend=backend, continuous=continuous, progress=progress)
    first = next(iter(inputs.values()))
    size = (first.n_samples, first.n_steps)
    spikes, layers = _by_population(program, trace, size)
    output = _as_engine_output(program, trace, spikes, fan_out)
    counters = count_events(
        quantized, fan_out, chip, output, inputs, n_steps=size[1], is_stepless=True
    )
    return RunResult(
        backend=backend,
        n_samples=size[0],
        n_steps=size[1],
        drain_steps=0,
        depths={p.name: 0 for p in quantized.populations},
        spikes={**inputs, **spikes},
        probes={},
        counters=counters,
        spike_totals=output.spike_totals,
        events_by_layers=layers,
    )


def _keep_tables(
    quantized: QuantizedNetwork, mapping: CoreMapping, kept: dict[str, Any]
) -> tuple[EventProgram, FanOut]:
    found = kept.get("events")
    if found is None or found[0].quantized is not quantized or found[2] is not mapping:
        freeze(quantized)  # an edit in place would leave the tables behind
        tables = (build_event_program(quantized), build_fan_out(quantized, mapping), mapping)
        found = kept["events"] = tables
    return found[0], found[1]


def _entering(
    program: EventProgram, inputs: Mapping[str, SpikeEvents], sample: int
) -> tuple[Ints, Ints]:
    """Return nodes and time stamps of one sample's events: tick, then input by input."""
    n_steps = next(iter(inputs.values())).n_steps
    nodes, steps, ranks = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    if program.has_clock:
        nodes.append(np.full(n_steps, program.n_nodes, np.int64))
        steps.append(np.arange(n_steps, dtype=np.int64))
        ranks.append(np.full(n_steps, -1, np.int64))
    for rank, port in enumerate(program.quantized.inputs):
        events = inputs[port.name]
        here = events.sample == sample
        nodes.append(events.index[here].astype(np.int64) + program.first[port.name])
        steps.append(events.step[here].astype(np.int64))
        ranks.append(np.full(int(here.sum()), rank, np.int64))
    node, step, order = (np.concatenate(parts) for parts in (nodes, steps, ranks))
    at = np.lexsort((node, order, step))
    return node[at], step[at]


def _run_numba(
    program: EventProgram, entering: tuple[Ints, Ints], state: tuple[Ints, Ints, Ints], most: int
) -> tuple[tuple[Narrow, ...], int]:
    from nmhw.sim.kernels import event_loop as kernel

    v, updates, clipped = state
    cells = np.zeros((program.n_nodes, kernel.CELL_FIELDS), np.int32)
    cells[:, kernel.CELL_V], cells[:, kernel.CELL_V_MIN] = v, program.v_min
    cells[:, kernel.CELL_TOP], cells[:, kernel.CELL_THRESHOLD] = program.top, program.threshold
    cells[:, kernel.CELL_LOSS], cells[:, kernel.CELL_LEAK] = program.loss, program.leak
    node, step, layers, cause, n, stuck = kernel.run_events(
        *entering, program.pointers, program.targets, program.weights, cells, clipped,
        _FIRST_ROOM, most,
    )  # fmt: skip
    v[:] = cells[:, kernel.CELL_V]
    # updates are linear in events: what every event of a source reaches, once each
    events = np.bincount(entering[0], minlength=program.n_nodes + 1)
    events += np.bincount(node[:n], minlength=program.n_nodes + 1)
    reached = np.repeat(events, np.diff(program.pointers))
    updates += np.bincount(program.targets, reached, program.n_nodes).astype(np.int64)
    updates += events[program.n_nodes] * (program.leak != 0)
    return tuple(np.array(values[:n]) for values in (node, step, layers, cause)), int(stuck)


def _run_plain(
    program: EventProgram, entering: tuple[Ints, Ints], state: tuple[Ints, Ints, Ints], most: int
) -> tuple[tuple[Narrow, ...], int]:
    quantized, first = program.quantized, program.first
    cells = EventCells(quantized)
    v, updates, clipped = state
    for name in cells.v:
        here = slice(first[name], first[name] + len(cells.v[name]))
        cells.v[name] = [int(x) for x in v[here]]
    ports = [port.name for port in quantized.inputs]
    events = [
        ("", 0, step)
        if node == program.n_nodes
        else (_owner(ports, first, node), node - first[_owner(ports, first, node)], step)
        for node, step in zip(entering[0].tolist(), entering[1].tolist(), strict=True)
    ]
    made, stuck = run_queue(quantized, cells, events, most)
    for name, values in cells.v.items():
        here = slice(first[name], first[name] + len(values))
        v[here], updates[here] = values, updates[here] + cells.updates[name]
        clipped[first[name]] += cells.saturations[name]
    rows = [(first[name] + i, step, layers, cause) for name, i, step, layers, cause in made]
    columns = np.array(rows, np.int32).reshape(-1, 4).T
    return tuple(np.ascontiguousarray(column) for column in columns), stuck


def _owner(ports: list[str], first: Mapping[str, int], node: int) -> str:
    return max((name for name in ports if first[name] <= node), key=lambda name: first[name])


def _by_population(
    program: EventProgram, trace: EventTrace, size: tuple[int, int]
) -> tuple[dict[str, SpikeEvents], dict[str, dict[int, int]]]:
    """Return the events of every population, and how many passed how many layers."""
    spikes, layers = {}, {}
    for p in program.quantized.populations:
        start = program.first[p.name]
        here = (trace.node >= start) & (trace.node < start + p.size)
        columns = (trace.sample[here], trace.step[here], trace.node[here] - start)
        spikes[p.name] = SpikeEvents.from_arrays(*columns, *size, p.shape)
        passed, counts = np.unique(trace.layers[here], return_counts=True)
        layers[p.name] = dict(zip(passed.tolist(), counts.tolist(), strict=True))
    return spikes, layers


def _as_engine_output(
    program: EventProgram,
    trace: EventTrace,
    spikes: Mapping[str, SpikeEvents],
    fan_out: FanOut,
) -> EngineOutput:
    populations = program.quantized.populations
    slices = {p.name: slice(program.first[p.name], program.first[p.name] + p.size)
              for p in populations}  # fmt: skip
    fields: dict[str, Any] = {
        "spike_totals": {
            n: np.bincount(e.index, minlength=e.n_neurons).astype(np.int64)
            for n, e in spikes.items()
        },
        "undelivered": {p.name: np.zeros((0, p.size), np.int64) for p in populations},
        "step_counts": {
            n: np.bincount(
                e.sample.astype(np.int64) * e.n_steps + e.step, minlength=e.n_samples * e.n_steps
            )
            .reshape(e.n_samples, e.n_steps)
            .astype(np.int32)
            for n, e in spikes.items()
        },
        "active_updates": {
            n: fan_out.at_home(n, trace.updates[here]) for n, here in slices.items()
        },
        "saturations": {n: int(trace.saturations[here].sum()) for n, here in slices.items()},
    }
    return EngineOutput(spikes=spikes, dropped=(), probes={}, states={}, core_active=None, **fields)
