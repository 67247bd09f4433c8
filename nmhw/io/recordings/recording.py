"""Recordings: events with times in microseconds, handed out in chunks and checked on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.display import display

#: Events that a reader hands out at a time.
CHUNK_EVENTS = 1 << 18

#: Times beyond this (about 285 years) are no microseconds.
_MAX_TIME_US = 1 << 53


@dataclass(frozen=True, slots=True, eq=False)
class EventChunk:
    """Consecutive events of one recording.

    Attributes
    ----------
    t : (n_events,) int64
        Microseconds.
    x, y : (n_events,) int32
        Column from the left, row from the top.
    p : (n_events,) uint8
        1 = ON (brighter), 0 = OFF.
    n_skipped : int
        Records between them that are no such events: triggers, frames, inertial data, and events
        before a stream has told their time.
    n_records : int
        Records of the file that made them, for progress.
    """

    t: NDArray[np.int64]
    x: NDArray[np.int32]
    y: NDArray[np.int32]
    p: NDArray[np.uint8]
    n_skipped: int = 0
    n_records: int = 0

    def __len__(self) -> int:
        return int(self.t.size)


def event_chunk(
    t: Any, x: Any, y: Any, p: Any, n_skipped: int = 0, n_records: int | None = None
) -> EventChunk:
    """Return a chunk of columns of any integer type; ``n_records`` if that is not all of them."""
    return EventChunk(
        np.asarray(t).astype(np.int64, copy=False),
        np.asarray(x).astype(np.int32, copy=False),
        np.asarray(y).astype(np.int32, copy=False),
        np.asarray(p).astype(np.uint8, copy=False),
        n_skipped,
        np.size(t) + n_skipped if n_records is None else n_records,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One sample's events, opened when they are asked for.

    Attributes
    ----------
    name : str
        File, or position in a file or list, for messages.
    open : callable
        Returns an iterator over EventChunk; every call starts anew.
    sensor : (width, height) or None
        As the file or its format states it.
    label : int or None
    is_absolute : bool
        Times are those of a clock: the first event is time 0.
    has_polarity : bool
    n_records : int or None
        Records that its chunks count, where that is known before they are read.
    """

    name: str
    open: Callable[[], Iterator[EventChunk]] = field(repr=False)
    sensor: tuple[int, int] | None = None
    label: int | None = None
    is_absolute: bool = False
    has_polarity: bool = True
    n_records: int | None = None

    def chunks(self) -> Iterator[EventChunk]:
        """Return the events in chunks, checked.

        Raises
        ------
        InputError
            With a rule ``events.*``: times going back, negative times, coordinates outside of the
            file's own sensor, no event at all; and whatever the format's reader refuses.
        """
        last, n_before = -1, 0
        for chunk in self.open():
            if len(chunk):
                self._check_times(chunk, last, n_before)
                self._check_sensor(chunk, n_before)
                last = int(chunk.t[-1])
                n_before += len(chunk)
            yield chunk
        if not n_before:
            raise InputError(
                "the recording holds no event", where=self.name, rule="events.empty",
                hint="another file, or leave this one out",
            )  # fmt: skip

    def _check_times(self, chunk: EventChunk, last: int, n_before: int) -> None:
        before = np.concatenate([[last], chunk.t[:-1]])
        first_bad = np.flatnonzero(chunk.t < before)
        if int(chunk.t.min()) < 0 or int(chunk.t.max()) > _MAX_TIME_US:
            bad = chunk.t[(chunk.t < 0) | (chunk.t > _MAX_TIME_US)][0]
            raise InputError(
                "an event's time is out of range", got=f"{bad} microseconds",
                limit=f"0 to {_MAX_TIME_US}", where=self.name, rule="events.time-range",
            )  # fmt: skip
        if first_bad.size:
            k = int(first_bad[0])
            raise InputError(
                "event times go back", where=self.name, rule="events.order",
                got=f"event {n_before + k} at {chunk.t[k]} after {before[k]} microseconds",
                hint="sort by time, or cut the file where its clock was reset",
            )  # fmt: skip

    def _check_sensor(self, chunk: EventChunk, n_before: int) -> None:
        for name, column, size in zip(
            ("x", "y"), (chunk.x, chunk.y), self.sensor or (1 << 31, 1 << 31), strict=True
        ):
            if int(column.min()) >= 0 and int(column.max()) < size:
                continue
            k = int(np.flatnonzero((column < 0) | (column >= size))[0])
            raise InputError(
                f"an event's {name} is outside of the sensor", limit=f"0 to {size - 1}",
                got=f"{name} = {column[k]} of event {n_before + k}", where=self.name,
                rule="events.range", hint="is the sensor or the format another one? --sensor",
            )  # fmt: skip


def shown(path: Path) -> str:
    """Return a file's name as messages show it."""
    return display(path.name)


def refuse_truncated(path: Path, n_bytes: int, record: int, what: str) -> None:
    """Refuse a body that does not consist of whole records.

    Raises
    ------
    InputError
        With the rule ``events.truncated``.
    """
    if n_bytes % record:
        raise InputError(
            f"the file is cut off: its {what} are {record} bytes each", where=shown(path),
            got=f"{n_bytes} bytes, {n_bytes % record} too many", rule="events.truncated",
            hint="copy or download it again",
        )  # fmt: skip


def read_records(
    path: Path, dtype: np.dtype[Any], start: int = 0, n_records: int = CHUNK_EVENTS
) -> Iterator[NDArray[Any]]:
    """Yield the records of a file from byte ``start``, ``n_records`` at a time."""
    with path.open("rb") as stream:
        stream.seek(start)
        while block := stream.read(n_records * dtype.itemsize):
            yield np.frombuffer(block, dtype, len(block) // dtype.itemsize)
