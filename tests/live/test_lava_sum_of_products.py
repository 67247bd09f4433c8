"""Fixed-point sum of products equals lava-nc's LearningDense in every weight of every step.

Rules and traces here draw nothing: traces do not decay (or are gone in the next step) and every
change is a whole number. Where rounding is drawn, lava-nc shares one random number between all
synapses; ours are drawn one by one, so that exported rules are compared in the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nmhw.sim.lava.rule_export import sum_of_products_rule
from nmhw.sim.learning.local import LocalEngine, LocalLayer, local_rule
from nmhw.sim.learning.local.sum_of_products import SumOfProducts
from nmhw.values.learning import WeightFormat

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
N_IN, N_OUT, N_STEPS = 7, 5, 40
#: exp(-1 / tau) x rounds back to x, whatever is drawn (up to a chance of 1e-10).
FOREVER = 1e12

CASES = {
    "pair": ("x1*y0 - x0*y1", {"x1": (1.0, FOREVER), "y1": (1.0, FOREVER)}),
    "scaled": ("2^2*x1*y0 - 3*x0*y1", {"x1": (2.0, FOREVER), "y1": (1.0, FOREVER)}),
    "epoch": ("2^1*x1*y1*u0 - x1*u0", {"x1": (9.0, 0.0), "y1": (11.0, 0.0)}),
    "shifted": ("2^2*x1*y1*w*u0", {"x1": (90.0, 0.0), "y1": (101.0, 0.0)}),
    "plain 4": ("4*x1*y1*w*u0", {"x1": (90.0, 0.0), "y1": (101.0, 0.0)}),
    # the spike that a product depends on adds no width: 5 and 3 bits are dropped
    "spike and weight": ("-x1*w*y0", {"x1": (8.0, 0.0)}),
    "spike and traces": ("x1*y1*x0", {"x1": (9.0, 0.0), "y1": (11.0, 0.0)}),
    "coincidence": ("x1*y1*x0*y0", {"x1": (9.0, 0.0), "y1": (14.0, 0.0)}),
    "sign": ("sgn(w)*x0*y0 + (y1-4)*x0", {"y1": (1.0, FOREVER)}),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_every_weight_of_every_step_equals_lava(ask_lava: Ask, name: str) -> None:
    text, traces = CASES[name]
    rng = np.random.default_rng(sorted(CASES).index(name))
    pre = (rng.random((N_STEPS, N_IN)) < 0.12).astype(np.int64)
    post = (rng.random((N_STEPS, N_OUT)) < 0.12).astype(np.int64)
    first = 2 * rng.integers(-20, 21, (N_IN, N_OUT))  # lava-nc keeps even weights only
    lava_rule: dict[str, Any] = {"dw": text}
    for trace in ("x1", "y1"):
        lava_rule[f"{trace}_impulse"], lava_rule[f"{trace}_tau"] = traces.get(trace, (0, 0))
    question = {"pre": pre.tolist(), "post": post.tolist(), "weights": first.T.tolist()}
    theirs = np.asarray(ask_lava("learning_dense.py", {**question, "rule": lava_rule})["weights"])

    rule = local_rule("sum-of-products", dw=text, is_fixed=True, **traces)
    layer = LocalLayer("synapses", N_IN, N_OUT, rule=rule)
    engine = LocalEngine([layer], [first], WeightFormat(9, max_abs=255.0))
    ours = np.zeros((N_STEPS, N_OUT, N_IN))
    for step in range(N_STEPS):
        engine.run(pre[step : step + 1], forced=[post[step : step + 1]], keep_state=step > 0)
        ours[step] = engine.weights[0].T
    np.testing.assert_array_equal(ours, np.maximum(theirs, -255))  # our grids are symmetric
    assert (ours[-1] != first.T).sum() > 5


EXPORTED: dict[str, tuple[str, float, dict[str, tuple[float, float]]]] = {
    "coincidence": ("2^-6*x1*y1*u0", 0.75, {"x1": (64.0, 0.0), "y1": (50.0, 0.0)}),
    "pair": ("2^-1*x1*y0 - 2^-3*x0*y1", 1.0, {"x1": (20.0, 6.0), "y1": (30.0, 9.0)}),
    "bound": ("2^-3*x1*y0 - 2^-7*x1*w*y0", 1.0, {"x1": (60.0, 5.0)}),
    "epoch": ("2^-5*x1*y1*u1 - 2^-4*x1*u1", 0.25, {"x1": (24.0, 4.0), "y1": (12.0, 8.0)}),
}


def change_in_lava(ask: Ask, arguments: dict[str, Any], case: tuple[Ints, Ints, Ints]) -> Floats:
    """Return the change of the weights (n_in, n_out) under a Loihi2FLearningRule."""
    pre, post, first = case
    question = {"pre": pre.tolist(), "post": post.tolist(), "weights": first.T.tolist()}
    answer = ask("learning_dense.py", {**question, "rule": arguments})
    return np.asarray(answer["weights"], np.float64)[-1].T - first


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_an_exported_rule_moves_weights_as_the_real_one_in_the_mean(
    ask_lava: Ask, name: str
) -> None:
    """Within what the export states: the floor of every evaluation, the rounded scale."""
    text, rate, traces = EXPORTED[name]
    n_steps, n_in, n_out = 200, 8, 9
    rng = np.random.default_rng(100 + sorted(EXPORTED).index(name))
    pre = (rng.random((n_steps, n_in)) < 0.06).astype(np.int64)
    post = (rng.random((n_steps, n_out)) < 0.06).astype(np.int64)
    first = 2 * rng.integers(-10, 11, (n_in, n_out))
    rule = local_rule("sum-of-products", dw=text, **traces)
    assert isinstance(rule, SumOfProducts)
    exported = sum_of_products_rule(rule, rate)
    theirs = change_in_lava(ask_lava, exported.arguments(), (pre, post, first))

    layer = LocalLayer("synapses", n_in, n_out, rule=rule)
    engine = LocalEngine([layer], [first], WeightFormat(None), learning_rate=rate)
    engine.run(pre, forced=[post])
    ours = engine.weights[0] - first
    off = max(abs(p.scale / p.wanted - 1) for p in exported.dw_products)
    n_evaluated = n_steps // 2 ** int("u1" in text) if "u" in text else post.sum(axis=0).mean()
    drawn = 2.5  # roundings of traces and weights, shared by all synapses of a step
    bound = off * np.abs(ours).mean() + exported.loss * n_evaluated + drawn
    assert abs(theirs.mean() - ours.mean()) < bound < 0.4 * np.abs(ours).mean()
    slope = float((ours * theirs).sum() / (ours * ours).sum())
    assert abs(slope - 1) < off + 0.1


def test_the_text_as_it_is_would_move_weights_an_eighth_as_far(ask_lava: Ask) -> None:
    pre, post, first = np.ones((1, 2), np.int64), np.ones((1, 3), np.int64), np.zeros((2, 3), int)
    text, traces = "2^-3*x1*y1*u0", {"x1": (16.0, 0.0), "y1": (8.0, 0.0)}
    rule = local_rule("sum-of-products", dw=text, **traces)
    assert isinstance(rule, SumOfProducts)
    corrected = sum_of_products_rule(rule).arguments()
    for arguments, change in ((corrected, 16), (corrected | {"dw": text}, 2)):
        moved = change_in_lava(ask_lava, arguments, (pre, post, first))
        np.testing.assert_array_equal(moved, change)
