"""check_gradients: a named rule against independent forms of itself, as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import MissingExtraError, UsageError
from nmhw.sim.learning import own_equations, spike_response, spike_time
from nmhw.sim.learning.central_differences import compare_differences
from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.closed_forms import Accumulate
from nmhw.sim.learning.event_walk import WalkResult, walk_sample
from nmhw.sim.learning.float_form import BatchResult, run_batch
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.sizes import dense_layer
from nmhw.sim.learning.synapses import synapses_of
from nmhw.sim.learning.torch_bptt import torch_gradients
from nmhw.values.rng import stream

Floats = NDArray[np.float64]

DIFFERENCES_LIMIT = 1e-6
TORCH_LIMIT = 1e-5
EXACT_LIMIT = 1e-9


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """One line of the table.

    Attributes
    ----------
    name : str
    passed : bool or None
        None: could not be run (see ``detail``).
    worst : float
        Largest relative difference, or number of counters that differ.
    limit : float
    n_compared, n_discarded : int
    detail : str
    """

    name: str
    passed: bool | None
    worst: float
    limit: float
    n_compared: int
    n_discarded: int
    detail: str


def check_gradients(
    rule: GradientRule | str, *, n_cases: int = 20, seed: int = 0
) -> tuple[GradientCheck, ...]:
    """Run every check that applies to a rule on random networks of 1-4 layers.

    STD-ED in exact time: central differences; the window form against the causal-set search. In
    ticks, and SRM: the equations written out pair by pair. MPD-ED and STBP: PyTorch, if installed.
    All rules: the event walk against the dense form, its counters against the closed forms.

    Parameters
    ----------
    rule : GradientRule or str
        A name stands for the rule with its defaults.
    n_cases : int
        Random networks per check, each with its weights and two samples.
    seed : int

    Returns
    -------
    tuple of GradientCheck

    Raises
    ------
    UsageError
        For an unknown rule or less than one case.
    """
    chosen = named(rule) if isinstance(rule, str) else rule
    if n_cases < 1:
        raise UsageError("at least one case per check", got=n_cases)
    return tuple(check(chosen, n_cases, seed) for check in _checks_of(chosen))


def _checks_of(rule: GradientRule) -> Iterator[Callable[[GradientRule, int, int], GradientCheck]]:
    if rule.name == "std-ed" and rule.time == "exact":
        yield _check_differences
    if rule.name == "std-ed" and rule.time == "ticks":
        yield _check_ticks
    if rule.name == "std-ed" and rule.threshold == "window" and rule.time == "exact":
        yield _check_window
    if rule.name == "srm":
        yield _check_responses
    if rule.name in ("mpd-ed", "stbp"):
        yield _check_torch
    yield _check_walk
    yield _check_counts


def relative_difference(a: list[Floats], b: list[Floats]) -> float:
    """Return the largest abs(a - b) over arrays, each relative to the largest entry of its b."""
    worst = 0.0
    for x, y in zip(a, b, strict=True):
        scale = max(float(np.abs(y).max(initial=0.0)), 1e-3)
        worst = max(worst, float(np.abs(x - y).max(initial=0.0)) / scale)
    return worst


def _row(
    name: str, worst: float, limit: float, n: int, n_discarded: int, detail: str
) -> GradientCheck:
    passed = bool(worst <= limit) and n > 0
    return GradientCheck(name, passed, worst, limit, n, n_discarded, detail)


def _check_differences(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    found = [compare_differences(random_case(rule, seed + k)) for k in range(n_cases)]
    return _row(
        "central differences",
        max(f.worst for f in found),
        DIFFERENCES_LIMIT,
        sum(f.n_compared for f in found),
        sum(f.n_discarded for f in found),
        "weights; discarded: the step changed who fires, or a causal set",
    )


def _check_window(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    """A threshold that falls from t = 0 on meets the same membrane, if not before t = 1."""
    top = rule.theta0 + rule.slope
    search = rule.with_(threshold="ramp", theta0=top, t_end=1.0 + rule.t_end)
    worst, n, n_discarded = 0.0, 0, 0
    for k in range(n_cases):
        weights, times, errors = _random_layer(rule, seed + k)
        synapses, t = synapses_of(dense_layer("layer", *weights.shape)), times[None]
        window = spike_time.fire(synapses, weights, rule, t)
        sought = spike_time.fire(synapses, weights, search, t)
        same = ~(sought.fired & (sought.crossing < 1.0)) & (window.times != 0.0)
        if not np.array_equal(window.fired[same], sought.fired[same]):
            worst = np.inf
        both = same & window.fired & sought.fired
        kept = np.where(both, errors, 0.0)
        got = spike_time.carry_back(synapses, weights, rule, t, window, kept)
        wanted = spike_time.carry_back(synapses, weights, search, t, sought, kept)
        apart = np.where(both, window.crossing - sought.crossing, 0.0)
        worst = max(worst, float(np.abs(apart).max()), relative_difference([*got], [*wanted]))
        n, n_discarded = n + int(both.sum()), n_discarded + int((~same).sum())
    detail = "spikes: time and gradients; discarded: crossed before the window opens"
    return _row("window form == causal-set search", worst, EXACT_LIMIT, n, n_discarded, detail)


def _check_ticks(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    worst, n = 0.0, 0
    for k in range(n_cases):
        weights, times, errors = _random_layer(rule, seed + k)
        synapses = synapses_of(dense_layer("layer", *weights.shape))
        spikes = spike_time.fire(synapses, weights, rule, times[None])
        got = spike_time.carry_back(synapses, weights, rule, times[None], spikes, errors[None])
        wanted = own_equations.fire_in_ticks(rule, weights, times)
        ticks = np.where(spikes.fired[0], np.round(spikes.crossing[0] * rule.n_steps), -1)
        if ticks.tolist() != [tick for tick, _ in wanted]:
            worst = np.inf
        by_pairs = own_equations.tick_gradients(rule, weights, times, errors)
        worst = max(worst, relative_difference([got[0], got[1][0]], list(by_pairs)))
        n += int(spikes.fired.sum())
    detail = "spikes: tick, and gradients pair by pair"
    return _row("tick equations", worst, EXACT_LIMIT, n, 0, detail)


def _check_responses(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    worst, n = 0.0, 0
    for k in range(n_cases):
        rng = stream(seed + k, "learning.check-responses")
        n_in, n_out = int(rng.integers(1, 9)), int(rng.integers(1, 6))
        weights = rng.normal(6.0 / n_in, 3.0 / np.sqrt(n_in), (n_in, n_out))
        events = (rng.random((rule.n_steps, n_in)) < 0.4).astype(np.float64)
        errors = rng.normal(size=(rule.n_steps, n_out))
        done = spike_response.step_responses(rule, (events @ weights)[None])
        credit, at_time = spike_response.reverse(rule, done, errors[None])
        wanted = own_equations.respond(rule, weights, events)
        if [np.flatnonzero(s).tolist() for s in done.spikes[0].T] != [
            [step for step, _, _ in own] for own in wanted
        ]:
            worst = np.inf
        by_pairs = own_equations.response_gradients(rule, weights, events, errors)
        got = [events.T @ credit[0], at_time[0] @ weights.T]
        worst = max(worst, relative_difference(got, list(by_pairs)))
        n += int(done.spikes.sum())
    return _row("SRM equations", worst, EXACT_LIMIT, n, 0, "spikes: step, and gradients by pairs")


def _check_torch(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    name, worst, n = "PyTorch, masked BPTT", 0.0, 0
    for k in range(n_cases):
        case = random_case(rule, seed + k)
        ours = run_batch(case.net, case.weights, rule, case.inputs, case.labels)
        try:
            loss, gradients, thresholds = torch_gradients(case)
        except MissingExtraError as error:
            return GradientCheck(name, None, np.nan, TORCH_LIMIT, 0, 0, f"not run: {error.what}")
        worst = max(worst, abs(loss - ours.loss), relative_difference(ours.gradients, gradients))
        if rule.threshold != "ramp":
            worst = max(worst, relative_difference(ours.threshold_gradients, thresholds))
        n += sum(g.size for g in gradients)
    return _row(name, worst, TORCH_LIMIT, n, 0, "weights, and thresholds unless these ramp")


def _check_walk(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    worst, n = 0.0, 0
    for case, dense in _cases(rule, n_cases, seed):
        walks = _walks(case, "sample")
        means = [np.mean([w.gradients[k] for w in walks], axis=0) for k in range(len(case.weights))]
        worst = max(worst, relative_difference(means, dense.gradients))
        n += sum(g.size for g in means)
    return _row("event walk == dense form", worst, EXACT_LIMIT, n, 0, "weights")


def _check_counts(rule: GradientRule, n_cases: int, seed: int) -> GradientCheck:
    n_wrong, n = 0, 0
    policies: tuple[Accumulate, ...] = ("sample", "stream")
    for accumulate in policies:
        for case, dense in _cases(rule, n_cases, seed, accumulate):
            counted = np.sum([walk.counts.values for walk in _walks(case, accumulate)], axis=0)
            n_wrong += int((counted != dense.counts.values).sum())
            n += dense.counts.values.size
    return _row("counters == closed forms", n_wrong, 0, n, 0, "counters, per layer and operation")


def _cases(
    rule: GradientRule, n: int, seed: int, accumulate: Accumulate = "sample"
) -> Iterator[tuple[Case, BatchResult]]:
    for k in range(n):
        case = random_case(rule, seed + k)
        x, y = case.inputs, case.labels
        yield case, run_batch(case.net, case.weights, rule, x, y, accumulate=accumulate)


def _walks(case: Case, accumulate: Accumulate) -> list[WalkResult]:
    return [
        walk_sample(case.net, case.weights, case.rule, x, int(y), accumulate=accumulate)
        for x, y in zip(case.inputs, case.labels, strict=True)
    ]


def _random_layer(rule: GradientRule, seed: int) -> tuple[Floats, Floats, Floats]:
    """Return weights (n_in, n_out), input times and errors of one layer's targets."""
    rng = stream(seed, "learning.check-layer")
    n_in, n_out = int(rng.integers(1, 13)), int(rng.integers(1, 7))
    latest = 1.0 if rule.threshold == "window" else 0.6 * rule.t_end
    times = np.where(rng.random(n_in) < 0.8, rng.random(n_in) * latest, np.inf)
    if rule.time == "ticks":
        times = spike_time.to_ticks(times, rule.n_steps)
    weights = rng.normal(rng.choice([0.5, 2.0]) / n_in, 1.4 / np.sqrt(n_in), (n_in, n_out))
    return weights, times, rng.normal(size=n_out)
