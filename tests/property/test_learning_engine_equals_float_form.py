"""The engine in float mode: gradients within 1e-6 of the specification's, counts equal."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.float_form import run_batch
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.packed import PackedEvents, pack_events, pack_times
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OPERATIONS, OperationCounts, WeightFormat

STEP_RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("mpd-ed", {}),
    ("mpd-ed", {"threshold": "ramp", "surrogate": "triangle"}),
    ("mpd-ed", {"mask": "band", "band": 0.4}),
    ("mpd-ed", {"mask": "band", "surrogate": "triangle", "head": "spiking"}),
    ("mpd-ed", {"head": "spiking", "threshold": "homeostatic"}),
    ("stbp", {"threshold": "learnable"}),
    ("stbp", {"surrogate": "triangle", "head": "spiking"}),
)
TIME_RULES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("std-ed", {}),
    ("std-ed", {"threshold": "fixed"}),
    ("std-ed", {"threshold": "ramp"}),
    ("std-ed", {"threshold": "ramp", "head": "spiking"}),
    ("std-ed", {"time": "ticks", "n_steps": 16}),
    ("std-ed", {"time": "ticks", "n_steps": 8, "threshold": "fixed", "head": "spiking"}),
)
LR = 1e-3


def packed_of(case: Case) -> PackedEvents:
    if case.rule.uses_times:
        return pack_times(case.inputs, case.rule)
    return pack_events(SpikeEvents.from_dense(case.inputs, case.net.in_shape))


def without_store(counts: OperationCounts) -> np.ndarray:
    kept = [k for k, name in enumerate(OPERATIONS) if name not in ("weight_read", "weight_write")]
    return counts.values[:, kept]


def check_case(name: str, options: dict[str, Any], seed: int, n_samples: int) -> None:
    rule = named(name, **({"n_steps": 7} | options if name != "std-ed" else options))
    case = random_case(rule, seed, n_samples)
    store = WeightFormat(bits=None, policy="always")
    engine = Engine(case.net, case.weights, rule, store, mode="float", lr=LR, batch=n_samples)
    expected = run_batch(case.net, case.weights, rule, case.inputs, case.labels)
    packed = packed_of(case)
    scores, _, forward = engine.predict(packed)
    np.testing.assert_allclose(scores, expected.scores, atol=1e-9)
    ahead = run_batch(case.net, case.weights, rule, case.inputs)
    assert (forward.values == ahead.counts.values).all()
    outcome = engine.train(packed, case.labels, np.arange(n_samples))
    for before, after, gradient in zip(
        case.weights, engine.weights(), expected.gradients, strict=True
    ):
        scale = max(1.0, np.abs(gradient).max())
        np.testing.assert_allclose((before - after) / LR, gradient, atol=1e-6 * scale)
    assert (without_store(outcome.counts) == without_store(expected.counts)).all()
    if n_samples == 1:
        assert (outcome.counts.values == expected.counts.values).all()
    fired = [1 - f.any(axis=0).mean() for f in expected.fired]
    np.testing.assert_allclose(outcome.silent_fraction, fired)
    for moved, gradient in zip(engine.thresholds(), expected.threshold_gradients, strict=False):
        if rule.threshold == "learnable":
            np.testing.assert_allclose((rule.theta0 - moved) / LR, gradient, atol=1e-6)


@pytest.mark.parametrize(("name", "options"), STEP_RULES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([1, 3]))
def test_rules_in_steps(name: str, options: dict[str, Any], seed: int, n_samples: int) -> None:
    check_case(name, options, seed, n_samples)


@pytest.mark.parametrize(("name", "options"), TIME_RULES)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**20), st.sampled_from([1, 3]))
def test_spike_time_rules(name: str, options: dict[str, Any], seed: int, n_samples: int) -> None:
    check_case(name, options, seed, n_samples)
