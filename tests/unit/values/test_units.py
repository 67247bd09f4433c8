from __future__ import annotations

import pytest

from nmhw.values.units import format_count, format_percent, format_si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2.5e-7, "J", "250 nJ"),
        (1.5e-12, "J", "1.50 pJ"),
        (0.0123, "s", "12.3 ms"),
        (1.0, "s", "1.00 s"),
        (999.6e-9, "s", "1.00 µs"),
        (999.4e-9, "s", "999 ns"),
        (1e-3, "s", "1.00 ms"),
        (-0.002, "W", "-2.00 mW"),
        (3.2e6, "Hz", "3.20 MHz"),
        (0, "J", "0 J"),
        (1e-18, "J", "0.00100 fJ"),
        (2e15, "J", "2000 TJ"),
        (float("nan"), "J", "nan J"),
        (None, "J", "unpriced"),
    ],
)
def test_si_prefixes(value: float | None, unit: str, text: str) -> None:
    assert format_si(value, unit) == text


def test_counts_and_percentages() -> None:
    assert format_count(1234567) == "1,234,567"
    assert format_count(None) == "-"
    assert format_percent(0.975) == "97.50 %"
    assert format_percent(None) == "-"
