"""One self-contained HTML file of a run: tables and bars, no scripts, no network."""

from __future__ import annotations

from typing import Any

from nmhw.errors import MissingExtraError
from nmhw.report.quantity import format_count, format_quantity


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
        hint = "pip install 'nmhw[report]'"
        raise MissingExtraError("HTML reports need jinja2", hint=hint) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nmhw.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["quantity"] = format_quantity
    environment.filters["count"] = format_count
    template = environment.get_template("report.html.j2")
    return template.render(s=summary, bars=_energy_bars(summary))


def _energy_bars(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return label, energy and share of every priced part, largest first."""
    energy = summary.get("energy_j") or {}
    parts = dict(energy.get("by_event") or {})
    parts["static"] = energy.get("static")
    total = energy.get("total") or 0.0
    priced = [(label, value) for label, value in parts.items() if value]
    priced.sort(key=lambda part: -part[1])
    return [{"label": k, "energy_j": v, "percent": 100 * v / total} for k, v in priced]
