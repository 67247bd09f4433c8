"""Text of ``nmhw check`` and of float runs."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import LONGEST_COUNT, indented, new_table, notice_texts, render
from nmhw.values.units import format_count, format_number_of, format_percent, format_si


def render_network(summary: dict[str, Any]) -> str:
    """Return populations, projections, profile and warnings of a network as text."""
    dt = format_si(summary["dt_s"], "s") if summary["dt_s"] else "not needed"
    head = [indented(f"{summary['model']}: valid, {format_count(summary['neurons'])} neurons", 0)]
    head.append(f"  profile {summary['profile']}, dt {dt}")
    for label in ("inputs", "outputs"):
        ports = (f"{name} {tuple(value)}" for name, value in summary[label].items())
        head.append(indented(f"{label}: " + ", ".join(ports)))
    parts: list[RenderableType] = [Text("\n".join(head))]
    populations = new_table("\nPopulations", ["name", "kind", "shape", "neurons"], left=3)
    for row in summary["populations"]:
        shape = "x".join(str(n) for n in row["shape"])
        populations.add_row(row["name"], row["kind"], shape, str(row["neurons"]))
    projections = new_table("\nProjections", ["from", "to", "operations", "connections"], left=3)
    for row in summary["projections"]:
        source = row["source"] + (" (recurrent)" if row["recurrent"] else "")
        operations = " > ".join(row["operations"])
        projections.add_row(
            source, row["target"], operations, format_count(row["connections"], LONGEST_COUNT)
        )
    parts += [populations, projections, *notice_texts(summary["notices"])]
    return render(parts)


def render_float_run(summary: dict[str, Any]) -> str:
    """Return the result of a float run (no chip, no prices) as text."""
    samples = format_number_of(summary["n_samples"], "sample")
    size = f"{samples} x {format_number_of(summary['n_steps'], 'step')}"
    head = [indented(f"{summary['model']}: float run, profile {summary['profile']}, {size}", 0)]
    head.append(f"  readout {summary['readout']}")
    if summary["accuracy"] is None and summary["metric"] is not None:
        head.append(f"  {summary['metric']['name']} {summary['metric']['value']:.6g}")
    if summary["accuracy"] is not None:
        head.append(f"  accuracy {format_percent(summary['accuracy'])}")
    table = new_table("\nSpikes", ["population", "spikes", "per neuron and sample"])
    for row in summary["activity"]:
        table.add_row(
            row["name"],
            format_count(row["spikes"], LONGEST_COUNT),
            f"{row['per_neuron_sample']:.3f}",
        )
    return render([Text("\n".join(head)), table, *notice_texts(summary["notices"])])
