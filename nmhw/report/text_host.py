"""Operations on the host, and MACs and additions of every layer, in the text report."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import LONGEST_COUNT, indented, new_table
from nmhw.values.units import format_count

_COUNTS = ("macs", "effective_macs", "accumulates", "elements")


def host_section(s: dict[str, Any]) -> list[RenderableType]:
    """Return the table of what stays on the host, and why; nothing of it is priced."""
    rows = s.get("host_operations")
    if not rows:
        return []
    table = new_table(
        "\nOn the host (all samples and steps; unpriced)",
        ["operation", "why", "MACs", "of it MACs", "additions", "elements"],
        left=2,
    )
    for row in rows:
        name = row["name"]
        if row["operation"] not in name:
            name += f" ({row['operation']})"
        table.add_row(name, row["reason"], *(_count(row[key]) for key in _COUNTS))
    note = (
        "MACs: dense execution; of it MACs and additions: both operands differ from 0, additions "
        "where one is 0 and 1 alone"
    )
    return [table, Text(indented(note, 0)), *_layers(s)]


def _layers(s: dict[str, Any]) -> list[RenderableType]:
    """Return what the layers on the chip add beside the host's rows."""
    rows = [row for row in s.get("layer_operations", ()) if row["on"] == "chip"]
    if not rows:
        return []
    table = new_table("\nOn the chip (all samples and steps)", ["layer", "MACs", "additions"])
    for row in rows:
        table.add_row(row["name"], *(_count(row[key]) for key in ("macs", "accumulates")))
    return [table]


def _count(value: int) -> str:
    return format_count(value, LONGEST_COUNT) if value else "-"
