"""The part of a summary that prices change: energy, latency, other paces, sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from nmhw.report.noc import summarize_noc
from nmhw.values.chip import ChipSpec, CostTable, Figure
from nmhw.values.cost import PICO, EnergyBreakdown, EnergyLine, LatencyBreakdown, find_figure
from nmhw.values.notice import Notice

#: Rule of the warning that depends on the pace.
OVERRUN = "run.pace-overrun"


def summarize_energy(energy: EnergyBreakdown, table: CostTable | None) -> dict[str, Any]:
    """Return the energy section: ``energy_j``, ``energy_unpriced`` and the priced lines.

    ``energy_stale`` are the unpriced kinds whose figures a variant of the chip made void.
    """
    counted = [line for line in energy.lines if line.count]
    figures = {line.kind: [line.figure] for line in counted}
    figures["static"] = [] if table is None else list(table.static_w.values())
    return {
        "costs": energy.table,
        "energy_j": {
            "total": energy.total_j,
            "is_lower_bound": energy.is_lower_bound,
            "low": energy.low_j,
            "high": energy.high_j,
            "dynamic": energy.dynamic_j,
            "static": energy.static_j,
            "static_power_w": energy.static_w,
            "static_in": energy.static_in,
            "per_sample": energy.per_sample_j,
            "per_synop": dict(energy.per_synop_j()),
            "by_event": {line.kind: line.energy_j for line in counted},
        },
        "energy_lines": [_energy_line(line) for line in counted],
        "energy_unpriced": list(energy.unpriced),
        "energy_stale": [
            kind for kind in energy.unpriced if any(_is_stale(f) for f in figures.get(kind, ()))
        ],
        "energy_bases": list(energy.bases),
    }


def _is_stale(figure: Figure | None) -> bool:
    """Whether a variant of the chip took the figure's value away (see ``nmhw.io.chip_stale``)."""
    return figure is not None and not figure.is_priced and figure.note.startswith("stale:")


def _energy_line(line: EnergyLine) -> dict[str, Any]:
    figure = line.figure
    return {
        "kind": line.kind,
        "count": line.count,
        "unit_pj": None if figure is None else figure.value,
        "energy_j": line.energy_j,
        "source": None if figure is None else figure.source,
        "basis": figure.basis if figure is not None and figure.is_priced else None,
        "included_in": None if figure is None else figure.included_in,
    }


def summarize_latency(latency: LatencyBreakdown, first_output_step: float | None) -> dict[str, Any]:
    """Return the latency section under the run's pace.

    Parameters
    ----------
    first_output_step : float or None
        Mean step of the first output spike; None without any.
    """
    decided = None
    if first_output_step is not None and latency.step_s is not None:
        decided = (first_output_step + 1) * latency.step_s
    return {
        "latency_s": {
            "per_step": latency.step_s,
            "p99_step": latency.p99_step_s,
            "per_sample": latency.per_sample_s,
            "first_decision": decided,
            "free_step": latency.free_step_s,
            "free_p99_step": latency.free_p99_step_s,
            "sync": latency.sync_s,
            "pace_step": latency.pace_step_s,
            "total": latency.total_s,
        },
        "latency_fidelity": latency.fidelity,
        "latency_noc": summarize_noc(latency.noc),
        "latency_unpriced": list(latency.unpriced),
        "latency_overrun_steps": latency.overrun_steps,
        "latency_notes": list(latency.notes),
    }


def overrun_notices(pace: str, latency: LatencyBreakdown) -> list[Notice]:
    """Return the warning that the chip cannot keep the pace of this run."""
    if not latency.overrun_steps:
        return []
    n = latency.overrun_steps
    steps = "step takes" if n == 1 else "steps take"
    text = f"{n:,} {steps} longer than the pace {pace} allows: the chip cannot keep it"
    hint = "--pace free, or a longer period"
    return [Notice(OVERRUN, "latency", text, hint=hint)]


def summarize_pace(pace: str, energy: EnergyBreakdown, latency: LatencyBreakdown) -> dict[str, Any]:
    """Return energy and time per sample under one pace."""
    return {
        "pace": pace,
        "energy_per_sample_j": energy.per_sample_j,
        "is_lower_bound": energy.is_lower_bound,
        "latency_per_sample_s": latency.per_sample_s,
    }


def price_layers(
    projections: Iterable[dict[str, Any]], table: CostTable | None
) -> dict[str, dict[str, Any]]:
    """Sum synops and their energy per target population (None where a kind is unpriced).

    A projection stored in several ways has its synops counted together: it is priced only when
    all of them cost the same.
    """
    figures = table.energy_pj if table is not None else {}
    layers: dict[str, dict[str, Any]] = {}
    for row in projections:
        layer = layers.setdefault(row["target"], {"synops": 0, "energy_j": 0.0})
        layer["synops"] += row["synops"]
        found = [find_figure(figures, f"synop.{encoding}") for encoding in row["encodings"]]
        prices = {f.value if f is not None else None for f in found}
        if len(prices) != 1 or None in prices or layer["energy_j"] is None:
            layer["energy_j"] = None
        else:
            layer["energy_j"] += row["synops"] * (prices.pop() or 0.0) * PICO
    return layers


def list_sources(
    chip: ChipSpec, table: CostTable | None, energy: EnergyBreakdown, latency: LatencyBreakdown
) -> dict[str, str]:
    """Return citation key -> citation of every figure that a price of this run rests on."""
    figures = [] if chip.tick_s is None else [chip.tick_s]
    if latency.noc is not None and chip.noc is not None:
        figures += [figure for _, figure in chip.noc.figures()]
    if table is None:
        return {key: chip.sources[key] for key in _keys(figures) if key in chip.sources}
    figures += [line.figure for line in energy.lines if line.count and line.figure is not None]
    figures += table.static_w.values()
    figures += table.latency_ns.values()
    figures += [figure for _, figure in table.sync.points]
    figures += [table.sync.tick_s] if table.sync.tick_s is not None else []
    return {key: chip.sources[key] for key in _keys(figures) if key in chip.sources}


def _keys(figures: Sequence[Figure]) -> list[str]:
    return sorted({figure.source for figure in figures if figure.is_priced})
