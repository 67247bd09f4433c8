"""Spikes of a run: recorded by the engine in its own order, stored once in the author's.

The engine's buffer holds one number per spike. What it gathered is written where it belongs in the
result at the end of the run, when the number of spikes is known: the memory of a long result is
touched once, and threads write their samples side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EventArrays, EventChunk
from nmhw.sim.kernels import fields as f
from nmhw.sim.kernels.export import export_events
from nmhw.sim.kernels.neurons import SCAN_SLACK
from nmhw.sim.program import ALIGNMENT, Program
from nmhw.sim.workspace import Workspace

Ints = NDArray[np.int64]

#: Events in the engine's order, and the rows from which and before which they are.
Buffer = tuple[NDArray[np.uint32], int, int]


@dataclass(frozen=True, slots=True, eq=False)
class SpikeStore:
    """Events (sample, step, index), population after population.

    Attributes
    ----------
    starts : (n_populations + 1,) int64
    arrays : three (n_events,) int32 arrays
    """

    starts: Ints
    arrays: EventArrays

    @staticmethod
    def allocate(counts: Ints) -> SpikeStore:
        """Make room for so many events of every population."""
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        sample, step, index = (np.empty(int(starts[-1]), np.int32) for _ in range(3))
        return SpikeStore(starts, (sample, step, index))

    def events(self, population: int, first: int = 0, n: int | None = None) -> EventArrays:
        """Return n events of a population from its event ``first`` on; default: all."""
        at = int(self.starts[population]) + first
        end = int(self.starts[population + 1]) if n is None else at + n
        sample, step, index = self.arrays
        return sample[at:end], step[at:end], index[at:end]


class SpikeRecorder:
    """Gathers the spikes of one engine run, up to a limit.

    Parameters
    ----------
    limit : int
        Once there are more spikes than this, only those of output populations are kept.
    on_chunk : callable, optional
        Gets all spikes in order, also those that are not kept.
    first_sample : int
        Number of the first sample in the events.
    events : (size,) uint32
        The buffer that the engine writes to; ``events`` is the one of the moment.
    """

    def __init__(
        self,
        program: Program,
        limit: int,
        on_chunk: Callable[[EventChunk], None] | None,
        first_sample: int,
        events: NDArray[np.uint32],
    ) -> None:
        self.program = program
        self.limit = limit
        self.on_chunk = on_chunk
        self.first_sample = first_sample
        self.events = events
        self.next_row = 0
        self.full: list[Buffer] = []
        self.parts: list[SpikeStore] = []
        self.counts = np.zeros(len(program.populations), np.int64)

    def take(self, space: Workspace, end_row: int) -> None:
        """Put the buffer aside, which is full before the end of the run, and begin a new one."""
        self.counts += _count(space, self.next_row, end_row)
        self.full.append((self.events, self.next_row, end_row))
        self.next_row = end_row
        space.control[f.C_EVENTS] = 0
        if self.counts.sum() <= self.limit:
            self.events = np.zeros(self.events.size, np.uint32)
            return
        kept = ~unkept(self.program, self.counts, self.limit)
        for buffer in self.full:
            self.parts.append(_choose(self._export_alone(space, buffer), kept))
        self.full.clear()

    def count(self, space: Workspace) -> Ints:
        """Return (n_populations,) spikes of the whole run, which is at its end."""
        return self.counts + _count(space, self.next_row, space.size.n_rows)

    def finish(
        self, space: Workspace, store: SpikeStore, at: Ints, kept: NDArray[np.bool_]
    ) -> None:
        """Write all spikes of the kept populations from place ``at`` of each on."""
        at = at.copy()
        for part in self.parts:
            at += _copy(part, store, at, kept)
        for buffer in (*self.full, (self.events, self.next_row, space.size.n_rows)):
            if kept.all():
                at += self._export(space, buffer, store, at)
            else:
                at += _copy(self._export_alone(space, buffer), store, at, kept)
        self.parts.clear()
        self.full.clear()

    def _export_alone(self, space: Workspace, buffer: Buffer) -> SpikeStore:
        """Return the events of a buffer in a store of their own."""
        counts = _count(space, *buffer[1:])
        part = SpikeStore.allocate(counts)
        self._export(space, buffer, part, np.zeros_like(counts))
        return part

    def _export(self, space: Workspace, buffer: Buffer, store: SpikeStore, at: Ints) -> Ints:
        """Write the events of a buffer to place ``at`` of every population; return how many."""
        events, first_row, end_row = buffer
        counts = _count(space, first_row, end_row)
        largest = int(space.pops[:, f.P_SIZE].max(initial=0))
        seen = np.zeros(-(-max(largest, 1) // ALIGNMENT) * ALIGNMENT, np.uint8)
        scratch = seen, np.zeros(seen.size, np.int32), np.zeros(seen.size + SCAN_SLACK, np.uint32)
        n_steps = space.size.n_steps
        export_events(
            events, space.counts, first_row, end_row, n_steps, self.first_sample, space.pops,
            space.order, scratch, store.starts[:-1] + at, *store.arrays,
        )  # fmt: skip
        if self.on_chunk is not None:
            before = self.first_sample * n_steps
            found = {
                name: store.events(k, int(at[k]), int(counts[k]))
                for k, name in enumerate(self.program.populations)
            }
            self.on_chunk(EventChunk(before + first_row, before + end_row, n_steps, found))
        return counts


def unkept(program: Program, counts: Ints, limit: int) -> NDArray[np.bool_]:
    """Return (n_populations,) of which populations no spikes are kept: none within the limit."""
    outputs = {name for port in program.quantized.outputs for name in port.sources}
    over = int(counts.sum()) > limit
    return np.array([over and name not in outputs for name in program.populations], np.bool_)


def _count(space: Workspace, first_row: int, end_row: int) -> Ints:
    counts: Ints = space.counts[first_row:end_row].sum(axis=0, dtype=np.int64)
    return counts


def _choose(store: SpikeStore, kept: NDArray[np.bool_]) -> SpikeStore:
    """Return a store of the kept populations alone, which needs no more memory than they do."""
    chosen = SpikeStore.allocate(np.diff(store.starts) * kept)
    _copy(store, chosen, np.zeros(kept.size, np.int64), kept)
    return chosen


def _copy(source: SpikeStore, target: SpikeStore, at: Ints, kept: NDArray[np.bool_]) -> Ints:
    """Copy events to place ``at`` of every kept population; return how many."""
    sizes = np.diff(source.starts) * kept
    for k in np.flatnonzero(sizes).tolist():
        into = target.events(k, int(at[k]), int(sizes[k]))
        for there, here in zip(into, source.events(k), strict=True):
            there[:] = here
    return sizes
