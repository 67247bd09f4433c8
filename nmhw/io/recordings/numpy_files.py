"""``.npy`` and ``.npz`` files of events with times; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nmhw.errors import InputError
from nmhw.io.display import display
from nmhw.io.event_file import DAMAGED_ARRAY, load_npz
from nmhw.io.recordings.arrays import array_recordings, chunk_of, holds_times, is_structured
from nmhw.io.recordings.recording import EventChunk, Recording, read_records, shown

_LABEL_KEYS = ("labels", "label")


def structured_npy(path: Path) -> tuple[np.dtype[Any], int, int] | None:
    """Return (dtype, events, first byte) of an ``.npy`` with fields t and x; None for others."""
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
            start = stream.tell()
    except DAMAGED_ARRAY:
        return None  # the reader of plain arrays says what is wrong with it
    if not dtype.names or not holds_times(dtype.names):
        return None
    _check_fields(dtype, path)
    if len(shape) != 1:
        raise InputError(
            "events have one axis", got=shape, where=shown(path), rule="events.columns"
        )
    left = path.stat().st_size - start
    if left != shape[0] * dtype.itemsize:
        raise InputError(
            "the array is cut off", got=f"{left} bytes", where=shown(path),
            limit=f"{shape[0] * dtype.itemsize} bytes for {shape[0]} events of {dtype.itemsize}",
            rule="events.truncated",
        )  # fmt: skip
    return dtype, int(shape[0]), start


def npy_recordings(path: Path, name: str) -> list[Recording]:
    """Return an ``.npy`` file that ``structured_npy`` knows; it is read in blocks.

    A field ``sample`` needs the whole array in memory.
    """
    found = structured_npy(path)
    if found is None:
        raise InputError("no structured array with t and x", where=shown(path))
    dtype, n_events, start = found
    if "sample" in (dtype.names or ()):
        return array_recordings(np.concatenate(list(read_records(path, dtype, start))), name)
    polarity = bool({"p", "pol", "polarity", "on"} & set(dtype.names or ()))
    blocks = lambda: _blocks(path, dtype, start, name)  # noqa: E731
    return [Recording(name, blocks, has_polarity=polarity, n_records=n_events)]


def _blocks(path: Path, dtype: np.dtype[Any], start: int, name: str) -> Iterator[EventChunk]:
    for block in read_records(path, dtype, start):
        yield chunk_of(block, name)


def npz_recordings(path: Path, name: str) -> list[Recording]:
    """Return columns (t, x, y, p, and perhaps sample and labels), or one structured array.

    Raises
    ------
    InputError
        For a damaged file, objects, or several structured arrays.
    """
    arrays = load_npz(path, structured=True)
    labels = next((arrays.pop(key) for key in _LABEL_KEYS if key in arrays), None)
    structured = [key for key, array in arrays.items() if is_structured(array)]
    if not structured:
        return array_recordings(arrays, name, labels)
    if len(arrays) != 1:
        raise InputError(
            "which array holds the events?", got=", ".join(map(display, arrays)),
            limit="one structured array, or columns", where=shown(path), rule="events.columns",
        )  # fmt: skip
    return array_recordings(arrays[structured[0]], name, labels)


def _check_fields(dtype: np.dtype[Any], path: Path) -> None:
    for field in dtype.names or ():
        inner = dtype[field]
        if inner.hasobject or inner.shape or inner.kind not in "biuf":
            raise InputError(
                "a field of the events is no plain number", got=f"{field}: {inner}",
                where=shown(path), rule="events.columns",
            )  # fmt: skip
