"""A sum-of-products rule as lava-nc's learning engine takes it, with the widths made up for.

In fixed point lava-nc shifts every product right by what exceeds 15 bits, factors at their full
widths: ``2^-3*x1*y1*u0`` moves a weight by an eighth of what it says. Here each product is
multiplied by the power of two that the shift takes away, with the largest mantissa that its scale
allows, so that the floor behind the shift loses least.

Sources
-------
lava-nc 0.10.0, ``magma/core/model/py/connection.py`` and ``magma/core/learning``
(https://github.com/lava-nc/lava); equality of nmhw's fixed point with it: tests/live.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nmhw.errors import UsageError
from nmhw.sim.learning.local.grammar import Factor, Product
from nmhw.sim.learning.local.sum_of_products import TRACES, SumOfProducts

#: Scales of a product: -8 .. 7 times 2^-7 .. 2^8.
MANTISSAS, EXPONENTS = (-8, 7), range(-7, 9)
TRACE_MAX = 127


@dataclass(frozen=True, slots=True)
class ExportedProduct:
    """One product.

    Attributes
    ----------
    text : str
        In lava-nc's grammar, with its sign.
    wanted, scale : float
        The constant that was asked for and the one that it has.
    shift : int
        Bits that lava-nc drops, made up for.
    loss : float
        Most that the floor takes off in one evaluation, in weight codes (of the tag: in its unit).
    """

    text: str
    wanted: float
    scale: float
    shift: int
    loss: float


@dataclass(frozen=True, slots=True)
class LavaRule:
    """What ``lava.magma.core.learning.learning_rule.Loihi2FLearningRule`` takes.

    Attributes
    ----------
    dw, dt : str
        "" without a tag.
    traces : tuple of (name, impulse, tau)
    t_epoch : int
    dw_products, dt_products : tuple of ExportedProduct
    approximations : tuple of str
        Where the fixed point differs from the rule in real numbers.
    """

    dw: str
    dt: str
    traces: tuple[tuple[str, float, float], ...]
    t_epoch: int
    dw_products: tuple[ExportedProduct, ...]
    dt_products: tuple[ExportedProduct, ...]
    approximations: tuple[str, ...]

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``Loihi2FLearningRule``."""
        found: dict[str, Any] = {"dw": self.dw, "t_epoch": self.t_epoch}
        if self.dt:
            found["dt"] = self.dt
        for name, impulse, tau in self.traces:
            found |= {f"{name}_impulse": impulse, f"{name}_tau": tau}
        return found

    @property
    def loss(self) -> float:
        """Most that one evaluation of all products of dw loses, in weight codes."""
        return sum(p.loss for p in self.dw_products)


def sum_of_products_rule(rule: SumOfProducts, rate: float = 1.0) -> LavaRule:
    """Export a rule to lava-nc 0.10.0.

    Parameters
    ----------
    rule : SumOfProducts
        In real numbers, ``w`` and ``t`` in units of codes.
    rate : float
        Learning rate of dw.

    Raises
    ------
    UsageError
        For a rule that is fixed point already, or numbers beyond lava-nc's.
    """
    if rule.is_fixed:
        raise UsageError(
            "the rule is written in the chip's fixed point: lava-nc takes its text as it is",
            got=rule.dw, hint="is_fixed=False", rule="lava.rule",
        )  # fmt: skip
    if not 0 < rate < math.inf:
        raise UsageError("a learning rate is positive and finite", got=rate, rule="lava.rule")
    dw = tuple(_export(p, rate) for p in rule.products)
    dt = tuple(_export(p, 1.0) for p in rule.tag_products)
    traces = tuple((name, *getattr(rule, name)) for name in TRACES if getattr(rule, name)[0])
    notes = [*_notes_of_products(dw, "dw"), *_notes_of_products(dt, "dt")]
    for name, impulse, tau in traces:
        notes += _notes_of_trace(name, impulse, tau)
    notes.append("lava-nc draws one random number per step for all synapses, seeded on its own")
    return LavaRule(_join(dw), _join(dt), traces, rule.epoch, dw, dt, tuple(notes))


def _export(product: Product, rate: float) -> ExportedProduct:
    wanted = product.scale * rate
    made_up = wanted * 2.0**product.shift
    mantissa, exponent = _fitting(made_up, wanted, product)
    factors = [_text(f) for f in product.factors]
    if product.dependency[0] == "u":
        factors.append(product.dependency)
    scale = [str(abs(mantissa))] if abs(mantissa) != 1 or not factors else []
    power = [f"2^{exponent}"] if exponent else []
    sign = "-" if mantissa < 0 else "+"
    loss = 2.0**exponent * (1 - 2.0**-product.shift)
    text = f"{sign} " + "*".join([*scale, *power, *factors])
    return ExportedProduct(
        text, wanted, mantissa * 2.0 ** (exponent - product.shift), product.shift, loss
    )


def _fitting(value: float, wanted: float, product: Product) -> tuple[int, int]:
    """Return mantissa and exponent nearest to a scale, of equal ones those of most bits."""
    low, high = MANTISSAS
    found = [
        (abs(m * 2.0**e - value), e, m)
        for e in EXPONENTS
        if low <= (m := round(value / 2.0**e)) <= high and m != 0
    ]
    if not found:
        least, most = 2.0 ** EXPONENTS[0] / 2.0**product.shift, high * 2.0 ** EXPONENTS[-1]
        raise UsageError(
            "lava-nc has no such scale behind its shift", got=f"{wanted:g}",
            limit=f"{least:g} to {most / 2.0**product.shift:g}",
            where="*".join(_text(f) for f in product.factors) or product.dependency,
            hint="another rate, or larger trace impulses", rule="lava.rule",
        )  # fmt: skip
    _, exponent, mantissa = min(found)
    return mantissa, exponent


def _text(factor: Factor) -> str:
    """Return a factor in lava-nc's grammar."""
    c, inner = factor.constant, factor.variable
    if c != int(c):
        raise UsageError(
            "constants in brackets are whole numbers in lava-nc", got=c, where=inner,
            rule="lava.rule",
        )  # fmt: skip
    if c:
        inner = f"{inner}{'+' if c > 0 else '-'}{abs(int(c))}"
    if factor.is_sign:
        return f"sgn({inner})"
    return f"({inner})" if c else inner


def _join(products: Sequence[ExportedProduct]) -> str:
    """Return the sum."""
    text = " ".join(p.text for p in products)
    return text.removeprefix("+ ").replace("- ", "-", 1) if text.startswith("- ") else text[2:]


def _notes_of_products(products: Sequence[ExportedProduct], target: str) -> list[str]:
    notes = []
    for p in products:
        if p.scale != p.wanted:
            error = 100 * (p.scale / p.wanted - 1)
            notes.append(f"{target}: scale {p.wanted:g} became {p.scale:g} ({error:+.1f} %)")
        if p.shift:
            notes.append(
                f"{target}: {p.text.strip()} drops {p.shift} bits: floors by up to {p.loss:g} "
                "per evaluation"
            )
    return notes


def _notes_of_trace(name: str, impulse: float, tau: float) -> list[str]:
    if impulse > TRACE_MAX:
        raise UsageError(
            "traces have 7 bits", got=impulse, limit=TRACE_MAX, where=name, rule="lava.rule"
        )
    keep = math.exp(-1.0 / tau) if tau else 0.0
    notes = []
    if tau:
        notes.append(f"{name}: decays with stochastic rounding to whole numbers")
    if keep and impulse > TRACE_MAX * (1 - keep):
        notes.append(f"{name}: stays at {TRACE_MAX} where spikes follow each other closely")
    if impulse != int(impulse):
        up = min(1.0, 2 * (impulse - math.floor(impulse)))
        mean = math.floor(impulse) + up
        notes.append(f"{name}: lava-nc's impulse is {mean:g} in the mean, not {impulse:g}")
    return notes
