"""Fixed-point sum of products equals lava-nc's LearningDense in every weight of every step.

Rules and traces here draw nothing: traces do not decay (or are gone in the next step) and every
change is a whole number. Where rounding is drawn, lava-nc shares one random number between all
synapses; ours are drawn one by one, so that only means could be compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nmhw.sim.learning.local import LocalEngine, LocalLayer, local_rule
from nmhw.values.learning import WeightFormat

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
N_IN, N_OUT, N_STEPS = 7, 5, 40
#: exp(-1 / tau) x rounds back to x, whatever is drawn (up to a chance of 1e-10).
FOREVER = 1e12

CASES = {
    "pair": ("x1*y0 - x0*y1", {"x1": (1.0, FOREVER), "y1": (1.0, FOREVER)}),
    "scaled": ("2^2*x1*y0 - 3*x0*y1", {"x1": (2.0, FOREVER), "y1": (1.0, FOREVER)}),
    "epoch": ("2^1*x1*y1*u0 - x1*u0", {"x1": (9.0, 0.0), "y1": (11.0, 0.0)}),
    "shifted": ("2^2*x1*y1*w*u0", {"x1": (90.0, 0.0), "y1": (101.0, 0.0)}),
    "plain 4": ("4*x1*y1*w*u0", {"x1": (90.0, 0.0), "y1": (101.0, 0.0)}),
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
