"""Prophesee: the text header of ``.dat`` and ``.raw`` files, and the records of ``.dat``.

Formats: https://docs.prophesee.ai/stable/data/file_formats and data/encoding_formats. A ``.dat``
record is a time in microseconds (32 bits, wrapping after 71 minutes) and a word with x in bits
0-13, y in bits 14-27 and the polarity in bit 28. The words of ``.raw`` files: ``evt_words``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from nmhw.errors import InputError
from nmhw.io.recordings.evt_words import EVT_FORMATS
from nmhw.io.recordings.recording import (
    EventChunk,
    Recording,
    event_chunk,
    read_records,
    refuse_truncated,
    shown,
)

_RECORD = np.dtype([("t", "<u4"), ("word", "<u4")])
_MAX_HEADER = 1 << 20
#: Event types of ``.dat`` files that are change detections.
_CHANGE_TYPES = (0x00, 0x0C)


def prophesee_recording(path: Path, name: str) -> Recording:
    """Return a ``.dat`` or ``.raw`` (EVT 2.0, EVT 3.0) file as a recording.

    Raises
    ------
    InputError
        For another encoding, a header without an end, or a file that is cut off.
    """
    lines, start = _header(path)
    text = "\n".join(lines).lower()
    sensor = _sensor(text)
    encoding = _encoding(text)
    n_bytes = path.stat().st_size
    if encoding is None:
        start = _dat_types(path, start)
        refuse_truncated(path, n_bytes - start, _RECORD.itemsize, "events")
        return Recording(
            name, lambda: _dat_chunks(path, start), sensor, is_absolute=True,
            n_records=(n_bytes - start) // _RECORD.itemsize,
        )  # fmt: skip
    if encoding not in EVT_FORMATS:
        raise InputError(
            "this encoding of Prophesee's is not read", got=encoding, where=shown(path),
            limit=", ".join(EVT_FORMATS), rule="events.encoding",
            hint="convert it with Metavision's metavision_file_to_dat",
        )  # fmt: skip
    decode, word = EVT_FORMATS[encoding]
    refuse_truncated(path, n_bytes - start, word.itemsize, "words")
    return Recording(
        name, lambda: decode(read_records(path, word, start)), sensor, is_absolute=True,
        n_records=(n_bytes - start) // word.itemsize,
    )  # fmt: skip


def _header(path: Path) -> tuple[list[str], int]:
    """Return the lines that begin with ``%`` and where they end."""
    lines, start = [], 0
    with path.open("rb") as stream:
        while (line := stream.readline(_MAX_HEADER)).startswith(b"% "):
            start += len(line)
            if start > _MAX_HEADER or not line.endswith(b"\n"):
                raise InputError(
                    "the header has no end", got=f"{start} bytes", limit=f"{_MAX_HEADER} bytes",
                    where=shown(path), rule="events.header",
                )  # fmt: skip
            lines.append(line[1:].decode("ascii", "replace").strip())
            if lines[-1].lower() == "end":
                break
    return lines, start


def _sensor(header: str) -> tuple[int, int] | None:
    width = re.search(r"width[ =]+(\d{1,5})", header)
    height = re.search(r"height[ =]+(\d{1,5})", header)
    if width and height:
        return int(width[1]), int(height[1])
    pair = re.search(r"geometry[ :=]+(\d{1,5})x(\d{1,5})", header)
    return (int(pair[1]), int(pair[2])) if pair else None


def _encoding(header: str) -> str | None:
    """Return "evt 2.0", "evt 3.0"..., None for a ``.dat`` file."""
    found = re.search(r"^evt (\d)\.(\d)", header, re.MULTILINE)
    if found:
        return f"evt {found[1]}.{found[2]}"
    found = re.search(r"^format evt(\d)(?:\.?(\d))?", header, re.MULTILINE)
    return f"evt {found[1]}.{found[2] or 0}" if found else None


def _dat_types(path: Path, start: int) -> int:
    """Check the two bytes behind the header of a ``.dat`` file: event type and size."""
    with path.open("rb") as stream:
        stream.seek(start)
        head = stream.read(2)
    if len(head) < 2:
        raise InputError(
            "the file ends behind its header", where=shown(path), rule="events.truncated"
        )
    if head[0] not in _CHANGE_TYPES or head[1] != _RECORD.itemsize:
        raise InputError(
            "these are no change events of a .dat file", where=shown(path), rule="events.encoding",
            got=f"type {head[0]} of {head[1]} bytes", limit="type 0 or 12 of 8 bytes",
        )  # fmt: skip
    return start + 2


def _dat_chunks(path: Path, start: int) -> Iterator[EventChunk]:
    last, wraps = 0, 0
    for records in read_records(path, _RECORD, start):
        t, word = records["t"].astype(np.int64), records["word"]
        # a fall by half the range is the counter's, a smaller one is an error
        is_wrap = np.diff(np.concatenate([[last], t])) < -(1 << 31)
        last = int(t[-1])
        turns = wraps + np.cumsum(is_wrap)
        wraps = int(turns[-1])
        yield event_chunk(t + (turns << 32), word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28 & 1)
