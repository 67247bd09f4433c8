"""Gradients on hypothesis-made networks: central differences, PyTorch, window against search."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.sim.learning.central_differences import compare_differences
from nmhw.sim.learning.check_cases import random_case
from nmhw.sim.learning.float_form import run_batch
from nmhw.sim.learning.gradient_checks import check_gradients, relative_difference
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.thresholds import initial_thresholds
from nmhw.sim.learning.torch_bptt import torch_gradients

SEEDS = st.integers(0, 2**31)


@pytest.mark.parametrize("law", ["window", "fixed", "ramp"])
@given(head=st.sampled_from(["integrator", "spiking"]), seed=SEEDS)
@settings(max_examples=12)
def test_spike_times_equal_central_differences(law: str, head: str, seed: int) -> None:
    case = random_case(named("std-ed", threshold=law, head=head), seed, n_samples=1)
    found = compare_differences(case)
    assert found.worst <= 1e-6
    assert found.n_compared + found.n_discarded == sum(w.size for w in case.weights)
    assert found.n_discarded <= found.n_compared


@st.composite
def membrane_rules(draw: st.DrawFn) -> GradientRule:
    name = draw(st.sampled_from(["mpd-ed", "stbp"]))
    options: dict[str, Any] = {"mask": draw(st.sampled_from(["spike", "band"]))}
    return named(
        name,
        n_steps=draw(st.integers(1, 8)),
        threshold=draw(st.sampled_from(["const", "ramp", "learnable", "homeostatic"])),
        surrogate=draw(st.sampled_from(["atan", "triangle"])),
        decay=draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])),
        head=draw(st.sampled_from(["integrator", "spiking"])),
        **(options if name == "mpd-ed" else {}),
    )


@given(membrane_rules(), SEEDS)
@settings(max_examples=40)
def test_membrane_rules_equal_masked_bptt_in_pytorch(rule: GradientRule, seed: int) -> None:
    case = random_case(rule, seed)
    rng = np.random.default_rng(seed)
    thresholds = [t * rng.uniform(0.5, 1.5, t.size) for t in initial_thresholds(case.net, rule)]
    ours = run_batch(case.net, case.weights, rule, case.inputs, case.labels, thresholds=thresholds)
    loss, gradients, at_thresholds = torch_gradients(case, thresholds)
    assert np.isclose(ours.loss, loss, rtol=1e-9)
    assert relative_difference(ours.gradients, gradients) <= 1e-9
    if rule.threshold != "ramp":
        assert relative_difference(ours.threshold_gradients, at_thresholds) <= 1e-9


@given(
    st.sampled_from(
        [
            named("srm", n_steps=9),
            named("std-ed"),
            *(
                named("std-ed", time="ticks", threshold=law, n_steps=6)
                for law in ("window", "fixed", "ramp")
            ),
        ]
    ),
    SEEDS,
)
@settings(max_examples=25)  # fmt: skip
def test_ticks_srm_and_windows_equal_their_equations(rule: GradientRule, seed: int) -> None:
    wanted = {"tick equations", "SRM equations", "window form == causal-set search"}
    checks = [c for c in gradient_checks_of(rule, seed) if c.name in wanted]
    assert len(checks) == 1
    assert checks[0].worst <= checks[0].limit


def gradient_checks_of(rule: GradientRule, seed: int) -> Any:
    return check_gradients(rule, n_cases=1, seed=seed)
