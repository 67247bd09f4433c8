"""Between the author's neurons and the chip's compartments, where a lowering made copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import ProbeData, RunResult

Shape = tuple[int, ...]


def spread_inputs(
    events: Mapping[str, SpikeEvents], quantized: QuantizedNetwork
) -> dict[str, SpikeEvents]:
    """Return the events that the host sends: one per compartment of every input element."""
    return {
        name: _spread(e, quantized.copies[name]) if name in quantized.copies else e
        for name, e in events.items()
    }


def _spread(events: SpikeEvents, origin: np.ndarray) -> SpikeEvents:
    order = np.argsort(origin, kind="stable")
    starts = np.searchsorted(origin[order], np.arange(events.n_neurons + 1))
    copies = np.diff(starts)[events.index]
    event = np.repeat(np.arange(len(events)), copies)
    within = np.arange(event.size) - np.repeat(np.cumsum(copies) - copies, copies)
    index = order[starts[events.index[event]] + within].astype(np.int32)
    sample, step = events.sample[event], events.step[event]
    by = np.lexsort((index, step, sample))
    value = None if events.value is None else events.value[event][by]
    return SpikeEvents(
        sample[by],
        step[by],
        index[by],
        events.n_samples,
        events.n_steps,
        (int(origin.size),),
        value,
    )


def gather_result(result: RunResult, network: Network, quantized: QuantizedNetwork) -> RunResult:
    """Return the result in the author's neurons; the counters keep what a lowering added."""
    added = {p.name for p in quantized.populations if p.is_added} | {*quantized.constant_inputs}
    if not added and not quantized.copies:
        return result
    shapes = {port.name: port.shape for port in network.inputs}
    shapes |= {p.name: p.shape for p in network.populations}
    copied = {name: shapes[name] for name in quantized.copies if name in shapes}
    return replace(
        result,
        depths={name: depth for name, depth in result.depths.items() if name not in added},
        spikes={
            name: _first(events, copied[name]) if name in copied else events
            for name, events in result.spikes.items()
            if name not in added
        },
        probes={
            key: _first_probed(probe, copied[key[0]]) if key[0] in copied else probe
            for key, probe in result.probes.items()
        },
        spike_totals={
            name: n[: int(np.prod(copied[name]))] if name in copied else n
            for name, n in result.spike_totals.items()
            if name not in added
        },
    )


def _first(events: SpikeEvents, shape: Shape) -> SpikeEvents:
    """Return the events of the author's neurons, the first compartments."""
    mine = events.index < int(np.prod(shape))
    value = None if events.value is None else events.value[mine]
    return SpikeEvents(
        events.sample[mine],
        events.step[mine],
        events.index[mine],
        events.n_samples,
        events.n_steps,
        shape,
        value,
    )


def _first_probed(probe: ProbeData, shape: Shape) -> ProbeData:
    return replace(probe, values=probe.values[..., : int(np.prod(shape))])
