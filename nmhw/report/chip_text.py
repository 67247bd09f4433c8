"""Text of ``nmhw chips``: the list, and one sheet with every figure's source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import indented, new_table, render
from nmhw.values.chip import ChipSpec, CostTable, Figure


def render_chip_list(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of known chips."""
    columns = ["chip", "title", "cores", "integers", "costs (default *)", "runs"]
    table = new_table("", columns, left=2)
    for row in rows:
        costs = [name + "*" * (name == row["default_costs"]) for name in row["costs"]]
        runs = "yes" if row["is_executable"] else "limits only"
        cells = (str(row["n_cores"]), row["family"], ", ".join(costs) or "none", runs)
        table.add_row(row["name"], row["title"], *cells)
    return render([table])


def render_chip(chip: ChipSpec) -> str:
    """Return the whole sheet of one chip with the source of every number."""
    mesh = f"{chip.mesh.width}x{chip.mesh.height} tiles of {chip.mesh.cores_per_tile} cores"
    head = [
        indented(f"{chip.name}: {chip.title} (one {chip.describes}, {mesh}, pace {chip.pace})", 0)
    ]
    head.append(indented(f"integers: {chip.arithmetic.claim}"))
    if chip.is_imaginary:
        head.append("  imaginary: none of its figures is a measurement")
    if not chip.is_executable:
        head.append(indented(f"limits only: {chip.not_executable_because}"))
    head += [indented(f"note: {text}") for text in chip.notes]
    parts: list[RenderableType] = [Text("\n".join(head)), _budgets(chip), _arithmetic(chip)]
    for table in chip.costs.values():
        parts += _costs(table, chip.default_costs)
    sources = [indented(f"{key}: {text}") for key, text in chip.sources.items()]
    parts.append(Text("\n".join(["\nSources", *sources])))
    return render(parts)


def _budgets(chip: ChipSpec) -> RenderableType:
    table = new_table("\nBudget of a core", ["group", "resource", "limit", "source"], left=2)
    for group in chip.cores:
        for resource, limit in group.budget.items():
            soft = group.soft_budget.get(resource)
            text = f"{limit:,}" + (f" (warns above {soft:,})" if soft else "")
            source = group.citations.get(resource, "")
            table.add_row(f"{group.name} x{group.count}", resource, text, source)
    return table


def _arithmetic(chip: ChipSpec) -> RenderableType:
    spec = chip.arithmetic
    table = new_table("\nArithmetic", ["property", "value", "source"], left=3)
    for name in type(spec).__dataclass_fields__:
        if name in ("claim", "citations"):
            continue
        value = getattr(spec, name)
        text = ", ".join(str(v) for v in value) if isinstance(value, tuple) else str(value)
        table.add_row(name, text, spec.citations.get(name, ""))
    return table


def _costs(costs: CostTable, default: str | None) -> list[RenderableType]:
    mark = " (default)" if costs.name == default else ""
    columns = ["event", "figure", "value", "range", "grade", "basis", "source"]
    table = new_table(f"\nCosts '{costs.name}'{mark}: {costs.title}", columns, left=2)
    groups = (
        ("energy", costs.energy_pj),
        ("latency", costs.latency_ns),
        ("static", costs.static_w),
    )
    for label, figures in groups:
        for kind, figure in figures.items():
            table.add_row(kind, label, *_figure_cells(figure))
    for tiles, figure in costs.sync.points:
        table.add_row(f"barrier, {tiles} tiles", "latency", *_figure_cells(figure))
    if costs.sync.tick_s is not None:
        table.add_row("tick", "latency", *_figure_cells(costs.sync.tick_s))
    return [table, Text("\n".join(_figure_notes(costs)))]


def _figure_cells(figure: Figure) -> Iterable[str]:
    value = "unpriced" if figure.value is None else f"{figure.value:g} {figure.unit}"
    if figure.included_in:
        value = f"in {figure.included_in}"
    bounds = "" if figure.low is None and figure.high is None else _bounds(figure)
    return value, bounds, figure.grade, figure.basis, figure.source


def _bounds(figure: Figure) -> str:
    low = "" if figure.low is None else f"{figure.low:g}"
    high = "" if figure.high is None else f"{figure.high:g}"
    return f"{low}..{high}"


def _figure_notes(costs: CostTable) -> list[str]:
    notes = [indented(note) for note in costs.notes]
    for kind, figure in (*costs.energy_pj.items(), *costs.latency_ns.items()):
        if figure.note:
            notes.append(indented(f"{kind}: {figure.note}"))
    return notes
