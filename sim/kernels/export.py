"""Spike lists of many steps, in internal order, to events per population in the author's order."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp
from nmhw.sim.kernels.fields import P_ORDER, P_SIZE
from nmhw.sim.kernels.intrinsics import borrow, mask_of_64, trailing_zeros
from nmhw.sim.kernels.neurons import scan_flags


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
def _write_seen(seen, size, found, out, at):
    """Write every seen index, ascending, and forget it.

    By way of ``found``, as the scan writes a few places too many.
    """
    n = scan_flags(seen, 0, size, found, 0)
    for i in range(np.uint64(size)):
        seen[i] = 0
    for k in range(np.uint64(n)):
        out[np.uint64(at) + k] = np.int32(found[k])


@kernel
def _write_repeated(seen, times, size, out, at):
    """Write every seen index as often as it was seen, ascending, and forget it."""
    cursor = np.uint64(at)
    for k in range(np.uint64(0), np.uint64(size), np.uint64(64)):
        mask = mask_of_64(seen, k)
        while mask:
            i = k + trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            for _ in range(times[i]):
                out[cursor] = np.int32(i)
                cursor += np.uint64(1)
            seen[i] = 0
            times[i] = 0


def _close_over(stamp: str) -> Any:
    def export_events(
        events, counts, first_row, end_row, steps, first_sample, pops, order, scratch, cursors,
        sample_of, step_of, index_of,
    ):  # fmt: skip
        """Split ``events`` (rows first_row..end_row, populations in update order in each row).

        The spikes of a population in a row are sorted, so those of one neuron follow each other.
        ``cursors[p]`` is where the next event of population p goes in the three outputs, whose
        samples count from ``first_sample``;
        ``scratch`` = (bytes, int32 counts, uint32), all zero, as long as the largest population and
        a multiple of 64; the last SCAN_SLACK longer.
        """
        _ = stamp  # part of the cache key
        events, counts, pops, order = borrow((events, counts, pops, order))
        seen, times, found = borrow(scratch)
        sample_of, step_of, index_of = borrow((sample_of, step_of, index_of))
        at = 0
        for row in range(first_row, end_row):
            sample = np.int32(first_sample + row // steps)
            step = np.int32(row % steps)
            for p in range(pops.shape[0]):
                n = counts[row, p]
                if n == 0:
                    continue
                out = cursors[p]
                cursors[p] = out + n
                for k in range(np.uint64(out), np.uint64(out + n)):
                    sample_of[k] = sample
                    step_of[k] = step
                place, size = pops[p, P_ORDER], pops[p, P_SIZE]
                if place < 0:
                    for k in range(np.uint64(n)):
                        index_of[np.uint64(out) + k] = events[np.uint64(at) + k]
                elif np.int64(n) * n < size >> 3:
                    for k in range(n):
                        index_of[out + k] = order[place + np.int64(events[at + k])]
                    _sort_short(index_of, out, out + n)
                else:
                    repeats, last = np.int64(0), np.uint64(size)
                    for k in range(np.uint64(n)):
                        spike = np.uint64(events[np.uint64(at) + k])
                        repeats += spike == last
                        last = spike
                        seen[np.uint64(order[np.uint64(place) + spike])] = 1
                    if repeats == 0:
                        _write_seen(seen, size, found, index_of, out)
                    else:
                        for k in range(np.uint64(n)):
                            spike = np.uint64(events[np.uint64(at) + k])
                            times[np.uint64(order[np.uint64(place) + spike])] += 1
                        _write_repeated(seen, times, size, index_of, out)
                at += n

    return export_events


export_events = entry_point(_close_over(source_stamp()))
