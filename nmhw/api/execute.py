"""One chip run from inputs to a priced Run: execution, readout, accuracy, comparison with float."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.api.inputs import PreparedInputs, prepare_inputs
from nmhw.api.run import Run
from nmhw.errors import UsageError
from nmhw.report.summary import notice_dict, summarize_run
from nmhw.values.metrics import (
    Metric,
    accuracy,
    compare_predictions,
    confusion,
    evaluate,
    is_classification,
)
from nmhw.values.network import Network
from nmhw.values.notice import Notice
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.readout import (
    Outcome,
    Readout,
    check_labels,
    default_readout,
    output_populations,
    read_out,
)
from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment, Progress


def execute(
    deployed: Deployment,
    x: Any,
    labels: Any,
    *,
    backend: str,
    readout: Readout | str | None,
    pace: str | None,
    costs: str | None,
    probes: Sequence[Probe],
    layout: str,
    encode: str | None,
    n_steps: int | None,
    compare_float: bool,
    continuous: bool,
    metric: Metric,
    progress: Progress | None,
) -> Run:
    """Run a deployment; see ``Deployment.run``."""
    network = deployed.network
    check_probes(network, probes)
    chosen, sources = choose_readout(network, readout)
    prepared = prepare_inputs(
        network, x, labels, layout=layout, encode=encode, n_steps=n_steps, seed=deployed.seed
    )
    goal = check_goal(prepared, metric)
    started = time.perf_counter()
    wanted = with_membranes(probes, chosen, sources)
    result = _run_backend(deployed, prepared, backend, wanted, continuous, progress)
    ran = time.perf_counter()
    outcome = read_out(in_author_units(result, deployed.quantized, sources), chosen, sources)
    facts = {**deployed.summary(), **summarize_run(result, deployed.quantized)}
    facts["notices"] = [
        *deployed.summary()["notices"],
        *(notice_dict(n) for n in _sample_notices(deployed, prepared)),
        *summarize_run(result, deployed.quantized)["notices"],
    ]
    facts["readout"] = str(chosen)
    facts["first_output_step"] = first_output_step(result, sources)
    facts["projections"] = _projection_rows(deployed, result)
    facts |= judge(outcome, goal, metric)
    if compare_float:
        facts |= _compare_with_float(deployed, prepared, chosen, sources, outcome, goal, result)
    facts["spikes_per_neuron_sample"] = _mean_rate(facts)
    wall = {**deployed.wall_s, "run": ran - started, "judge": time.perf_counter() - ran}
    return Run(
        result,
        deployed.chip,
        facts,
        costs=costs,
        pace=pace,
        outcome=outcome,
        wall_s=wall,
        mapping=deployed.mapping,
    )


def choose_readout(
    network: Network, readout: Readout | str | None
) -> tuple[Readout, tuple[str, ...]]:
    """Return the readout and the populations it reads."""
    chosen = Readout.parse(readout) if isinstance(readout, str) else readout
    if chosen is None:
        chosen = default_readout(network)
    return chosen, output_populations(network, chosen)


def check_probes(network: Network, probes: Sequence[Probe]) -> None:
    """Refuse probes of populations or states that do not exist."""
    for probe in probes:
        population = network.population(probe.population)
        if probe.variable == "u" and not population.model.has_current:
            where, hint = f"{probe.population}:u", f"{probe.population}:v"
            raise UsageError("there is no synaptic current to probe", where=where, hint=hint)


def with_membranes(
    probes: Sequence[Probe], readout: Readout, sources: Sequence[str]
) -> tuple[Probe, ...]:
    """Add the probes that a membrane readout needs."""
    if not readout.needs_membrane:
        return tuple(probes)
    needed = [Probe(name, "v") for name in sources]
    others = [p for p in probes if not (p.population in sources and p.variable == "v")]
    return (*others, *needed)


def in_author_units(
    result: RunResult, quantized: QuantizedNetwork, sources: Sequence[str]
) -> RunResult:
    """Return the result with the readout's membranes divided by their integer scale."""
    probes = dict(result.probes)
    for name in sources:
        probe = probes.get((name, "v"))
        if probe is not None:
            scale = quantized.population(name).scale
            probes[name, "v"] = replace(probe, values=probe.values / scale)
    return replace(result, probes=probes)


def check_goal(prepared: PreparedInputs, metric: Metric) -> Any:
    """Return validated labels or targets, None without any."""
    if prepared.labels is None:
        return None
    if is_classification(metric):
        return check_labels(prepared.labels, prepared.n_samples)
    return np.asarray(prepared.labels, np.float64)


def judge(outcome: Outcome, goal: Any, metric: Metric) -> dict[str, Any]:
    """Return accuracy (or another metric) with its uncertainty."""
    facts: dict[str, Any] = {"accuracy": None, "metric": None, "accuracy_detail": None}
    if goal is None:
        return facts
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "callable")
    value = evaluate(metric, outcome.predictions, outcome.scores, goal)
    facts["metric"] = {"name": name, "value": value}
    if metric == "accuracy":
        detail = accuracy(outcome.predictions, goal)
        table = confusion(
            outcome.predictions, goal, max(outcome.scores.shape[1], int(goal.max()) + 1)
        )
        facts["accuracy"] = detail.value
        facts["accuracy_detail"] = {
            "n": detail.n,
            "right": detail.n_right,
            "wilson_95": list(detail.interval),
            "ties": outcome.n_ties,
            "confusion": table.tolist(),
            "per_step": outcome.accuracy_per_step(goal).tolist(),
        }
    return facts


def first_output_step(result: RunResult, sources: Sequence[str]) -> float | None:
    """Return the mean step (drain included) of the first output spike; None without any."""
    first = np.full(result.n_samples, np.inf)
    for name in sources:
        if name in result.spikes:
            events = result.spikes[name]
            np.minimum.at(first, events.sample, events.step)
    found = first[np.isfinite(first)]
    return float(found.mean()) if found.size else None


def _run_backend(
    deployed: Deployment,
    prepared: PreparedInputs,
    backend: str,
    probes: tuple[Probe, ...],
    continuous: bool,
    progress: Progress | None,
) -> RunResult:
    from nmhw.sim.backends import run_backend

    return run_backend(
        backend,
        deployed.quantized,
        deployed.mapping,
        deployed.chip,
        prepared.events,
        probes=probes,
        continuous=continuous,
        progress=progress,
    )


def _compare_with_float(
    deployed: Deployment,
    prepared: PreparedInputs,
    readout: Readout,
    sources: tuple[str, ...],
    outcome: Outcome,
    goal: Any,
    result: RunResult,
) -> dict[str, Any]:
    """Run the float network on the same samples: the difference is the price of deployment."""
    from nmhw.sim.float_run import run_float

    if deployed.network.profile is None:
        return {}
    probes = with_membranes((), readout, sources)
    reference = run_float(
        deployed.network, deployed.network.profile, prepared.events, probes=probes
    )
    before = read_out(reference, readout, sources)
    labels = goal if goal is not None and goal.ndim == 1 else None
    change = compare_predictions(before.predictions, outcome.predictions, labels)
    layers = [
        {
            "name": name,
            "float_spikes": len(reference.windowed(name)),
            "chip_spikes": len(result.windowed(name)),
        }
        for name in (p.name for p in deployed.quantized.populations)
        if name in reference.spikes and name in result.spikes
    ]
    loss = {
        "top1_agreement": change.agreement,
        "right_to_wrong": change.right_to_wrong,
        "wrong_to_right": change.wrong_to_right,
        "layers": layers,
    }
    value = None if labels is None else accuracy(before.predictions, labels).value
    return {"float_accuracy": value, "deployment_loss": loss}


def _sample_notices(deployed: Deployment, prepared: PreparedInputs) -> list[Notice]:
    """Warn about evaluated samples that were also used for calibration."""
    notices = list(prepared.notices)
    if deployed.calibration is None:
        return notices
    known = _sample_digests(deployed.calibration)
    reused = sum(d in known for d in _sample_digests(prepared.events, as_list=True))
    if reused:
        text = f"{reused} evaluated samples were also used for calibration"
        notices.append(Notice("run.calibration-overlap", deployed.network.name, text))
    return notices


def _sample_digests(events: Mapping[str, Any], as_list: bool = False) -> Any:
    first = next(iter(events.values()))
    digests = []
    bounds = {
        name: np.searchsorted(e.sample, np.arange(e.n_samples + 1)) for name, e in events.items()
    }
    for k in range(first.n_samples):
        parts = []
        for name, e in sorted(events.items()):
            part = slice(bounds[name][k], bounds[name][k + 1])
            parts.append(e.step[part].tobytes() + e.index[part].tobytes())
        digests.append(b"|".join(parts))
    return digests if as_list else set(digests)


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
    spikes = sum(facts.get("spikes", {}).values())
    neurons = sum(row["neurons"] for row in facts["layers"])
    return spikes / (neurons * facts["n_samples"]) if neurons else None
