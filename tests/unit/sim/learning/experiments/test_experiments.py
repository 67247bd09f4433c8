"""Every local rule demonstrably learns: its experiment at a reduced size, against its control."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.learning.experiments import EXPERIMENTS, run_experiment
from nmhw.sim.learning.experiments.adaptive_control import run_pes
from nmhw.sim.learning.experiments.delayed_recall import N_GROUP, N_STEPS, make_trial
from nmhw.sim.learning.experiments.receptive_fields import all_bars, count_bars, make_patch
from nmhw.sim.learning.experiments.reward_chase import run_chase
from nmhw.sim.learning.local import LOCAL_RULES


def test_every_local_rule_has_an_experiment() -> None:
    rules = {"soft-hebb-adaptation": "soft-hebb", "e-prop-recall": "e-prop",
             "sum-of-products": "sum-of-products", "stdp-fields": "stdp",
             "r-stdp-chase": "r-stdp", "triplet-frequency": "triplet-stdp"}  # fmt: skip
    shown = {rules.get(name, name.split("-")[0]) for name in EXPERIMENTS}
    assert shown == set(LOCAL_RULES)


@pytest.mark.parametrize("name", sorted(EXPERIMENTS))
def test_the_rule_learns_and_its_control_does_not(name: str) -> None:
    steps: list[tuple[int, int]] = []
    result = run_experiment(name, 0, lambda done, total: steps.append((done, total)), quick=True)
    assert result.passed, (result.learned, result.control, dict(result.facts))
    assert result.counts is not None
    assert result.counts.total("weight_write") > 0
    assert math.isfinite(result.learned)
    assert steps[-1][0] == steps[-1][1]
    record = json.loads(json.dumps(result.to_json()))
    assert record["operations"]["weight_read"] > 0
    assert record["passed"] is True
    assert result.rule in LOCAL_RULES


def test_a_rule_that_does_not_learn_fails_its_criterion() -> None:
    assert not run_pes(quick=True, rate=0.0).passed
    assert not run_chase(quick=True, rate=0.0).passed


def test_the_same_seed_gives_the_same_experiment() -> None:
    one, two = (run_experiment("pes-control", 3, quick=True) for _ in range(2))
    assert one.to_json() == two.to_json()
    np.testing.assert_array_equal(one.panels[1].series[0].y, two.panels[1].series[0].y)


def test_an_unknown_experiment_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no such experiment.*stdp-fields"):
        run_experiment("stdp")


def test_bars_are_counted_by_resemblance() -> None:
    bars = all_bars()
    assert count_bars(bars.T) == 12
    assert count_bars(bars[:5].T * 0.3 + 0.1) == 5
    assert count_bars(np.random.default_rng(0).random((36, 18))) == 0
    assert make_patch(np.random.default_rng(0), False).shape == (20, 36)


def test_the_side_of_a_trial_is_that_of_most_cues() -> None:
    for seed in range(30):
        spikes, side = make_trial(np.random.default_rng(seed))
        cues = spikes[: N_STEPS - 23].reshape(-1, 4, N_GROUP).sum(axis=(0, 2))
        if abs(cues[0] - cues[1]) > 40:
            assert side == int(cues[1] > cues[0])
        assert spikes[-8:, 2 * N_GROUP : 3 * N_GROUP].sum() > 0
