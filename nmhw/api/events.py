"""Event recordings for a run: files, folders or arrays of events with times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from nmhw.api.arguments import check_whole
from nmhw.errors import InputError, UsageError
from nmhw.io.recordings.binning import (
    ORIGINS,
    OUTSIDE,
    POLARITIES,
    Binning,
    parse_bin,
    parse_sensor,
)
from nmhw.io.recordings.event_input import EventInput, scan_recordings
from nmhw.io.recordings.recording import Recording
from nmhw.io.recordings.sources import FORMATS, open_recordings


def load_events(
    source: Any,
    *,
    dt: float | str,
    bin: str = "count",
    sensor: str | tuple[int, int] | None = None,
    polarity: str = "split",
    n_steps: int | None = None,
    window: float | str | None = None,
    origin: str = "auto",
    outside: str = "refuse",
    labels: Any = None,
    n_samples: int | None = None,
    format: str = "auto",
    default_sensor: tuple[int, int] | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> EventInput:
    """Read event recordings and bin them into steps; ``deployed.run`` streams the result.

    All events are read once here (checked and counted), and again when they are run: memory stays
    that of one batch, however long the recordings are together.

    Parameters
    ----------
    source : path, structured array (x, y, t in microseconds, p), dict of columns, or a list
        Files: ``.bin`` (N-MNIST), ``.h5`` (SHD), AEDAT 2.0, AEDAT 4 (extra ``events``), Prophesee
        ``.dat`` and ``.raw`` (EVT 2.0, EVT 3.0), ``.npy`` and ``.npz``. A folder gives its files
        by name; folders in it are classes.
    dt : float or str
        Length of a step, in seconds or as "1ms".
    bin : "count" | "binary" | "clip(n)"
        Spikes per address and step: as many as events, at most one, at most n.
    sensor : "WIDTHxHEIGHT" or (width, height), optional
        Default: what the file states, else ``default_sensor`` (of the network's input).
    polarity : "split" | "merge" | "on"
        Shape (2, height, width) with OFF before ON; (1, height, width) of both; or of ON alone.
    n_steps : int, optional
        Steps of every sample; later events are dropped and counted. Default: the longest one.
    window : float or str, optional
        Cut every recording into samples of this length.
    origin : "auto" | "first" | "zero"
        Time 0 is the first event, or the recording's own 0; auto: the first event for files that
        hold the time of a camera's clock (AEDAT, Prophesee).
    outside : "refuse" | "drop"
        Events outside of ``sensor``.
    labels : (samples,), optional
        Default: those of SHD, of ``.npz`` files, and classes of folders.
    n_samples : int, optional
        The first so many recordings alone.
    format : "auto" | "spike-camera"
        "auto": the first bytes and the name of a file tell. Bit-packed spike streams have neither
        header nor size: "spike-camera", with ``sensor``, and a dt of 25 microseconds per frame.
    progress : callable(records read, records in all or None), optional

    Returns
    -------
    EventInput
        ``.account``: what became of every event; ``.events()``: SpikeEvents of all samples.

    Raises
    ------
    InputError
        With rules ``events.*``, for files that are no recordings, are cut off, hold coordinates
        outside of their sensor, times that go back, or no event.
    UsageError
        For options that make no sense.
    MissingExtraError
        For AEDAT 4 without the extra ``events``.
    """
    for name, value, known in (
        ("polarity", polarity, POLARITIES), ("origin", origin, ORIGINS),
        ("outside", outside, OUTSIDE), ("format", format, FORMATS),
    ):  # fmt: skip
        if value not in known:
            raise UsageError(f"no such {name}", got=repr(value), hint=", ".join(known))
    dt_ns = _nanoseconds(dt, "dt")
    for name, number in (("n_steps", n_steps), ("n_samples", n_samples)):
        if number is not None:
            check_whole(number, name)
            if number < 1:
                raise UsageError(f"{name} is at least 1", got=number)
    window_steps = None if window is None else _window_steps(window, dt_ns)
    most = parse_bin(bin)
    given = None if sensor is None else parse_sensor(sensor)
    recordings = open_recordings(
        source, sensor=given or default_sensor, labels=labels, n_samples=n_samples, kind=format
    )
    size = given or _own_sensor(recordings) or default_sensor
    if size is None:
        raise UsageError(
            "the recording does not say how large its sensor is", where=recordings[0].name,
            hint="--sensor WIDTHxHEIGHT, e.g. 34x34", rule="events.sensor",
        )  # fmt: skip
    binning = Binning(dt_ns, size, most, polarity, n_steps, window_steps, origin, outside)
    return scan_recordings(recordings, binning, progress)


def _own_sensor(recordings: Sequence[Recording]) -> tuple[int, int] | None:
    stated = {recording.sensor for recording in recordings} - {None}
    if len(stated) > 1:
        raise InputError(
            "the recordings come from different sensors", got=sorted(stated, key=str),
            hint="--sensor WIDTHxHEIGHT of the largest", rule="events.sensor",
        )  # fmt: skip
    return stated.pop() if stated else None


def _nanoseconds(time: float | str, name: str) -> int:
    """Return whole nanoseconds of a time in seconds or as text."""
    from nmhw.sim.timing import parse_seconds

    if isinstance(time, bool) or not isinstance(time, str | int | float):
        raise UsageError(f"{name} is a time", got=repr(time), hint='"1ms" or 0.001')
    seconds = parse_seconds(time if isinstance(time, str) else repr(time))
    ns = round(seconds * 1e9)
    if ns < 1 or not math.isclose(ns, seconds * 1e9, rel_tol=1e-9):
        raise UsageError(f"{name} is in whole nanoseconds", got=f"{seconds} s", hint="1ms, 1us")
    return ns


def _window_steps(window: float | str, dt_ns: int) -> int:
    length = _nanoseconds(window, "window")
    if length % dt_ns:
        raise UsageError(
            "a window is a whole number of steps", got=f"{length * 1e-9:.9g} s",
            limit=f"multiples of {dt_ns * 1e-9:.9g} s",
        )  # fmt: skip
    return length // dt_ns
