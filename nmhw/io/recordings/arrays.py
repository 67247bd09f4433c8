"""Events as columns or structured arrays (x, y, t in microseconds, p), as tonic makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.input_data import whole_numbers
from nmhw.io.recordings.recording import CHUNK_EVENTS, EventChunk, Recording, event_chunk

Array = NDArray[Any]

_NAMES = {
    "t": ("t", "ts", "timestamp"),
    "x": ("x",),
    "y": ("y",),
    "p": ("p", "pol", "polarity", "on"),
}
_EXPECTED = "t and x, and for cameras y and p (tonic's structured arrays)"


def is_structured(value: Any) -> bool:
    """Whether this is a structured array with a column of times."""
    names = getattr(getattr(value, "dtype", None), "names", None)
    return bool(names) and holds_times(names)


def holds_times(names: Any) -> bool:
    """Whether columns of these names are events with times: t and x are among them."""
    return "x" in names and any(name in names for name in _NAMES["t"])


def array_recordings(
    columns: Array | Mapping[str, Array], name: str, labels: Array | None = None
) -> list[Recording]:
    """Return a structured array, or columns by name, as recordings.

    A column ``sample`` tells the samples of one array apart; its numbers do not fall.

    Raises
    ------
    InputError
        For missing columns, columns of different length, or times that are not whole microseconds.
    """
    found = _columns(columns, name)
    if "sample" not in found:
        label = _label(labels, 0, 1, name)
        return [_recording(found, name, label, slice(None))]
    sample = whole_numbers(found.pop("sample"), f"{name}: sample")
    if sample.size and (int(sample.min()) < 0 or (np.diff(sample) < 0).any()):
        raise InputError(
            "the numbers of the samples fall or are negative", where=f"{name}: sample",
            rule="events.order", hint="sort the events by sample, then by time",
        )  # fmt: skip
    n_samples = len(labels) if labels is not None else int(sample.max(initial=-1)) + 1
    if sample.size and int(sample[-1]) >= n_samples:
        raise InputError(
            "an event's sample has no label", got=int(sample[-1]), limit=f"0 to {n_samples - 1}",
            where=name, rule="events.columns",
        )  # fmt: skip
    bounds = np.searchsorted(sample, np.arange(n_samples + 1))
    return [
        _recording(found, f"{name}, sample {k}", _label(labels, k, n_samples, name),
                   slice(int(bounds[k]), int(bounds[k + 1])))
        for k in range(n_samples)
    ]  # fmt: skip


def _label(labels: Array | None, at: int, n: int, name: str) -> int | None:
    if labels is None:
        return None
    flat = whole_numbers(labels, f"{name}: labels").ravel()
    if flat.size != n:
        raise InputError(
            "one label per sample is needed", got=flat.size, limit=n, where=f"{name}: labels"
        )
    return int(flat[at])


def _columns(columns: Any, name: str) -> dict[str, Array]:
    names = columns.dtype.names if hasattr(columns, "dtype") else tuple(columns)
    found: dict[str, Array] = {}
    for column, spellings in {**_NAMES, "sample": ("sample",)}.items():
        chosen = [spelling for spelling in spellings if spelling in names]
        if len(chosen) > 1:
            raise InputError(
                "two columns mean the same", got=", ".join(chosen), where=name,
                rule="events.columns",
            )  # fmt: skip
        if chosen:
            found[column] = np.asarray(columns[chosen[0]][:])
    shapes = {key: value.shape for key, value in found.items()}
    if "t" not in found or "x" not in found:
        raise InputError(
            "event columns are missing", got=", ".join(map(str, names)) or "none", where=name,
            limit=_EXPECTED, rule="events.columns",
        )  # fmt: skip
    if len(set(shapes.values())) != 1 or found["t"].ndim != 1:
        raise InputError(
            "event columns have one axis and one length", got=shapes, where=name,
            rule="events.columns",
        )  # fmt: skip
    return found


def _recording(
    columns: Mapping[str, Array], name: str, label: int | None, here: slice
) -> Recording:
    part = {key: column[here] for key, column in columns.items()}
    return Recording(
        name, lambda: _chunks(part, name), None, label, has_polarity="p" in part,
        n_records=part["t"].size,
    )  # fmt: skip


def _chunks(columns: Mapping[str, Array], name: str) -> Iterator[EventChunk]:
    for start in range(0, columns["t"].size, CHUNK_EVENTS):
        part = {key: c[start : start + CHUNK_EVENTS] for key, c in columns.items()}
        yield chunk_of(part, name)


def chunk_of(columns: Any, name: str) -> EventChunk:
    """Return one block of columns (or of a structured array) as a chunk.

    Raises
    ------
    InputError
        For numbers that are not whole, or polarities other than 0 and 1 (or -1 and 1).
    """
    found = {
        key: whole_numbers(column, f"{name}: {key}")
        for key, column in _columns(columns, name).items()
    }
    n = found["t"].size
    p = found.get("p", np.ones(n, np.int64))
    if n and (int(p.min()) < -1 or int(p.max()) > 1):
        bad = p[(p < -1) | (p > 1)][0]
        raise InputError(
            "a polarity is 0 or 1 (or -1 and 1)", got=int(bad), where=f"{name}: p",
            rule="events.polarity",
        )  # fmt: skip
    x, y = (np.clip(found.get(k, np.zeros(n, np.int64)), -1, 1 << 30) for k in ("x", "y"))
    return event_chunk(found["t"], x, y, p > 0)
