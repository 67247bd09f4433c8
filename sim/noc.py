"""Message-level latency: every message of a step over links, buffers and receivers.

The model is stated in docs/cost.md ("Latency: noc"); ``noc_reference.py`` is its plain form and
``kernels/noc.py`` the one that runs. Each step is timed by itself, in integer picoseconds: the
result is the same for any number of threads and any division of the samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, SpikesNotKeptError, UnsupportedError
from nmhw.sim.fanout import FanOut
from nmhw.sim.kernels import noc as k
from nmhw.sim.noc_tables import NocTables, noc_tables
from nmhw.sim.threads import count_threads
from nmhw.values.chip import ChipSpec, CostTable
from nmhw.values.events import SpikeEvents
from nmhw.values.interruption import stop_if_interrupted
from nmhw.values.noc import NocTimes
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

Ints = NDArray[np.int64]

#: Messages (about) that one call of the kernel times: half a second at most.
_MESSAGES_AT_ONCE = 2_000_000

_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio


def choose_rows(n_rows: int, wanted: int | None = None) -> Ints:
    """Return which of ``n_rows`` steps are timed: all, or one of each of ``wanted`` equal parts.

    Where in its part a row lies follows the golden ratio: no stride that always hits the same step
    of a sample, and no chance.
    """
    if wanted is None or wanted >= n_rows:
        return np.arange(n_rows, dtype=np.int64)
    rows = np.empty(wanted, np.int64)
    for part in range(wanted):
        first, end = part * n_rows // wanted, (part + 1) * n_rows // wanted
        rows[part] = first + ((part * _GOLDEN % 2**64) * (end - first) >> 64)
    return rows


def time_steps(
    result: RunResult,
    quantized: QuantizedNetwork,
    fan_out: FanOut,
    chip: ChipSpec,
    table: CostTable,
    *,
    rows: Ints | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NocTimes:
    """Time the steps of a finished run message by message.

    Parameters
    ----------
    result : RunResult
        Of a stepped backend (before its neurons are renamed), with all spikes and counts per step.
    fan_out : FanOut
        ``build_fan_out(quantized, mapping)``.
    table : CostTable
        Latencies of visits, updates, spikes, messages, synapses and hops.
    rows : (n_timed,) int64, ascending, optional
        Steps to time (sample x (T + D) + step); default: all. See ``choose_rows``.
    progress : callable(rows done, rows in all), optional

    Raises
    ------
    UnsupportedError
        Where figures of the network are missing, for neurons on several chips, and for runs
        without counts per step.
    SpikesNotKeptError
        For a run that did not keep all spikes.
    """
    tables = noc_tables(quantized, fan_out, chip, table)
    counters = result.counters
    active = None if counters is None else (counters.steps or {}).get("neuron.active")
    if active is None:
        raise UnsupportedError(
            "messages are timed with the updates of every step, which this run did not count",
            got=f"{result.backend} backend", hint="--backend numba, fewer samples at a time",
            rule="latency.noc",
        )  # fmt: skip
    chosen = np.arange(active.shape[0], dtype=np.int64) if rows is None else rows
    every = rows is None or chosen.size == active.shape[0]
    events, starts, ends = gather_events(tables, result.spikes, chosen, result)
    busy = np.ascontiguousarray(active if every else active[chosen], np.int32)
    return time_rows(
        tables, events, starts, ends, busy, chosen, active.shape[0],
        count_threads(threads), progress,
    )  # fmt: skip


def gather_events(
    tables: NocTables, spikes: Mapping[str, SpikeEvents], rows: Ints, result: RunResult
) -> tuple[NDArray[np.int32], Ints, Ints]:
    """Return all events as numbers of sources, and where those of every (source, row) lie."""
    total = result.n_steps + result.drain_steps
    n_rows = result.n_samples * total
    parts, starts, ends, at = [np.zeros(0, np.int32)], [], [], 0
    for name, first in tables.sources.items():
        if name not in spikes:
            raise SpikesNotKeptError(
                "messages are timed from spikes, which were not all kept", where=name,
                hint="a larger keep_spikes (--keep-spikes)", rule="latency.noc-spikes",
            )  # fmt: skip
        events = spikes[name]
        flat = events.sample.astype(np.int64) * total + events.step
        index = events.index
        order = flat * events.n_neurons + index
        if (order[1:] < order[:-1]).any():
            sorting = np.argsort(order, kind="stable")
            flat, index = flat[sorting], index[sorting]
        if flat.size and not 0 <= flat[0] <= flat[-1] < n_rows:
            raise InputError("events behind the end of the run", got=int(flat[-1]), where=name)
        starts.append(np.searchsorted(flat, rows) + at)
        ends.append(np.searchsorted(flat, rows + 1) + at)
        parts.append((index + first).astype(np.int32))
        at += index.size
    return np.concatenate(parts), np.array(starts, np.int64), np.array(ends, np.int64)


def time_rows(
    tables: NocTables,
    events: NDArray[np.int32],
    starts: Ints,
    ends: Ints,
    active: NDArray[np.int32],
    rows: Ints,
    n_rows: int,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> NocTimes:
    """Run the kernel over blocks of rows, in threads, and add up what they return.

    Parameters
    ----------
    events, starts, ends
        As ``gather_events`` makes them of ``rows``.
    active : (n_timed, n_cores) int32 active updates
    rows, n_rows
        Of ``NocTimes``.
    """
    out = np.zeros((rows.size, k.N_RESULTS), np.int64)
    bounds = _blocks(tables, events, starts, ends)
    n_links = 4 * tables.mesh[0] * tables.mesh[1]

    def work(block: tuple[int, int]) -> tuple[Ints, Ints]:
        links = np.zeros((n_links, 2), np.int64)
        receivers = np.zeros(tables.visits.size, np.int64)
        most = int((ends - starts)[:, slice(*block)].sum(axis=0).max(initial=0))
        buffer, queue = int(tables.units[k.BUFFER]), int(tables.units[k.QUEUE])
        scratch = k.noc_scratch(receivers.size, n_links, most, buffer, queue)
        k.time_messages(
            *block, starts, ends, events, tables.home, tables.last, tables.fan_row, tables.fan_ptr,
            tables.fan_core, tables.fan_ps, tables.visits, active, tables.place, tables.units, out,
            links, receivers, scratch,
        )  # fmt: skip
        return links, receivers

    links = np.zeros((n_links, 2), np.int64)
    receivers = np.zeros(tables.visits.size, np.int64)
    blocks = list(pairwise(bounds))
    with ThreadPoolExecutor(max(1, min(threads, len(blocks)))) as pool:
        for (_, end), found in zip(blocks, pool.map(work, blocks), strict=True):
            links += found[0]
            receivers += found[1]
            stop_if_interrupted()
            if progress is not None:
                progress(end, rows.size)
    return NocTimes(
        costs=tables.costs,
        mesh=tables.mesh,
        n_rows=n_rows,
        rows=rows,
        step_ps=out[:, k.STEP].copy(),
        floor_ps=out[:, k.FLOOR].copy(),
        blocked_ps=out[:, k.BLOCKED].copy(),
        messages=out[:, k.MESSAGES].copy(),
        link_messages=links[:, 0].copy(),
        link_wait_ps=links[:, 1].copy(),
        cores=tables.cores,
        receiver_ps=receivers,
    )


def _blocks(tables: NocTables, events: NDArray[np.int32], starts: Ints, ends: Ints) -> list[int]:
    """Return bounds of blocks of rows with about as many messages each."""
    n_rows = starts.shape[1]
    per_event = float(np.diff(tables.fan_ptr).mean()) if tables.fan_ptr.size > 1 else 0.0
    load = np.cumsum((ends - starts).sum(axis=0) * per_event + tables.visits.size)
    if not n_rows:
        return [0]
    marks = np.arange(_MESSAGES_AT_ONCE, float(load[-1]), _MESSAGES_AT_ONCE)
    inner = np.searchsorted(load, marks) + 1
    return sorted({0, *(int(b) for b in inner if b < n_rows), n_rows})
