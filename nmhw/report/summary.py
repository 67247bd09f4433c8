"""The summary of a run: one JSON-ready dict that reports and ``--json`` render from."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from typing import Any

import numpy as np

from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import count_synapses
from nmhw.values.cost import EnergyBreakdown, LatencyBreakdown
from nmhw.values.mapping import Mapping
from nmhw.values.notice import Notice
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation
from nmhw.values.result import Counters, RunResult


def summarize_mapping(
    quantized: QuantizedNetwork, mapping: Mapping, chip: ChipSpec
) -> dict[str, Any]:
    """Return layer table, utilization and mapping metrics (no run needed)."""
    return {
        "chip": chip.name,
        "chip_title": chip.title,
        "chip_describes": chip.describes,
        "chip_is_imaginary": chip.is_imaginary,
        "claim": chip.arithmetic.claim,
        "fits": True,
        "n_cores": len(mapping.cores),
        "n_cores_available": chip.n_cores,
        "mapper": mapping.mapper,
        "mapping": {key: _plain(value) for key, value in sorted(mapping.metrics.items())},
        "layers": [_layer(quantized, mapping, p) for p in quantized.populations],
        "utilization": summarize_utilization(mapping),
        "notices": [notice_dict(n) for n in (*quantized.notices, *mapping.notices)],
    }


def summarize_run(result: RunResult, quantized: QuantizedNetwork) -> dict[str, Any]:
    """Return the counts of a chip run."""
    counters = result.counters
    if counters is None:
        return {"backend": result.backend, "n_samples": result.n_samples, "n_steps": result.n_steps}
    return {
        "backend": result.backend,
        "n_samples": result.n_samples,
        "n_steps": result.n_steps,
        "drain_steps": result.drain_steps,
        "spikes": {k: int(v) for k, v in counters.spikes_by_population.items()},
        "input_events": {k: int(v) for k, v in counters.events_by_input.items()},
        "synops": counters.total("synop"),
        "connections": int(counters.connections),
        "neuron_updates": counters.total("neuron.active") + counters.total("neuron.idle"),
        "active_updates": counters.total("neuron.active"),
        "packets": counters.total("axon.in"),
        "hops": counters.total("hop.x") + counters.total("hop.y"),
        "saturations": {k: int(v) for k, v in counters.saturations.items()},
        "activity": [_activity(p, counters, result) for p in quantized.populations],
        "notices": [notice_dict(n) for n in _run_notices(result, counters, quantized)],
    }


def summarize_energy(energy: EnergyBreakdown) -> dict[str, Any]:
    """Return the energy section: ``energy_j``, ``energy_unpriced`` and the priced lines."""
    by_event = {line.kind: line.energy_j for line in energy.lines if line.count}
    lines = [
        {
            "kind": line.kind,
            "count": line.count,
            "unit_pj": None if line.figure is None else line.figure.value,
            "energy_j": line.energy_j,
            "source": None if line.figure is None else line.figure.source,
            "basis": None if line.figure is None else line.figure.basis,
            "included_in": None if line.figure is None else line.figure.included_in,
        }
        for line in energy.lines
        if line.count
    ]
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
            "per_sample": energy.per_sample_j,
            "per_synop": dict(energy.per_synop_j()),
            "by_event": by_event,
        },
        "energy_lines": lines,
        "energy_unpriced": list(energy.unpriced),
        "energy_bases": list(energy.bases),
    }


def summarize_latency(latency: LatencyBreakdown, first_decision_s: float | None) -> dict[str, Any]:
    """Return the latency section under the run's pace."""
    return {
        "pace": latency.pace,
        "latency_s": {
            "per_step": latency.step_s,
            "p99_step": latency.p99_step_s,
            "per_sample": latency.per_sample_s,
            "first_decision": first_decision_s,
            "free_step": latency.free_step_s,
            "free_p99_step": latency.free_p99_step_s,
            "sync": latency.sync_s,
            "pace_step": latency.pace_step_s,
            "total": latency.total_s,
        },
        "latency_fidelity": latency.fidelity,
        "latency_unpriced": list(latency.unpriced),
        "latency_overrun_steps": latency.overrun_steps,
        "latency_notes": list(latency.notes),
    }


def summarize_utilization(mapping: Mapping) -> dict[str, Any]:
    """Return mean and maximum use of every limited resource, with the worst core."""
    table: dict[str, dict[str, Any]] = {}
    for resource in {r: None for core in mapping.utilization for r in core.resources}:
        rows = [
            (u.resources[resource], u.core) for u in mapping.utilization if resource in u.resources
        ]
        limited = [(used / limit, used, limit, core) for (used, limit), core in rows if limit]
        if not limited:
            continue
        worst = max(limited)
        table[resource] = {
            "mean": sum(row[0] for row in limited) / len(limited),
            "max": worst[0],
            "used": worst[1],
            "limit": worst[2],
            "worst_core": worst[3],
        }
    return table


def notice_dict(notice: Notice) -> dict[str, Any]:
    """Return a notice as JSON values."""
    return {
        "rule": notice.rule,
        "where": notice.where,
        "text": notice.text,
        "kind": notice.kind,
        "hint": notice.hint,
    }


def _layer(
    quantized: QuantizedNetwork, mapping: Mapping, population: QuantizedPopulation
) -> dict[str, Any]:
    incoming = [p for p in quantized.projections if p.target == population.name]
    loss = {entry.population: entry for entry in quantized.losses}.get(population.name)
    return {
        "name": population.name,
        "neurons": population.size,
        "shape": list(population.shape),
        "synapses": sum(count_synapses(p, population.size) for p in incoming),
        "cores": len({s.core for s in mapping.slices if s.population == population.name}),
        "weight_bits": max((p.weight_bits for p in incoming), default=None),
        "depth": population.depth,
        "weight_sqnr_db": None if loss is None else _plain(loss.weight_sqnr_db),
        "clipped_weights": None if loss is None else _plain(loss.clipped_weights_fraction),
        "decay_error": None if loss is None else _plain(loss.decay_error),
    }


def _activity(
    population: QuantizedPopulation, counters: Counters, result: RunResult
) -> dict[str, Any]:
    spikes = int(counters.spikes_by_population.get(population.name, 0))
    totals = result.spike_totals.get(population.name)
    neuron_samples = population.size * counters.n_samples
    silent = None if totals is None else int((np.asarray(totals) == 0).sum())
    return {
        "name": population.name,
        "is_spiking": population.spec.is_spiking,
        "spikes": spikes,
        "spikes_per_neuron_sample": spikes / neuron_samples,
        "rate_per_step": spikes / (neuron_samples * result.n_steps),
        "silent_neurons": silent,
    }


def _run_notices(
    result: RunResult, counters: Counters, quantized: QuantizedNetwork
) -> list[Notice]:
    """Return silent and saturated populations: warnings, not footnotes."""
    notices = []
    for population in quantized.populations:
        name = population.name
        if population.spec.is_spiking and not counters.spikes_by_population.get(name, 0):
            text = "no neuron of this population ever fired"
            notices.append(Notice("run.silent-population", name, text, hint="check scale and dt"))
        clipped = counters.saturations.get(name, 0)
        if clipped:
            text = f"a state left its {population.spec.v_bits}-bit range {clipped} times"
            notices.append(Notice("run.saturation", name, text, hint="more calibration samples"))
    return notices


def _plain(value: Any) -> Any:
    """Turn NumPy scalars into Python numbers, non-finite floats into None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def check_json(summary: MappingOf[str, Any]) -> dict[str, Any]:
    """Return the summary with every value made JSON-safe (NaN and inf become null)."""

    def clean(value: Any) -> Any:
        if isinstance(value, dict):
            return {str(k): clean(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [clean(v) for v in value]
        if isinstance(value, np.ndarray):
            return clean(value.tolist())
        return _plain(value)

    return {str(k): clean(v) for k, v in summary.items()}
