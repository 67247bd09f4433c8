"""Figures of a chip's sheet as tables: cost tables, laws, and published numbers beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import indented, new_table
from nmhw.values.chip import CostTable, Figure, LawSpec, NocSpec
from nmhw.values.units import format_si

_COLUMNS = ["value", "range", "grade", "basis", "at", "source"]
_SCALED = ("W", "J", "s", "Hz", "V")


def cost_parts(costs: CostTable, default: str | None) -> list[RenderableType]:
    """Return one cost table with its notes, and its laws."""
    mark = " (default)" if costs.name == default else ""
    table = new_table(
        f"\nCosts '{costs.name}'{mark}: {costs.title}", ["event", "figure", *_COLUMNS], left=2
    )
    for kind, label, figure in _cost_figures(costs):
        table.add_row(kind, label, *_cells(figure))
    notes = [indented(note) for note in costs.notes]
    notes += [
        indented(f"{kind} {label}: {figure.note}")
        for kind, label, figure in _cost_figures(costs)
        if figure.note
    ]
    laws = [part for name, law in costs.laws.items() for part in _law_parts(name, law)]
    return [table, *([Text("\n".join(notes))] if notes else []), *laws]


def noc_parts(noc: NocSpec | None) -> list[RenderableType]:
    """Return the network between the cores; nothing where the chip file has none."""
    if noc is None:
        return []
    return _number_parts("\nNetwork between the cores (--latency noc)", dict(noc.figures()))


def published_parts(published: Mapping[str, Figure]) -> list[RenderableType]:
    """Return the numbers that are no unit costs, with their notes; nothing where there are none."""
    if not published:
        return []
    return _number_parts("\nPublished beside the costs", published)


def _number_parts(title: str, figures: Mapping[str, Figure]) -> list[RenderableType]:
    table = new_table(title, ["number", *_COLUMNS], left=1)
    for name, figure in figures.items():
        table.add_row(name, *_cells(figure))
    notes = [indented(f"{name}: {f.note}") for name, f in figures.items() if f.note]
    return [table, Text("\n".join(notes))]


def _cost_figures(costs: CostTable) -> Iterator[tuple[str, str, Figure]]:
    groups = (
        ("energy", costs.energy_pj),
        ("latency", costs.latency_ns),
        ("static", costs.static_w),
    )
    for label, figures in groups:
        yield from ((kind, label, figure) for kind, figure in figures.items())
    yield from ((f"barrier, {tiles} tiles", "latency", f) for tiles, f in costs.sync.points)
    if costs.sync.tick_s is not None:
        yield "tick", "latency", costs.sync.tick_s


def _law_parts(name: str, law: LawSpec) -> list[RenderableType]:
    title = f"\nLaw '{name}' ({law.kind}, formula of {law.source})"
    table = new_table(title, ["term", *_COLUMNS], left=1)
    for term, figure in law.terms.items():
        table.add_row(term, *_cells(figure))
    for at, figure in law.points:
        table.add_row(f"{at:g} {law.variable}", *_cells(figure))
    notes = [law.note, *(f"{term}: {f.note}" for term, f in law.terms.items() if f.note)]
    notes += [f"{at:g} {law.variable}: {f.note}" for at, f in law.points if f.note]
    lines = [indented(note) for note in notes if note]
    return [table, *([Text("\n".join(lines))] if lines else [])]


def _cells(figure: Figure) -> Iterable[str]:
    bounds = [_number(n, figure.unit) if n is not None else "" for n in (figure.low, figure.high)]
    voltage = "" if figure.voltage_v is None else f"{figure.voltage_v:g} V"
    shown = ("", "") if figure.value is None else (figure.grade, figure.basis)
    return _value(figure), "..".join(bounds) if any(bounds) else "", *shown, voltage, figure.source


def _value(figure: Figure) -> str:
    if figure.included_in:
        return f"in {figure.included_in}"
    if figure.value is None:
        return "unpriced"
    scope = " all-in" if figure.scope == "all-in" else ""
    return _number(figure.value, figure.unit) + scope


def _number(value: float, unit: str) -> str:
    if unit in _SCALED:
        return format_si(value, unit)
    return f"{value:,.10g} {unit}"
