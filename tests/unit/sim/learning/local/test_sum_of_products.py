"""Sum of products: the grammar, its limits, and what products do to weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.learning.local import LocalEngine, LocalLayer, local_rule
from nmhw.sim.learning.local.grammar import Factor, parse_rule
from nmhw.values.learning import WeightFormat

FLOAT = WeightFormat(None)
CHIP = WeightFormat(9, max_abs=255.0)


def spikes(seed: int, n: int, steps: int = 50) -> np.ndarray:
    return (np.random.default_rng(seed).random((steps, n)) < 0.25).astype(float)


def weights_after(rule: Any, form: WeightFormat = FLOAT) -> np.ndarray:
    engine = LocalEngine([LocalLayer("l", 5, 3, rule=rule)], [np.zeros((5, 3))], form)
    engine.run(spikes(1, 5), forced=[spikes(2, 3)])
    return engine.weights[0]


def test_a_rule_parses_to_its_products() -> None:
    one, two = parse_rule("dw = 2^-2*x1*y0 - 3*2^-3*x0*(y1 - 4)*sgn(w+1)")
    assert (one.scale, one.dependency) == (0.25, "y0")
    assert one.factors == (Factor("x1"), Factor("y0"))
    assert (two.scale, two.mantissa, two.exponent) == (-0.375, -3, -3)
    assert two.factors == (Factor("x0"), Factor("y1", -4.0), Factor("w", 1.0, is_sign=True))


@pytest.mark.parametrize(
    ("text", "mantissa", "exponent"),
    [("4", 4, 0), ("2^2", 1, 2), ("3*2^-2", 3, -2), ("12", 6, 1), ("8", 4, 1), ("0.75", 3, -2),
     ("3^2*2", None, None), ("2^8", 1, 8), ("2^9", None, None), ("7*2^8", 7, 8)],
)  # fmt: skip
def test_scales_keep_the_form_they_are_written_in(
    text: str, mantissa: int | None, exponent: int | None
) -> None:
    """In fixed point 4 and 2^2 differ: exponents apply after the shift, as in lava-nc 0.10.0."""
    if mantissa is None:
        with pytest.raises(UsageError, match="scale"):
            parse_rule(f"{text}*x1*y0")
    else:
        (product,) = parse_rule(f"{text}*x1*y0")
        assert (product.mantissa, product.exponent) == (mantissa, exponent)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x1*y1", "needs x0, y0 or u0"),
        ("x1*q*y0", "no such variable"),
        ("x1*y0 +", "expected a factor"),
        ("y0 x1", r"expected \+ or -"),
        ("x1/y0", "not in the grammar"),
        ("x1*u1 - y1*u2", "one epoch"),
        ("9*x1*y0", "scale"),
        ("2^-9*x1*y0", "scale"),
        ("0.3*x1*y0", "scale"),
        ("sgn(x1)*y0", "sgn takes w or t"),
        ("(x1*y0", r"expected \)"),
        ("", "expected a factor"),
        ("y0^2*x1", r"expected \+ or -"),
        ("2^x1*y0", "whole power"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_rule(text)


def test_a_tag_that_no_rule_sets_is_refused() -> None:
    with pytest.raises(UsageError, match="tag t"):
        local_rule("sum-of-products", dw="t*y0")
    with pytest.raises(UsageError, match="one epoch for all rules"):
        local_rule("sum-of-products", dw="t*u1", dt="x1*u2", x1=(1.0, 5.0))


def test_traces_need_an_impulse_and_may_be_text() -> None:
    with pytest.raises(UsageError, match=r"without an impulse.*y1"):
        local_rule("sum-of-products", dw="x1*y1*u0", x1=(1.0, 5.0))
    with pytest.raises(UsageError, match=r"x1 is \(impulse, tau\)"):
        local_rule("sum-of-products", dw="x1*y0", x1="16")
    rule = local_rule("sum-of-products", dw="x1*y0", x1="16,10")
    assert rule.x1 == (16.0, 10.0)  # type: ignore[attr-defined]


def test_written_as_pair_stdp_it_equals_pair_stdp() -> None:
    written = local_rule(
        "sum-of-products", dw="dw = 2^-2*x1*y0 - 2^-3*x0*y1", x1=(1.0, 8.0), y1=(1.0, 12.0)
    )
    pair = local_rule(
        "stdp", decay_x=np.exp(-1 / 8), decay_y=np.exp(-1 / 12), a_plus=0.25, a_minus=0.125
    )
    np.testing.assert_allclose(weights_after(written), weights_after(pair), rtol=0, atol=1e-13)
    assert np.abs(weights_after(pair)).max() > 0.5


def test_an_eligibility_in_the_tag_equals_a_plain_loop() -> None:
    rule = local_rule(
        "sum-of-products", dw="2^-1*t*u2", dt="x1*y0 - 2^-2*t*u2", x1=(2.0, 5.0), epoch=1
    )
    pre, post = spikes(1, 5), spikes(2, 3)
    w = np.zeros((5, 3))
    for i in range(5):
        for j in range(3):
            x = t = 0.0
            for step in range(50):
                x = np.exp(-1 / 5) * x + 2.0 * pre[step, i]
                if post[step, j]:
                    t += x
                if (step + 1) % 4 == 0:
                    w[i, j] += 0.5 * t
                    t -= 0.25 * t
    np.testing.assert_allclose(weights_after(rule), w, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "w", "moved_float", "moved_fixed"),
    [("2^-3*x1*y1*u0", 0, 16, 2), ("2^-3*x1*y1*w*u0", 10, 160, 0), ("2^-3*x1*u0", 0, 2, 2)],
)
def test_fixed_point_loses_what_exceeds_fifteen_bits(
    text: str, w: float, moved_float: float, moved_fixed: float
) -> None:
    """Figures as lava-nc 0.10.0 gives them for x1 = 16, y1 = 8 (one step, tau = 0)."""
    for is_fixed, moved in ((False, moved_float), (True, moved_fixed)):
        rule = local_rule(
            "sum-of-products", dw=text, x1=(16.0, 0.0), y1=(8.0, 0.0), is_fixed=is_fixed
        )
        form = CHIP if is_fixed else WeightFormat(None)
        engine = LocalEngine([LocalLayer("l", 1, 1, rule=rule)], [np.full((1, 1), w)], form)
        one = np.ones((1, 1))
        engine.run(one, forced=[one])
        assert engine.weights[0][0, 0] - w == moved


def test_fixed_point_traces_are_whole_and_unbiased() -> None:
    rule = local_rule("sum-of-products", dw="x1*y0", x1=(100.0, 40.0), is_fixed=True)
    totals = []
    for seed in range(200):
        layer = LocalLayer("l", 1, 1, rule=rule)
        engine = LocalEngine([layer], [np.zeros((1, 1))], CHIP, seed=seed)
        pre, post = np.zeros((2, 11, 1))
        pre[0], post[10] = 1.0, 1.0
        engine.run(pre, forced=[post])
        totals.append(engine.weights[0][0, 0])
    assert all(t == int(t) for t in totals)
    assert len(set(totals)) > 2
    assert np.mean(totals) == pytest.approx(100 * np.exp(-10 / 40), abs=0.35)


def test_weights_saturate_at_nine_bits() -> None:
    rule = local_rule("sum-of-products", dw="7*2^4*x1*y0", x1=(127.0, 4.0), is_fixed=True)
    assert weights_after(rule, CHIP).max() == 255


@pytest.mark.parametrize(
    ("text", "shift"),
    [("x1*y1*u0", 3), ("x1*w*y0", 5), ("x1*y1*x0", 3), ("x1*y1*x0*y0", 4), ("x1*y0", 0)],
)
def test_the_spike_that_a_product_depends_on_adds_no_width(text: str, shift: int) -> None:
    """As lava-nc 0.10.0 shifts them; compared with it in tests/live."""
    assert parse_rule(text)[0].shift == shift
