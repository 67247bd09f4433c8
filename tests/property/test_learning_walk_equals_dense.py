"""The event walk and the dense specification: the same gradients, the same counts."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.event_walk import walk_sample
from nmhw.sim.learning.float_form import run_batch
from nmhw.sim.learning.gradient_rule import GradientRule, named

SEEDS = st.integers(0, 2**31)


@st.composite
def spike_time_rules(draw: st.DrawFn) -> GradientRule:
    """STD-ED in every threshold mode and both heads, in exact time or ticks."""
    return named(
        "std-ed",
        threshold=draw(st.sampled_from(["window", "fixed", "ramp"])),
        time=draw(st.sampled_from(["exact", "ticks"])),
        n_steps=draw(st.sampled_from([4, 7, 16])),
        head=draw(st.sampled_from(["integrator", "spiking"])),
        slope_clip=draw(st.sampled_from([1.0, 11.0])),
    )


@st.composite
def step_rules(draw: st.DrawFn) -> GradientRule:
    """MPD-ED, STBP and SRM with all their options."""
    name = draw(st.sampled_from(["mpd-ed", "stbp", "srm"]))
    options: dict[str, Any] = {"n_steps": draw(st.integers(1, 8))}
    if name != "srm":
        options |= {
            "threshold": draw(st.sampled_from(["const", "ramp"])),
            "surrogate": draw(st.sampled_from(["atan", "triangle"])),
            "decay": draw(st.sampled_from([0.0, 0.5, 0.9, 1.0])),
            "head": draw(st.sampled_from(["integrator", "integrator", "spiking"])),
        }
    if name == "mpd-ed":
        options["mask"] = draw(st.sampled_from(["spike", "band"]))
    return named(name, **options)


def check(case: Case) -> None:
    for accumulate in ("sample", "stream"):
        dense = run_batch(
            case.net, case.weights, case.rule, case.inputs, case.labels, accumulate=accumulate
        )
        walks = [
            walk_sample(case.net, case.weights, case.rule, x, int(y), accumulate=accumulate)
            for x, y in zip(case.inputs, case.labels, strict=True)
        ]
        counts = walks[0].counts
        for walk in walks[1:]:
            counts = counts + walk.counts
        assert (counts.layers, counts.n_samples) == (dense.counts.layers, len(walks))
        np.testing.assert_array_equal(counts.values, dense.counts.values)
    assert np.isclose(np.mean([walk.loss for walk in walks]), dense.loss, rtol=1e-9)
    np.testing.assert_allclose([w.scores for w in walks], dense.scores, rtol=1e-9, atol=1e-9)
    for k, b in enumerate(dense.gradients):
        a = np.mean([walk.gradients[k] for walk in walks], axis=0)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * max(1.0, np.abs(b).max()))


@given(spike_time_rules(), SEEDS)
def test_spike_times(rule: GradientRule, seed: int) -> None:
    check(random_case(rule, seed))


@given(step_rules(), SEEDS)
def test_steps(rule: GradientRule, seed: int) -> None:
    check(random_case(rule, seed))
