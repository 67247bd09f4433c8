"""The summary of a mapping and of a run: one JSON-ready dict that every report renders from."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from typing import Any

import numpy as np

from nmhw.errors import UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import count_synapses
from nmhw.values.mapping import Mapping
from nmhw.values.notice import Notice
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation
from nmhw.values.result import Counters, RunResult

#: A population that fires in this share of all steps carries no information.
_ALWAYS = 0.95

#: Resources in the order of a reader's interest; others follow by name.
_FIRST = ("neurons", "in_axons", "out_axons", "synapse_bits", "memory_bits")


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
        "cores": summarize_cores(mapping, chip),
        "notices": [notice_dict(n) for n in (*quantized.notices, *mapping.notices)],
    }


def summarize_run(result: RunResult, quantized: QuantizedNetwork) -> dict[str, Any]:
    """Return the counts of a chip run.

    ``spikes`` are those of the author's populations; what a lowering added has its row in
    ``activity`` and its part in every other count.

    Raises
    ------
    UsageError
        For a result without counters (a float run).
    """
    counters = result.counters
    if counters is None:
        raise UsageError("this run has no counters to report", got=result.backend)
    added = {p.name for p in quantized.populations if p.is_added}
    return {
        "backend": result.backend,
        "n_samples": result.n_samples,
        "n_steps": result.n_steps,
        "drain_steps": result.drain_steps,
        "spikes": {
            k: _author_spikes(k, int(v), result, quantized)
            for k, v in counters.spikes_by_population.items()
            if k not in added
        },
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


def _author_spikes(name: str, n: int, result: RunResult, quantized: QuantizedNetwork) -> int:
    """Return the spikes of a population without those of its copies."""
    if name not in quantized.copies or name not in result.spike_totals:
        return n
    return int(np.asarray(result.spike_totals[name]).sum())


def summarize_utilization(mapping: Mapping) -> dict[str, Any]:
    """Return mean and maximum use of every limited resource, with the worst core."""
    table: dict[str, dict[str, Any]] = {}
    found = {resource for core in mapping.utilization for resource in core.resources}
    for resource in sorted(found, key=_rank):
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


def _rank(resource: str) -> tuple[int, str]:
    known = _FIRST.index(resource) if resource in _FIRST else len(_FIRST)
    return known, resource


def notice_dict(notice: Notice) -> dict[str, Any]:
    """Return a notice as JSON values."""
    return {
        "rule": notice.rule,
        "where": notice.where,
        "text": notice.text,
        "kind": notice.kind,
        "hint": notice.hint,
    }


def summarize_cores(mapping: Mapping, chip: ChipSpec) -> list[dict[str, Any]]:
    """Return what every used core holds, its tile and its fullest resource."""
    held: dict[int, list[dict[str, Any]]] = {}
    for part in mapping.slices:
        held.setdefault(part.core, []).append(
            {"population": part.population, "neurons": int(part.neurons.size)}
        )
    rows = []
    for entry in mapping.utilization:
        chip_index, x, y = chip.position(entry.core)
        shares = {r: used / limit for r, (used, limit) in entry.resources.items() if limit}
        fullest = max(shares, key=lambda r: shares[r], default=None)
        row: dict[str, Any] = {"core": entry.core, "chip": chip_index, "tile": [x, y]}
        row |= {"slices": held.get(entry.core, []), "fullest": fullest}
        rows.append({**row, "share": None if fullest is None else shares[fullest]})
    return rows


def _layer(
    quantized: QuantizedNetwork, mapping: Mapping, population: QuantizedPopulation
) -> dict[str, Any]:
    incoming = [p for p in quantized.projections if p.target == population.name]
    return {
        "name": population.name,
        "neurons": population.size,
        "compartments": population.size * population.n_compartments,
        "copies": count_copies(quantized, population.name),
        "shape": list(population.shape),
        "synapses": sum(count_synapses(p, population.size) for p in incoming),
        "cores": len({s.core for s in mapping.slices if s.population == population.name}),
        "weight_bits": max((p.weight_bits for p in incoming), default=None),
        "depth": population.depth,
        "is_added": population.is_added,
        **_quantization_loss(quantized, population.name),
    }


def count_copies(quantized: QuantizedNetwork, name: str) -> int:
    """Return how many of a population's compartments are copies of others."""
    origin = quantized.copies.get(name)
    return 0 if origin is None else int(origin.size - np.unique(origin).size)


def _quantization_loss(quantized: QuantizedNetwork, name: str) -> dict[str, Any]:
    """Return what rounding did to a layer; ``weight_sqnr_db`` is None where no weight changed."""
    loss = {entry.population: entry for entry in quantized.losses}.get(name)
    fields = {
        "weight_sqnr_db": "weight_sqnr_db",
        "clipped_weights": "clipped_weights_fraction",
        "decay_error": "decay_error",
        "threshold_error": "threshold_error",
    }
    return {
        key: None if loss is None else _plain(getattr(loss, field)) for key, field in fields.items()
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
        if population.is_added:
            continue
        name = population.name
        spikes = counters.spikes_by_population.get(name, 0)
        chances = population.size * counters.n_samples * result.n_steps
        if population.spec.is_spiking and not spikes:
            text = "no neuron of this population ever fired"
            hint = "check profile, dt and the scale of the inputs"
            notices.append(Notice("run.silent-population", name, text, hint=hint))
        elif spikes >= _ALWAYS * chances:
            text = f"its neurons fire in {100 * spikes / chances:.0f} % of all steps"
            if population.spec.max_spikes_per_step > 1:
                text = f"its neurons fire {spikes / chances:.2f} spikes per step on average"
            hint = "check profile, dt and thresholds"
            notices.append(Notice("run.saturated-population", name, text, hint=hint))
        clipped = counters.saturations.get(name, 0)
        if clipped:
            text = f"a state left its {population.spec.v_bits}-bit range {clipped:,} times"
            hint = "calibration samples as strong as these inputs"
            notices.append(Notice("run.saturation", name, text, hint=hint))
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
