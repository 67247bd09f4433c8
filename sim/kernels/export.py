"""Spike lists of many steps, in internal order, to events per population in the author's order."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp
from nmhw.sim.kernels.fields import P_ORDER, P_SIZE


@kernel
def _sort_short(values, first, end):
    for k in range(first + 1, end):
        x = values[k]
        i = k - 1
        while i >= first and values[i] > x:
            values[i + 1] = values[i]
            i -= 1
        values[i + 1] = x


@kernel
def _write_marked(seen, words, times, size, out, at):
    """Write every seen index as often as it was seen, ascending, and forget it."""
    for k in range((size + 7) >> 3):
        if words[k]:
            for i in range(k << 3, (k << 3) + 8):
                for _ in range(times[i]):
                    out[at] = i
                    at += 1
                seen[i] = 0
                times[i] = 0


def _close_over(stamp: str) -> Any:
    def export_events(
        events, counts, first_row, end_row, steps, pops, order, scratch, cursors, sample_of,
        step_of, index_of,
    ):  # fmt: skip
        """Split ``events`` (rows first_row..end_row, populations in update order in each row).

        ``cursors[p]`` is where the next event of population p goes in the three outputs;
        ``scratch`` = (bytes, their uint64 view, int32 counts), all zero, as long as the largest
        population.
        """
        _ = stamp  # part of the cache key
        seen, words, times = scratch
        at = 0
        for row in range(first_row, end_row):
            sample = np.int32(row // steps)
            step = np.int32(row % steps)
            for p in range(pops.shape[0]):
                n = counts[row, p]
                if n == 0:
                    continue
                out = cursors[p]
                cursors[p] = out + n
                for k in range(out, out + n):
                    sample_of[k] = sample
                    step_of[k] = step
                place, size = pops[p, P_ORDER], pops[p, P_SIZE]
                if place < 0:
                    for k in range(n):
                        index_of[out + k] = events[at + k]
                elif np.int64(n) * n < size:
                    for k in range(n):
                        index_of[out + k] = order[place + np.int64(events[at + k])]
                    _sort_short(index_of, out, out + n)
                else:
                    for k in range(n):
                        i = order[place + np.int64(events[at + k])]
                        seen[i] = 1
                        times[i] += 1
                    _write_marked(seen, words, times, size, index_of, out)
                at += n

    return export_events


export_events = entry_point(_close_over(source_stamp()))
