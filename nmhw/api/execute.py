"""One chip run from inputs to a priced Run: execution, readout, accuracy, comparison with float."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.api.arguments import check_whole
from nmhw.api.checkpoint import Checkpoint, run_key
from nmhw.api.compartments import gather_result, spread_inputs
from nmhw.api.cycles import summarize_cycles
from nmhw.api.facts import first_output_step, mean_rate, projection_rows
from nmhw.api.float_comparison import compare_with_float
from nmhw.api.host_operations import host_rows, operation_facts
from nmhw.api.inputs import (
    PreparedInputs,
    check_event_counts,
    prepare_inputs,
    sample_digests,
    summarize_recordings,
)
from nmhw.api.judging import (
    check_goal,
    check_probe_size,
    check_probes,
    choose_readout,
    in_author_units,
    judge,
    with_membranes,
)
from nmhw.api.noc import (
    check_latency,
    halves,
    keep_less,
    latency_key,
    piece_size,
    time_piece,
)
from nmhw.api.pieces import PieceSizes, Progress, check_pieces, run_pieces
from nmhw.api.pricing import check_prices
from nmhw.api.run import Run
from nmhw.api.run_notices import (
    calibration_notices,
    float_notices,
    kept_notices,
    readout_notices,
)
from nmhw.api.stage_run import (
    check_drives,
    check_stage_options,
    run_stage,
    stage_operations,
)
from nmhw.api.timing import check_timing, summarize_timing, timing_notices
from nmhw.errors import UnsupportedError
from nmhw.io.input_events import KINDS
from nmhw.report.summary import notice_dict, summarize_run
from nmhw.values.metrics import Metric
from nmhw.values.probe import Probe
from nmhw.values.readout import Readout, read_out
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The options of ``Deployment.run``, explained there."""

    backend: str = "numba"
    readout: Readout | str | None = None
    readout_on_host: bool = False
    pace: str | None = None
    costs: str | None = None
    probes: tuple[Probe, ...] = ()
    layout: str = "auto"
    encode: str | None = None
    n_steps: int | None = None
    repeat: int | None = None
    compare_float: bool = True
    continuous: bool = False
    metric: Metric = "accuracy"
    keep_spikes: int = 10**8
    timing: str = "steps"
    latency: str = "analytic"
    noc_steps: int | None = None
    progress: Progress | None = None
    threads: int | None = None
    chunk: int | None = None
    checkpoint: str | Path | None = None
    resume: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything about a run that was checked before it starts."""

    readout: Readout
    sources: tuple[str, ...]
    probes: tuple[Probe, ...]
    prepared: PreparedInputs
    goal: NDArray[Any] | None
    n_reused: int


def execute(deployed: Deployment, x: Any, labels: Any, options: RunOptions) -> Run:
    """Run a deployment; see ``Deployment.run``."""
    plan = _plan(deployed, x, labels, options)
    checkpoint = _open_checkpoint(deployed, plan, options)
    started = time.perf_counter()
    result = _run_backend(deployed, plan, options, checkpoint)
    ran = time.perf_counter()
    scales = {name: _author_scale(deployed, name) for name in plan.sources}
    outcome = read_out(in_author_units(result, scales), plan.readout, plan.sources)
    if "summary" not in deployed.kept:  # never changed, and a good part of a short run
        deployed.kept["summary"] = deployed.summary()
    mapped = deployed.kept["summary"]
    facts = {**mapped, **summarize_run(result, deployed.quantized)}
    facts |= _readout_facts(plan, result, scales)
    facts |= summarize_timing(deployed.chip, options.timing, options.costs, result)
    facts |= summarize_cycles(deployed.chip, deployed.quantized, result, options.costs)
    facts["event_recordings"] = summarize_recordings(x)
    facts["projections"] = projection_rows(deployed, result)
    if host := [*host_rows(x), *stage_operations(deployed, plan)]:
        facts |= operation_facts(host, facts["projections"])
    facts["spikes_per_neuron_sample"] = mean_rate(facts)
    facts |= judge(outcome, plan.goal, options.metric)
    notices = [*plan.prepared.notices, *calibration_notices(deployed, plan)]
    notices += timing_notices(deployed.quantized, deployed.chip, options.timing)
    notices += readout_notices(deployed, plan, options)
    notices += kept_notices(deployed, result)
    notices += (skipped := float_notices(deployed, result, options))
    if options.compare_float and deployed.network.profile is not None and not skipped:
        found, lost = compare_with_float(deployed, plan, outcome, result, options, checkpoint)
        facts |= found
        notices += lost
    of_run = summarize_run(result, deployed.quantized)["notices"]
    facts["notices"] = [
        *mapped["notices"], *(notice_dict(n) for n in notices), *of_run
    ]  # fmt: skip
    wall = {**deployed.wall_s, "run": ran - started, "judge": time.perf_counter() - ran}
    return Run(
        result,
        deployed.chip,
        facts,
        costs=options.costs,
        pace=options.pace,
        outcome=outcome,
        wall_s=wall,
        mapping=deployed.mapping,
    )


def _plan(deployed: Deployment, x: Any, labels: Any, options: RunOptions) -> Plan:
    """Check everything that can be checked before the simulation."""
    check_pieces(options.chunk, options.checkpoint, options.resume, options.continuous)
    network, chip = deployed.network, deployed.chip
    check_whole(options.keep_spikes, "keep_spikes")
    check_probes(network, options.probes)
    check_prices(chip, options.costs, options.pace, deployed.quantized.profile.step_s)
    readout, sources = choose_readout(network, options.readout)
    probes = with_membranes(options.probes, readout, sources)
    check_timing(chip, options.timing, probes)
    check_latency(deployed, options)
    if deployed.stage is not None:
        check_stage_options(options)
    on_chip = chip.arithmetic.membrane_readout or options.readout_on_host
    if readout.needs_membrane and not on_chip:
        raise UnsupportedError(
            "the chip cannot read membranes out",
            got=f"readout {readout}",
            where=chip.name,
            hint="--readout count, or --readout-on-host",
            rule="readout.membrane",
        )
    prepared = prepare_inputs(
        network,
        x,
        labels,
        layout=options.layout,
        encode=options.encode,
        n_steps=options.n_steps,
        seed=deployed.seed,
        kinds=chip.arithmetic.inputs if deployed.stage is None else KINDS,
        repeat=options.repeat,
    )
    goal = check_goal(network, prepared, options.metric, readout, sources)
    steps = prepared.source.n_steps + deployed.quantized.drain_steps
    check_probe_size(probes, network.sizes(), prepared.n_samples, steps)
    return Plan(readout, sources, probes, prepared, goal, _judge_inputs(deployed, prepared))


def _judge_inputs(deployed: Deployment, prepared: PreparedInputs) -> int:
    """Judge the values of all samples; return how many were also used for calibration."""
    known = set() if deployed.calibration is None else set(sample_digests(deployed.calibration))
    reused = 0
    for first, end in PieceSizes(prepared, None, False).ranges():
        inputs = prepared.take(first, end)
        if deployed.stage is None:
            check_event_counts(inputs, deployed.chip)
        else:
            check_drives(deployed.stage, deployed.quantized, inputs, first)
        reused += sum(digest in known for digest in sample_digests(inputs)) if known else 0
    return reused


def _open_checkpoint(deployed: Deployment, plan: Plan, options: RunOptions) -> Checkpoint | None:
    """Return where finished pieces are kept, None where they are not."""
    if options.checkpoint is None or options.continuous:
        return None
    key = run_key(
        {
            "network": deployed.network,
            "quantized network": deployed.quantized,
            "mapping": deployed.mapping,
            "chip": deployed.chip.document,
            "samples": plan.prepared.n_samples,
            "readout": str(plan.readout),
            "probes": plan.probes,
            "backend": options.backend,
            "keep_spikes": options.keep_spikes,
            "timing": options.timing,
            **latency_key(options),
        }
    )
    checkpoint = Checkpoint(Path(options.checkpoint), key, options.chunk is not None)
    checkpoint.open(options.resume)
    return checkpoint


def _run_backend(
    deployed: Deployment, plan: Plan, options: RunOptions, checkpoint: Checkpoint | None
) -> RunResult:
    """Return the result of all samples in the author's neurons."""
    from nmhw.sim.backends import run_backend
    from nmhw.sim.merge_results import drop_input_spikes, merge_results

    n_samples = plan.prepared.n_samples

    def work(inputs: Any, before: list[RunResult], progress: Progress | None) -> RunResult:
        counted = [part.counters.spikes_by_population for part in before if part.counters]
        seen = sum(sum(by_name.values()) for by_name in counted)
        keep = max(0, options.keep_spikes - seen)
        if options.latency != "noc":
            return finish(execute_piece(inputs, keep, n_samples, progress), before)
        running, timing = halves(progress)
        # timed from all its spikes and counts per step, whatever the whole run keeps
        result = execute_piece(inputs, 2**62, None, running)
        first = sum(part.n_samples for part in before)
        result = time_piece(deployed, plan, options, result, first, timing)
        return finish(keep_less(result, deployed, keep, n_samples), before)

    def execute_piece(
        inputs: Any, keep: int, counted: int | None, progress: Progress | None
    ) -> RunResult:
        if deployed.stage is not None:
            return run_stage(deployed, plan, options, inputs, keep, counted, progress)
        return run_backend(
            options.backend,
            deployed.quantized,
            deployed.mapping,
            deployed.chip,
            spread_inputs(inputs, deployed.quantized),
            probes=plan.probes,
            keep_spikes=keep,
            threads=options.threads,
            continuous=options.continuous,
            progress=progress,
            kept=deployed.kept,
            timing=options.timing,
            counted_samples=counted,
        )

    def finish(result: RunResult, before: list[RunResult]) -> RunResult:
        if deployed.stage is not None:
            return result
        gathered = gather_result(result, deployed.network, deployed.quantized)
        return gathered if plan.prepared.source.is_held else _with_inputs(gathered, before, options)

    parts = run_pieces(
        "chip",
        work,
        plan.prepared,
        chunk=piece_size(deployed, plan, options),
        checkpoint=checkpoint,
        progress=options.progress,
    )
    result = parts[0] if len(parts) == 1 else drop_input_spikes(merge_results(parts))
    if options.continuous and result.counters is not None:
        result = replace(result, counters=replace(result.counters, is_continuous=True))
    return result


def _with_inputs(result: RunResult, before: list[RunResult], options: RunOptions) -> RunResult:
    """Drop the input events of a piece that is read from a stream once they are too many."""
    counted = [part.counters.events_by_input for part in (*before, result) if part.counters]
    if sum(sum(by_name.values()) for by_name in counted) <= options.keep_spikes:
        return result
    kept = {k: events for k, events in result.spikes.items() if k in result.spike_totals}
    return replace(result, spikes=kept)


def _author_scale(deployed: Deployment, name: str) -> NDArray[np.float64]:
    """Return LSBs per unit of v of the author's neurons, the first compartments."""
    return deployed.quantized.population(name).scale[: deployed.network.population(name).size]


def _readout_facts(
    plan: Plan, result: RunResult, scales: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "readout": str(plan.readout),
        "readout_populations": list(plan.sources),
        "first_output_step": first_output_step(result, plan.sources),
        "readout_scale": None,
    }
    if plan.readout.needs_membrane:
        facts["readout_scale"] = {name: scale.tolist() for name, scale in scales.items()}
    return facts
