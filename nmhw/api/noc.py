"""Latency ``noc`` of a run: what is refused, and the times of its steps piece by piece."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.arguments import check_whole
from nmhw.api.pieces import Progress
from nmhw.errors import UnsupportedError, UsageError
from nmhw.values.cost import LATENCIES
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment
    from nmhw.api.execute import Plan, RunOptions


#: Neurons and inputs times steps of a piece: a tenth of them spiking is a few hundred MB.
MAX_UPDATES = 200_000_000


def check_latency(deployed: Deployment, options: RunOptions) -> None:
    """Refuse a latency that does not exist, or that chip, mapping or timing do not allow.

    Raises
    ------
    UsageError
        For an unknown latency, and ``noc_steps`` without ``noc`` or below 1.
    UnsupportedError
        For chips without figures of their network, several chips, and runs event by event.
    """
    if options.latency not in LATENCIES:
        hint = " or ".join(LATENCIES)
        raise UsageError("no such latency", got=repr(options.latency), hint=hint)
    if options.noc_steps is not None:
        check_whole(options.noc_steps, "noc_steps")
        if options.noc_steps < 1 or options.latency != "noc":
            what = "at least one step is timed"
            if options.latency != "noc":
                what = "only latency noc times chosen steps"
            raise UsageError(what, got=f"noc_steps={options.noc_steps}", hint="--latency noc",
                             rule="latency.noc-steps")  # fmt: skip
    if options.latency != "noc":
        return
    from nmhw.sim.noc_tables import check_noc, check_places

    if options.timing == "events":
        raise UnsupportedError(
            "messages are timed step by step", got="timing events", where=deployed.chip.name,
            hint="--timing steps, or --latency analytic", rule="latency.noc-timing",
        )  # fmt: skip
    check_noc(deployed.chip, deployed.chip.cost_table(options.costs))
    check_places(deployed.chip, np.array(deployed.mapping.cores, np.int64))


def latency_key(options: RunOptions) -> dict[str, Any]:
    """Return what parts of an unfinished run with latency noc depend on beside the rest."""
    if options.latency == "analytic":
        return {}
    return {"latency": options.latency, "noc_steps": options.noc_steps, "costs": options.costs}


def piece_size(deployed: Deployment, plan: Plan, options: RunOptions) -> int | None:
    """Return samples per piece: as asked for, but so few that their counts per step and all their
    spikes can be kept until they are timed.

    Raises
    ------
    UnsupportedError
        For a continuous run, which is one piece, that is too long.
    """
    from nmhw.sim.step_counter import MAX_STEP_CELLS

    n_samples = plan.prepared.n_samples
    wanted = n_samples if options.continuous else options.chunk
    if options.latency != "noc":
        return wanted
    steps = plan.prepared.source.n_steps + deployed.quantized.drain_steps
    most = max(1, MAX_STEP_CELLS // (steps * len(deployed.mapping.cores)))
    if options.continuous and most < n_samples:
        raise UnsupportedError(
            "a continuous run is one piece, and this one is too long to time its messages",
            got=f"{n_samples} samples of {steps} steps", limit=f"{most} samples",
            hint="fewer samples, or --latency analytic", rule="latency.noc",
        )  # fmt: skip
    if options.continuous:
        return wanted
    most = min(most, max(1, MAX_UPDATES // (steps * sum(deployed.quantized.sizes().values()))))
    if most >= n_samples:
        return wanted
    return most if wanted is None else min(wanted, most)


def time_piece(
    deployed: Deployment,
    plan: Plan,
    options: RunOptions,
    result: RunResult,
    first: int,
    progress: Progress | None,
) -> RunResult:
    """Return the result of samples from ``first`` on with the times of its chosen steps."""
    from nmhw.sim.chip_run import keep_tables
    from nmhw.sim.noc import choose_rows, time_steps

    table = deployed.chip.cost_table(options.costs)
    assert table is not None  # ``check_latency``
    n_steps = result.n_steps + result.drain_steps
    chosen = choose_rows(plan.prepared.n_samples * n_steps, options.noc_steps)
    start, end = first * n_steps, (first + result.n_samples) * n_steps
    rows = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, end)] - start
    _, fan_out = keep_tables(deployed.quantized, deployed.mapping, deployed.kept)
    times = time_steps(
        result, deployed.quantized, fan_out, deployed.chip, table,
        rows=rows, threads=options.threads, progress=progress,
    )  # fmt: skip
    return replace(result, noc=times)


def keep_less(
    result: RunResult, deployed: Deployment, keep_spikes: int, n_samples: int
) -> RunResult:
    """Return the result without the spikes and counts per step that were kept for timing alone.

    Parameters
    ----------
    keep_spikes : int
        What the run may still keep; beyond it, only the spikes of the outputs.
    n_samples : int
        Of the whole run.
    """
    from nmhw.sim.step_counter import MAX_STEP_CELLS

    counters = result.counters
    assert counters is not None
    outputs: Collection[str] = {s for port in deployed.quantized.outputs for s in port.sources}
    if sum(counters.spikes_by_population.values()) > keep_spikes:
        kept = {
            name: events
            for name, events in result.spikes.items()
            if name in outputs or name not in result.spike_totals
        }
        result = replace(result, spikes=kept)
    if n_samples * counters.n_steps * counters.cores.size > MAX_STEP_CELLS:
        result = replace(result, counters=replace(counters, steps=None))
    return result


def halves(progress: Progress | None) -> tuple[Progress | None, Progress | None]:
    """Return progress of a piece's run and of its timing: half of its samples each."""
    if progress is None:
        return None, None

    n_samples = 0

    def run(done: int, total: int) -> None:
        nonlocal n_samples
        n_samples = total
        progress(done // 2, total)

    def timing(done: int, total: int) -> None:
        progress(n_samples * (total + done) // (2 * max(total, 1)), n_samples)

    return run, timing
