"""Latency of a run from its counts: the slowest core of every step, then the barrier.

Senders and receivers of one step overlap, so a step takes
``max(max_c send_c, max_c receive_c) + sync`` with ``send = visits, updates, spikes, packets out``
and ``receive = packets in, synops`` of core c, each times its unit latency. Queueing in the
network is not in it: a lower bound (docs/cost.md).

References
----------
Boyle et al., SANA-FE, IEEE TCAD 44(8), 2025, doi:10.1109/TCAD.2025.3537971 (simple model).
Timcheck et al., arXiv 2601.10035 (max-affine lower bounds on Loihi 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.chip import CostTable, SyncSpec
from nmhw.values.cost import NANO, LatencyBreakdown, Pace, find_figure
from nmhw.values.result import Counters

SEND_KINDS = ("neuron.visit", "neuron.active", "neuron.idle", "neuron.spike", "axon.out")
RECEIVE_KINDS = ("axon.in", "synop.dense", "synop.sparse", "synop.shared")

Floats = NDArray[np.float64]


def parse_pace(text: str, dt_s: float | None) -> tuple[Pace, float | None]:
    """Read ``free``, ``realtime`` or ``period=1ms`` into a pace and its step in seconds.

    Raises
    ------
    UsageError
        For anything else, and for ``realtime`` without a known dt.
    """
    if text == "free":
        return "free", None
    if text == "realtime":
        if dt_s is None:
            raise UsageError("pace realtime needs dt", hint="--dt 1ms, or --pace period=1ms")
        return "realtime", dt_s
    if text.startswith("period="):
        return "period", parse_seconds(text.removeprefix("period="))
    raise UsageError("no such pace", got=repr(text), hint="free, realtime or period=1ms")


def parse_seconds(text: str) -> float:
    """Read ``1ms``, ``50us``, ``2e-3s`` or a plain number of seconds."""
    units = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
    number, factor = text, 1.0
    for unit, value in units.items():
        if text.endswith(unit):
            number, factor = text.removesuffix(unit), value
            break
    try:
        seconds = float(number) * factor
    except ValueError:
        seconds = float("nan")
    if not (np.isfinite(seconds) and seconds > 0):
        raise UsageError("not a positive time", got=repr(text), hint="1ms, 50us, 0.001")
    return seconds


def estimate_latency(
    counters: Counters, table: CostTable | None, pace: Pace, pace_step_s: float | None
) -> LatencyBreakdown:
    """Estimate the run's time under a pace.

    Parameters
    ----------
    pace_step_s : float or None
        Step length of a realtime or period pace; None for ``free``.
    """
    sync_s, notes = _sync(table, counters.n_tiles)
    free, is_average, unpriced = _free_steps(counters, table)
    if free is not None and sync_s is not None:
        free = free + sync_s
    elif table is not None and table.sync.kind == "tick" and sync_s is not None:
        free = np.array([sync_s])
    else:
        free = None
    mean = None if free is None else float(free.mean())
    tail = None if free is None or is_average else float(np.quantile(free, 0.99))
    steps, p99, overrun = mean, tail, 0
    if pace_step_s is not None:
        paced = None if free is None else np.maximum(free, pace_step_s)
        steps = pace_step_s if paced is None else float(paced.mean())
        p99 = None if is_average or paced is None else float(np.quantile(paced, 0.99))
        overrun = 0 if free is None else int((free > pace_step_s).sum())
    per_sample = None if steps is None else steps * counters.n_steps
    return LatencyBreakdown(
        fidelity="analytic",
        pace=pace,
        pace_step_s=pace_step_s,
        n_steps=counters.n_steps,
        n_samples=counters.n_samples,
        free_step_s=mean,
        free_p99_step_s=tail,
        sync_s=sync_s,
        step_s=steps,
        p99_step_s=p99,
        per_sample_s=per_sample,
        total_s=None if per_sample is None else per_sample * counters.n_samples,
        is_step_average=is_average,
        unpriced=tuple(sorted(unpriced)),
        overrun_steps=overrun,
        notes=tuple(notes),
    )


def _sync(table: CostTable | None, n_tiles: int) -> tuple[float | None, list[str]]:
    """Return the barrier (or tick) in seconds, None when unpublished."""
    sync = table.sync if table is not None else SyncSpec()
    if table is None:
        return None, ["no cost table: latency is unpriced"]
    if sync.kind == "none":
        return 0.0, []
    if sync.kind == "tick":
        tick = None if sync.tick_s is None else sync.tick_s.value
        return tick, ["the tick is a timer: work that overruns it is not modelled"]
    below = [(tiles, figure) for tiles, figure in sync.points if tiles <= max(n_tiles, 1)]
    if not below or max(below)[1].value is None:
        return None, [f"no barrier figure for {n_tiles} tiles"]
    figure = max(below, key=lambda point: point[0])[1]
    return (figure.value or 0.0) * NANO, []


def _free_steps(
    counters: Counters, table: CostTable | None
) -> tuple[Floats | None, bool, set[str]]:
    """Return the slowest core's time of every step in seconds (or of the average step)."""
    if table is None or not table.latency_ns:
        return None, True, set()
    counts: Mapping[str, NDArray[Any]] | None = counters.steps
    is_average = counts is None
    if counts is None:
        n = counters.n_samples * counters.n_steps
        counts = {kind: total[None, :] / n for kind, total in counters.totals.items()}
    send, unsent = _weighted(counts, SEND_KINDS, table)
    receive, unread = _weighted(counts, RECEIVE_KINDS, table)
    slowest = np.maximum(send.max(axis=1), receive.max(axis=1)) * NANO
    return slowest, is_average, unsent | unread


def _weighted(
    counts: Mapping[str, NDArray[Any]], kinds: tuple[str, ...], table: CostTable
) -> tuple[Floats, set[str]]:
    """Sum counts times unit latencies; also return the counted kinds that have no figure."""
    total = np.zeros(next(iter(counts.values())).shape, np.float64)
    missing: set[str] = set()
    for kind in kinds:
        if kind not in counts or not counts[kind].any():
            continue
        figure = find_figure(table.latency_ns, kind)
        if figure is None or not figure.is_priced:
            missing.add(kind)
        else:
            total += np.asarray(counts[kind], np.float64) * (figure.value or 0.0)
    return total, missing
