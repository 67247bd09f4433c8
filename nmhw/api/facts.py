"""Facts of a run that no price changes: first output spike, rows of projections, mean rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.values.result import RunResult

if TYPE_CHECKING:
    from nmhw.api.deployment import Deployment


def first_output_step(result: RunResult, sources: tuple[str, ...]) -> float | None:
    """Return the mean step (drain included) of the first output spike; None without any."""
    first = np.full(result.n_samples, np.inf)
    for name in sources:
        if name in result.spikes:
            events = result.spikes[name]
            np.minimum.at(first, events.sample, events.step)
    found = first[np.isfinite(first)]
    return float(found.mean()) if found.size else None


def projection_rows(deployed: Deployment, result: RunResult) -> list[dict[str, Any]]:
    """Return synops and encodings of every projection."""
    counters = result.counters
    rows = []
    for projection in deployed.quantized.projections:
        encodings = {
            kind
            for (name, _), kind in deployed.mapping.encodings.items()
            if name == projection.name
        }
        synops = 0 if counters is None else counters.synops_by_projection.get(projection.name, 0)
        row = {"name": projection.name, "source": projection.source, "target": projection.target}
        rows.append({**row, "synops": synops, "encodings": sorted(encodings)})
    return rows


def mean_rate(facts: Mapping[str, Any]) -> float | None:
    """Return spikes per neuron and sample of the author's neurons."""
    spikes = sum(facts["spikes"].values())
    neurons = sum(row["neurons"] - row["copies"] for row in facts["layers"] if not row["is_added"])
    return spikes / (neurons * facts["n_samples"]) if neurons else None
