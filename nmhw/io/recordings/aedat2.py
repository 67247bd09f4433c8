"""AEDAT 2.0, the files of jAER: big-endian pairs of a 32-bit address and a time in microseconds.

Addresses (jAER, https://github.com/SensorsINI/jaer, classes DVS128 and DavisChip):
DVS128: bit 0 polarity (0 = ON), bits 1-7 x counted from the right, bits 8-14 y from below.
DAVIS: bit 31 set = no change event (frames, inertial data), bit 10 set = external trigger, bit 11
polarity (1 = ON), bits 12-21 x counted from the right, bits 22-30 y from below.
Both are turned to columns from the left and rows from the top.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nmhw.errors import InputError
from nmhw.io.recordings.recording import (
    EventChunk,
    Recording,
    event_chunk,
    read_records,
    refuse_truncated,
    shown,
)

MAGIC = b"#!AER-DAT2"
_RECORD = np.dtype([("address", ">u4"), ("t", ">u4")])
_MAX_HEADER = 1 << 20
#: Names in the header's line AEChip, and sensors (width, height).
CAMERAS = {"dvs128": (128, 128), "davis240": (240, 180), "davis346": (346, 260)}


def aedat2_recording(path: Path, name: str, sensor: tuple[int, int] | None = None) -> Recording:
    """Return an AEDAT 2.0 file as a recording; its header or ``sensor`` tells the camera.

    Raises
    ------
    InputError
        For a header without an end, an unknown camera, or a file that is cut off.
    """
    with path.open("rb") as stream:
        header, start = [], 0
        while (line := stream.readline(_MAX_HEADER)).startswith(b"#"):
            header.append(line.decode("ascii", "replace"))
            start += len(line)
            if start > _MAX_HEADER or not line.endswith(b"\n"):
                raise InputError(
                    "the header has no end", got=f"{start} bytes", where=shown(path),
                    limit=f"{_MAX_HEADER} bytes", rule="events.header",
                )  # fmt: skip
    n_bytes = path.stat().st_size - start
    refuse_truncated(path, n_bytes, _RECORD.itemsize, "events")
    camera = _camera(header, sensor, path)
    return Recording(
        name, lambda: _chunks(path, start, camera), CAMERAS[camera], is_absolute=True,
        n_records=n_bytes // _RECORD.itemsize,
    )  # fmt: skip


def _camera(header: list[str], sensor: tuple[int, int] | None, path: Path) -> str:
    stated = " ".join(line.lower() for line in header if "aechip" in line.lower())
    for camera in CAMERAS:
        if camera in stated or (not stated and CAMERAS[camera] == sensor):
            return camera
    raise InputError(
        "the camera of this AEDAT 2.0 file is not known", where=shown(path), rule="events.camera",
        got=stated.strip(" #\r\n") or "no line AEChip in the header",
        limit=", ".join(f"{n} ({w}x{h})" for n, (w, h) in CAMERAS.items()),
        hint="--sensor 128x128, if the header says nothing",
    )  # fmt: skip


def _chunks(path: Path, start: int, camera: str) -> Iterator[EventChunk]:
    width, height = CAMERAS[camera]
    for records in read_records(path, _RECORD, start):
        address = records["address"].astype(np.int64)
        if camera == "dvs128":
            kept = np.ones(address.size, bool)
            x, y, p = address >> 1 & 0x7F, address >> 8 & 0x7F, 1 - (address & 1)
        else:
            kept = (address >> 31 == 0) & (address >> 10 & 1 == 0)
            x, y, p = address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1
        x, y = width - 1 - x, height - 1 - y
        skipped = int(address.size - kept.sum())
        yield event_chunk(records["t"][kept], x[kept], y[kept], p[kept], skipped)
