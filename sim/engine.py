"""Run a program: events in, spikes, probes, states and counts out, in chunks of steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EngineOutput, EventChunk
from nmhw.sim.event_input import InputTable, fit_steps, input_table
from nmhw.sim.kernels import fields as f
from nmhw.sim.kernels.step import run_steps
from nmhw.sim.parameters import WIDE_FORMS
from nmhw.sim.program import Program
from nmhw.sim.runs import Runs, plan_runs
from nmhw.sim.spare import borrow_workspace, return_workspace
from nmhw.sim.spike_store import SpikeRecorder, SpikeStore, unkept
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


@dataclass(frozen=True, slots=True, eq=False)
class OpenRun:
    """A run whose last step is done and whose last spikes are still in the engine's buffer."""

    space: Workspace
    runs: Runs
    recorder: SpikeRecorder
    shape: Mapping[str, Any]

    def finish(self, store: SpikeStore, at: Ints, kept: NDArray[np.bool_]) -> EngineOutput:
        """Write the spikes of the kept populations into a store, from place ``at`` of each on.

        Returns all the rest, without spikes.
        """
        self.recorder.finish(self.space, store, at, kept)
        output = _collect(self.space, self.shape["probes"], self.runs)
        return_workspace(self.space, **self.shape)
        return output


def run_program(
    program: Program,
    inputs: Mapping[str, SpikeEvents],
    **options: Any,
) -> EngineOutput:
    """Run ``n_steps`` steps (drain included) of every sample; options and errors: ``begin_run``."""
    return finish_runs([begin_run(program, inputs, **options)], inputs)[0]


def begin_run(
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
) -> OpenRun:
    """Run all steps and leave the spikes for ``finish_runs``.

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
        Gets all spikes in order, also those that are not kept, at the end of the run at the latest.
    first_sample : int
        Number of the first sample in the events.

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
    recorder = SpikeRecorder(program, keep_spikes, on_chunk, first_sample, space.events)
    _run_rows(space, table, runs, recorder, progress)
    return OpenRun(space, runs, recorder, shape)


def finish_runs(
    runs: Sequence[OpenRun],
    inputs: Mapping[str, SpikeEvents],
    each: Callable[..., Iterable[EngineOutput]] = map,
) -> list[EngineOutput]:
    """Return the outputs of runs of consecutive samples; the first has the spikes of all of them.

    Parameters
    ----------
    runs : of one program, with the same limit of spikes to keep
    inputs : those of all samples
    each : callable
        ``map``, or that of a pool of threads.
    """
    program, limit = runs[0].space.program, runs[0].recorder.limit
    counts = np.array([run.recorder.count(run.space) for run in runs])
    dropped = unkept(program, counts.sum(axis=0), limit)
    store = SpikeStore.allocate(counts.sum(axis=0) * ~dropped)
    places = np.cumsum(counts, axis=0) - counts
    outputs = list(each(lambda run, at: run.finish(store, at, ~dropped), runs, places))
    n_samples = sum(run.space.size.n_samples for run in runs)
    n_steps = runs[0].space.size.n_steps
    shapes = program.quantized.shapes()
    spikes = {name: fit_steps(events, n_steps) for name, events in inputs.items()}
    for k, name in enumerate(program.populations):
        if not dropped[k]:
            spikes[name] = SpikeEvents(*store.events(k), n_samples, n_steps, shapes[name])
    names = tuple(np.array(program.populations, object)[dropped].tolist())
    outputs[0] = replace(outputs[0], spikes=spikes, dropped=names)
    return outputs


def _run_rows(
    space: Workspace,
    table: InputTable,
    runs: Runs,
    recorder: SpikeRecorder,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Call the kernel until all rows are done, exporting whenever the buffer is full."""
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
            space.rings, (table.events, table.pointers), recorder.events, space.counts,
            space.totals, space.late, runs.table, runs.core_active, space.saturations,
            space.probes, space.order, space.probe_int, space.probe_float,
        )  # fmt: skip
        elapsed = time.perf_counter() - started
        done = int(control[f.C_ROW])
        chunk = max(1, min(4 * chunk, int((done - first) * CHUNK_S / max(elapsed, 1e-6))))
        if done < n_rows and control[f.C_EVENTS] + control[f.C_RESERVE] > space.events.size:
            recorder.take(space, done)
        if progress is not None:
            progress(done, n_rows)


def _collect(space: Workspace, probes: Sequence[Probe], runs: Runs) -> EngineOutput:
    """Return everything of a run but its spikes."""
    program, size = space.program, space.size
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
    return EngineOutput(
        spikes={},
        dropped=(),
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
