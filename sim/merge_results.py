"""Results of consecutive samples become one, the same as if they had run together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents
from nmhw.values.noc import NocTimes
from nmhw.values.result import Counters, ProbeData, RunResult

#: Beyond so many input events they are left out of a run in pieces (saved runs do so, too).
MAX_INPUT_EVENTS = 10**8


def merge_results(parts: Sequence[RunResult]) -> RunResult:
    """Return one result of the samples of all parts, in their order.

    Populations whose spikes one part did not keep are left out, like those of a whole run.
    """
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    n_samples = sum(part.n_samples for part in parts)
    return replace(
        first,
        n_samples=n_samples,
        spikes=_merge_spikes(parts, n_samples),
        probes={key: _merge_probes([p.probes[key] for p in parts]) for key in first.probes},
        counters=_merge_counters([part.counters for part in parts]),
        spike_totals=_sum_maps(part.spike_totals for part in parts),
        events_by_layers={
            name: _sum_maps(part.events_by_layers[name] for part in parts)
            for name in first.events_by_layers
        },
        noc=_merge_times([part.noc for part in parts]),
    )


def drop_input_spikes(result: RunResult) -> RunResult:
    """Return the result without its input events where they are too many to keep."""
    inputs = [name for name in result.spikes if name not in result.spike_totals]
    if sum(len(result.spikes[name]) for name in inputs) <= MAX_INPUT_EVENTS:
        return result
    kept = {name: events for name, events in result.spikes.items() if name not in inputs}
    return replace(result, spikes=kept)


def _merge_spikes(parts: Sequence[RunResult], n_samples: int) -> dict[str, SpikeEvents]:
    starts = np.cumsum([0, *(part.n_samples for part in parts)])[:-1].tolist()
    merged = {}
    for name, events in parts[0].spikes.items():
        if not all(name in part.spikes for part in parts):
            continue
        pieces = [part.spikes[name] for part in parts]
        sample, step, index = (
            np.concatenate([getattr(piece, column) for piece in pieces])
            for column in ("sample", "step", "index")
        )
        at = 0
        for start, piece in zip(starts, pieces, strict=True):
            sample[at : at + len(piece)] += np.int32(start)
            at += len(piece)
        values = [piece.value for piece in pieces if piece.value is not None]
        merged[name] = replace(
            events,
            sample=sample,
            step=step,
            index=index,
            n_samples=n_samples,
            value=np.concatenate(values) if values else None,
        )
    return merged


def _merge_times(parts: Sequence[NocTimes | None]) -> NocTimes | None:
    found = [part for part in parts if part is not None]
    if len(found) < len(parts):
        return None
    starts = np.cumsum([0, *(part.n_rows for part in found)])
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in found])
        for name in ("step_ps", "floor_ps", "blocked_ps", "messages")
    }
    sums: dict[str, Any] = {
        name: sum(getattr(part, name) for part in found[1:]) + getattr(found[0], name)
        for name in ("link_messages", "link_wait_ps", "receiver_ps")
    }
    rows = np.concatenate([p.rows + at for p, at in zip(found, starts[:-1], strict=True)])
    return replace(found[0], n_rows=int(starts[-1]), rows=rows, **joined, **sums)


def _merge_probes(parts: Sequence[ProbeData]) -> ProbeData:
    return replace(parts[0], values=np.concatenate([part.values for part in parts]))


def _merge_counters(parts: Sequence[Counters | None]) -> Counters | None:
    found = [part for part in parts if part is not None]
    if not found:
        return None
    first = found[0]
    steps: dict[str, NDArray[np.int32]] | None = None
    if all(part.steps is not None for part in found):
        tables = [part.steps or {} for part in found]
        steps = {kind: np.concatenate([t[kind] for t in tables]) for kind in tables[0]}
    return replace(
        first,
        n_samples=sum(part.n_samples for part in found),
        totals=_sum_maps(part.totals for part in found),
        steps=steps,
        synops_by_projection=_sum_maps(part.synops_by_projection for part in found),
        spikes_by_population=_sum_maps(part.spikes_by_population for part in found),
        events_by_input=_sum_maps(part.events_by_input for part in found),
        connections=sum(part.connections for part in found),
        saturations=_sum_maps(part.saturations for part in found),
    )


def _sum_maps(maps: Iterable[Mapping[Any, Any]]) -> dict[Any, Any]:
    total: dict[Any, Any] = {}
    for each in maps:
        for key, value in each.items():
            total[key] = total[key] + value if key in total else value
    return total
