"""Readout, labels and metric: checked before a run, applied after it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.api.inputs import PreparedInputs
from nmhw.errors import InputError, UsageError
from nmhw.values.metrics import Metric, accuracy, confusion, evaluate, is_classification
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.readout import (
    Outcome,
    Readout,
    check_labels,
    default_readout,
    output_populations,
)
from nmhw.values.result import RunResult

Floats = NDArray[np.float64]

#: Bytes of probed values beyond which a run warns before it starts.
_MUCH_BYTES = 1 << 30

#: Metrics whose labels are targets: without labels there is nothing to check about them.
_REGRESSION = ("mse", "r2")

#: Accuracy after every step is not stated beyond so many; event runs are not compared with float.
MOST_STEPS = 10_000


def choose_readout(
    network: Network, readout: Readout | str | None
) -> tuple[Readout, tuple[str, ...]]:
    """Return the readout and the populations it reads."""
    chosen = Readout.parse(readout) if isinstance(readout, str) else readout
    if chosen is not None and not isinstance(chosen, Readout):
        hint = "count, v-last, ... or an nmhw.Readout"
        raise UsageError("this is no readout", got=repr(chosen), hint=hint)
    if chosen is None:
        chosen = default_readout(network)
    return chosen, output_populations(network, chosen)


def as_probes(
    probes: Probe | str | Sequence[Probe | str] | Mapping[str, str | Sequence[str]],
) -> tuple[Probe, ...]:
    """Read ``"lif1:v"``, ``Probe("lif1")``, a list of them, or ``{"lif1": ["v"]}``.

    Raises
    ------
    UsageError
        For anything else.
    """
    if isinstance(probes, Mapping):
        return tuple(Probe(name, v) for name, listed in probes.items() for v in _listed(listed))
    return tuple(p if isinstance(p, Probe) else Probe.parse(p) for p in _listed(probes))


def _listed(probes: Any) -> list[Any]:
    """Return one probe, or a list of them, as a list of probes and texts."""
    if isinstance(probes, Probe | str):
        return [probes]
    items = list(probes) if isinstance(probes, Iterable) else [probes]
    for item in items:
        if not isinstance(item, Probe | str):
            hint = '"lif1:v", ["lif1:v:every=10"] or {"lif1": ["v"]}'
            raise UsageError("this is no probe", got=repr(item), hint=hint)
    return items


def check_probes(network: Network, probes: Sequence[Probe]) -> None:
    """Refuse probes of populations or states that do not exist, and the same one twice."""
    seen = set()
    for probe in probes:
        where = f"{probe.population}:{probe.variable}"
        population = network.population(probe.population)
        if probe.variable == "u" and not population.model.has_current:
            hint = f"{probe.population}:v"
            raise UsageError("there is no synaptic current to probe", where=where, hint=hint)
        if where in seen:
            raise UsageError("probed twice", where=where, hint="one probe per variable")
        seen.add(where)


def with_membranes(
    probes: Sequence[Probe], readout: Readout, sources: Sequence[str]
) -> tuple[Probe, ...]:
    """Add the probes that a membrane readout needs.

    Raises
    ------
    UsageError
        When one of them is probed already, but not in every step.
    """
    if not readout.needs_membrane:
        return tuple(probes)
    given = {p.population: p for p in probes if p.variable == "v"}
    for name in sources:
        if name in given and given[name].every != 1:
            what = f"readout {readout} needs v of every step"
            raise UsageError(what, got=f"every={given[name].every}", where=name, hint=f"{name}:v")
    return (*probes, *(Probe(name, "v") for name in sources if name not in given))


def check_probe_size(
    probes: Sequence[Probe], sizes: Mapping[str, int], n_samples: int, n_steps: int
) -> None:
    """Warn before a run whose probes take much memory, refuse what this machine cannot hold.

    Parameters
    ----------
    n_steps : int
        Simulated steps per sample.

    Raises
    ------
    UsageError
        Where the probed values are larger than the memory.
    """
    taken = {
        f"{p.population}:{p.variable}": n_samples * -(-n_steps // p.every) * sizes[p.population] * 8
        for p in probes
    }
    total = sum(taken.values())
    if total < _MUCH_BYTES:
        return
    largest = max(taken, key=lambda name: taken[name])
    most = 2**63
    if hasattr(os, "sysconf"):
        most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    size, hint = f"{total / 2**30:,.1f} GiB", "every=K (POP:VAR:every=K), or fewer samples"
    if total > most:
        raise UsageError(
            "the probed values do not fit the memory", got=size, limit=f"{most / 2**30:,.1f} GiB",
            where=largest, hint=hint, rule="run.probe-size",
        )  # fmt: skip
    warnings.warn(f"the probes take {size} of memory, most of it {largest}: {hint}", stacklevel=5)


def in_author_units(result: RunResult, scales: Mapping[str, Any]) -> RunResult:
    """Return the result with membranes divided by their integer scale, by population."""
    probes = dict(result.probes)
    for name, scale in scales.items():
        probe = probes.get((name, "v"))
        if probe is not None:
            probes[name, "v"] = replace(probe, values=probe.values / np.asarray(scale))
    return replace(result, probes=probes)


def check_goal(
    network: Network,
    prepared: PreparedInputs,
    metric: Metric,
    readout: Readout,
    sources: Sequence[str],
) -> NDArray[Any] | None:
    """Return validated labels or targets, None without any; also check the metric's name.

    Raises
    ------
    InputError
        For labels of the wrong length or out of range, targets of the wrong shape or not finite.
    UsageError
        For an unknown metric.
    """
    n_classes = readout.n_classes or network.population(sources[0]).size
    goal = _checked(prepared, metric, n_classes)
    n = prepared.n_samples
    # judging zeros tells names and shapes apart before an hour of simulation
    if not callable(metric):
        if goal is not None:
            evaluate(metric, np.zeros(n, np.int64), np.zeros((n, n_classes)), goal)
        elif metric not in _REGRESSION:
            evaluate(metric, np.zeros(1, np.int64), np.zeros((1, n_classes)), np.zeros(1, np.int64))
    return goal


def _checked(prepared: PreparedInputs, metric: Metric, n_classes: int) -> NDArray[Any] | None:
    if prepared.labels is None:
        return None
    if is_classification(metric):
        return check_labels(prepared.labels, prepared.n_samples, n_classes)
    goal = np.asarray(prepared.labels, np.float64)
    if not np.isfinite(goal).all():
        bad = goal[~np.isfinite(goal)].flat[0]
        raise InputError("targets must be finite", got=bad, where="labels", rule="labels.finite")
    return goal


def judge(outcome: Outcome, goal: NDArray[Any] | None, metric: Metric) -> dict[str, Any]:
    """Return accuracy (or another metric) with its uncertainty."""
    facts: dict[str, Any] = {"accuracy": None, "metric": None, "accuracy_detail": None}
    if goal is None:
        return facts
    name = metric if isinstance(metric, str) else getattr(metric, "__name__", "callable")
    value = evaluate(metric, outcome.predictions, outcome.scores, goal)
    facts["metric"] = {"name": name, "value": value}
    if metric == "accuracy":
        detail = accuracy(outcome.predictions, goal)
        facts["accuracy"] = detail.value
        facts["accuracy_detail"] = {
            "n": detail.n,
            "right": detail.n_right,
            "wilson_95": list(detail.interval),
            "ties": outcome.n_ties,
            "confusion": confusion(outcome.predictions, goal, outcome.scores.shape[1]).tolist(),
            "per_step": _accuracy_per_step(outcome, goal),
        }
    return facts


def _accuracy_per_step(outcome: Outcome, goal: NDArray[Any]) -> list[float] | None:
    """Return accuracy(t); None for native time stamps, where it is as large as it is useless."""
    if outcome.result.n_steps > MOST_STEPS:
        return None
    return outcome.accuracy_per_step(goal).tolist()
