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
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.chip import CostTable, SyncSpec
from nmhw.values.cost import NANO, LatencyBreakdown, Pace, find_figure
from nmhw.values.figure import Figure
from nmhw.values.noc import PS_PER_S, NocTimes
from nmhw.values.result import Counters

SEND_KINDS = ("neuron.visit", "neuron.active", "neuron.idle", "neuron.spike", "axon.out")
RECEIVE_KINDS = ("axon.in", "synop.dense", "synop.sparse", "synop.shared")

#: Longest step anybody can ask for: about 30 years.
LONGEST_S = 1e9

Floats = NDArray[np.float64]
Bound = Literal["value", "low", "high"]


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
    if isinstance(text, str) and text.startswith("period="):
        return "period", parse_seconds(text.removeprefix("period="))
    hint = "free, realtime or period=1ms"
    if isinstance(text, int | float):
        hint = f'"period={text:g}" (seconds), "free" or "realtime"'
    raise UsageError("no such pace", got=repr(text), hint=hint)


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
    if not 0 < seconds <= LONGEST_S:
        limit = f"above 0, at most {LONGEST_S:g} s"
        raise UsageError("not a time", got=repr(text), limit=limit, hint="1ms, 50us, 0.001")
    return seconds


def estimate_latency(
    counters: Counters,
    table: CostTable | None,
    pace: Pace,
    pace_step_s: float | None,
    tick_s: Figure | None = None,
    noc: NocTimes | None = None,
) -> LatencyBreakdown:
    """Estimate the run's time under a pace.

    Parameters
    ----------
    pace_step_s : float or None
        Step length of a realtime or period pace; None for ``free``.
    tick_s : Figure or None
        The chip's timer, where the cost table has none of its own (or there is no table).
    noc : NocTimes, optional
        Steps timed message by message; they replace the slowest cores if they were timed with
        this cost table. Their bounds are in proportion to those of the slowest cores.
    """
    sync = _sync_spec(table, tick_s)
    sync_s, notes = _sync(sync, counters.n_tiles)
    if table is None:
        known = ", but for the chip's tick" if sync is not None else ""
        notes.insert(0, f"no cost table: latency is unpriced{known}")
    work, is_average, unpriced = _slowest_cores(counters, table)
    n_steps_total = counters.n_steps * counters.n_samples
    scale = 1.0
    if noc is not None and (table is None or table.name != noc.costs):
        notes.append(f"messages were timed under cost table {noc.costs}: not in this time")
        noc = None
    if noc is not None and noc.rows.size:
        slowest = 0.0 if work is None else float(work.mean())
        work, is_average = noc.step_ps / PS_PER_S, False
        scale = float(work.mean()) / slowest if slowest else 1.0
    low, high = (
        _mean_step(counters, table, sync, pace_step_s, bound, scale) for bound in ("low", "high")
    )
    if work is not None and is_average:
        notes.append("too many steps for counts per step: the slowest core of the average step")
    free = _free_steps(work, sync_s, sync)
    steps, p99 = _mean_and_tail(free, is_average)
    overrun = 0
    if pace_step_s is not None:
        paced = np.array([pace_step_s]) if free is None else np.maximum(free, pace_step_s)
        steps, p99 = _mean_and_tail(paced, is_average or free is None)
        overrun = 0 if free is None else int((free > pace_step_s).sum())
        if noc is not None and noc.is_sampled and noc.rows.size:
            overrun = round(overrun * n_steps_total / noc.rows.size)
        if work is None and overrun:  # the tick alone is too long, in every step
            overrun = n_steps_total
    per_sample = None if steps is None else steps * counters.n_steps
    return LatencyBreakdown(
        fidelity="analytic" if noc is None else "noc",
        pace=pace,
        pace_step_s=pace_step_s,
        n_steps=counters.n_steps,
        n_samples=counters.n_samples,
        free_step_s=_mean_and_tail(free, is_average)[0],
        free_p99_step_s=_mean_and_tail(free, is_average)[1],
        sync_s=sync_s,
        step_s=steps,
        p99_step_s=p99,
        per_sample_s=per_sample,
        total_s=None if per_sample is None else per_sample * counters.n_samples,
        total_low_s=None if low is None else low * n_steps_total,
        total_high_s=None if high is None else high * n_steps_total,
        is_step_average=is_average,
        unpriced=tuple(sorted(unpriced)),
        overrun_steps=overrun,
        notes=tuple(notes),
        noc=noc,
    )


def _mean_step(
    counters: Counters,
    table: CostTable | None,
    sync: SyncSpec | None,
    pace_step_s: float | None,
    bound: Bound,
    scale: float,
) -> float | None:
    """Return the mean step under the lower or upper bounds of the latency figures.

    ``scale`` is what the work takes in the network, as a multiple of the slowest cores'.
    """
    sync_s, _ = _sync(sync, counters.n_tiles, bound)
    work, _, _ = _slowest_cores(counters, table, bound)
    free = _free_steps(None if work is None else work * scale, sync_s, sync)
    if free is None:
        return pace_step_s
    return float((free if pace_step_s is None else np.maximum(free, pace_step_s)).mean())


def _bounded(figure: Figure, bound: Bound) -> float:
    """Return a figure's value or bound (the value where the source gives no bound)."""
    limit = {"value": None, "low": figure.low, "high": figure.high}[bound]
    return (figure.value or 0.0) if limit is None else limit


def _free_steps(work: Floats | None, sync_s: float | None, sync: SyncSpec | None) -> Floats | None:
    """Return what each step takes when nothing holds it back; None without a basis."""
    if sync is None or sync_s is None:
        return None
    if sync.kind == "tick":  # a timer: the step lasts at least that long
        return np.array([sync_s]) if work is None else np.maximum(work, sync_s)
    return None if work is None else work + sync_s


def _mean_and_tail(steps_s: Floats | None, is_average: bool) -> tuple[float | None, float | None]:
    """Return mean and 99th percentile; no percentile of an average step."""
    if steps_s is None:
        return None, None
    return float(steps_s.mean()), None if is_average else float(np.quantile(steps_s, 0.99))


def _sync_spec(table: CostTable | None, tick_s: Figure | None) -> SyncSpec | None:
    """Return what ends a step: as the cost table says, else the chip's tick, else None."""
    if tick_s is not None and (table is None or table.sync.kind == "none"):
        return SyncSpec("tick", (), tick_s)
    return None if table is None else table.sync


def _sync(
    sync: SyncSpec | None, n_tiles: int, bound: Bound = "value"
) -> tuple[float | None, list[str]]:
    """Return the barrier (or tick) in seconds, None when unpublished."""
    if sync is None:
        return None, []
    if sync.kind == "none":
        return 0.0, []
    if sync.kind == "tick":
        tick = None if sync.tick_s is None else sync.tick_s.value
        return tick, ["the tick is a timer: work that overruns it is not modelled"]
    below = [point for point in sync.points if point[0] <= max(n_tiles, 1)]
    figure = max(below, key=lambda point: point[0])[1] if below else None
    if figure is None or figure.value is None:
        return None, [f"no barrier figure for {n_tiles} tiles"]
    return _bounded(figure, bound) * NANO, []


def _slowest_cores(
    counters: Counters, table: CostTable | None, bound: Bound = "value"
) -> tuple[Floats | None, bool, set[str]]:
    """Return the slowest core's time of every step in seconds (or of the average step)."""
    if table is None or not table.latency_ns:
        return None, True, set()
    counts: Mapping[str, NDArray[Any]] | None = counters.steps
    is_average = counts is None
    if counts is None:
        n = counters.n_samples * counters.n_steps
        counts = {kind: total[None, :] / n for kind, total in counters.totals.items()}
    send, unsent = _weighted(counts, SEND_KINDS, table, bound)
    receive, unread = _weighted(counts, RECEIVE_KINDS, table, bound)
    slowest = np.maximum(send.max(axis=1), receive.max(axis=1)) * NANO
    found = ((kind, find_figure(table.latency_ns, kind)) for kind in counters.uncounted)
    uncounted = {kind for kind, figure in found if figure is not None and figure.is_priced}
    return slowest, is_average, unsent | unread | uncounted


def _weighted(
    counts: Mapping[str, NDArray[Any]], kinds: tuple[str, ...], table: CostTable, bound: Bound
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
            total += np.asarray(counts[kind], np.float64) * _bounded(figure, bound)
    return total, missing
