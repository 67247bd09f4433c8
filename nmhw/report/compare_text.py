"""Text of ``nmhw compare`` and ``nmhw check --chip all``: one row per chip, reasons below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import indented, new_table, render
from nmhw.values.units import format_percent, format_si

_LEGEND = (
    "fits: yes; no = a budget or limit is exceeded; refused = the chip lacks a semantic of the "
    "network; not run = the sheet only knows limits, or the chip does not take these inputs. "
    "fullest: largest share of one core's budget."
)


def render_comparison(model: str, rows: Iterable[dict[str, Any]], *, is_run: bool = True) -> str:
    """Return the table; rule and reason of every verdict but "yes" stand below it."""
    columns = ["chip", "fits", "cores", "fullest"]
    title = f"{model} on several chips"
    if is_run:
        columns += ["accuracy", "energy", "time", "pace"]
        title += " (energy and time per sample)"
    table = new_table(title, columns)
    reasons = []
    for row in rows:
        cells = [row["chip"], row["verdict"], _cores(row), _fullest(row)]
        table.add_row(*cells, *(_outcome(row) if is_run else ()))
        if row["verdict"] != "yes":
            reasons.append(indented(_reason(row), 0))
    parts: list[RenderableType] = [table, Text("\n" + indented(_LEGEND, 0))]
    if reasons:
        parts.append(Text("\n".join(["", *reasons])))
    return render(parts)


def _reason(row: dict[str, Any]) -> str:
    """Return rule and numbers first, then what to try."""
    hint = f"; try: {row['hint']}" if row["hint"] else ""
    return f"{row['chip']}: {row['verdict']} [{row['rule']}] {row['reason']}{hint}"


def _cores(row: dict[str, Any]) -> str:
    return "-" if row["n_cores"] is None else f"{row['n_cores']:,}/{row['n_cores_available']:,}"


def _fullest(row: dict[str, Any]) -> str:
    if row["fullest"] is None:
        return "-"
    return f"{row['fullest'].replace('_', ' ')} {format_percent(row['fullest_share'], 0)}"


def _outcome(row: dict[str, Any]) -> list[str]:
    if row["verdict"] != "yes":
        return ["-", "-", "-", "-"]
    energy = format_si(row["energy_per_sample_j"], "J")
    if row["is_lower_bound"] and row["energy_per_sample_j"] is not None:
        energy = f">= {energy}"
    time = format_si(row["latency_per_sample_s"], "s")
    return [format_percent(row["accuracy"]), energy, time, row["pace"]]
