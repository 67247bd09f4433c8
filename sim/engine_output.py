"""What the engine hands out: spikes chunk by chunk, and everything of a run at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.values.arithmetic import CellState
from nmhw.values.events import SpikeEvents
from nmhw.values.result import ProbeData

Ints = NDArray[np.int64]
EventArrays = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, eq=False)
class EventChunk:
    """Spikes of consecutive rows (row = sample x n_steps + step), author's indices, sorted.

    Attributes
    ----------
    first_row, end_row : int
    n_steps : int
        Simulated steps per sample.
    events : mapping of population to (sample, step, index), int32
    """

    first_row: int
    end_row: int
    n_steps: int
    events: Mapping[str, EventArrays]


@dataclass(frozen=True, slots=True, eq=False)
class EngineOutput:
    """Everything a run produces; arrays in the author's order.

    Attributes
    ----------
    spikes : input or population -> SpikeEvents over all simulated steps
    dropped : populations whose spikes were not kept (over ``keep_spikes``; outputs always are)
    probes : (population, variable) -> ProbeData
    states : population -> CellState after the last step
    spike_totals : population -> (n,) int64, over all samples and steps
    undelivered : population -> (d, n) int64
        Row k: spikes emitted k steps before the end of a sample (of a continuous run), whose
        delivery over a delay above k fell behind the end (d = longest outgoing delay).
    step_counts : population -> (n_samples, n_steps) int32 spikes
    active_updates : population -> (n_columns,) int64
        Updates of neurons that had state, input or bias, by the column of their core.
    saturations : population -> int
    core_active : (n_samples * n_steps, n_columns) int32 or None
    """

    spikes: Mapping[str, SpikeEvents]
    dropped: tuple[str, ...]
    probes: Mapping[tuple[str, str], ProbeData]
    states: Mapping[str, CellState]
    spike_totals: Mapping[str, Ints]
    undelivered: Mapping[str, Ints]
    step_counts: Mapping[str, NDArray[np.int32]]
    active_updates: Mapping[str, Ints]
    saturations: Mapping[str, int]
    core_active: NDArray[np.int32] | None
