"""Binning equals a loop over single events, and accounts for every one of them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmhw.io.recordings.binning import Binning
from nmhw.io.recordings.event_input import EventInput, scan_recordings
from nmhw.io.recordings.recording import EventChunk, Recording, event_chunk

WIDTH, HEIGHT = 5, 4


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[tuple[int, int, int, int]], int]:
    gaps = draw(st.lists(st.integers(0, 40), min_size=1, max_size=40))
    times = (draw(st.integers(0, 100)) + np.cumsum(gaps)).tolist()
    events = [
        (t, draw(st.integers(0, WIDTH)), draw(st.integers(0, HEIGHT - 1)), draw(st.integers(0, 1)))
        for t in times
    ]
    return events, draw(st.integers(1, 7))


def as_recording(events: list[Any], size: int, is_absolute: bool) -> Recording:
    columns = np.array(events).T

    def chunks() -> Iterator[EventChunk]:
        for start in range(0, len(events), size):
            yield event_chunk(*(c[start : start + size] for c in columns))

    return Recording("r", chunks, is_absolute=is_absolute)


def counted(events: list[Any], b: Binning, start: int) -> tuple[Counter[Any], dict[str, int]]:
    """Count single events by (step, address), and those that are dropped by reason."""
    cells: Counter[Any] = Counter()
    lost = dict.fromkeys(("polarity", "outside", "late", "merged"), 0)
    for t, x, y, p in events:
        step = (t - start) * 1000 // b.dt_ns
        if x >= WIDTH:
            lost["outside"] += 1
        elif b.polarity == "on" and p == 0:
            lost["polarity"] += 1
        elif b.n_steps is not None and step >= b.n_steps:
            lost["late"] += 1
        else:
            plane = p if b.polarity == "split" else 0
            cells[step, (plane * HEIGHT + y) * WIDTH + x] += 1
    for cell, n in cells.items():
        if b.most is not None and n > b.most:
            lost["merged"] += n - b.most
            cells[cell] = b.most
    return cells, lost


def found_cells(x: EventInput) -> Counter[Any]:
    events = x.events()
    columns = (events.sample.tolist(), events.step.tolist(), events.index.tolist())
    rows = list(zip(*columns, strict=True))
    assert rows == sorted(rows)
    return Counter((s * x.n_steps + t, k) for s, t, k in rows)


BINNINGS = st.builds(
    Binning,
    dt_ns=st.sampled_from([1000, 7000, 2500, 100_000]),
    sensor=st.just((WIDTH, HEIGHT)),
    most=st.sampled_from([None, 1, 2]),
    polarity=st.sampled_from(["split", "merge", "on"]),
    n_steps=st.sampled_from([None, None, 3]),
    origin=st.sampled_from(["auto", "first", "zero"]),
    outside=st.just("drop"),
)


@given(recordings(), BINNINGS, st.booleans())
def test_bins_equal_a_loop_over_events(
    made: tuple[list[Any], int], binning: Binning, is_absolute: bool
) -> None:
    events, size = made
    from_first = binning.origin == "first" or (binning.origin == "auto" and is_absolute)
    cells, lost = counted(events, binning, events[0][0] if from_first else 0)
    recording = as_recording(events, size, is_absolute)
    if not cells:
        with pytest.raises(Exception, match="not one event is left"):
            scan_recordings([recording], binning)
        return
    found = scan_recordings([recording], binning)
    assert found_cells(found) == cells
    assert found.account.lost == lost
    assert found.account.n_sent == sum(cells.values())
    assert found.account.n_read == len(events) == found.account.n_sent + sum(lost.values())
    assert found.n_steps == (binning.n_steps or max(step for step, _ in cells) + 1)


@given(recordings(), st.integers(1, 6), st.integers(0, 5))
def test_windows_are_the_recording_cut_up(
    made: tuple[list[Any], int], window_steps: int, skipped: int
) -> None:
    events, size = made
    events = [(t, x % WIDTH, y, p) for t, x, y, p in events]
    whole = Binning(10_000, (WIDTH, HEIGHT))
    cut = Binning(10_000, (WIDTH, HEIGHT), window_steps=window_steps)
    recording = as_recording(events, size, False)
    cells = found_cells(scan_recordings([recording], whole))
    windows = scan_recordings([recording], cut)
    assert found_cells(windows) == cells
    assert windows.n_samples == -(-(max(step for step, _ in cells) + 1) // window_steps)
    later = list(windows.samples(first := min(skipped, windows.n_samples - 1)))
    assert len(later) == windows.n_samples - first
    joined = Counter(
        ((first + k) * window_steps + int(t), int(i))
        for k, part in enumerate(later)
        for t, i in zip(part.step, part.index, strict=True)
    )
    assert joined == Counter({c: n for c, n in cells.items() if c[0] >= first * window_steps})
