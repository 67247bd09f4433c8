"""Grammar of Loihi's sum-of-products rules: text to products, with every limit checked.

    rule    = ["dw" | "dt" "="] product {("+" | "-") product}
    product = factor {"*" factor}
    factor  = number | number "^" integer | variable | "(" variable ("+" | "-") number ")"
            | "sgn" "(" ("w" | "t") [("+" | "-") number] ")"
    variable = x0 x1 x2 y0 y1 y2 y3 w t u0 .. u9

Every product depends on exactly one of x0, y0, u<k> (x0 and y0 may both occur: a coincidence); all
u of a rule have one k. Numbers multiply to a scale of at most 4 bits times a power of two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nmhw.errors import UsageError

VARIABLES = ("x0", "x1", "x2", "y0", "y1", "y2", "y3", "w", "t")
#: Widths in bits that the fixed-point product gains with every factor.
WIDTHS = {"x0": 1, "y0": 1, "w": 9, "t": 9, **dict.fromkeys(("x1", "x2", "y1", "y2", "y3"), 7)}
CONSTANT_WIDTH = 8

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d+)?)|([a-z]+\d*)|([-+*^()=]))")
_HINT = "e.g. dw = 2^-2*x1*y0 - 2^-3*x0*y1"


@dataclass(frozen=True, slots=True)
class Factor:
    """``variable + constant``, or the sign of it."""

    variable: str
    constant: float = 0.0
    is_sign: bool = False

    @property
    def width(self) -> int:
        """Bits of the factor in fixed point."""
        if self.is_sign:
            return 1
        return CONSTANT_WIDTH if self.constant else WIDTHS[self.variable]


@dataclass(frozen=True, slots=True)
class Product:
    """One product: ``mantissa * 2**exponent`` times its factors, when its dependency occurs."""

    mantissa: int
    exponent: int
    factors: tuple[Factor, ...]
    dependency: str

    @property
    def scale(self) -> float:
        """The product's constant."""
        return self.mantissa * 2.0**self.exponent

    @property
    def shift(self) -> int:
        """Right shift of the fixed-point product: what exceeds 15 bits is lost.

        The spike that it depends on has no width of its own.
        """
        own = 1 if self.dependency in ("x0", "y0") else 0
        return max(0, 4 + sum(f.width for f in self.factors) - own - 15)


def parse_rule(text: str) -> tuple[Product, ...]:
    """Return the products of a rule.

    Raises
    ------
    UsageError
        With the position, for what is not in the grammar or beyond its limits.
    """
    return _Parser(text).rule()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error("not in the grammar of a rule", at)
            self.tokens.append((match.group().strip(), match.start()))
            at = match.end()
        self.at = 0

    def _error(self, what: str, at: int) -> UsageError:
        got = f"{self.text[at : at + 12]!r} at position {at} of {self.text!r}"
        return UsageError(what, got=got, hint=_HINT, rule="learn.sum-of-products")

    def _next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _here(self) -> int:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else len(self.text)

    def _take(self, expected: str | None = None) -> str:
        token = self._next()
        if not token or (expected is not None and token != expected):
            raise self._error(f"expected {expected or 'a factor'}", self._here())
        self.at += 1
        return token

    def rule(self) -> tuple[Product, ...]:
        if self._next() in ("dw", "dt"):
            self._take()
            self._take("=")
        products = [self.product(self._sign(first=True))]
        while self._next():
            products.append(self.product(self._sign(first=False)))
        epochs = {p.dependency for p in products if p.dependency.startswith("u")}
        if len(epochs) > 1:
            raise self._error(f"one epoch per rule, found {sorted(epochs)}", 0)
        return tuple(products)

    def _sign(self, first: bool) -> int:
        if first and self._next() not in ("+", "-"):
            return 1
        if self._next() not in ("+", "-"):
            raise self._error("expected + or - between products", self._here())
        return -1 if self._take() == "-" else 1

    def product(self, sign: int) -> Product:
        start = self._here()
        mantissa, exponent, factors, dependencies = float(sign), 0, [], []
        while True:
            found = self.factor()
            if isinstance(found, tuple):
                mantissa, exponent = mantissa * found[0], exponent + found[1]
            elif found.variable[0] == "u":
                dependencies.append(found.variable)
            else:
                factors.append(found)
            if self._next() != "*":
                break
            self._take("*")
        plain = [f.variable for f in factors if not f.is_sign and not f.constant]
        dependencies += [v for v in ("x0", "y0") if v in plain]
        if not dependencies:
            raise self._error("a product needs x0, y0 or u0 .. u9: when it is evaluated", start)
        if len({d for d in dependencies if d[0] == "u"}) > 1:
            raise self._error("a product has one epoch", start)
        whole, power = self._reduced(mantissa, exponent, start)
        return Product(whole, power, tuple(factors), dependencies[0])

    def factor(self) -> tuple[float, int] | Factor:
        at, token = self._here(), self._take()
        if token[0].isdigit():
            return self._number(token)
        if token == "(":
            inner = self._shifted(at)
            self._take(")")
            return inner
        if token == "sgn":
            self._take("(")
            inner = self._shifted(at)
            self._take(")")
            if inner.variable not in ("w", "t"):
                raise self._error("sgn takes w or t", at)
            return Factor(inner.variable, inner.constant, is_sign=True)
        return self._variable(token, at)

    def _number(self, token: str) -> tuple[float, int]:
        """Return mantissa and exponent: 2^e is (1, e), any other number (n, 0)."""
        value, exponent = float(token), 0
        if self._next() == "^":
            self._take("^")
            negative = self._next() == "-"
            if negative:
                self._take("-")
            at, power = self._here(), self._take()
            if not power.isdigit() or value == 0 or int(power) > 64:
                raise self._error("expected a whole power of a number", at)
            signed = -int(power) if negative else int(power)
            value, exponent = (1.0, signed) if value == 2 else (value**signed, 0)
        return value, exponent

    def _variable(self, token: str, at: int) -> Factor:
        if token not in VARIABLES and not re.fullmatch(r"u\d", token):
            known = ", ".join(VARIABLES)
            raise self._error(f"no such variable (known: {known}, u0 .. u9)", at)
        return Factor(token)

    def _shifted(self, at: int) -> Factor:
        factor = self._variable(self._take(), at)
        if factor.variable[0] == "u":
            raise self._error("u stands alone", at)
        if self._next() not in ("+", "-"):
            return factor
        sign = self._sign(first=False)
        at, token = self._here(), self._take()
        if not token[0].isdigit():
            raise self._error("expected a number", at)
        mantissa, exponent = self._number(token)
        return Factor(factor.variable, sign * mantissa * 2.0**exponent)

    def _reduced(self, mantissa: float, exponent: int, at: int) -> tuple[int, int]:
        """Return a whole mantissa, as it is written unless it has more than 3 bits.

        In fixed point 4 and 2^2 differ: the product is shifted before the exponent is applied.
        """
        while mantissa != int(mantissa) and exponent > -20:
            mantissa, exponent = mantissa * 2, exponent - 1
        while mantissa and mantissa % 2 == 0 and abs(mantissa) > 7:
            mantissa, exponent = mantissa / 2, exponent + 1
        if mantissa != int(mantissa) or not -8 <= mantissa <= 7 or not -7 <= exponent <= 8:
            raise self._error("a scale is -8 .. 7 times 2^-7 .. 2^8", at)
        return int(mantissa), exponent
