"""One self-contained HTML file of a run: tables and bars, no scripts, no network."""

from __future__ import annotations

from typing import Any

from nmhw.errors import MissingExtraError
from nmhw.report.layout import LONGEST_COUNT
from nmhw.report.noc import noc_lines
from nmhw.report.text import accuracy_lines
from nmhw.report.text_prices import TIMES, energy_headline, energy_notes
from nmhw.values.units import format_count, format_percent, format_si


def render_html(summary: dict[str, Any]) -> str:
    """Return the report as an HTML page.

    Raises
    ------
    MissingExtraError
        When jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        hint = "pip install jinja2"
        raise MissingExtraError("HTML reports need jinja2", hint=hint) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nmhw.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["si"] = format_si
    environment.filters["count"] = lambda count: format_count(count, LONGEST_COUNT)
    environment.filters["percent"] = format_percent
    template = environment.get_template("report.html.j2")
    return template.render(
        s=summary,
        headline=_capitalized(energy_headline(summary)),
        bars=_energy_bars(summary),
        energy_notes=energy_notes(summary),
        times=TIMES,
        noc_notes=noc_lines(summary["latency_noc"]) if summary.get("latency_noc") else [],
        accuracy=accuracy_lines(summary),
    )


def _energy_bars(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return label, energy and share of every priced part, largest first."""
    energy = summary.get("energy_j") or {}
    parts = dict(energy.get("by_event") or {})
    parts["static"] = energy.get("static")
    total = energy.get("total") or 0.0
    priced = [(label, value) for label, value in parts.items() if value]
    priced.sort(key=lambda part: -part[1])
    return [{"label": k, "energy_j": v, "percent": 100 * v / total} for k, v in priced]


def _capitalized(text: str) -> str:
    """Capitalize the first letter alone: units keep theirs."""
    return text[:1].upper() + text[1:]
