"""check_rule: a rule against itself. Does it keep its own promises, and does it learn twice alike?

What is checked, each on random activity of several shapes: the state has the words that the spec
declares; blocks are valid and within reach of their trigger; arrays of the step are not changed;
the compiled functions equal the NumPy ones, step by step; the same seed gives the same weights;
a fresh sample does not remember the last; counters equal a recount of the returned blocks; 8-bit
weights with stochastic rounding stay on their grid.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmhw.errors import NmhwError
from nmhw.sim.learning.local.engine import LocalEngine
from nmhw.sim.learning.local.layer import LocalLayer
from nmhw.sim.learning.local.rule import TRIGGER_ORDER, Activity, LearningRule
from nmhw.sim.learning.local.update_check import check_state, check_update
from nmhw.values.learning import OPERATION_INDEX, WeightFormat
from nmhw.values.rng import stream

SHAPES = ((1, 1), (3, 5), (17, 4))
#: Largest difference between NumPy and compiled results, relative to the largest magnitude.
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One line of the table."""

    name: str
    passed: bool
    detail: str


def check_rule(rule: LearningRule, *, n_steps: int = 48, seed: int = 0) -> tuple[CheckRow, ...]:
    """Run all checks of a rule.

    Returns
    -------
    tuple of CheckRow
        A check that an error stopped fails with the error's text.
    """
    checks: tuple[tuple[str, Callable[..., str]], ...] = (
        ("state words match the spec", _check_words),
        ("updates are valid and within reach", _check_updates),
        ("activity is left unchanged", _check_untouched),
        ("compiled == NumPy, step by step", _check_compiled),
        ("same seed, same weights", _check_determinism),
        ("a fresh sample forgets the last", _check_fresh),
        ("counters == recount of blocks", _check_counters),
        ("8-bit stochastic weights stay on their grid", _check_integers),
    )
    rows = []
    for name, check in checks:
        try:
            rows.append(CheckRow(name, True, check(rule, n_steps, seed)))
        except (NmhwError, _FailedError) as error:
            rows.append(CheckRow(name, False, str(error)))
        except Exception as error:
            rows.append(CheckRow(name, False, f"{type(error).__name__}: {error}"))
    return tuple(rows)


class _FailedError(Exception):
    """A check that failed, with what was found."""


def random_activity(rule: LearningRule, n_in: int, n_out: int, n_steps: int, seed: int) -> Any:
    """Yield one `Activity` per step: random spikes, membranes, errors and weights."""
    rng = stream(seed, "check-rule", n_in, n_out)
    weights = np.asarray(rng.integers(-127, 128, (n_in, n_out)) * (1.5 / 127), np.float64)
    for step in range(n_steps):
        theta = np.ones(n_out)
        v = rng.normal(0.7, 0.6, n_out)
        error = rng.normal(0.0, 1.0, n_out) * (rng.random(n_out) < 0.5)
        if rule.spec.third_factor == "global":
            error[:] = rng.normal() * (rng.random() < 0.5)
        psi = np.zeros(n_out)
        if rule.spec.needs_surrogate:
            psi[:] = np.maximum(0.0, 1.0 - np.abs(v - theta))
        yield Activity(
            (rng.random(n_in) < 0.3).astype(np.float64), (v >= theta).astype(np.float64), v, theta,
            psi, error, weights, rng.random(rule.spec.random_words), 0.01, 1.5 / 127, step, n_steps,
        )  # fmt: skip


def _calls(rule: LearningRule, a: Activity) -> list[str]:
    reached = {
        "on_step": True, "on_pre": a.pre.any(), "on_post": a.post.any(), "on_error": a.error.any(),
        "on_epoch": (a.step + 1) % rule.spec.epoch_steps == 0,
        "on_sample_end": a.step == a.n_steps - 1,
    }  # fmt: skip
    wanted = {"on_step", *rule.spec.triggers}
    found = [t for t in TRIGGER_ORDER if t in wanted and reached[t]]
    return [t for t in found if t != "on_step" or hasattr(rule, t)]


def _call(rule: LearningRule, trigger: str, a: Activity, state: Any, compiled: bool) -> Any:
    handler = rule.handler(trigger, compiled)
    if handler is None:
        raise _FailedError(f"the spec names {trigger}, the rule does not define it")
    return handler(a, state)


def _check_words(rule: LearningRule, n_steps: int, seed: int) -> str:
    for n_in, n_out in SHAPES:
        check_state(rule, rule.initial_state(n_in, n_out), n_in, n_out)
    spec = rule.spec
    per = (spec.pre_traces, spec.post_traces, spec.synapse_words)
    return "{} per source, {} per target, {} per synapse".format(*per)


def _check_updates(rule: LearningRule, n_steps: int, seed: int) -> str:
    n_blocks = n_synapses = 0
    for n_in, n_out in SHAPES:
        state = rule.initial_state(n_in, n_out)
        for a in random_activity(rule, n_in, n_out, n_steps, seed):
            for trigger in _calls(rule, a):
                update = _call(rule, trigger, a, state, False)
                if update is not None and check_update(rule, trigger, update, a):
                    n_blocks, n_synapses = n_blocks + 1, n_synapses + update[2].size
    if not n_blocks:
        raise _FailedError("the rule never changed a weight")
    return f"{n_blocks} blocks, {n_synapses} synapses"


def _check_untouched(rule: LearningRule, n_steps: int, seed: int) -> str:
    n_in, n_out = SHAPES[-1]
    state = rule.initial_state(n_in, n_out)
    for a in random_activity(rule, n_in, n_out, n_steps, seed):
        before = [np.array(value) for value in a]
        for trigger in _calls(rule, a):
            _call(rule, trigger, a, state, False)
            for field, old, new in zip(Activity._fields, before, a, strict=True):
                if not np.array_equal(old, new):
                    raise _FailedError(f"{trigger} changes {field} in step {a.step}")
    return f"{n_steps} steps"


def _check_compiled(rule: LearningRule, n_steps: int, seed: int) -> str:
    if not rule.compiled:
        return "no compiled functions: NumPy runs"
    worst = 0.0
    for n_in, n_out in SHAPES:
        plain, fast = rule.initial_state(n_in, n_out), rule.initial_state(n_in, n_out)
        for a in random_activity(rule, n_in, n_out, n_steps, seed):
            for trigger in _calls(rule, a):
                where = f"{trigger}, step {a.step}, {n_in} x {n_out}"
                one = _call(rule, trigger, a, plain, False)
                two = _call(rule, trigger, a, fast, True)
                worst = max(worst, _difference(_dense(one, a), _dense(two, a), where))
                for p, f in zip(plain, fast, strict=True):
                    worst = max(worst, _difference(p, f, where + ", state"))
    return f"{', '.join(rule.compiled)}: largest relative difference {worst:.1e}"


def _dense(update: Any, a: Activity) -> Any:
    out = np.zeros((a.pre.size, a.post.size))
    if update is not None and update[0].size and update[1].size:
        out[np.ix_(update[0], update[1])] = update[2]
    return out


def _difference(one: Any, two: Any, where: str) -> float:
    largest = max(float(np.abs(one).max(initial=0.0)), 1e-300)
    found = float(np.abs(one - two).max(initial=0.0)) / largest
    if not found <= TOLERANCE:
        raise _FailedError(f"{where}: relative difference {found:.3g} > {TOLERANCE:g}")
    return found


def _engine(rule: LearningRule, seed: int, weights: WeightFormat) -> LocalEngine:
    n_in, n_out = SHAPES[-1]
    start = stream(seed, "check-rule.weights").normal(0.3, 0.3, (n_in, n_out))
    return LocalEngine([LocalLayer("layer", n_in, n_out, rule=rule)], [start], weights,
                       learning_rate=0.05, seed=seed)  # fmt: skip


def _train(engine: LocalEngine, n_steps: int, seed: int, n_samples: int = 3) -> Any:
    n_in, n_out = SHAPES[-1]
    rng = stream(seed, "check-rule.samples")
    for _ in range(n_samples):
        errors = rng.normal(0.0, 1.0, (n_steps, n_out)) * (rng.random((n_steps, 1)) < 0.5)
        errors[-1] = rng.normal(0.0, 1.0, n_out)
        spikes = (rng.random((n_steps, n_in)) < 0.3).astype(np.float64)
        engine.run(spikes, lambda _, step, e=errors: [e[step]])  # type: ignore[misc]
    return engine.weights[0].copy()


def _check_determinism(rule: LearningRule, n_steps: int, seed: int) -> str:
    for bits in (None, 8):
        form = WeightFormat(bits)
        one, two = (_train(_engine(rule, seed, form), n_steps, seed) for _ in range(2))
        if not np.array_equal(one, two):
            raise _FailedError(f"two trainings differ ({bits or 'float'} bits)")
    return "float and 8 bits, 3 samples"


def _check_fresh(rule: LearningRule, n_steps: int, seed: int) -> str:
    n_in, n_out = SHAPES[-1]
    state = rule.initial_state(n_in, n_out)
    first = [trace.copy() for trace in state]
    for a in random_activity(rule, n_in, n_out, n_steps, seed):
        for trigger in _calls(rule, a):
            _call(rule, trigger, a, state, False)
    again = rule.initial_state(n_in, n_out)
    if any(np.shares_memory(s, t) for s in state for t in again if s.size):
        raise _FailedError("initial_state returns the same arrays twice")
    if any(not np.array_equal(s, t) for s, t in zip(again, first, strict=True)):
        raise _FailedError("initial_state depends on what ran before")
    return "initial_state gives new, equal arrays"


def _check_counters(rule: LearningRule, n_steps: int, seed: int) -> str:
    seen = []

    class Watched(type(rule)):  # type: ignore[misc]
        def handler(self, trigger: str, use_compiled: bool) -> Any:
            inner = super().handler(trigger, use_compiled)
            if inner is None:
                return None

            def call(a: Activity, s: Any) -> Any:
                update = inner(a, s)
                if update is not None:
                    seen.append(len(update[0]) * len(update[1]))
                return update

            return call

    watched = object.__new__(Watched)
    watched.__dict__.update(vars(rule))
    engine = _engine(watched, seed, WeightFormat(8))
    _train(engine, n_steps, seed)
    row = engine.counts.values[0]
    macs, reads = row[OPERATION_INDEX["gradient_mac"]], row[OPERATION_INDEX["weight_read"]]
    if macs != sum(seen) * rule.spec.products or reads != sum(seen):
        raise _FailedError(f"{macs} MACs and {reads} reads, recount {sum(seen)} synapses")
    return f"{reads} reads, {macs} MACs, {row[OPERATION_INDEX['weight_write']]} writes"


def _check_integers(rule: LearningRule, n_steps: int, seed: int) -> str:
    engine = _engine(rule, seed, WeightFormat(8))
    before = engine.weights[0].copy()
    after = _train(engine, n_steps, seed)
    codes = after / engine.store.scale
    if np.abs(codes - np.rint(codes)).max() > 1e-9 or np.abs(codes).max() > 127:
        raise _FailedError("a weight left the grid")
    return f"{np.count_nonzero(after != before)} of {after.size} weights moved"
