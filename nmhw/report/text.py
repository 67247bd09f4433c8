"""The text report: verdict first, then layers, utilization, energy, latency, losses, warnings."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from nmhw.report.quantity import format_count, format_quantity

WIDTH = 100

Summary = dict[str, Any]


def render_report(summary: Summary, *, color: bool = False) -> str:
    """Return the report of a run (or of a mapping alone) as text at most 100 columns wide.

    Parameters
    ----------
    summary : dict
        As ``nmhw.api`` makes it; sections that are absent are left out.
    """
    parts: list[RenderableType] = [_header(summary), _verdict(summary)]
    sections = (_layers, _utilization, _energy, _latency, _loss)
    for section in sections:
        parts.extend(section(summary))
    parts.extend(notice_texts(summary.get("notices", ())))
    return render(parts, color=color)


def render(parts: Iterable[RenderableType], *, color: bool = False) -> str:
    """Render rich objects to text without trailing blanks."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=WIDTH, force_terminal=color, no_color=not color, highlight=False
    )
    for part in parts:
        if isinstance(part, Table) and part.title:
            console.print(Text(str(part.title), style="bold"))
            part.title = None
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def new_table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    """Return an empty table whose first ``left`` columns are left-aligned, the rest right.

    ``render`` prints the title on a line of its own, so that a narrow table does not wrap it.
    """
    table = Table(title=title, box=None, pad_edge=False)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < left else "right", overflow="fold")
    return table


def _header(s: Summary) -> RenderableType:
    lines = [f"nmhw {s.get('nmhw_version', '')}  {s.get('model', '?')} on {s.get('chip', '?')}"]
    if s.get("model_sha256"):
        lines.append(f"  model sha256 {s['model_sha256'][:16]}   profile {s.get('profile', '?')}")
    if "backend" in s:
        dt = format_quantity(s.get("dt_s"), "s") if s.get("dt_s") else "not needed"
        lines.append(
            f"  {s['backend']} backend, {s['n_samples']} samples x {s['n_steps']} steps, dt {dt}, "
            f"seed {s.get('seed', 0)}, readout {s.get('readout', '-')}"
        )
    if s.get("claim"):
        lines.append(f"  integers: {s['claim']}")
    if s.get("chip_is_imaginary"):
        lines.append("  this chip is imaginary: none of its figures is a measurement")
    return Text("\n".join(lines))


def _verdict(s: Summary) -> RenderableType:
    cores = f"{s.get('n_cores', 0)} of {s.get('n_cores_available', '?')} cores"
    parts = [f"FITS on {s.get('chip')}: {cores}"]
    accuracy = s.get("accuracy")
    if accuracy is not None:
        text = f"accuracy {100 * accuracy:.1f} %"
        if s.get("float_accuracy") is not None:
            text += f" (float {100 * s['float_accuracy']:.1f} %)"
        parts.append(text)
    energy = s.get("energy_j")
    if energy is not None:
        parts.append(energy_headline(s))
        step = s["latency_s"]["per_sample"]
        parts.append(format_quantity(step, "s") + " per sample" if step else "latency unpriced")
        rates = s.get("spikes_per_neuron_sample")
        if rates is not None:
            parts.append(f"{rates:.2f} spikes per neuron and sample")
    return Text("\n" + "; ".join(parts), style="bold")


def energy_headline(s: Summary) -> str:
    """Return the energy per sample, with "at least" where a counted kind is unpriced."""
    energy = s["energy_j"]
    if energy["per_sample"] is None:
        return "energy unpriced"
    prefix = "at least " if energy["is_lower_bound"] else ""
    return f"{prefix}{format_quantity(energy['per_sample'], 'J')} per sample"


def _layers(s: Summary) -> list[RenderableType]:
    activity = {row["name"]: row for row in s.get("activity", ())}
    columns = ["layer", "neurons", "synapses", "cores", "bits", "weight SQNR"]
    if activity:
        columns += ["spikes", "per neuron", "synops", "synop energy"]
    title = "\nLayers (bits: of a weight; per neuron: spikes per neuron and sample)"
    table = new_table(title if activity else "\nLayers (bits: of a weight)", columns)
    for row in s.get("layers", ()):
        sqnr = row["weight_sqnr_db"]
        cells = [
            row["name"],
            str(row["neurons"]),
            format_count(row["synapses"]),
            str(row["cores"]),
            str(row["weight_bits"] or "-"),
            "exact" if sqnr is None else f"{sqnr:.1f} dB",
        ]
        if activity:
            act = activity[row["name"]]
            per_neuron = f"{act['spikes_per_neuron_sample']:.2f}" if act["is_spiking"] else "-"
            layer = s.get("layer_synops", {}).get(row["name"], {})
            energy = format_quantity(layer.get("energy_j"), "J", "unpriced")
            cells += [format_count(act["spikes"]), per_neuron]
            cells += [format_count(layer.get("synops", 0)), energy]
        table.add_row(*cells)
    return [table]


def _utilization(s: Summary) -> list[RenderableType]:
    if not s.get("utilization"):
        return []
    table = new_table("\nUtilization of the used cores", ["resource", "mean", "max", "worst core"])
    for resource, row in s["utilization"].items():
        worst = f"core {row['worst_core']}: {row['used']:,} of {row['limit']:,}"
        cells = (f"{100 * row['mean']:.1f} %", f"{100 * row['max']:.1f} %", worst)
        table.add_row(resource.replace("_", " "), *cells)
    return [table]


def _energy(s: Summary) -> list[RenderableType]:
    if "energy_lines" not in s:
        return []
    table_name = s["costs"] or "none"
    title = f"\nEnergy of all {s['n_samples']} samples (cost table {table_name}, pace {s['pace']})"
    table = new_table(title, ["event", "count", "unit", "energy", "share", "basis"])
    energy = s["energy_j"]
    total = energy["total"]
    for line in s["energy_lines"]:
        table.add_row(*_energy_cells(line, total))
    power = format_quantity(energy["static_power_w"], "W", "unpriced")
    static = format_quantity(energy["static"], "J", "unpriced")
    table.add_row("static", "", power, static, _share(energy["static"], total), "")
    label = "total, at least" if energy["is_lower_bound"] else "total"
    table.add_row(label, "", "", format_quantity(total, "J", "unpriced"), "", "", style="bold")
    return [table, Text("\n".join(_energy_notes(s)))]


def _energy_cells(line: dict[str, Any], total: float | None) -> list[str]:
    unit = "unpriced" if line["unit_pj"] is None else f"{line['unit_pj']:g} pJ"
    energy = format_quantity(line["energy_j"], "J", "unpriced")
    if line["included_in"]:
        unit, energy = f"in {line['included_in']}", "-"
    share = _share(line["energy_j"], total)
    return [line["kind"], format_count(line["count"]), unit, energy, share, line["basis"] or ""]


def _share(part: float | None, total: float | None) -> str:
    return "" if not part or not total else f"{100 * part / total:.1f} %"


def _energy_notes(s: Summary) -> list[str]:
    energy, per = s["energy_j"], s["energy_j"]["per_synop"]
    notes = []
    if energy["low"] is not None and energy["low"] != energy["high"]:
        low, high = (format_quantity(energy[key], "J") for key in ("low", "high"))
        notes.append(f"range of the figures' own bounds: {low} to {high}")
    if per["all_in"] is not None:
        names = (("incremental", "incremental"), ("dynamic", "dynamic"), ("all_in", "all-in"))
        cells = (f"{label} {format_quantity(per[key], 'J', 'unpriced')}" for key, label in names)
        notes.append(f"per synaptic operation at pace {s['pace']}: " + ", ".join(cells))
    if s["energy_unpriced"]:
        notes.append(
            "counted but unpriced (nobody published a figure): " + ", ".join(s["energy_unpriced"])
        )
    if len(s["energy_bases"]) > 1:
        notes.append("mixed bases: " + ", ".join(s["energy_bases"]))
    return notes


def _latency(s: Summary) -> list[RenderableType]:
    latency = s.get("latency_s")
    if latency is None:
        return []
    names = {
        "per_step": "step, mean",
        "p99_step": "step, 99th percentile",
        "sync": "of it barrier or tick",
        "per_sample": "sample",
        "first_decision": "until the first output spike, mean",
    }
    title = f"\nLatency ({s['latency_fidelity']}, a lower bound; pace {s['pace']})"
    table = new_table(title, ["time of", "value"])
    for key, label in names.items():
        if latency.get(key) is not None or key in ("per_step", "per_sample"):
            table.add_row(label, format_quantity(latency[key], "s", "unpriced"))
    notes = list(s["latency_notes"])
    if s["latency_unpriced"]:
        notes.append("no latency figure for: " + ", ".join(s["latency_unpriced"]))
    if s["latency_overrun_steps"]:
        notes.append(f"{s['latency_overrun_steps']} steps took longer than the pace allows")
    return [table, Text("\n".join(notes))] if notes else [table]


def _loss(s: Summary) -> list[RenderableType]:
    detail = s.get("accuracy_detail")
    agreement = s.get("deployment_loss")
    if detail is None and agreement is None:
        return []
    lines = ["\nDeployment loss (chip integers against the float network of the same profile)"]
    if detail is not None:
        low, high = (100 * bound for bound in detail["wilson_95"])
        lines.append(
            f"  accuracy {100 * s['accuracy']:.2f} % of n = {detail['n']}, "
            f"95 % interval {low:.1f}-{high:.1f}, ties {detail['ties']}"
        )
    if agreement is not None:
        lines.extend(_agreement_lines(agreement))
    return [Text("\n".join(lines))]


def _agreement_lines(agreement: dict[str, Any]) -> list[str]:
    lines = [f"  top-1 agreement with the float run {100 * agreement['top1_agreement']:.2f} %"]
    if agreement.get("right_to_wrong") is not None:
        lines.append(
            f"  flips: {agreement['right_to_wrong']} right to wrong, "
            f"{agreement['wrong_to_right']} wrong to right"
        )
    for row in agreement.get("layers", ()):
        counts = f"{row['float_spikes']:,} spikes in float, {row['chip_spikes']:,} on chip"
        lines.append(f"  {row['name']}: {counts}")
    return lines


def notice_texts(notices: Iterable[dict[str, Any]]) -> list[RenderableType]:
    """Return warnings, approximations and assumptions as one block each."""
    parts: list[RenderableType] = []
    titles = {"warning": "Warnings", "approximation": "Approximations", "assumption": "Assumptions"}
    for kind, title in titles.items():
        chosen = [n for n in notices if n["kind"] == kind]
        if not chosen:
            continue
        lines = [f"\n{title}"]
        for n in chosen:
            hint = f" (try: {n['hint']})" if n.get("hint") else ""
            lines.append(f"  {n['where']}: {n['text']}{hint} [{n['rule']}]")
        parts.append(Text("\n".join(lines)))
    return parts
