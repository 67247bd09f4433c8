"""The text report: verdict first, then layers, utilization, energy, latency, losses, warnings."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import LONGEST_COUNT, indented, new_table, notice_texts, render
from nmhw.report.text_host import host_section
from nmhw.report.text_prices import energy_headline, energy_section, latency_section, sources
from nmhw.values.units import format_count, format_number_of, format_percent, format_si

#: Cores listed one by one below a mapping.
_MAX_CORES_SHOWN = 32

Summary = dict[str, Any]
Parts = list[RenderableType]


def render_report(summary: Summary, *, color: bool = False) -> str:
    """Return the report of a run (or of a mapping alone) as text at most 100 columns wide.

    Parameters
    ----------
    summary : dict
        As ``nmhw.api`` makes it; sections that are absent are left out.
    """
    parts: Parts = [_header(summary), _verdict(summary)]
    sections = (
        _layers,
        host_section,
        _cores,
        _utilization,
        energy_section,
        latency_section,
        _cycles,
        _events,
        _loss,
    )
    for section in sections:
        parts.extend(section(summary))
    parts.extend(notice_texts(summary.get("notices", ())))
    parts.extend(sources(summary))
    return render(parts, color=color)


def _header(s: Summary) -> RenderableType:
    lines = [indented(f"nmhw {s['nmhw_version']}  {s['model']} on {s['chip']}", 0)]
    lines.append(indented(f"chip: {s['chip_title']}"))
    sha = f"model sha256 {s['model_sha256'][:16]}   " if s["model_sha256"] else ""
    lines.append(indented(f"{sha}profile {s['profile']}, dt {_dt(s)}, seed {s['seed']}"))
    if s.get("spikes_as_given"):
        size = f"{format_number_of(s['n_samples'], 'sample')} x "
        lines.append(indented(f"{size}{format_number_of(s['n_steps'], 'step')}, not simulated"))
        lines.append(indented(s["spikes_as_given"]))
    elif "backend" in s:
        size = f"{format_number_of(s['n_samples'], 'sample')} x "
        if s.get("timing") == "events":
            size += f"{format_number_of(s['n_steps'], 'time stamp')}, event by event"
        else:
            size += f"{format_number_of(s['n_steps'], 'step')} (+ {s['drain_steps']} to drain)"
        lines.append(indented(f"{s['backend']} backend, {size}, readout {s['readout']}"))
    if not s.get("spikes_as_given"):
        lines.append(indented(f"integers: {s['claim']}"))
    if s["chip_is_imaginary"]:
        lines.append("  this chip is imaginary: none of its figures is a measurement")
    return Text("\n".join(lines))


def _dt(s: Summary) -> str:
    return format_si(s["dt_s"], "s") if s["dt_s"] else "unknown"


def _verdict(s: Summary) -> RenderableType:
    parts = [f"FITS on {s['chip']}: {s['n_cores']} of {s['n_cores_available']} cores"]
    if s.get("accuracy") is not None:
        text = f"accuracy {format_percent(s['accuracy'], 1)}"
        if s.get("float_accuracy") is not None:
            text += f" (float {format_percent(s['float_accuracy'], 1)})"
        parts.append(text)
    elif s.get("metric") is not None:
        parts.append(f"{s['metric']['name']} {s['metric']['value']:.4g}")
    if "energy_j" in s:
        parts.append(energy_headline(s))
        time = s["latency_s"]["per_sample"]
        parts.append("latency unpriced" if time is None else f"{format_si(time, 's')} per sample")
    if s.get("latency_overrun_steps"):
        parts.append("slower than its pace")
    if s.get("spikes_per_neuron_sample") is not None:
        parts.append(f"{s['spikes_per_neuron_sample']:.2f} spikes per neuron and sample")
    n_warnings = sum(n["kind"] == "warning" for n in s["notices"])
    if n_warnings:
        parts.append(f"{n_warnings} warning{'s' * (n_warnings > 1)} below")
    return Text("\n" + indented("; ".join(parts), 0), style="bold")


def _layers(s: Summary) -> Parts:
    activity = {row["name"]: row for row in s.get("activity", ())}
    columns = ["layer", "neurons", "synapses", "cores", "bits"]
    title = "\nLayers (bits: of a weight)"
    if activity:
        columns += ["spikes", "per neuron", "rate", "synops", "synop energy"]
        title = "\nLayers (bits: of a weight; per neuron: spikes per neuron and sample)"
    table = new_table(title, columns)
    for row in s["layers"]:
        counts = [format_count(row[key], LONGEST_COUNT) for key in ("neurons", "synapses", "cores")]
        cells = [row["name"], *counts, str(row["weight_bits"] or "-")]
        if activity:
            layer = s["layer_synops"].get(row["name"], {"synops": 0, "energy_j": 0.0})
            cells += _activity_cells(s, activity[row["name"]])
            cells += [
                format_count(layer["synops"], LONGEST_COUNT),
                format_si(layer["energy_j"], "J"),
            ]
        table.add_row(*cells)
    return [table]


def _activity_cells(s: Summary, row: Summary) -> list[str]:
    if not row["is_spiking"]:
        return ["-", "-", "-"]
    rate = format_si(row["rate_per_step"] / s["dt_s"], "Hz") if s["dt_s"] else "-"
    per_neuron = f"{row['spikes_per_neuron_sample']:.2f}"
    return [format_count(row["spikes"], LONGEST_COUNT), per_neuron, rate]


def _events(s: Summary) -> Parts:
    """Show how far events came and how long that takes by the chip's published law."""
    found = {name: row for name, row in (s.get("event_latency") or {}).items() if row["events"]}
    if not found:
        return []
    table = new_table(
        "\nLatency per event (from the input event that caused it)",
        ["layer", "events", "layers passed", "mean", "longest", "source"],
    )
    for name, row in found.items():
        passed = sorted(int(k) for k in row["layers"])
        span = str(passed[0]) if len(passed) == 1 else f"{passed[0]} to {passed[-1]}"
        times = [format_si(row[key], "s") for key in ("mean_s", "max_s")]
        count = format_count(row["events"], LONGEST_COUNT)
        table.add_row(name, count, span, *times, row["source"] or "unpriced")
    return [table]


def _cycles(s: Summary) -> Parts:
    """Show the clock cycles of a step by the chip's published law."""
    found = s.get("clock_cycles")
    if not found:
        return []
    worst, clock = found["worst"], found["clock_hz"]
    text = f"\nClock cycles per step: {found['mean']:,.0f} on average"
    text += "" if worst is None else f", {worst:,.0f} in the busiest step"
    if clock is not None:
        text += f"; the busiest step ends within dt from {format_si(clock, 'Hz')} on"
    return [Text(f"{text} (law of {found['source']})")]


def _cores(s: Summary) -> Parts:
    """List the cores of a mapping that was not run; a run's report has more to say."""
    if "backend" in s or not s["cores"]:
        return []
    table = new_table("\nCores", ["core", "chip", "tile", "slices", "fullest resource"], left=4)
    for row in s["cores"][:_MAX_CORES_SHOWN]:
        slices = ", ".join(f"{p['population']} ({p['neurons']:,})" for p in row["slices"])
        fullest = "-"
        if row["fullest"] is not None:
            fullest = f"{row['fullest'].replace('_', ' ')} {format_percent(row['share'], 1)}"
        x, y = row["tile"]
        table.add_row(str(row["core"]), str(row["chip"]), f"{x},{y}", slices, fullest)
    hidden = len(s["cores"]) - _MAX_CORES_SHOWN
    return [table, Text(f"... and {hidden} more (--json lists all)")] if hidden > 0 else [table]


def _utilization(s: Summary) -> Parts:
    if not s["utilization"]:
        return []
    table = new_table("\nUtilization of the used cores", ["resource", "mean", "max", "worst core"])
    for resource, row in s["utilization"].items():
        worst = f"core {row['worst_core']}: {row['used']:,} of {row['limit']:,}"
        shares = (format_percent(row["mean"], 1), format_percent(row["max"], 1))
        table.add_row(resource.replace("_", " "), *shares, worst)
    return [table]


def _loss(s: Summary) -> Parts:
    if s.get("spikes_as_given"):  # no integers were run
        return []
    title = "\nQuantization loss"
    if "backend" in s:
        title = "\nDeployment loss (chip integers against the float network of the same profile)"
    lines = accuracy_lines(s)
    agreement = s.get("deployment_loss")
    spikes = {row["name"]: row for row in agreement["layers"]} if agreement else {}
    columns = ["layer", "weight SQNR", "clipped", "decay error", "threshold error"]
    table = new_table(title, [*columns, *(("float spikes", "chip spikes") if spikes else ())])
    for row in s["layers"]:
        if row.get("is_added"):
            continue
        sqnr = row["weight_sqnr_db"]
        cells = [row["name"], "exact" if sqnr is None else f"{sqnr:.1f} dB"]
        for key in ("clipped_weights", "decay_error", "threshold_error"):
            cells.append(format_percent(row[key]))
        if spikes:
            counts = spikes.get(row["name"], {"float_spikes": None, "chip_spikes": None})
            cells += [format_count(counts[f"{run}_spikes"]) for run in ("float", "chip")]
        table.add_row(*cells)
    return [table, Text("\n".join(lines))] if lines else [table]


def accuracy_lines(s: Summary) -> list[str]:
    """Return accuracy with its interval, and agreement with the float run."""
    lines = []
    detail, agreement = s.get("accuracy_detail"), s.get("deployment_loss")
    if detail is not None:
        low, high = (100 * bound for bound in detail["wilson_95"])
        value = f"accuracy {format_percent(s['accuracy'])} of n = {detail['n']}"
        lines.append(f"{value}, 95 % interval {low:.1f}-{high:.1f}, ties {detail['ties']}")
    if agreement is not None:
        percent = format_percent(agreement["top1_agreement"])
        lines.append(f"top-1 agreement with the float run {percent}")
        if agreement["right_to_wrong"] is not None:
            lost, won = agreement["right_to_wrong"], agreement["wrong_to_right"]
            lines[-1] += f"; flips: {lost} right to wrong, {won} wrong to right"
    return lines
