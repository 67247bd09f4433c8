"""Text of ``nmhw compare``: one row per chip."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import indented, new_table, render
from nmhw.values.units import format_percent, format_si


def render_comparison(model: str, rows: Iterable[dict[str, Any]]) -> str:
    """Return the table; reasons of chips that refuse the network stand below it."""
    columns = ["chip", "fits", "cores", "accuracy", "energy/sample", "time/sample", "pace"]
    table = new_table(f"{model} on several chips", columns)
    reasons = []
    for row in rows:
        table.add_row(row["chip"], "yes" if row["fits"] else "no", *_cells(row))
        if row["reason"] is not None:
            reasons.append(indented(f"{row['chip']}: {row['reason']}", 0))
    parts: list[RenderableType] = [table]
    if reasons:
        parts.append(Text("\n".join(["", *reasons])))
    return render(parts)


def _cells(row: dict[str, Any]) -> list[str]:
    cores = "-" if row["n_cores"] is None else f"{row['n_cores']:,}"
    if row["reason"] is not None:
        return [cores, "-", "-", "-", "-"]
    energy = format_si(row["energy_per_sample_j"], "J")
    if row["is_lower_bound"] and row["energy_per_sample_j"] is not None:
        energy = f">= {energy}"
    time = format_si(row["latency_per_sample_s"], "s")
    return [cores, format_percent(row["accuracy"]), energy, time, row["pace"]]
