"""Recordings binned into steps, as input of a run: sample by sample, every event accounted for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.io.recordings.binning import BinnedEvents, Binning, EventAccount, bin_recording
from nmhw.io.recordings.recording import Recording
from nmhw.values.events import SpikeEvents

Narrow = NDArray[np.int32]
Progress = Callable[[int, int | None], None]

_MAX_SAMPLES = 10_000_000
_MAX_ADDRESSES = (1 << 31) - 1


@dataclass(frozen=True, slots=True, eq=False)
class EventInput:
    """Event recordings as a network takes them; ``deployed.run`` streams it.

    Attributes
    ----------
    recordings : sequence of Recording
    binning : Binning
        With ``n_steps`` known.
    shape : tuple of int
    n_samples : int
    account : EventAccount
        What became of every event, from a first pass over all recordings.
    labels : (n_samples,) int64 or None
    """

    recordings: Sequence[Recording] = field(repr=False)
    binning: Binning
    shape: tuple[int, ...]
    n_samples: int
    account: EventAccount
    labels: NDArray[np.int64] | None = None

    @property
    def n_steps(self) -> int:
        """Steps of every sample."""
        return self.binning.window_steps or self.binning.n_steps or 1

    @property
    def dt_s(self) -> float:
        """Seconds per step."""
        return self.binning.dt_ns / 1e9

    def samples(self, first: int = 0) -> Iterator[SpikeEvents]:
        """Yield sample after sample, beginning with number ``first``.

        Memory is that of one sample. Recordings before ``first`` are not opened, unless they are
        cut into windows.
        """
        steps = self.binning.window_steps
        recordings = self.recordings if steps else self.recordings[first:]
        sample = 0 if steps else first
        for recording in recordings:
            binned = bin_recording(recording, self.binning, EventAccount())
            cut = _windows(binned, steps) if steps else iter([_columns(list(binned), 0)])
            for step, index in cut:
                if sample >= first:
                    number = np.zeros(step.size, np.int32)
                    yield SpikeEvents(number, step, index, 1, self.n_steps, self.shape)
                sample += 1

    def events(self) -> SpikeEvents:
        """Return all samples at once."""
        parts = list(self.samples())
        number = np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts])
        step, index = (np.concatenate([getattr(p, k) for p in parts]) for k in ("step", "index"))
        return SpikeEvents(number, step, index, len(parts), self.n_steps, self.shape)


def scan_recordings(
    recordings: Sequence[Recording], binning: Binning, progress: Progress | None = None
) -> EventInput:
    """Read all recordings once: check them, count what is lost, and measure the longest.

    Parameters
    ----------
    progress : callable(records read, records in all or None), optional

    Raises
    ------
    InputError
        For whatever is wrong with one of them, before anything runs.
    UsageError
        For windows together with a number of steps.
    """
    if binning.window_steps is not None and binning.n_steps is not None:
        raise UsageError("windows have a length of their own", got="--window and --steps",
                         hint="leave one out")  # fmt: skip
    shapes = {binning.shape(r.has_polarity) for r in recordings}
    shape = shapes.pop()
    if shapes:
        raise InputError("the recordings differ in shape", got=[shape, *sorted(shapes)],
                         hint="--polarity merge")  # fmt: skip
    if int(np.prod(shape, dtype=np.int64)) > _MAX_ADDRESSES:
        raise InputError("the sensor is too large", got=shape, limit=f"{_MAX_ADDRESSES} addresses")
    account = EventAccount(n_recordings=len(recordings))
    lengths: list[int] = []
    labels: list[int | None] = []
    sizes = [recording.n_records for recording in recordings]
    total = None if None in sizes else sum(n for n in sizes if n is not None)
    for recording in recordings:
        report = None if progress is None else _report(progress, account, total)
        n_steps = _length(bin_recording(recording, binning, account), report)
        n_windows = -(-n_steps // binning.window_steps) if binning.window_steps else 1
        lengths.append(n_steps)
        if len(labels) + n_windows > _MAX_SAMPLES:
            raise InputError(
                "the recordings make too many samples", got=len(labels) + n_windows,
                limit=_MAX_SAMPLES, where=recording.name, rule="events.windows",
                hint="longer windows, or --origin first if times are those of a clock",
            )  # fmt: skip
        labels += [recording.label] * n_windows
    account.n_samples = len(labels)
    if not account.n_sent:
        raise InputError(
            "not one event is left", got=f"{account.n_read} read; lost: {account.lost}",
            where=recordings[0].name, rule="events.empty",
            hint="other --polarity, --sensor or --steps",
        )  # fmt: skip
    if binning.window_steps is None and binning.n_steps is None:
        binning = replace(binning, n_steps=max(lengths))
    length = binning.window_steps or binning.n_steps or 1
    account.n_padded = len(labels) * length - sum(min(n, length) for n in lengths)
    if binning.window_steps:
        account.n_padded = len(labels) * length - sum(lengths)
    known = [label for label in labels if label is not None]
    goal = np.array(known, np.int64) if len(known) == len(labels) else None
    return EventInput(recordings, binning, shape, len(labels), account, goal)


def describe(x: EventInput) -> str:
    """Return one sentence on how events became spikes."""
    width, height = x.binning.sensor
    origin = "the first event" if _absolute(x) else "the recording's time 0"
    polarity = f"polarity {x.binning.polarity}, " if x.recordings[0].has_polarity else ""
    window = ", recordings cut into windows" if x.binning.window_steps else ""
    return (
        f"{x.account.n_read:,} events of {x.account.n_recordings:,} recordings on {width}x{height}"
        f" were binned into {x.n_samples:,} samples of {x.n_steps:,} steps of {x.dt_s:.6g} s from "
        f"{origin}{window}: {polarity}bin {x.binning.text}, {x.account.n_sent:,} spikes"
    )


def losses(x: EventInput) -> list[str]:
    """Return one sentence per kind of loss that occurred."""
    lost, n_read = x.account.lost, x.account.n_read
    width, height = x.binning.sensor
    reasons = {
        "polarity": "OFF events, under polarity on",
        "outside": f"events outside of {width}x{height}",
        "late": f"events behind step {x.n_steps}",
        "merged": f"events beyond what bin {x.binning.text} keeps per address and step",
    }
    return [
        f"{lost[key]:,} {text} were dropped ({lost[key] / n_read:.1%} of those read)"
        for key, text in reasons.items()
        if lost[key]
    ]


def _absolute(x: EventInput) -> bool:
    if x.binning.origin == "auto":
        return x.recordings[0].is_absolute
    return x.binning.origin == "first"


def _report(progress: Progress, account: EventAccount, total: int | None) -> Callable[[], None]:
    return lambda: progress(account.n_records, total)


def _length(parts: Iterator[BinnedEvents], report: Callable[[], None] | None) -> int:
    last = 0
    for part in parts:
        if report is not None:
            report()
        if part.step.size:
            last = int(part.step[-1])
    return last + 1


def _columns(parts: Sequence[BinnedEvents], start: int) -> tuple[Narrow, Narrow]:
    step = np.concatenate([p.step for p in parts]) - start
    return step.astype(np.int32), np.concatenate([p.index for p in parts]).astype(np.int32)


def _windows(parts: Iterator[BinnedEvents], window_steps: int) -> Iterator[tuple[Narrow, Narrow]]:
    """Yield (steps, indices) of window after window, silent ones between others included."""
    empty = BinnedEvents(np.zeros(0, np.int64), np.zeros(0, np.int64))
    window, held = 0, [empty]
    for part in parts:
        while part.step.size:
            end = (window + 1) * window_steps
            cut = int(np.searchsorted(part.step, end))
            held.append(BinnedEvents(part.step[:cut], part.index[:cut]))
            part = BinnedEvents(part.step[cut:], part.index[cut:])
            if part.step.size:
                yield _columns(held, window * window_steps)
                window, held = window + 1, [empty]
    yield _columns(held, window * window_steps)
