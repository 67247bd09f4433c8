"""check_gradients: passes for every rule, fails for a wrong gradient, says what it left out."""

from typing import Any

import numpy as np
import pytest

from nmhw.errors import MissingExtraError, UsageError
from nmhw.sim.learning import gradient_checks, spike_time
from nmhw.sim.learning.central_differences import compare_differences
from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.gradient_checks import check_gradients
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.network import parse_sizes

RULES = (
    named("std-ed"),
    named("std-ed", threshold="fixed"),
    named("std-ed", threshold="ramp", head="spiking"),
    named("std-ed", time="ticks"),
    named("std-ed", time="ticks", threshold="fixed", n_steps=10),
    named("std-ed", time="ticks", threshold="ramp"),
    named("mpd-ed", n_steps=8),
    named("mpd-ed", n_steps=8, mask="band", threshold="ramp"),
    named("mpd-ed", n_steps=8, threshold="learnable", surrogate="triangle"),
    named("stbp", n_steps=8),
    named("srm", n_steps=12),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda r: f"{r.name}-{r.threshold}-{r.time}-{r.mask}")
def test_every_rule_passes_its_checks(rule: GradientRule) -> None:
    rows = check_gradients(rule, n_cases=4)
    assert [row.name for row in rows if not row.passed] == []
    assert len(rows) >= 3
    assert all(row.n_compared > 0 for row in rows)


def test_a_name_stands_for_the_rule_with_its_defaults() -> None:
    names = [row.name for row in check_gradients("std-ed", n_cases=1)]
    assert names[:2] == ["central differences", "window form == causal-set search"]
    with pytest.raises(UsageError, match="no such gradient rule"):
        check_gradients("stdp")
    with pytest.raises(UsageError, match="at least one case"):
        check_gradients("srm", n_cases=0)


def test_a_wrong_gradient_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    right = spike_time.carry_back

    def wrong(*arguments: Any) -> Any:
        at_weights, at_times = right(*arguments)
        return at_weights * (1 + 1e-4), at_times

    monkeypatch.setattr("nmhw.sim.learning.time_form.carry_back", wrong)
    failed = {row.name for row in check_gradients("std-ed", n_cases=4) if not row.passed}
    assert failed == {"central differences", "event walk == dense form"}


def test_a_wrong_count_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmhw.sim.learning.walk_steps.StepWalk._carry", lambda *_: None)
    failed = {row.name for row in check_gradients("stbp", n_cases=4) if not row.passed}
    assert failed == {"counters == closed forms"}


def test_weights_whose_step_changes_a_set_are_discarded_and_counted() -> None:
    rule = named("std-ed", threshold="fixed", head="spiking")
    weights = [np.array([[1.0, 0.25 + 1e-6], [-0.7, 0.0]])]
    # the second output just reaches its threshold at t_end; the third weight's input is 1e-9 behind
    # the first output's spike
    times = np.array([[0.0, 1.0 + 1e-9]])
    case = Case(parse_sizes("2-2"), rule, weights, times, np.array([0]))
    found = compare_differences(case)
    assert found.n_discarded == 3
    assert found.n_compared == 1
    assert found.worst <= 1e-6


def test_without_pytorch_the_check_says_that_it_was_not_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(case: Case) -> Any:
        raise MissingExtraError("PyTorch is not installed")

    monkeypatch.setattr(gradient_checks, "torch_gradients", absent)
    (row, *_) = check_gradients("mpd-ed", n_cases=1)
    assert row.passed is None
    assert row.detail == "not run: PyTorch is not installed"


def test_random_cases_cover_convolutions_pools_loops_and_depth() -> None:
    rule = named("mpd-ed")
    nets = [random_case(rule, seed).net for seed in range(60)]
    layers = [layer for net in nets for layer in net.layers]
    assert {len(net.feedforward) for net in nets} == {1, 2, 3, 4}
    assert {layer.kind for layer in layers} == {"dense", "conv"}
    assert any(layer.pool is not None for layer in layers)
    assert any(layer.is_recurrent for layer in layers)
    assert not any(
        layer.is_recurrent for s in range(60) for layer in random_case(named("srm"), s).net.layers
    )
