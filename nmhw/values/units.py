"""Numbers for people: SI prefixes, counts with separators, percentages."""

from __future__ import annotations

import math

UNPRICED = "unpriced"

_PREFIXES = {
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
}


def format_si(value: float | None, unit: str, digits: int = 3) -> str:
    """Return ``value`` with an SI prefix: ``format_si(2.5e-7, "J")`` is ``"250 nJ"``.

    Parameters
    ----------
    value : float or None
        In the base unit; None gives ``"unpriced"``.
    unit : str
        "J", "s", "W", "Hz"...
    digits : int
        Significant digits.
    """
    if value is None:
        return UNPRICED
    if math.isnan(value) or math.isinf(value):
        return f"{value} {unit}"
    if value == 0:
        return f"0 {unit}"
    # round first: 999.96e-9 with three digits is 1.00 µ, not 1e+03 n
    rounded = float(f"{value:.{digits - 1}e}")
    exponent = math.floor(math.log10(abs(rounded)) / 3 + 1e-12) * 3
    exponent = min(max(exponent, min(_PREFIXES)), max(_PREFIXES))
    mantissa = rounded / 10.0**exponent
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(mantissa)) + 1e-12))
    return f"{mantissa:.{decimals}f} {_PREFIXES[exponent]}{unit}"


def format_count(value: int | None, longest: int | None = None) -> str:
    """Return a count with thousands separators: ``"1,234,567"``; None gives ``"-"``.

    Parameters
    ----------
    longest : int, optional
        Counts above this one are rounded to three digits and a prefix: ``"12.3 M"``.
    """
    if value is not None and longest is not None and abs(value) > longest:
        return format_si(value, "")
    return "-" if value is None else f"{value:,}"


def format_number_of(count: int, noun: str) -> str:
    """Return a count with its noun: ``"1 sample"``, ``"2 samples"``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def format_percent(fraction: float | None, decimals: int = 2) -> str:
    """Return a fraction as a percentage: ``"97.50 %"``; None gives ``"-"``."""
    return "-" if fraction is None else f"{100 * fraction:.{decimals}f} %"
