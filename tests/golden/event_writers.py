"""Writers of event files, byte by byte with ``struct``, one event after the other.

They follow the formats' published descriptions and share nothing with the readers in
``nmhw.io.recordings``; ``tests/live/test_event_files.py`` reads their files with other people's
libraries, and other people's files with nmhw.
"""

import random
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Event = tuple[int, int, int, int]  # microseconds, x, y, polarity


def random_events(
    n: int, width: int, height: int, *, seed: int = 0, start: int = 0, longest_gap: int = 40
) -> list[Event]:
    """Return events in the order of their times, some of them at the same time."""
    draw = random.Random(seed)
    events, t = [], start
    for _ in range(n):
        events.append((t, draw.randrange(width), draw.randrange(height), draw.randrange(2)))
        t += draw.randrange(longest_gap)
    return events


def write_nmnist(path: Path, events: Iterable[Event]) -> Path:
    """Forty bits per event; passing 2^13 microseconds is a record with y = 240 beyond 23 bits."""
    out, turns = bytearray(), 0
    for t, x, y, p in events:
        while t - turns * 8192 >= 1 << 23:
            out += struct.pack(">BBBH", 0, 240, 0, 0)
            turns += 1
        left = t - turns * 8192
        out += struct.pack(">BBBH", x, y, p << 7 | left >> 16, left & 0xFFFF)
    path.write_bytes(out)
    return path


def write_shd(path: Path, samples: list[tuple[list[float], list[int]]], labels: Any) -> Path:
    """As the published files: variable-length rows of float16 seconds and int64 units."""
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        group = file.create_group("spikes")
        kinds = {"times": np.float16, "units": np.int64}
        for column, (name, kind) in enumerate(kinds.items()):
            rows = group.create_dataset(
                name, (len(samples),), maxshape=(None,), chunks=(2,), dtype=h5py.vlen_dtype(kind)
            )
            for k, sample in enumerate(samples):
                rows[k] = np.array(sample[column], kind)
        file["labels"] = np.array(labels)
    return path


def write_aedat2(path: Path, events: Iterable[Event], camera: str = "DAVIS346") -> Path:
    """Big-endian address and time, x from the right, y from below."""
    chips = {"DVS128": "ch.unizh.ini.jaer.chip.retina.DVS128"}
    chip = chips.get(camera, f"eu.seebetter.ini.chips.davis.{camera}")
    out = bytearray(f"#!AER-DAT2.0\r\n# AEChip: {chip}\r\n# End of ASCII Header\r\n".encode())
    for t, x, y, p in events:
        if camera == "DVS128":
            address = (127 - y) << 8 | (127 - x) << 1 | (1 - p)
        else:
            width, height = {"DAVIS346": (346, 260), "DAVIS240C": (240, 180)}[camera]
            address = (height - 1 - y) << 22 | (width - 1 - x) << 12 | p << 11
        out += struct.pack(">II", address, t)
    path.write_bytes(out)
    return path


def write_dat(path: Path, events: Iterable[Event], size: tuple[int, int] | None = None) -> Path:
    """Two little-endian words per event, the time modulo 2^32."""
    header = "% Data file containing CD events.\n% Version 2\n"
    if size:
        header += f"% Height {size[1]}\n% Width {size[0]}\n"
    out = bytearray(header.encode()) + struct.pack("BB", 12, 8)
    for t, x, y, p in events:
        out += struct.pack("<II", t % (1 << 32), p << 28 | y << 14 | x)
    path.write_bytes(out)
    return path


def write_evt2(path: Path, events: Iterable[Event], size: tuple[int, int]) -> Path:
    """The upper part of the time whenever it changes, then one word per event."""
    out = bytearray(f"% evt 2.0\n% geometry {size[0]}x{size[1]}\n% end\n".encode())
    upper = None
    for t, x, y, p in events:
        if t >> 6 != upper:
            upper = t >> 6
            out += struct.pack("<I", 8 << 28 | upper % (1 << 28))
            out += struct.pack("<I", 10 << 28)  # a trigger in between
        out += struct.pack("<I", p << 28 | (t & 63) << 22 | x << 11 | y)
    path.write_bytes(out)
    return path


def write_evt3(
    path: Path, events: list[Event], size: tuple[int, int], *, old: bool = False
) -> Path:
    """Runs of at least three events in one row, time and polarity become masks of 12 and 8."""
    header = f"% format EVT3;height={size[1]};width={size[0]}\n% end\n"
    if old:
        header = f"% evt 3.0\n% geometry {size[0]}x{size[1]}\n"
    words: list[int] = []
    high = low = row = None
    k = 0
    while k < len(events):
        t, x, y, p = events[k]
        if t >> 12 != high:
            high, low = t >> 12, None
            words += [8 << 12 | high % 4096] * 2  # the upper part is repeated now and then
        if t & 4095 != low:
            low = t & 4095
            words.append(6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        run = 1
        while k + run < len(events) and _follows(events[k + run - 1], events[k + run]):
            run += 1
        if run < 3:
            words.append(2 << 12 | p << 11 | x)
            k += 1
            continue
        words += _masks([e[1] for e in events[k : k + run]], p)
        k += run
    path.write_bytes(header.encode() + b"".join(struct.pack("<H", w) for w in words))
    return path


def _follows(before: Event, after: Event) -> bool:
    return (before[0], before[2], before[3]) == (after[0], after[2], after[3]) and (
        before[1] < after[1]
    )


def _masks(columns: list[int], p: int) -> list[int]:
    base, last = columns[0], columns[-1]
    words = [3 << 12 | p << 11 | base]
    while base <= last:
        width, kind = (12, 4) if last - base >= 8 else (8, 5)
        mask = sum(1 << (x - base) for x in columns if base <= x < base + width)
        words.append(kind << 12 | mask)
        base += width
    return words
