"""Clock cycles of a run's steps by a chip's published law, and the clock that this takes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.hidden_pool_rules import (
    count_hidden_ends,
    count_recurrent_entries,
    output_names,
)
from nmhw.values.chip import ChipSpec
from nmhw.values.laws import required_clock_hz, xylo_cycles
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

Ints = NDArray[np.int64]


def summarize_cycles(
    chip: ChipSpec,
    quantized: QuantizedNetwork,
    result: RunResult,
    costs: str | None,
) -> dict[str, Any]:
    """Return ``clock_cycles``: None without a law, else cycles of a step and the clock they need.

    ``mean``: at the run's mean activity; ``worst``: of the busiest step (None where its spikes
    were not kept); ``clock_hz``: what ends the worst step within dt, with the law's margin (None
    without dt in seconds); ``source``.
    """
    table = chip.cost_table(costs)
    laws = {} if table is None else table.laws
    law = next((found for found in laws.values() if found.kind == "xylo-cycles"), None)
    if law is None:
        return {"clock_cycles": None}
    size = _network_size(chip, quantized)
    counters = result.counters
    hidden = [p for p in quantized.populations if p.name not in output_names(quantized)]
    n_steps = result.n_samples * (result.n_steps + result.drain_steps)
    n_in, n_hidden = max(int(size["n_in"]), 1), max(int(size["n_hidden"]), 1)
    added = quantized.constant_inputs
    inputs = [port.name for port in quantized.inputs if port.name not in added]
    sent = sum(int(counters.events_by_input[name]) for name in inputs) if counters else 0
    fired = sum(int(result.spike_totals[p.name].sum()) for p in hidden)
    mean = xylo_cycles(**size, p_in=sent / n_in / n_steps, p_hidden=fired / n_hidden / n_steps)
    worst = None
    if all(name in result.spikes for name in (*inputs, *(p.name for p in hidden))):
        rows = result.n_steps + result.drain_steps
        counts = np.zeros((2, n_steps), np.int64)
        for k, events in [
            *((0, result.spikes[name]) for name in inputs),
            *((1, result.spikes[p.name]) for p in hidden),
        ]:
            row = events.sample.astype(np.int64) * rows + events.step
            counts[k] += np.bincount(row, minlength=n_steps)
        pairs = np.unique(counts, axis=1).T.tolist()
        worst = max(xylo_cycles(**size, p_in=i / n_in, p_hidden=h / n_hidden) for i, h in pairs)
    dt_s = quantized.profile.step_s
    clock = None if worst is None or dt_s is None else required_clock_hz(law, worst, dt_s)
    found = {"mean": mean, "worst": worst, "clock_hz": clock, "source": law.source}
    return {"clock_cycles": found}


def _network_size(chip: ChipSpec, quantized: QuantizedNetwork) -> dict[str, Any]:
    """Return the law's arguments that do not depend on activity."""
    outputs = output_names(quantized)
    hidden = [p for p in quantized.populations if p.name not in outputs]
    n_hidden = sum(p.size for p in hidden)
    aliases = [p.alias for p in hidden if p.alias is not None]
    sources = sum(int((alias >= 0).sum()) for alias in aliases)
    targets = sum(int(np.unique(alias[alias >= 0]).size) for alias in aliases)
    limits = next((r.parameters for r in chip.rules if r.kind == "layer-sizes"), {})
    size: dict[str, Any] = {
        "n_in": sum(port.size for port in quantized.inputs),
        "n_hidden": n_hidden,
        "n_out": sum(p.size for p in quantized.populations if p.name in outputs),
        "fan_out": count_recurrent_entries(quantized) / max(n_hidden, 1),
        "alias_targets": targets / max(n_hidden, 1),
        "alias_sources": sources / max(n_hidden, 1),
    }
    seeing, feeding = count_hidden_ends(quantized)
    if limits.get("input_targets", 0) < limits.get("hidden", 0):  # else all are looked at
        size |= {"n_input_targets": seeing, "n_output_sources": feeding}
    return size
