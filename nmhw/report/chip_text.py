"""Text of ``nmhw chips``: the list, and one sheet with every figure's source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.chip_figures import cost_parts, noc_parts, published_parts
from nmhw.report.layout import indented, new_table, render
from nmhw.values.chip import ChipSpec
from nmhw.values.units import format_si


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
    if chip.tick_s is not None:
        tick = f"tick of {format_si(chip.tick_s.value, 's')} [{chip.tick_s.source}]"
        head.append(indented(f"{tick}; {chip.tick_s.note}" if chip.tick_s.note else tick))
    if chip.is_imaginary:
        head.append("  imaginary: none of its figures is a measurement")
    if not chip.is_executable:
        head.append(indented(f"limits only: {chip.not_executable_because}"))
    head += [indented(f"note: {text}") for text in chip.notes]
    parts: list[RenderableType] = [Text("\n".join(head))]
    if any(group.budget for group in chip.cores):
        parts.append(_budgets(chip))
    parts += [*_limits(chip), _arithmetic(chip)]
    for table in chip.costs.values():
        parts += cost_parts(table, chip.default_costs)
    parts += noc_parts(chip.noc) + published_parts(chip.published)
    sources = [indented(f"{key}: {text}") for key, text in chip.sources.items()]
    parts.append(Text("\n".join(["\nSources", *sources])))
    return render(parts)


def render_chip_check(chip: ChipSpec) -> str:
    """Return what a valid chip file amounts to, in a few lines."""
    runs = "runs networks"
    if not chip.is_executable:
        runs = f"limits only: {chip.not_executable_because}"
    cores = f"{chip.n_cores:,} cores on {chip.board.n_chips} x {chip.mesh.width}x{chip.mesh.height}"
    lines = [
        indented(f"{chip.path}: a valid chip file", 0),
        indented(f"{chip.name}: {chip.title}"),
        indented(f"{cores} tiles; integers {chip.arithmetic.family}; {runs}"),
    ]
    for group in chip.cores:
        limits = ", ".join(f"{name} {limit:,}" for name, limit in group.budget.items())
        lines.append(indented(f"{group.count:,} x {group.name}: {limits or 'no limits'}"))
    for name, table in chip.costs.items():
        mark = " (default)" if name == chip.default_costs else ""
        figures = [*table.energy_pj.values(), *table.latency_ns.values(), *table.static_w.values()]
        priced = sum(figure.is_priced for figure in figures)
        counted = f"{priced} figures with a value, {len(figures) - priced} without"
        lines.append(indented(f"costs {name}{mark}: {counted}; the rest is unpriced"))
    if chip.default_costs in (None, "none"):
        lines.append(indented("without --costs a run on it is unpriced"))
    lines.append(indented(f"next: nmhw chips {chip.path} (the whole sheet)"))
    return "\n".join(lines) + "\n"


def _budgets(chip: ChipSpec) -> RenderableType:
    table = new_table("\nBudget of a core", ["group", "resource", "limit", "source"], left=2)
    for group in chip.cores:
        for resource, limit in group.budget.items():
            soft = group.soft_budget.get(resource)
            text = f"{limit:,}" + (f" (warns above {soft:,})" if soft else "")
            source = group.citations.get(resource, "")
            table.add_row(f"{group.name} x{group.count}", resource, text, source)
    return table


def _limits(chip: ChipSpec) -> list[RenderableType]:
    """Return formats of stored synapses and the rules beyond budgets, with their sources."""
    lines = []
    for encoding in chip.encodings:
        widths = ", ".join(str(w) for w in encoding.weight_bits)
        lines.append(f"{encoding.kind} synapses: weights of {widths} bit [{encoding.source}]")
    if chip.memory is not None:
        sizes = (f"{k} {getattr(chip.memory, k)}" for k in type(chip.memory).__dataclass_fields__)
        parts = [size for size in sizes if not size.startswith("source")]
        lines.append(f"one memory per core: {', '.join(parts)} [{chip.memory.source}]")
    for rule in chip.rules:
        given = ", ".join(f"{k} = {_show(v)}" for k, v in rule.parameters.items())
        text = ". ".join(part for part in (given, rule.note) if part)
        lines.append(f"rule {rule.kind} ({rule.severity}): {text} [{rule.source}]")
    if not lines:
        return []
    return [Text("\n".join(["\nFormats and rules", *(indented(line) for line in lines)]))]


def _arithmetic(chip: ChipSpec) -> RenderableType:
    """Return what the file states; a sheet that cannot run leaves the rest unsaid."""
    spec = chip.arithmetic
    stated = chip.document.get("arithmetic", {})
    table = new_table("\nArithmetic", ["property", "value", "source"], left=3)
    for name in type(spec).__dataclass_fields__:
        if name in ("claim", "citations") or (not chip.is_executable and name not in stated):
            continue
        table.add_row(name, _show(getattr(spec, name)), spec.citations.get(name, ""))
    return table


def _show(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(v) for v in value) or "none"
    return str(value)
