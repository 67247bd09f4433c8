"""Energy, latency and sources of the text report."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
from rich.text import Text

from nmhw.report.layout import LONGEST_COUNT, indented, new_table
from nmhw.report.noc import noc_lines
from nmhw.values.units import format_count, format_number_of, format_si

Summary = dict[str, Any]
Parts = list[RenderableType]

TIMES = {
    "per_step": "step, mean",
    "p99_step": "step, 99th percentile",
    "sync": "of it barrier or tick",
    "per_sample": "sample",
    "first_decision": "until the first output spike, mean",
}


def energy_headline(s: Summary) -> str:
    """Return the energy per sample, with "at least" where a counted kind is unpriced."""
    energy = s["energy_j"]
    return _at_least(energy["per_sample"], energy["is_lower_bound"])


def _at_least(energy_j: float | None, is_lower_bound: bool) -> str:
    if energy_j is None:
        return "energy unpriced"
    prefix = "at least " if is_lower_bound else ""
    return f"{prefix}{format_si(energy_j, 'J')} per sample"


def energy_section(s: Summary) -> Parts:
    """Return the table of event kinds and the notes below it."""
    if "energy_lines" not in s:
        return []
    costs = f"cost table {s['costs']}" if s["costs"] else "no cost table"
    samples = format_number_of(s["n_samples"], "sample")
    of = f"all {samples}" if s["n_samples"] > 1 else samples
    title = f"\nEnergy of {of} ({costs}, pace {s['pace']})"
    table = new_table(title, ["event", "count", "unit", "energy", "share", "basis"])
    energy = s["energy_j"]
    total = energy["total"]
    for line in s["energy_lines"]:
        table.add_row(*_line_cells(line, total))
    static = [format_si(energy["static_power_w"], "W"), format_si(energy["static"], "J")]
    if energy.get("static_in"):
        static = [f"in {energy['static_in']}", "-"]
    table.add_row("static", "", *static, _share(energy["static"], total), "")
    label = "total, at least" if energy["is_lower_bound"] and total is not None else "total"
    table.add_row(label, "", "", format_si(total, "J"), "", "", style="bold")
    notes = [indented(note, 0) for note in energy_notes(s)]
    return [table, Text("\n".join(notes))] if notes else [table]


def _line_cells(line: Summary, total: float | None) -> list[str]:
    count = format_count(line["count"], LONGEST_COUNT)
    if line["included_in"]:
        return [line["kind"], count, f"in {line['included_in']}", "-", "", line["basis"] or ""]
    unit = format_si(None if line["unit_pj"] is None else line["unit_pj"] * 1e-12, "J")
    share = _share(line["energy_j"], total)
    return [line["kind"], count, unit, format_si(line["energy_j"], "J"), share, line["basis"] or ""]


def _share(part: float | None, total: float | None) -> str:
    return "" if not part or not total else f"{100 * part / total:.1f} %"


def energy_notes(s: Summary) -> list[str]:
    """Return what has to be said below the table: bounds, other paces, unpriced kinds, bases."""
    energy, per = s["energy_j"], s["energy_j"]["per_synop"]
    notes = []
    low, high = (format_si(energy[key], "J") for key in ("low", "high"))
    if low != high:
        notes.append(f"range of the figures' own bounds: {low} to {high}")
    for other in s["other_paces"]:
        if other["energy_per_sample_j"] is not None or other["latency_per_sample_s"] is not None:
            value = _at_least(other["energy_per_sample_j"], other["is_lower_bound"])
            time = format_si(other["latency_per_sample_s"], "s")
            notes.append(f"at pace {other['pace']}: {value}, {time} per sample")
    if per["all_in"] is not None:
        names = (("incremental", "incremental"), ("dynamic", "dynamic"), ("all_in", "all-in"))
        known = [(key, label) for key, label in names if per[key] is not None]
        cells = (f"{label} {format_si(per[key], 'J')}" for key, label in known)
        notes.append(f"per synaptic operation at pace {s['pace']}: " + ", ".join(cells))
    if s["energy_unpriced"]:
        stale = s.get("energy_stale", [])
        uncounted = s.get("uncounted", [])
        apart = {*stale, *uncounted}
        kinds = ", ".join(kind for kind in s["energy_unpriced"] if kind not in apart)
        why = f"no figure in table {s['costs']}" if s["costs"] else "no cost table was chosen"
        if kinds:
            notes.append(f"counted but unpriced ({why}): {kinds}")
        if stale:
            why = "this variant changed the hardware that the figures were determined on"
            notes.append(f"counted but unpriced ({why}): {', '.join(stale)}")
        if set(uncounted) & set(s["energy_unpriced"]):
            text = "neither counted nor priced (recorded spikes do not tell): "
            notes.append(text + ", ".join(uncounted))
    if len(s["energy_bases"]) > 1:
        notes.append("mixed bases: " + ", ".join(s["energy_bases"]))
    return notes


def latency_section(s: Summary) -> Parts:
    """Return the table of times and the notes below it."""
    latency = s.get("latency_s")
    if latency is None:
        return []
    noc = s.get("latency_noc")
    kind = "analytic, a lower bound" if noc is None else "noc"
    title = f"\nLatency ({kind}; pace {s['pace']})"
    table = new_table(title, ["time of", "value"])
    for key, label in TIMES.items():
        if latency[key] is not None or key in ("per_step", "per_sample"):
            table.add_row(label, format_si(latency[key], "s"))
    notes = [*([] if noc is None else noc_lines(noc)), *s["latency_notes"]]
    unknown = s["latency_unpriced"]
    missing = [kind for kind in unknown if kind not in s.get("uncounted", ())]
    if missing:
        notes.append("no latency figure for: " + ", ".join(missing))
    if len(missing) < len(unknown):
        notes.append("not counted: " + ", ".join(kind for kind in unknown if kind not in missing))
    if s["latency_overrun_steps"]:
        notes.append(f"{s['latency_overrun_steps']:,} steps took longer than the pace allows")
    return [table, Text("\n".join(indented(note, 0) for note in notes))] if notes else [table]


def sources(s: Summary) -> Parts:
    """Return the citations that the prices rest on."""
    if not s.get("sources"):
        return []
    lines = [indented(f"{key}: {text}") for key, text in s["sources"].items()]
    return [Text("\n".join(["", "Sources of the figures (nmhw chips NAME shows each)", *lines]))]
