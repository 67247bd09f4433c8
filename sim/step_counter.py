"""Counts per step and core, from the events of a run in chunks; ``step_tables.py`` says what adds.

A spike and the packets it sends belong to the step that emits it; what it delivers belongs to the
step ``delay`` later, and is not counted where the sample (``continuous``: the run) ends before.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.engine_output import EngineOutput, EventChunk
from nmhw.sim.event_input import fit_steps
from nmhw.sim.fanout import EventArrays, FanOut
from nmhw.sim.kernels.count import (
    add_products,
    count_classes,
    count_dense_fan_out,
    count_fan_out,
    count_home,
)
from nmhw.sim.step_tables import SourceTable, source_table
from nmhw.values.events import SpikeEvents
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]
Table = NDArray[np.int32]

#: Per-step counts are kept while samples x steps x cores is at most this (about 30 bytes each).
MAX_STEP_CELLS = 20_000_000


class StepCounter:
    """Counts per (sample x step, core), filled chunk by chunk while the run goes on.

    Hops are not kept per step.
    """

    def __init__(
        self,
        quantized: QuantizedNetwork,
        fan_out: FanOut,
        *,
        n_samples: int,
        n_steps: int,
        continuous: bool = False,
    ) -> None:
        self.fan_out = fan_out
        self.n_steps = n_steps
        self.n_rows = n_samples * n_steps
        self.continuous = continuous
        self.tables = {name: source_table(quantized, fan_out, name) for name in quantized.sizes()}
        used = {block for table in self.tables.values() for block in table.blocks}
        if not any(kind == "axon.in" for kind, _ in used):
            used.add(("axon.in", 0))
        shape = (self.n_rows, fan_out.cores.size)
        #: Counts by kind and delay, still at the rows of the events that cause them.
        self.sums: dict[tuple[str, int], Table] = {
            key: np.zeros(shape, np.int32)
            for key in sorted({("neuron.spike", 0), ("axon.out", 0)} | used)
        }

    @staticmethod
    def fits(fan_out: FanOut, n_rows: int) -> bool:
        """Whether the tables stay below MAX_STEP_CELLS."""
        return n_rows * fan_out.cores.size <= MAX_STEP_CELLS

    def add(self, chunk: EventChunk) -> None:
        """Count the spikes of some rows."""
        for name, events in chunk.events.items():
            # one class: the engine's own counts per step say it all, see ``finish``
            if self.tables[name].n_classes != 1:
                self._count(self.tables[name], events, chunk.first_row, chunk.end_row)

    def finish(
        self, inputs: Mapping[str, SpikeEvents], output: EngineOutput, visits: Ints
    ) -> dict[str, Table]:
        """Add the inputs' deliveries and the neuron updates; return all kinds."""
        for name, events in inputs.items():
            fitting = fit_steps(events, self.n_steps)
            arrays = (fitting.sample, fitting.step, fitting.index)
            self._count(self.tables[name], arrays, 0, self.n_rows)
        for name, counts in output.step_counts.items():
            if self.tables[name].n_classes == 1:
                seen = np.ascontiguousarray(counts.reshape(-1, 1))
                self._book_classes(self.tables[name], seen, 0)
        visit = np.broadcast_to(
            (visits // self.n_rows).astype(np.int32), (self.n_rows, visits.size)
        )
        found = {"neuron.visit": visit, **self._shifted()}
        if output.core_active is not None:
            found["neuron.active"] = output.core_active
            found["neuron.idle"] = visit - output.core_active
        return found

    def _count(self, table: SourceTable, events: EventArrays, first: int, end: int) -> None:
        """Count events (sample, step, index) of the rows from ``first`` to ``end``."""
        place = (self.n_steps, first)
        if table.classes is not None:
            seen = np.zeros((end - first, table.n_classes), np.int32)
            count_classes(*events, *place, table.classes, seen)
            self._book_classes(table, seen, first)
            return
        here = slice(first, end)
        if table.home is not None:
            flat = self.sums["neuron.spike", 0][here], self.sums["axon.out", 0][here]
            count_home(*events, *place, table.home, table.packets, *flat)
        if table.rows is not None or table.sparse is not None:
            width = self.fan_out.cores.size
            sums = np.zeros((end - first, width * len(table.blocks)), np.int32)
            if table.sparse is not None:
                count_fan_out(*events, *place, *table.sparse, sums)
            else:
                count_dense_fan_out(*events, *place, table.rows, sums)
            for k, key in enumerate(table.blocks):
                self.sums[key][here] += sums[:, k * width : (k + 1) * width]
            return
        for key, (fan, columns) in zip(table.blocks, table.tables, strict=True):
            counted = fan.count_steps(events, self.n_steps, first, end - first)
            self.sums[key][here] += (counted * columns).astype(np.int32)

    def _book_classes(self, table: SourceTable, seen: Table, first: int) -> None:
        """Add what ``seen`` (rows, classes) events of every class amount to, from row ``first``."""
        for key, column, weights in table.products:
            add_products(seen, weights, self.sums[key], first, column)

    def _shifted(self) -> dict[str, Table]:
        """Return the counts by kind, at the rows where they belong."""
        found: dict[str, Table] = {}
        for (kind, delay), sums in self.sums.items():
            n_cores = sums.shape[1]
            # one long sample where states go on
            samples = (1, -1, n_cores) if self.continuous else (-1, self.n_steps, n_cores)
            shaped = sums.reshape(samples)
            if kind not in found and delay:
                moved = np.zeros_like(shaped)
                moved[:, delay:] = shaped[:, :-delay]
                found[kind] = moved.reshape(sums.shape)
            elif kind not in found:
                found[kind] = sums
            else:
                found[kind].reshape(samples)[:, delay:] += shaped[
                    :, : max(0, shaped.shape[1] - delay)
                ]
        return found
