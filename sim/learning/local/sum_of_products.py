"""Loihi's sum of products: a rule written as text, in real numbers or in the chip's integers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from nmhw.errors import UsageError
from nmhw.sim.learning.local.grammar import Factor, Product, parse_rule
from nmhw.sim.learning.local.rule import Activity, Floats, LearningRule, Update, every, nonzero
from nmhw.values.learning import RuleSpec

TRACES = ("x1", "x2", "y1", "y2", "y3")
_TRACE_MAX = 127.0
_SUM_MAX = 2.0**15 - 1
#: Fraction bits of the running sum of products.
_FRACTION = 128.0


class ProductTraces(NamedTuple):
    """x1, x2: (n_in,); y1, y2, y3: (n_out,); t: (n_in, n_out) tag, or (0, 0) where unused."""

    x1: Floats
    x2: Floats
    y1: Floats
    y2: Floats
    y3: Floats
    t: Floats


@dataclass(frozen=True)
class SumOfProducts(LearningRule):
    """Sum of products: ``dw = sum_k S_k prod_m (V_km + C_km)``; grammar in ``grammar.py``.

    Products with x0 are evaluated at source spikes, those with y0 at target spikes, those with
    u<k> every 2^k learning epochs of ``epoch`` steps. Traces ``(impulse, tau)``: decayed by
    exp(-1 / tau) (tau 0: gone in the next step), then raised at a spike, then read.

    Attributes
    ----------
    dw : str
    dt : str
        Rule of the synaptic tag t, a second word per synapse; "" without one.
    x1, x2, y1, y2, y3 : (impulse, tau)
        tau in steps. Or as text, "16,10".
    epoch : int
        Steps of a learning epoch.
    is_fixed : bool
        The integers that lava-nc 0.10.0 computes in fixed point: traces 0..127 with stochastic
        rounding, factors clipped to their widths, products shifted by what exceeds 15 bits, sums
        with 7 fraction bits. Weights must then be whole numbers (``WeightFormat.max_abs`` equal to
        the largest code).
    """

    dw: str
    dt: str = ""
    x1: tuple[float, float] = (0.0, 0.0)
    x2: tuple[float, float] = (0.0, 0.0)
    y1: tuple[float, float] = (0.0, 0.0)
    y2: tuple[float, float] = (0.0, 0.0)
    y3: tuple[float, float] = (0.0, 0.0)
    epoch: int = 1
    is_fixed: bool = False
    products: tuple[Product, ...] = field(init=False, repr=False)
    tag_products: tuple[Product, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "products", parse_rule(self.dw))
        object.__setattr__(self, "tag_products", parse_rule(self.dt) if self.dt else ())
        if self.epoch < 1:
            raise UsageError("a learning epoch has at least one step", got=self.epoch)
        for name in TRACES:
            object.__setattr__(self, name, _trace_of(name, getattr(self, name)))
            impulse, tau = getattr(self, name)
            is_number = 0 <= impulse < np.inf and tau >= 0  # no NaN
            if not is_number or (self.is_fixed and impulse > _TRACE_MAX):
                got, limit = (impulse, tau), "impulse 0 .. 127, tau >= 0"
                raise UsageError(f"trace {name} is out of range", got=got, limit=limit)
        used = {f.variable for p in self._all for f in p.factors}
        still = [name for name in TRACES if name in used and getattr(self, name)[0] == 0]
        if still:
            raise UsageError(
                "the rule reads traces without an impulse", got=", ".join(still),
                hint=f"--set {still[0]}=16,10 (impulse, tau in steps)", rule="learn.trace",
            )  # fmt: skip
        if "t" in used and not self.dt:
            raise UsageError("the rule reads the tag t, which no rule sets", hint="dt = ...")
        epochs = {p.dependency for p in self._all if p.dependency[0] == "u"}
        if len(epochs) > 1:
            raise UsageError("one epoch for all rules", got=sorted(epochs), hint="the same u<k>")

    @property
    def _all(self) -> tuple[Product, ...]:
        return self.products + self.tag_products

    @property
    def spec(self) -> RuleSpec:  # type: ignore[override]
        """What the written rule needs."""
        kinds = {p.dependency[0] for p in self._all}
        known = (("x", "on_pre"), ("y", "on_post"), ("u", "on_epoch"))
        power = next((int(p.dependency[1]) for p in self._all if p.dependency[0] == "u"), 0)
        return RuleSpec(
            "sum-of-products",
            "Loihi's sum of products",
            self.dw,
            pre_traces=2,
            post_traces=3,
            synapse_words=1 if self.dt else 0,
            triggers=tuple(trigger for kind, trigger in known if kind in kinds),  # type: ignore[misc]
            source="Davies et al. 2018 (Loihi), doi:10.1109/MM.2018.112130359; grammar and widths "
            "as in lava-nc 0.10.0",
            products=sum(max(1, len(p.factors)) for p in self._all),
            random_words=5 if self.is_fixed else 0,
            epoch_steps=self.epoch * 2**power,
        )

    def initial_state(self, n_in: int, n_out: int) -> ProductTraces:
        """Return silent traces and tags of zero."""
        x1, x2 = np.zeros(n_in), np.zeros(n_in)
        y1, y2, y3 = (np.zeros(n_out) for _ in range(3))
        tag = np.zeros((n_in, n_out) if self.dt else (0, 0))
        return ProductTraces(x1, x2, y1, y2, y3, tag)

    def on_step(self, a: Activity, s: Any) -> None:
        """Decay the traces, then add the impulses of this step's spikes."""
        for name, trace in zip(TRACES, s, strict=False):
            impulse, tau = getattr(self, name)
            if impulse == 0:
                continue
            spikes, side = (a.pre, 0) if name[0] == "x" else (a.post, 2)
            keep = np.exp(-1.0 / tau) if tau else 0.0
            if self.is_fixed:
                _step_fixed(trace, spikes != 0, impulse, keep, a.noise[side : side + 2])
            else:
                trace[:] = keep * trace + impulse * (spikes != 0)

    def on_pre(self, a: Activity, s: Any) -> Update:
        """Evaluate the products of x0."""
        return self._evaluate("x0", nonzero(a.pre), every(a.post.size), a, s)

    def on_post(self, a: Activity, s: Any) -> Update:
        """Evaluate the products of y0."""
        return self._evaluate("y0", every(a.pre.size), nonzero(a.post), a, s)

    def on_epoch(self, a: Activity, s: Any) -> Update:
        """Evaluate the products of u<k>."""
        return self._evaluate("u", every(a.pre.size), every(a.post.size), a, s)

    def _evaluate(self, dependency: str, rows: Any, cols: Any, a: Activity, s: Any) -> Update:
        block = np.ix_(rows, cols)
        dw = self._sum(self.products, dependency, a.weights[block], rows, cols, a, s)
        if self.dt:
            tag = s.t[block]
            moved = tag + self._sum(self.tag_products, dependency, tag, rows, cols, a, s)
            rounded = np.clip(np.floor(moved + a.noise[-1]), -256, 255) if self.is_fixed else moved
            s.t[block] = rounded
        return Update(rows, cols, a.rate * dw)

    def _sum(
        self, products: tuple[Product, ...], dependency: str, before: Floats, rows: Any, cols: Any,
        a: Activity, s: Any,
    ) -> Floats:  # fmt: skip
        """Return the sum of the products of one dependency, in units of the weight."""
        total = np.zeros((rows.size, cols.size))
        sum_now = before * _FRACTION
        for product in products:
            if not product.dependency.startswith(dependency):
                continue
            values = [_value(f, rows, cols, a, s) for f in product.factors]
            if self.is_fixed:
                sum_now = _add_fixed(sum_now, product, values)
            else:
                term = np.full((rows.size, cols.size), product.scale)
                for value in values:
                    term = term * value
                total += term
        return sum_now / _FRACTION - before if self.is_fixed else total


def _trace_of(name: str, given: Any) -> tuple[float, float]:
    """Return (impulse, tau), also from text."""
    parts = given.split(",") if isinstance(given, str) else given
    try:
        impulse, tau = (float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"trace {name} is (impulse, tau)", got=repr(given), hint=f"--set {name}=16,10",
            rule="learn.trace",
        ) from error  # fmt: skip
    return impulse, tau


def _value(factor: Factor, rows: Any, cols: Any, a: Activity, s: Any) -> Floats:
    """Return a factor over the block, broadcastable to (rows, cols)."""
    name = factor.variable
    if name == "w":
        value: Floats = a.weights[np.ix_(rows, cols)]
    elif name == "t":
        value = s.t[np.ix_(rows, cols)]
    elif name[0] == "x":
        value = ((a.pre != 0).astype(np.float64) if name == "x0" else getattr(s, name))[rows, None]
    else:
        value = ((a.post != 0).astype(np.float64) if name == "y0" else getattr(s, name))[cols]
    value = value + factor.constant
    return np.sign(value) if factor.is_sign else value


def _add_fixed(sum_now: Floats, product: Product, values: list[Floats]) -> Floats:
    """Add one product to the running sum, both in units of 2^-7 weight, as the chip's model does.

    All values are whole numbers below 2^53, so float64 holds them exactly.
    """
    term = np.ones_like(sum_now)
    for factor, value in zip(product.factors, values, strict=True):
        limit = 2.0**factor.width
        term = term * np.clip(value, -limit, limit - 1)
    term = np.floor(term * product.mantissa / 2.0**product.shift) * 2.0 ** (product.exponent + 7)
    term = np.clip(term, -_SUM_MAX - 2, _SUM_MAX)
    return np.clip(sum_now + term, -_SUM_MAX - 2, _SUM_MAX)


def _step_fixed(trace: Floats, spikes: Any, impulse: float, keep: float, noise: Floats) -> None:
    """Update a 7-bit trace in place: stochastic rounding of its decay and of its impulse."""
    decayed = trace * keep
    whole = np.floor(decayed)
    trace[:] = whole + (noise[0] < decayed - whole)
    fraction = impulse - np.floor(impulse)
    raised = np.floor(trace + np.floor(impulse) + (noise[1] < fraction))
    trace[:] = np.where(spikes, np.clip(raised, 0, _TRACE_MAX), trace)
