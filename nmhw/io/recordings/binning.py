"""From events in microseconds to steps: count, binary or clipped; every event is accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.io.recordings.recording import EventChunk, Recording

Ints = NDArray[np.int64]

POLARITIES = ("split", "merge", "on")
ORIGINS = ("auto", "first", "zero")
OUTSIDE = ("refuse", "drop")
_MAX_STEPS = (1 << 31) - 1  # events hold int32


@dataclass(frozen=True, slots=True)
class Binning:
    """How events become spikes in steps.

    Attributes
    ----------
    dt_ns : int
        Length of a step.
    sensor : (width, height)
    most : int or None
        Spikes per address and step: None = as many as there are events, 1 = binary.
    polarity : "split" | "merge" | "on"
        "split": (2, height, width), OFF before ON; "merge": (1, height, width) of both; "on": ON
        alone. One-dimensional sensors (height 1, no polarity) have the shape (width,).
    n_steps : int or None
        Steps of a sample; events behind them are dropped and counted. None = the longest sample.
    window_steps : int or None
        Cut every recording into samples of so many steps.
    origin : "first" | "zero" | "auto"
        What is time 0: the first event, the clock's own zero, or by format (first for files with
        the time of day).
    outside : "refuse" | "drop"
        What happens to events outside of ``sensor``.
    """

    dt_ns: int
    sensor: tuple[int, int]
    most: int | None = None
    polarity: str = "split"
    n_steps: int | None = None
    window_steps: int | None = None
    origin: str = "auto"
    outside: str = "refuse"

    @property
    def text(self) -> str:
        """The kind of binning as the user writes it."""
        return {None: "count", 1: "binary"}.get(self.most, f"clip({self.most})")

    def shape(self, has_polarity: bool = True) -> tuple[int, ...]:
        """Shape of the input that the events make."""
        width, height = self.sensor
        if not has_polarity and height == 1:
            return (width,)
        return (2 if self.polarity == "split" and has_polarity else 1, height, width)


@dataclass(slots=True)
class EventAccount:
    """What became of every event.

    Attributes
    ----------
    n_recordings, n_samples : int
    n_read : int
        Events in the files; the sum of ``n_sent`` and all losses.
    n_sent : int
        Spikes that go into the network.
    n_skipped : int
        Records that are no change events (not part of ``n_read``).
    lost : dict of reason to int
        ``polarity``: OFF events under polarity "on"; ``outside``: outside of the sensor;
        ``late``: behind the last step; ``merged``: more of one address and step than the binning
        keeps.
    n_records : int
        Records that were read, of whatever size the format has.
    n_padded : int
        Silent steps behind the last event's, added to make all samples equally long.
    """

    n_recordings: int = 0
    n_samples: int = 0
    n_read: int = 0
    n_sent: int = 0
    n_skipped: int = 0
    n_records: int = 0
    n_padded: int = 0
    lost: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("polarity", "outside", "late", "merged"), 0)
    )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "recordings": self.n_recordings, "samples": self.n_samples, "read": self.n_read,
            "sent": self.n_sent, "lost": dict(self.lost), "skipped_records": self.n_skipped,
            "padded_steps": self.n_padded,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class BinnedEvents:
    """Spikes of consecutive, complete steps of one recording, sorted by step, then index.

    Attributes
    ----------
    step, index : (n,) int64
    """

    step: Ints
    index: Ints


def parse_bin(text: str) -> int | None:
    """Read ``count``, ``binary`` or ``clip(N)`` into the most spikes per address and step.

    Raises
    ------
    UsageError
        For anything else.
    """
    match = re.fullmatch(r"clip\((\d{1,9})\)", str(text).replace(" ", ""))
    if text == "count":
        return None
    if text == "binary" or (match and int(match[1]) > 0):
        return 1 if match is None else int(match[1])
    raise UsageError("no such binning", got=repr(text), hint="count, binary or clip(15)")


def parse_sensor(sensor: Any) -> tuple[int, int]:
    """Read ``"34x34"`` (width x height) or a pair.

    Raises
    ------
    UsageError
        For anything else, and for sides beyond 65535.
    """
    pair: Any = sensor
    if isinstance(sensor, str):
        match = re.fullmatch(r"(\d{1,5})[x×](\d{1,5})", sensor.strip())
        pair = match.groups() if match else None
    try:
        width, height = (int(side) for side in pair)
    except (TypeError, ValueError):
        width = height = 0
    if not (1 <= width <= 65535 and 1 <= height <= 65535):
        raise UsageError(
            "a sensor is WIDTHxHEIGHT", got=repr(sensor), limit="1 to 65535",
            hint="34x34, 346x260, 700x1",
        )  # fmt: skip
    return width, height


def bin_recording(
    recording: Recording, binning: Binning, account: EventAccount
) -> Iterator[BinnedEvents]:
    """Yield the spikes of a recording; memory does not grow with its length.

    The steps here are those of the recording, before it is cut into windows.

    Raises
    ------
    InputError
        As ``Recording.chunks``; for events outside of the sensor, and times beyond 2^31 steps.
    """
    size = int(np.prod(binning.shape(recording.has_polarity)))
    start = None
    held: tuple[Ints, Ints] = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    for chunk in recording.chunks():
        account.n_read += len(chunk)
        account.n_skipped += chunk.n_skipped
        account.n_records += chunk.n_records
        if not len(chunk):
            continue
        if start is None:
            start = int(chunk.t[0]) if _starts_at_first(recording, binning) else 0
        step = _steps(chunk, binning, start, recording.name)
        index, kept = _indices(chunk, binning, recording, account)
        if binning.n_steps is not None and binning.window_steps is None:
            late = kept & (step >= binning.n_steps)
            account.lost["late"] += int(late.sum())
            kept &= ~late
        keys = step[kept] * size + index[kept]
        cells, counts = _merged(*held, keys)
        done = int(np.searchsorted(cells, int(step[-1]) * size))
        yield _spikes(cells[:done], counts[:done], size, binning, account)
        held = cells[done:], counts[done:]
    yield _spikes(*held, size, binning, account)


def _starts_at_first(recording: Recording, binning: Binning) -> bool:
    if binning.origin == "auto":
        return recording.is_absolute
    return binning.origin == "first"


def _steps(chunk: EventChunk, binning: Binning, start: int, name: str) -> Ints:
    longest = (int(chunk.t[-1]) - start) * 1000 // binning.dt_ns
    if longest > _MAX_STEPS:
        raise InputError(
            "the recording has too many steps", got=longest, limit=_MAX_STEPS, where=name,
            hint="a longer dt, or --origin first if its times are those of a clock",
            rule="events.steps",
        )  # fmt: skip
    return (chunk.t - start) * 1000 // binning.dt_ns


def _indices(
    chunk: EventChunk, binning: Binning, recording: Recording, account: EventAccount
) -> tuple[Ints, NDArray[np.bool_]]:
    """Return addresses, and which events are kept."""
    width, height = binning.sensor
    inside = (chunk.x >= 0) & (chunk.x < width) & (chunk.y >= 0) & (chunk.y < height)
    n_outside = int(chunk.x.size - inside.sum())
    if n_outside and binning.outside == "refuse":
        k = int(np.flatnonzero(~inside)[0])
        raise InputError(
            "events lie outside of the sensor", where=recording.name, rule="events.range",
            got=f"x, y = {chunk.x[k]}, {chunk.y[k]}", limit=f"{width}x{height}",
            hint="another --sensor WIDTHxHEIGHT, or --outside drop",
        )  # fmt: skip
    account.lost["outside"] += n_outside
    kept = inside
    p: Any = 0
    if recording.has_polarity and binning.polarity == "split":
        p = chunk.p.astype(np.int64)
    elif recording.has_polarity and binning.polarity == "on":
        account.lost["polarity"] += int((inside & (chunk.p == 0)).sum())
        kept = inside & (chunk.p != 0)
    return (p * height + chunk.y) * width + chunk.x.astype(np.int64), kept


def _merged(cells: Ints, counts: Ints, keys: Ints) -> tuple[Ints, Ints]:
    """Return sorted cells with the number of events in each."""
    new, n = np.unique(keys, return_counts=True)
    if not cells.size:
        return new, n.astype(np.int64)
    both, where = np.unique(np.concatenate([cells, new]), return_inverse=True)
    return both, np.bincount(where, np.concatenate([counts, n])).astype(np.int64)


def _spikes(
    cells: Ints, counts: Ints, size: int, binning: Binning, account: EventAccount
) -> BinnedEvents:
    kept = counts if binning.most is None else np.minimum(counts, binning.most)
    account.lost["merged"] += int((counts - kept).sum())
    account.n_sent += int(kept.sum())
    step, index = np.divmod(np.repeat(cells, kept), size)
    return BinnedEvents(step, index)
