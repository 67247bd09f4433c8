"""Spike cameras: ``.dat`` streams of one bit per pixel and reading, 40,000 readings a second.

Layout, as SpikeCV (https://github.com/Zyj061/SpikeCV) reads the files of the first generation
(250 x 400): no header; every frame height x width bits, row by row, the least significant bit of a
byte first; the rows from below (turned here, ``flip_rows``). The file states neither size nor rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.recordings.recording import (
    EventChunk,
    Recording,
    event_chunk,
    refuse_truncated,
    shown,
)

#: Time between two readings of a pixel (40 kHz).
FRAME_US = 25
_CHUNK_BITS = 1 << 22


def spike_camera_recording(
    path: Path, name: str, sensor: tuple[int, int], *, flip_rows: bool = True
) -> Recording:
    """Return a bit-packed stream as a recording: frame k at k times 25 microseconds.

    Parameters
    ----------
    sensor : (width, height)
        400 x 250 for the first generation.

    Raises
    ------
    InputError
        For a frame that is no whole number of bytes, and a length that is no whole number of
        frames.
    """
    width, height = sensor
    if width * height % 8:
        raise InputError(
            "a frame is a whole number of bytes", got=f"{width}x{height} bits", where=shown(path),
            hint="--sensor 400x250", rule="events.sensor",
        )  # fmt: skip
    n_bytes = path.stat().st_size
    refuse_truncated(path, n_bytes, width * height // 8, f"frames of {width}x{height}")
    return Recording(
        name, lambda: _chunks(path, sensor, flip_rows), sensor, has_polarity=False,
        n_records=n_bytes * 8 // (width * height),
    )  # fmt: skip


def read_frames(
    path: str | Path, sensor: tuple[int, int], *, flip_rows: bool = True, n_frames: int = 64
) -> Iterator[NDArray[np.uint8]]:
    """Yield (frames, height, width) arrays of 0 and 1, ``n_frames`` at a time."""
    width, height = sensor
    frame = width * height // 8
    with Path(path).open("rb") as stream:
        while block := stream.read(n_frames * frame):
            bits = np.unpackbits(np.frombuffer(block, np.uint8), bitorder="little")
            frames = bits.reshape(-1, height, width)
            yield frames[:, ::-1] if flip_rows else frames


def write_frames(path: str | Path, frames: NDArray[Any], *, flip_rows: bool = True) -> Path:
    """Write (frames, height, width) spikes in the same layout.

    Raises
    ------
    InputError
        For anything but 0 and 1, or frames that are no whole number of bytes.
    """
    array = np.asarray(frames)
    if array.ndim != 3 or array[0].size % 8 or not np.isin(array, (0, 1)).all():
        raise InputError(
            "a spike stream is (frames, height, width) of 0 and 1, height x width a multiple of 8",
            got=f"shape {array.shape}", where=str(path), rule="events.sensor",
        )  # fmt: skip
    rows = array[:, ::-1] if flip_rows else array
    bits = rows.reshape(len(array), -1).astype(np.uint8)
    Path(path).write_bytes(np.packbits(bits, axis=1, bitorder="little").tobytes())
    return Path(path)


def _chunks(path: Path, sensor: tuple[int, int], flip_rows: bool) -> Iterator[EventChunk]:
    n_frames = max(1, _CHUNK_BITS // (sensor[0] * sensor[1]))
    before = 0
    for frames in read_frames(path, sensor, flip_rows=flip_rows, n_frames=n_frames):
        frame, y, x = np.nonzero(frames)
        t = (frame + before) * FRAME_US
        before += len(frames)
        yield event_chunk(t, x, y, np.ones(t.size), 0, len(frames))
