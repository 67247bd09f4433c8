"""SHD and SSC: HDF5 files of silicon-cochlea-like spikes, ``spikes/times`` and ``spikes/units``.

Both are one variable-length row per sample (Cramer et al. 2022, doi:10.1109/TNNLS.2020.3044364);
times are seconds, in SHD as 16-bit floats: above 0.5 s they are no finer than half a millisecond.
The events of a sample are sorted by time, an order that the format does not promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.display import display
from nmhw.io.hdf5_strings import DamagedStrings, StringHeap
from nmhw.io.recordings.recording import EventChunk, Recording, event_chunk, shown

#: Channels of the cochlea model.
SENSOR = (700, 1)
_H5_FAILURES = (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError)
_MAX_SAMPLES = 1 << 22


def is_shd(path: Path) -> bool:
    """Whether an HDF5 file has the group ``spikes`` with ``times`` and ``units``."""
    try:
        with h5py.File(path, "r") as file:
            group = _hard(file, "spikes")
            return isinstance(group, h5py.Group) and "times" in group and "units" in group
    except _H5_FAILURES:
        return False


def shd_recordings(path: Path, name: str, sensor: tuple[int, int] | None) -> list[Recording]:
    """Return every sample of the file as a recording with its label.

    Raises
    ------
    InputError
        For damaged files, columns of another type or length, or labels that are not one per row.
    """
    try:
        with h5py.File(path, "r") as file:
            columns = [_column(file, key, path) for key in ("times", "units")]
            labels = _labels(file, path)
    except _H5_FAILURES as failure:
        if isinstance(failure, InputError):
            raise
        raise _damaged(path, failure) from failure
    times, units = columns
    lengths = {"times": times.n_rows, "units": units.n_rows}
    if labels is not None:
        lengths["labels"] = len(labels)
    if len(set(lengths.values())) != 1:
        raise InputError(
            "times, units and labels have one row per sample", got=lengths, where=shown(path),
            rule="events.columns",
        )  # fmt: skip
    file_rows = _ShdRows(path, times, units)
    n_events = np.frombuffer(times.descriptors, "<u4")[::4]  # see hdf5_strings
    return [
        Recording(
            f"{name}, sample {row}", _opener(file_rows, row), sensor or SENSOR,
            None if labels is None else int(labels[row]), has_polarity=False,
            n_records=int(n_events[row]),
        )
        for row in range(times.n_rows)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Column:
    """Where the rows of a variable-length dataset lie."""

    descriptors: bytes
    sizes: tuple[int, int]
    dtype: np.dtype[Any]
    n_rows: int


class _ShdRows:
    """Reads single rows; the heap's blocks of the latest rows stay in memory, older ones do not."""

    def __init__(self, path: Path, times: _Column, units: _Column) -> None:
        self.path = path
        self.columns = (times, units)
        self.heaps = [StringHeap(path, column.sizes, max_blocks=2) for column in self.columns]

    def read(self, row: int) -> tuple[NDArray[Any], NDArray[Any]]:
        try:
            times, units = (
                np.frombuffer(heap.row(c.descriptors, row, c.dtype.itemsize), c.dtype)
                for heap, c in zip(self.heaps, self.columns, strict=True)
            )
        except DamagedStrings as failure:
            raise _damaged(self.path, failure) from failure
        return times, units


def _opener(rows: _ShdRows, row: int) -> Any:
    return lambda: _chunks(rows, row)


def _chunks(rows: _ShdRows, row: int) -> Iterator[EventChunk]:
    times, units = rows.read(row)
    where = f"{shown(rows.path)}, sample {row}"
    if times.size != units.size:
        raise InputError(
            "a sample has as many times as units", got=(times.size, units.size), where=where,
            rule="events.columns",
        )  # fmt: skip
    seconds = times.astype(np.float64)
    if not np.isfinite(seconds).all():
        raise InputError(
            "an event's time is not finite", where=where, rule="events.time-range",
            got=f"{seconds[~np.isfinite(seconds)][0]} s",
        )  # fmt: skip
    t = np.rint(np.clip(seconds, -1e9, 1e9) * 1e6).astype(np.int64)
    order = np.argsort(t, kind="stable")
    units = np.minimum(units.astype(np.int64), 1 << 30)
    yield event_chunk(t[order], units[order], np.zeros(t.size), np.ones(t.size))


def _hard(group: Any, name: str) -> Any:
    """Return a member that lies in this file; links that lead elsewhere are not followed."""
    link = group.get(name, getlink=True)
    return group[name] if isinstance(link, h5py.HardLink) else None


def _column(file: Any, key: str, path: Path) -> _Column:
    group = _hard(file, "spikes")
    found = _hard(group, key) if isinstance(group, h5py.Group) else None
    where = f"{shown(path)}: spikes/{key}"
    if not isinstance(found, h5py.Dataset) or found.ndim != 1:
        raise InputError("a dataset with one row per sample is missing", where=where,
                         rule="events.columns")  # fmt: skip
    h5type = found.id.get_type()
    if h5type.get_class() != h5py.h5t.VLEN:
        raise InputError(
            "rows of variable length are needed", got=f"dtype {found.dtype}", where=where,
            rule="events.columns",
        )  # fmt: skip
    dtype = h5type.get_super().dtype
    if dtype.kind not in ("fiu" if key == "times" else "iu"):
        raise InputError(
            "not a column of numbers" if key == "times" else "not a column of whole numbers",
            got=f"dtype {dtype}", where=where, rule="events.columns",
        )  # fmt: skip
    n_rows = len(found)
    if n_rows > _MAX_SAMPLES:
        raise InputError("too many samples", got=n_rows, limit=_MAX_SAMPLES, where=where)
    sizes = tuple(int(n) for n in file.id.get_create_plist().get_sizes())
    heap = StringHeap(path, (sizes[0], sizes[1]))
    return _Column(heap.descriptors(found.id, n_rows), (sizes[0], sizes[1]), dtype, n_rows)


def _labels(file: Any, path: Path) -> NDArray[np.int64] | None:
    found = _hard(file, "labels")
    if not isinstance(found, h5py.Dataset):
        return None
    if found.dtype.kind not in "iu" or found.ndim != 1 or len(found) > _MAX_SAMPLES:
        raise InputError(
            "labels are one whole number per sample", where=f"{shown(path)}: labels",
            got=f"dtype {found.dtype}, shape {found.shape}", rule="events.columns",
        )  # fmt: skip
    return found[()].astype(np.int64)


def _damaged(path: Path, failure: Exception) -> InputError:
    return InputError(
        f"the HDF5 file is damaged or cut off ({display(failure, 120)})", where=shown(path),
        rule="events.truncated", hint="copy or download it again",
    )  # fmt: skip
