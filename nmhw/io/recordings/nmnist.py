"""N-MNIST and N-Caltech101: ``.bin`` files of 40-bit events.

Layout (Orchard et al. 2015, doi:10.3389/fnins.2015.00437, and the readers published with the data
sets): byte 0 x, byte 1 y, then 24 bits, most significant first, of which the highest is the
polarity (1 = ON) and the other 23 the time in microseconds. A record with y = 240 is no event: the
clock of the recording camera passed 2^13 microseconds, which are added to all later times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nmhw.io.recordings.recording import (
    EventChunk,
    Recording,
    event_chunk,
    read_records,
    refuse_truncated,
)

#: Width and height of N-MNIST; N-Caltech101 uses the same records on a larger sensor.
SENSOR = (34, 34)
_RECORD = np.dtype((np.uint8, 5))
_OVERFLOW_Y = 240
_OVERFLOW_US = 1 << 13


def nmnist_recording(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Recording:
    """Return a ``.bin`` file as a recording; without a sensor, N-MNIST's 34 x 34.

    Raises
    ------
    InputError
        For a length that is no multiple of 5 bytes.
    """
    n_bytes = path.stat().st_size
    refuse_truncated(path, n_bytes, _RECORD.itemsize, "events")
    own = SENSOR if sensor is None else sensor
    return Recording(name, lambda: _chunks(path), own, n_records=n_bytes // _RECORD.itemsize)


def _chunks(path: Path) -> Iterator[EventChunk]:
    n_overflows = 0
    for block in read_records(path, np.dtype(np.uint8), n_records=5 << 18):
        records = block.reshape(-1, 5)
        x, y = records[:, 0], records[:, 1]
        high, middle, low = (records[:, k].astype(np.int64) for k in (2, 3, 4))
        is_overflow = y == _OVERFLOW_Y
        overflows = n_overflows + np.cumsum(is_overflow)
        t = (high & 127) << 16 | middle << 8 | low
        t += overflows * _OVERFLOW_US
        n_overflows = int(overflows[-1])
        kept = ~is_overflow
        yield event_chunk(t[kept], x[kept], y[kept], (high >> 7)[kept], 0, len(x))
