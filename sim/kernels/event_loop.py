"""The event form: a queue of events, one update per target, at most one event per update.

The rules are in ``nmhw.sim.event_program``; ``nmhw.sim.event_reference`` is the plain twin.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp

# Fields of a node's row.
CELL_V = 0
CELL_V_MIN = 1
CELL_TOP = 2
CELL_THRESHOLD = 3
CELL_LOSS = 4  # what a firing neuron loses; -1: everything
CELL_LEAK = 5  # toward 0, per tick of the clock
CELL_FIELDS = 8  # with padding: two rows fill a cache line


@kernel
def _doubled(values):
    longer = np.empty(2 * values.size, values.dtype)
    longer[: values.size] = values
    return longer


@kernel
def _deliver(targets, weights, first, end, cells, clipped, fired, at):
    """Update every target of one event; list those that fire from ``at`` on, return how many."""
    n = np.uint64(at)
    for k in range(np.uint64(first), np.uint64(end)):
        node = np.uint64(targets[k])  # unsigned: no test for indices from the end
        x = max(np.int64(cells[node, CELL_V]) + weights[k], np.int64(cells[node, CELL_V_MIN]))
        if x > cells[node, CELL_TOP]:
            x = np.int64(cells[node, CELL_TOP])
            clipped[node] += 1
        if x >= cells[node, CELL_THRESHOLD]:
            loss = np.int64(cells[node, CELL_LOSS])
            x = np.int64(0) if loss < 0 else x - loss
            fired[n] = node
            n += np.uint64(1)
        cells[node, CELL_V] = x
    return np.int64(n) - at


def _close_over(stamp: str) -> Any:
    def run_events(
        causes, steps, pointers, targets, weights, cells, clipped, room, most,
    ):  # fmt: skip
        """Work off the events that enter in one sample, in their order.

        ``causes`` and ``steps`` are their nodes and time stamps; ``cells`` (n_nodes, CELL_FIELDS)
        int32; ``room`` is the first length of the lists, ``most`` the limit of what one of them
        may cause.

        Returns (node, step, layers, cause, n, stuck) of the n events made, in order: layers passed
        since the cause, and its number; ``stuck`` is the cause that passed the limit, or -1.
        """
        _ = stamp  # part of the cache key: edits of any kernel file recompile this one
        node_of, step_of = np.empty(room, np.int32), np.empty(room, np.int32)
        layers_of, cause_of = np.empty(room, np.int32), np.empty(room, np.int32)
        n = 0
        for cause in range(causes.size):
            # the list of events is the queue: it grows at its end while its head is worked off
            head = start = n
            source, layers = np.int64(causes[cause]), 0
            if source == cells.shape[0]:  # the clock
                for node in range(cells.shape[0]):
                    x, leak = np.int64(cells[node, CELL_V]), np.int64(cells[node, CELL_LEAK])
                    cells[node, CELL_V] = max(x - leak, 0) if x > 0 else min(x + leak, 0)
            while True:
                first, end = pointers[source], pointers[source + 1]
                while n + end - first > node_of.size:
                    node_of, step_of = _doubled(node_of), _doubled(step_of)
                    layers_of, cause_of = _doubled(layers_of), _doubled(cause_of)
                made = _deliver(targets, weights, first, end, cells, clipped, node_of, n)
                for k in range(n, n + made):
                    step_of[k], layers_of[k], cause_of[k] = steps[cause], layers + 1, cause
                n += made
                if n - start > most:
                    return node_of, step_of, layers_of, cause_of, n, cause
                if head == n:
                    break
                source, layers = np.int64(node_of[head]), layers_of[head]
                head += 1
        return node_of, step_of, layers_of, cause_of, n, -1

    return run_events


run_events = entry_point(_close_over(source_stamp()))
