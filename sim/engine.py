"""Run a program: events in, spikes, probes, states and counts out, in chunks of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EngineOutput, EventArrays, EventChunk
from nmhw.sim.event_input import InputTable, fit_steps, input_table
from nmhw.sim.kernels import fields as f
from nmhw.sim.kernels.export import export_events
from nmhw.sim.kernels.step import run_steps
from nmhw.sim.parameters import WIDE_FORMS
from nmhw.sim.program import ALIGNMENT, Program
from nmhw.sim.runs import Runs, plan_runs
from nmhw.sim.spare import borrow_workspace, return_workspace
from nmhw.sim.workspace import FLOAT_FORMS, RunSize, Workspace
from nmhw.values.arithmetic import CellState
from nmhw.values.events import SpikeEvents
from nmhw.values.interruption import stop_if_interrupted
from nmhw.values.probe import Probe
from nmhw.values.result import ProbeData

Ints = NDArray[np.int64]

#: Wall time one call of the kernel aims at: short enough for progress and for Ctrl-C.
CHUNK_S = 0.1

#: Pools of the program in the order of the kernel's tuples.
WEIGHT_POOLS = ("w8", "w16", "w32", "quads", "quad_weights")
INDEX_POOLS = ("targets", "pointers", "table", "segments", "pool_pointers", "pooled")

#: Rows of the first call, before the speed is known.
FIRST_CHUNK = 256


def run_program(
    program: Program,
    inputs: Mapping[str, SpikeEvents],
    *,
    n_steps: int,
    n_samples: int | None = None,
    probes: Sequence[Probe] = (),
    keep_spikes: int = 10**8,
    continuous: bool = False,
    progress: Callable[[int, int], None] | None = None,
    core_columns: Mapping[str, Ints] | None = None,
    core_steps: bool = False,
    on_chunk: Callable[[EventChunk], None] | None = None,
    first_sample: int = 0,
) -> EngineOutput:
    """Run ``n_steps`` steps (drain included) of every sample.

    Parameters
    ----------
    inputs : mapping of input name to SpikeEvents
        Events behind ``n_steps`` are ignored; missing steps are silent.
    n_samples : int, optional
        Needed only for networks without inputs.
    keep_spikes : int
        Once more events than this were recorded, only those of output populations are kept.
    continuous : bool
        Keep states and spikes in flight from one sample to the next.
    progress : callable(rows done, rows in all), optional
    core_columns : mapping of population to (n,) int64, optional
        Column of every neuron's core: active updates are counted by column (default: one).
    core_steps : bool
        Count them also per row.
    on_chunk : callable, optional
        Gets all spikes in order, also those that are not kept.
    first_sample : int
        Number of the first sample in the events that are returned.

    Raises
    ------
    InputError
        For missing or unknown inputs, wrong shapes, or events out of range.
    UnsupportedError
        For graded events, or sums that could leave 32 bits.
    """
    table = input_table(program, inputs, n_steps, n_samples)
    size = RunSize(table.n_samples, n_steps, continuous)
    shape: dict[str, Any] = {"multiplicity": table.multiplicity, "probes": probes}
    space = borrow_workspace(program, size, **shape)
    runs = plan_runs(space, core_columns, per_step=core_steps)
    space.control[f.C_CORE_STEPS] = core_steps
    recorder = _Recorder(program, keep_spikes, on_chunk, first_sample)
    _run_rows(space, table, runs, recorder, progress)
    output = _collect(space, inputs, recorder, probes, runs)
    return_workspace(space, **shape)
    return output


class _Recorder:
    """Gathers exported events chunk by chunk, up to a limit."""

    def __init__(
        self,
        program: Program,
        limit: int,
        on_chunk: Callable[[EventChunk], None] | None,
        first_sample: int,
    ) -> None:
        self.program = program
        self.first_sample = first_sample
        self.limit = limit
        self.on_chunk = on_chunk
        self.n_kept = 0
        self.next_row = 0
        self.dropped: tuple[str, ...] = ()
        self.parts: dict[str, list[EventArrays]] = {name: [] for name in program.populations}

    def take(self, space: Workspace, end_row: int) -> None:
        """Export the buffered events of the rows before ``end_row`` and empty the buffer."""
        first_row, self.next_row = self.next_row, end_row
        events = _export(space, first_row, end_row)
        space.control[f.C_EVENTS] = 0
        if self.first_sample:
            for sample, _, _ in events.values():
                sample += np.int32(self.first_sample)
        if self.on_chunk is not None:
            n_steps = space.size.n_steps
            before = self.first_sample * n_steps
            self.on_chunk(EventChunk(before + first_row, before + end_row, n_steps, events))
        self.n_kept += sum(arrays[2].size for arrays in events.values())
        if self.n_kept > self.limit and not self.dropped:
            outputs = {name for port in self.program.quantized.outputs for name in port.sources}
            self.dropped = tuple(n for n in self.program.populations if n not in outputs)
            for name in self.dropped:
                self.parts[name].clear()
        for name, arrays in events.items():
            if name not in self.dropped:
                self.parts[name].append(arrays)

    def joined(self, name: str) -> EventArrays:
        """Return all kept events of one population."""
        parts = self.parts[name]
        if len(parts) == 1:
            return parts[0]
        empty = np.zeros(0, np.int32)
        sample, step, index = (np.concatenate([empty, *(p[k] for p in parts)]) for k in range(3))
        return sample, step, index


def _run_rows(
    space: Workspace,
    table: InputTable,
    runs: Runs,
    recorder: _Recorder,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Call the kernel until all rows are done, exporting whenever it stops."""
    pools = space.program.pools
    weights = tuple(pools[name] for name in WEIGHT_POOLS)
    rows = (*(pools[name] for name in INDEX_POOLS), space.expanded)
    outs = (space.flags, runs.active, runs.totals)
    control, n_rows = space.control, space.size.n_rows
    control[f.C_KEEP] = 1
    chunk = FIRST_CHUNK
    while control[f.C_ROW] < n_rows:
        stop_if_interrupted()
        first = int(control[f.C_ROW])
        control[f.C_STOP] = min(n_rows, first + chunk)
        started = time.perf_counter()
        run_steps(
            control, space.calls, space.pops, space.projections, space.ports, weights, rows,
            space.params, space.states, space.starts, space.rests, space.accs, outs,
            space.rings, (table.events, table.pointers), space.events, space.counts, space.totals,
            space.late, runs.table, runs.core_active, space.saturations, space.probes, space.order,
            space.probe_int, space.probe_float,
        )  # fmt: skip
        elapsed = time.perf_counter() - started
        done = int(control[f.C_ROW])
        chunk = max(1, min(4 * chunk, int((done - first) * CHUNK_S / max(elapsed, 1e-6))))
        if done == n_rows or control[f.C_EVENTS] + control[f.C_RESERVE] > space.events.size:
            recorder.take(space, done)
        if progress is not None:
            progress(done, n_rows)


def _export(space: Workspace, first_row: int, end_row: int) -> dict[str, EventArrays]:
    """Return the buffered events by population, author's indices, sorted."""
    program = space.program
    totals = space.counts[first_row:end_row].sum(axis=0, dtype=np.int64)
    ends = np.cumsum(totals)
    out = tuple(np.empty(int(totals.sum()), np.int32) for _ in range(3))
    largest = int(space.pops[:, f.P_SIZE].max(initial=0))
    seen = np.zeros(-(-max(largest, 1) // ALIGNMENT) * ALIGNMENT, np.uint8)
    scratch = (seen, np.zeros(seen.size, np.int32))
    export_events(
        space.events, space.counts, first_row, end_row, space.size.n_steps, space.pops,
        space.order, scratch, ends - totals, *out,
    )  # fmt: skip
    events: dict[str, EventArrays] = {}
    for k, name in enumerate(program.populations):
        here = slice(int(ends[k] - totals[k]), int(ends[k]))
        events[name] = (out[0][here], out[1][here], out[2][here])
    return events


def _collect(
    space: Workspace,
    inputs: Mapping[str, SpikeEvents],
    recorder: _Recorder,
    probes: Sequence[Probe],
    runs: Runs,
) -> EngineOutput:
    program, size = space.program, space.size
    shapes = program.quantized.shapes()
    spikes = {name: fit_steps(events, size.n_steps) for name, events in inputs.items()}
    totals, late, active, states = {}, {}, {}, {}
    counts = space.counts.reshape(size.n_samples, size.n_steps, -1).copy()
    for k, name in enumerate(program.populations):
        order = program.orders[name]
        here = space.slice_of(k)
        totals[name] = _to_author(space.totals[here], order)
        active[name] = runs.by_column(space.pops[k])
        d, at = int(space.pops[k, f.P_LATE_STEPS]), int(space.pops[k, f.P_LATE])
        n = int(space.pops[k, f.P_SIZE])
        late[name] = _to_author(space.late[at : at + d * n].reshape(d, n), order)
        states[name] = _final_state(space, k, order)
        if name not in recorder.dropped:
            parts = recorder.joined(name)
            spikes[name] = SpikeEvents(*parts, size.n_samples, size.n_steps, shapes[name])
    return EngineOutput(
        spikes=spikes,
        dropped=recorder.dropped,
        probes=_probe_data(space, probes),
        states=states,
        spike_totals=totals,
        undelivered=late,
        step_counts={n: counts[:, :, k] for k, n in enumerate(program.populations)},
        active_updates=active,
        saturations={n: int(space.saturations[k]) for k, n in enumerate(program.populations)},
        core_active=runs.core_active if space.control[f.C_CORE_STEPS] else None,
    )


def _to_author(values: NDArray[Any], order: Ints | None) -> NDArray[Any]:
    """Return a copy in the author's order (last axis)."""
    if order is None:
        return values.copy()
    out = np.empty_like(values)
    out[..., order] = values
    return out


def _final_state(space: Workspace, index: int, order: Ints | None) -> CellState:
    pop = space.pops[index]
    here, n = space.slice_of(index), int(pop[f.P_SIZE])
    there = slice(int(pop[f.P_STATE]), int(pop[f.P_STATE]) + n)
    u32, v32, u64, v64, uf, vf = space.states
    form = pop[f.P_UPDATE]
    if form in FLOAT_FORMS:
        u, v = uf[there], vf[there]
    elif form in WIDE_FORMS:
        u, v = u64[there], v64[there]
    else:
        u, v = u32[here].astype(np.int64), v32[here].astype(np.int64)
    resting = space.rests[0][here].astype(np.int64)
    u2, second = None, int(pop[f.P_SECOND])
    if second >= 0:
        u2 = _to_author(u64[second : second + n], order)
    return CellState(_to_author(u, order), _to_author(v, order), _to_author(resting, order), u2)


def _probe_data(space: Workspace, probes: Sequence[Probe]) -> dict[tuple[str, str], ProbeData]:
    data = {}
    for row, probe in zip(space.probes, probes, strict=True):
        is_float = space.pops[row[f.R_POPULATION], f.P_UPDATE] in FLOAT_FORMS
        pool: NDArray[Any] = space.probe_float if is_float else space.probe_int
        n = int(space.pops[row[f.R_POPULATION], f.P_SIZE])
        shape = (space.size.n_samples, int(row[f.R_KEPT]), n)
        at = int(row[f.R_OFFSET])
        values = pool[at : at + int(np.prod(shape))].reshape(shape).copy()
        steps = np.arange(0, space.size.n_steps, probe.every, dtype=np.int64)
        data[probe.population, probe.variable] = ProbeData(
            probe.population, probe.variable, steps, values
        )
    return data
