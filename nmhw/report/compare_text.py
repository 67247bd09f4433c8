"""Text of ``nmhw compare``: one row per chip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.quantity import format_quantity
from nmhw.report.text import new_table, render


def render_comparison(model: str, rows: Iterable[dict[str, Any]]) -> str:
    """Return the table; reasons of chips that refuse the network stand below it."""
    columns = ["chip", "fits", "cores", "accuracy", "energy/sample", "time/sample", "pace"]
    table = new_table(f"{model} on several chips", columns)
    reasons = []
    for row in rows:
        if not row["fits"]:
            table.add_row(row["chip"], "no", "-", "-", "-", "-", "-")
            reasons.append(f"{row['chip']}: {row['reason']}")
            continue
        accuracy = "-" if row["accuracy"] is None else f"{100 * row['accuracy']:.2f} %"
        energy = format_quantity(row["energy_per_sample_j"], "J", "unpriced")
        if row["is_lower_bound"] and row["energy_per_sample_j"] is not None:
            energy = f">= {energy}"
        time = format_quantity(row["latency_per_sample_s"], "s", "unpriced")
        table.add_row(row["chip"], "yes", str(row["n_cores"]), accuracy, energy, time, row["pace"])
    parts: list[RenderableType] = [table]
    if reasons:
        parts.append(Text("\n".join(["", *reasons])))
    return render(parts)
