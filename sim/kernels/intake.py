"""One pass over input events: are they in range and in order, where does every step begin."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, source_stamp

#: What ``scan_events`` found (else the largest number of equal events).
OUT_OF_RANGE = -1
UNSORTED = -2


def _close_over(stamp: str) -> Any:
    def scan_events(sample, step, index, n_samples, n_steps, size, at, pointers):
        """Fill ``pointers`` (n_samples * n_steps + 1) with ``at`` + first event of every row.

        Returns OUT_OF_RANGE or UNSORTED at the first such event, else how often the same element
        fires in one step at most (at least 1).
        """
        _ = stamp  # part of the cache key
        most = same = np.int64(1)
        filled = np.int64(0)
        last_row = np.int64(-1)
        last_index = np.int64(-1)
        for k in range(index.size):
            i, s, t = np.int64(index[k]), np.int64(sample[k]), np.int64(step[k])
            if i < 0 or i >= size or s < 0 or s >= n_samples or t < 0 or t >= n_steps:
                return np.int64(OUT_OF_RANGE)
            row = s * n_steps + t
            if row == last_row:
                if i < last_index:
                    return np.int64(UNSORTED)
                same = same + 1 if i == last_index else np.int64(1)
                most = max(most, same)
            else:
                if row < last_row:
                    return np.int64(UNSORTED)
                same = np.int64(1)
                while filled <= row:
                    pointers[filled] = at + k
                    filled += 1
            last_row, last_index = row, i
        while filled <= n_samples * n_steps:
            pointers[filled] = at + index.size
            filled += 1
        return most

    return scan_events


scan_events = entry_point(_close_over(source_stamp()))
