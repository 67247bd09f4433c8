"""A rule exported to lava-nc moves weights as the rule in real numbers, within its stated loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.lava.rule_export import LavaRule, sum_of_products_rule
from nmhw.sim.learning.local import LocalEngine, LocalLayer, local_rule
from nmhw.sim.learning.local.sum_of_products import SumOfProducts
from nmhw.values.learning import WeightFormat

N_IN, N_OUT = 6, 5
CHIP, FLOATS = WeightFormat(9, max_abs=255.0), WeightFormat(None)


def written(dw: str, **options: Any) -> SumOfProducts:
    """Return a rule in real numbers."""
    rule = local_rule("sum-of-products", dw=dw, **options)
    assert isinstance(rule, SumOfProducts)
    return rule


def moved(rule: SumOfProducts, form: WeightFormat, rate: float, seed: int = 0) -> np.ndarray:
    """Return the change of every weight in one step with spikes everywhere."""
    first = np.round(np.random.default_rng(3).uniform(-20, 20, (N_IN, N_OUT)))
    layer = LocalLayer("l", N_IN, N_OUT, rule=rule)
    engine = LocalEngine([layer], [first], form, learning_rate=rate, seed=seed)
    engine.run(np.ones((1, N_IN)), forced=[np.ones((1, N_OUT))])
    return np.asarray(engine.weights[0] - first)


def fixed(exported: LavaRule) -> SumOfProducts:
    """Return the exported text in nmhw's form of lava-nc's fixed point."""
    traces = {name: (impulse, tau) for name, impulse, tau in exported.traces}
    return written(exported.dw, dt=exported.dt, is_fixed=True, epoch=exported.t_epoch, **traces)


@pytest.mark.parametrize(
    ("dw", "rate"),
    [
        ("2^-3*x1*y1*u0", 1.0),
        ("2^-2*x1*y0 - 2^-3*x0*y1", 0.5),
        ("-2^-4*(y1-4)*x0*sgn(w) + 2^-6*x1*y1*u0", 0.3),
        ("2^-4*x1*w*x0", 0.25),
        ("3*2^-5*x1*y1*y2*x0", 0.01),
    ],
)
def test_the_mean_change_lies_within_the_loss(dw: str, rate: float) -> None:
    rule = written(dw, x1=(23.0, 0.0), y1=(17.0, 0.0), y2=(5.0, 0.0))
    exported = sum_of_products_rule(rule, rate)
    wanted = moved(rule, FLOATS, rate)
    products = zip(exported.dw_products, rule.products, strict=True)
    off = max(abs(e.scale / e.wanted - 1) for e, _ in products)
    runs = [moved(fixed(exported), CHIP, 1.0, seed) for seed in range(150)]
    difference = np.mean(runs, axis=0) - wanted
    noise = 4 * 0.5 / np.sqrt(150)
    largest = np.abs([moved(written(d, x1=rule.x1, y1=rule.y1, y2=rule.y2), FLOATS, rate)
                      for d in _products_of(dw)]).sum(axis=0)  # fmt: skip
    assert (difference <= noise + off * largest).all()
    assert (difference >= -exported.loss - noise - off * largest).all()
    assert np.abs(wanted).max() > 1
    assert off < 0.2


def _products_of(dw: str) -> list[str]:
    return dw.replace(" + ", " | ").replace(" - ", " | -").split(" | ")


def test_without_the_correction_most_of_the_change_is_lost() -> None:
    rule = written("2^-3*x1*y1*u0", x1=(16.0, 0.0), y1=(8.0, 0.0))
    plain = written("2^-3*x1*y1*u0", x1=(16.0, 0.0), y1=(8.0, 0.0), is_fixed=True)
    exported = sum_of_products_rule(rule)
    assert moved(rule, FLOATS, 1.0)[0, 0] == 16
    assert moved(plain, CHIP, 1.0)[0, 0] == 2
    assert moved(fixed(exported), CHIP, 1.0)[0, 0] == 16
    assert exported.dw == "4*2^-2*x1*y1*u0"
    assert exported.dw_products[0].shift == 3


def test_the_tag_is_corrected_without_the_rate() -> None:
    rule = written("2^-1*t*u0", dt="2^-1*x1*y1*u0", x1=(9.0, 4.0), y1=(3.5, 0.0), epoch=2)
    exported = sum_of_products_rule(rule, 0.5)
    arguments = exported.arguments()
    assert arguments["dt"] == "4*2^0*x1*y1*u0".replace("2^0*", "")
    assert arguments["dw"] == "4*2^-4*t*u0"
    assert (arguments["x1_impulse"], arguments["x1_tau"], arguments["t_epoch"]) == (9.0, 4.0, 2)
    notes = " | ".join(exported.approximations)
    assert "x1: decays with stochastic rounding" in notes
    assert "y1: lava-nc's impulse is 4 in the mean, not 3.5" in notes
    assert "one random number per step" in notes


def test_a_scale_that_has_no_bits_says_what_it_became() -> None:
    exported = sum_of_products_rule(written("x0*y1", y1=(3.0, 0.0)), 0.3)
    assert exported.dw == "5*2^-4*x0*y1"
    assert "dw: scale 0.3 became 0.3125 (+4.2 %)" in exported.approximations


@pytest.mark.parametrize(
    ("dw", "options", "rate", "words"),
    [
        ("2^-7*x0*y1", {}, 0.001, "no such scale"),
        ("2^8*x1*y1*y2*w*x0", {}, 1.0, "no such scale"),
        ("x0*y1", {"is_fixed": True}, 1.0, "fixed point already|chip's fixed point"),
        ("x0*y1", {}, 0.0, "rate is positive"),
        ("x0*y1", {"y1": (128.0, 3.0)}, 1.0, "7 bits"),
        ("x0*(y1+0.5)", {}, 1.0, "whole numbers"),
    ],
)
def test_what_lava_cannot_hold_is_refused(
    dw: str, options: dict[str, Any], rate: float, words: str
) -> None:
    traces = dict.fromkeys(("x1", "y1", "y2"), (4.0, 0.0))
    with pytest.raises(UsageError, match=words) as refused:
        sum_of_products_rule(written(dw, **(traces | options)), rate)
    assert refused.value.rule == "lava.rule"
