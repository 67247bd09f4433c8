"""The event form: a queue of events, one update per target, at most one event per update.

The rules are in ``nmhw.sim.event_program``; ``nmhw.sim.event_reference`` is the plain twin.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp


@kernel
def _doubled(values):
    longer = np.empty(2 * values.size, values.dtype)
    longer[: values.size] = values
    return longer


def _close_over(stamp: str) -> Any:
    def run_events(
        causes, steps, pointers, targets, weights, v, threshold, loss, v_min, top, leak, updates,
        clipped, room, most,
    ):  # fmt: skip
        """Work off the events that enter in one sample, in their order.

        ``causes`` and ``steps`` are their nodes and time stamps; ``room`` is the first length of
        the lists, ``most`` the limit of what one of them may cause.

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
            if source == v.size:  # the clock
                for node in range(v.size):
                    if leak[node] != 0:
                        x = v[node]
                        v[node] = max(x - leak[node], 0) if x > 0 else min(x + leak[node], 0)
                        updates[node] += 1
            while True:
                for k in range(pointers[source], pointers[source + 1]):
                    node = targets[k]
                    updates[node] += 1
                    x = max(v[node] + weights[k], v_min[node])
                    if x > top[node]:
                        x = top[node]
                        clipped[node] += 1
                    if x >= threshold[node]:
                        x = np.int64(0) if loss[node] < 0 else x - loss[node]
                        if n == node_of.size:
                            node_of, step_of = _doubled(node_of), _doubled(step_of)
                            layers_of, cause_of = _doubled(layers_of), _doubled(cause_of)
                        node_of[n], step_of[n] = node, steps[cause]
                        layers_of[n], cause_of[n] = layers + 1, cause
                        n += 1
                    v[node] = x
                if n - start > most:
                    return node_of, step_of, layers_of, cause_of, n, cause
                if head == n:
                    break
                source, layers = np.int64(node_of[head]), layers_of[head]
                head += 1
        return node_of, step_of, layers_of, cause_of, n, -1

    return run_events


run_events = entry_point(_close_over(source_stamp()))
