"""Numbers for people: SI prefixes, three significant digits."""

from __future__ import annotations

import math

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}


def format_quantity(value: float | None, unit: str, missing: str = "-") -> str:
    """Return e.g. ``1.23 uJ``; ``missing`` for None.

    Parameters
    ----------
    value : float or None
        In SI base units.
    """
    if value is None:
        return missing
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    exponent = min(max(3 * math.floor(math.log10(abs(value)) / 3), -15), 9)
    scaled = value / 10.0**exponent
    if f"{abs(scaled):.3g}" == "1e+03" and exponent < 9:
        exponent, scaled = exponent + 3, scaled / 1000
    digits = f"{scaled:.3g}" if abs(scaled) < 1000 else f"{scaled:.0f}"
    return f"{digits} {_PREFIXES[exponent]}{unit}"


def format_count(count: int) -> str:
    """Return small counts in full with separators, large ones as ``12.3 M``."""
    if abs(count) < 1_000_000:
        return f"{count:,}"
    return format_quantity(float(count), "").rstrip()
