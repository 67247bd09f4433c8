"""One chip run from inputs to a priced Run: execution, readout, accuracy, comparison with float."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.api.arguments import check_whole
from nmhw.api.compartments import gather_result, spread_inputs
from nmhw.api.cycles import summarize_cycles
from nmhw.api.float_comparison import compare_with_float
from nmhw.api.inputs import PreparedInputs, check_event_counts, prepare_inputs
from nmhw.api.judging import (
    check_goal,
    check_probes,
    choose_readout,
    in_author_units,
    judge,
    with_membranes,
)
from nmhw.api.pricing import check_prices
from nmhw.api.run import Run
from nmhw.api.timing import check_timing, summarize_timing, timing_notices
from nmhw.errors import UnsupportedError
from nmhw.report.summary import notice_dict, summarize_run
from nmhw.values.metrics import Metric
from nmhw.values.notice import Notice
from nmhw.values.probe import Probe
from nmhw.values.readout import Readout, read_out
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment

Progress = Callable[[int, int], None]


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
    compare_float: bool = True
    continuous: bool = False
    metric: Metric = "accuracy"
    keep_spikes: int = 10**8
    timing: str = "steps"
    progress: Progress | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything about a run that was checked before it starts."""

    readout: Readout
    sources: tuple[str, ...]
    probes: tuple[Probe, ...]
    prepared: PreparedInputs
    goal: NDArray[Any] | None


def execute(deployed: Deployment, x: Any, labels: Any, options: RunOptions) -> Run:
    """Run a deployment; see ``Deployment.run``."""
    plan = _plan(deployed, x, labels, options)
    started = time.perf_counter()
    result = gather_result(
        _run_backend(deployed, plan, options), deployed.network, deployed.quantized
    )
    ran = time.perf_counter()
    scales = {name: _author_scale(deployed, name) for name in plan.sources}
    outcome = read_out(in_author_units(result, scales), plan.readout, plan.sources)
    mapped = deployed.summary()
    facts = {**mapped, **summarize_run(result, deployed.quantized)}
    facts |= _readout_facts(plan, result, scales)
    facts |= summarize_timing(deployed.chip, options.timing, options.costs, result)
    inputs = plan.prepared.events
    facts |= summarize_cycles(deployed.chip, deployed.quantized, inputs, result, options.costs)
    facts["projections"] = _projection_rows(deployed, result)
    facts["spikes_per_neuron_sample"] = _mean_rate(facts)
    facts |= judge(outcome, plan.goal, options.metric)
    notices = [*plan.prepared.notices, *_calibration_overlap(deployed, plan.prepared)]
    notices += timing_notices(deployed.quantized, deployed.chip, options.timing)
    notices += _readout_notices(deployed, plan, options)
    notices += _kept_notices(deployed, result)
    if options.compare_float and deployed.network.profile is not None:
        found, lost = compare_with_float(deployed, plan, outcome, result, options)
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
    network, chip = deployed.network, deployed.chip
    check_whole(options.keep_spikes, "keep_spikes")
    check_probes(network, options.probes)
    check_prices(chip, options.costs, options.pace, deployed.quantized.profile.step_s)
    readout, sources = choose_readout(network, options.readout)
    probes = with_membranes(options.probes, readout, sources)
    check_timing(chip, options.timing, probes)
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
        kinds=chip.arithmetic.inputs,
    )
    check_event_counts(prepared.events, chip)
    goal = check_goal(network, prepared, options.metric, readout, sources)
    return Plan(readout, sources, probes, prepared, goal)


def _run_backend(deployed: Deployment, plan: Plan, options: RunOptions) -> RunResult:
    from nmhw.sim.backends import run_backend

    result = run_backend(
        options.backend,
        deployed.quantized,
        deployed.mapping,
        deployed.chip,
        spread_inputs(plan.prepared.events, deployed.quantized),
        probes=plan.probes,
        keep_spikes=options.keep_spikes,
        threads=options.threads,
        continuous=options.continuous,
        progress=options.progress,
        kept=deployed.kept,
        timing=options.timing,
    )
    if options.continuous and result.counters is not None:
        result = replace(result, counters=replace(result.counters, is_continuous=True))
    return result


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


def first_output_step(result: RunResult, sources: tuple[str, ...]) -> float | None:
    """Return the mean step (drain included) of the first output spike; None without any."""
    first = np.full(result.n_samples, np.inf)
    for name in sources:
        if name in result.spikes:
            events = result.spikes[name]
            np.minimum.at(first, events.sample, events.step)
    found = first[np.isfinite(first)]
    return float(found.mean()) if found.size else None


def _calibration_overlap(deployed: Deployment, prepared: PreparedInputs) -> list[Notice]:
    """Warn about evaluated samples that were also used for calibration."""
    if deployed.calibration is None:
        return []
    known = set(_sample_digests(deployed.calibration))
    reused = sum(digest in known for digest in _sample_digests(prepared.events))
    if not reused:
        return []
    text = f"{reused} of {prepared.n_samples} evaluated samples were also used for calibration"
    hint = "calibrate on training samples"
    return [Notice("run.calibration-overlap", deployed.network.name, text, hint=hint)]


def _sample_digests(events: Mapping[str, Any]) -> list[bytes]:
    """Return one key per sample; equal for samples with the same events."""
    keys: list[bytes] = [b""] * next(iter(events.values())).n_samples
    for _, e in sorted(events.items()):
        bounds = np.searchsorted(e.sample, np.arange(e.n_samples + 1))
        for k, (start, stop) in enumerate(pairwise(bounds)):
            keys[k] += e.step[start:stop].tobytes() + e.index[start:stop].tobytes() + b"|"
    return keys


def _readout_notices(deployed: Deployment, plan: Plan, options: RunOptions) -> list[Notice]:
    on_chip = deployed.chip.arithmetic.membrane_readout
    if not plan.readout.needs_membrane or on_chip or not options.readout_on_host:
        return []
    text = "membranes are read out by the host, which this chip does not offer; not priced"
    return [Notice("readout.on-host", ", ".join(plan.sources), text, "assumption")]


def _kept_notices(deployed: Deployment, result: RunResult) -> list[Notice]:
    populations = deployed.quantized.populations
    names = [p.name for p in populations if p.spec.is_spiking and not p.is_added]
    dropped = [name for name in names if name not in result.spikes]
    if not dropped:
        return []
    text = f"too many spikes to keep those of {', '.join(dropped)}; all counts are complete"
    hint = "--keep-spikes N"
    return [Notice("run.spikes-dropped", deployed.network.name, text, "assumption", hint)]


def _projection_rows(deployed: Deployment, result: RunResult) -> list[dict[str, Any]]:
    counters = result.counters
    rows = []
    for projection in deployed.quantized.projections:
        encodings = {
            kind
            for (name, _), kind in deployed.mapping.encodings.items()
            if name == projection.name
        }
        synops = 0 if counters is None else counters.synops_by_projection.get(projection.name, 0)
        row = {"name": projection.name, "source": projection.source, "target": projection.target}
        rows.append({**row, "synops": synops, "encodings": sorted(encodings)})
    return rows


def _mean_rate(facts: Mapping[str, Any]) -> float | None:
    spikes = sum(facts["spikes"].values())
    neurons = sum(row["neurons"] - row["copies"] for row in facts["layers"] if not row["is_added"])
    return spikes / (neurons * facts["n_samples"]) if neurons else None
