"""Every event format is read as an independent writer wrote it, in chunks of any size."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmhw.io.recordings import recording as recording_module
from nmhw.io.recordings.evt_words import decode_evt2, decode_evt3
from nmhw.io.recordings.recording import Recording, read_records
from nmhw.io.recordings.sources import open_recordings

Events = list[tuple[int, int, int, int]]


def read(recording: Recording) -> Events:
    columns = [[], [], [], []]  # type: list[list[Any]]
    for chunk in recording.chunks():
        for column, name in zip(columns, "txyp", strict=True):
            column.append(getattr(chunk, name))
    return list(zip(*(np.concatenate(c).tolist() for c in columns), strict=True))


def only(path: Path, **more: Any) -> Recording:
    found = open_recordings(path, **more)
    assert len(found) == 1
    return found[0]


@pytest.fixture(params=[7, 1 << 18])
def chunk_events(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of 7 records, so that every state is carried over, and the usual size."""
    real = read_records

    def small(path: Path, dtype: Any, start: int = 0, n_records: int = 0) -> Any:
        return real(path, dtype, start, request.param)

    for name in ("aedat2", "prophesee", "numpy_files"):
        monkeypatch.setattr(f"nmhw.io.recordings.{name}.read_records", small)
    monkeypatch.setattr(
        "nmhw.io.recordings.nmnist.read_records",
        lambda path, dtype, n_records: real(path, dtype, 0, 5 * request.param),
    )
    monkeypatch.setattr(recording_module, "CHUNK_EVENTS", request.param)
    return int(request.param)


def test_nmnist_events_with_a_clock_that_passes_23_bits(
    event_writers: ModuleType, tmp_path: Path, chunk_events: int
) -> None:
    events = event_writers.random_events(300, 34, 34, seed=1)
    late = event_writers.random_events(200, 34, 34, seed=2, start=(1 << 23) - 2000)
    path = event_writers.write_nmnist(tmp_path / "00001.bin", events + late)
    assert read(only(path)) == events + late


@pytest.mark.parametrize(("camera", "size"), [("DVS128", (128, 128)), ("DAVIS240C", (240, 180)),
                                              ("DAVIS346", (346, 260))])  # fmt: skip
def test_aedat2_addresses_of_three_cameras(
    event_writers: ModuleType, tmp_path: Path, chunk_events: int, camera: str, size: Any
) -> None:
    events = event_writers.random_events(200, *size, seed=3, start=10**6)
    recording = only(event_writers.write_aedat2(tmp_path / "a.aedat", events, camera))
    assert read(recording) == events
    assert recording.sensor == size
    assert recording.is_absolute


def test_aedat2_frames_and_triggers_are_skipped_and_counted(
    event_writers: ModuleType, tmp_path: Path
) -> None:
    events = event_writers.random_events(3, 346, 260)
    path = event_writers.write_aedat2(tmp_path / "a.aedat", events)
    others = np.array([1 << 31, 5, 1 << 10, 5], ">u4")
    path.write_bytes(path.read_bytes() + others.tobytes())
    (chunk,) = only(path).chunks()
    assert (len(chunk), chunk.n_skipped) == (3, 2)


def test_dat_records_with_a_counter_that_wraps(
    event_writers: ModuleType, tmp_path: Path, chunk_events: int
) -> None:
    events = event_writers.random_events(300, 640, 480, start=(1 << 32) - 3000)
    recording = only(event_writers.write_dat(tmp_path / "a.dat", events, (640, 480)))
    assert read(recording) == events
    assert recording.sensor == (640, 480)


def test_evt2_words(event_writers: ModuleType, tmp_path: Path, chunk_events: int) -> None:
    events = event_writers.random_events(300, 1280, 720, start=(1 << 34) - 3000)
    recording = only(event_writers.write_evt2(tmp_path / "a.raw", events, (1280, 720)))
    # the first upper part tells the turn no better than the counter does
    assert read(recording) == events
    assert recording.sensor == (1280, 720)


def with_rows(writers: ModuleType, start: int) -> Events:
    """Events of which many lie in one row at one time, as EVT 3.0 packs them."""
    events = []
    for k, (t, x, y, p) in enumerate(writers.random_events(60, 1000, 720, seed=4, start=start)):
        events.append((t, x, y, p))
        if k % 3 == 0:
            events += [(t, x + step, y, p) for step in (1, 2, 7, 9, 20, 21, 40)]
    return events


@pytest.mark.parametrize("old", [False, True])
def test_evt3_masks_and_a_clock_that_wraps(
    event_writers: ModuleType, tmp_path: Path, chunk_events: int, old: bool
) -> None:
    events = with_rows(event_writers, (1 << 24) - 500)
    recording = only(event_writers.write_evt3(tmp_path / "a.raw", events, (1280, 720), old=old))
    assert read(recording) == events
    assert recording.sensor == (1280, 720)


def test_words_before_the_first_time_are_counted_as_skipped() -> None:
    evt2 = [0 << 28 | 5, 8 << 28 | 1, 1 << 28 | 3 << 11 | 4]
    (chunk,) = decode_evt2(iter([np.array(evt2, "<u4")]))
    assert (chunk.t.tolist(), chunk.x.tolist(), chunk.y.tolist()) == ([64], [3], [4])
    assert chunk.n_skipped == 1
    evt3 = [2 << 12 | 9, 8 << 12, 2 << 12 | 9, 5, 4 << 12 | 3, 2 << 12 | 8]
    (chunk,) = decode_evt3(iter([np.array(evt3, "<u2")]))
    # a mask without a base begins at column 0
    assert chunk.x.tolist() == [0, 1, 8]
    assert chunk.n_skipped == 2


def test_shd_rows_over_several_storage_chunks_are_sorted(
    event_writers: ModuleType, tmp_path: Path
) -> None:
    samples = [([0.5, 0.25], [699, 3]), ([0.125], [7]), ([0.0, 0.75, 0.75], [1, 2, 0])]
    found = open_recordings(event_writers.write_shd(tmp_path / "shd.h5", samples, [4, 0, 19]))
    assert [r.label for r in found] == [4, 0, 19]
    assert read(found[0]) == [(250_000, 3, 0, 1), (500_000, 699, 0, 1)]
    assert read(found[1]) == [(125_000, 7, 0, 1)]
    assert read(found[2]) == [(0, 1, 0, 1), (750_000, 2, 0, 1), (750_000, 0, 0, 1)]
    assert not found[0].has_polarity


KIND = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]  # tonic's


def structured(events: Events) -> np.ndarray[Any, Any]:
    out = np.zeros(len(events), KIND)
    for k, (t, x, y, p) in enumerate(events):
        out[k] = (x, y, t, p)
    return out


def saved_npy(path: Path, events: Events) -> Path:
    np.save(path / "e.npy", structured(events))
    return path / "e.npy"


def saved_columns(path: Path, events: Events) -> Path:
    t, x, y, p = np.array(events).T
    np.savez(path / "e.npz", t=t, x=x, y=y, p=2 * p - 1)  # also -1 and 1
    return path / "e.npz"


def saved_structured(path: Path, events: Events) -> Path:
    np.savez_compressed(path / "e.npz", events=structured(events))
    return path / "e.npz"


@pytest.mark.parametrize("save", [saved_npy, saved_columns, saved_structured])
def test_numpy_files(
    event_writers: ModuleType, tmp_path: Path, chunk_events: int, save: Callable[..., Path]
) -> None:
    events = event_writers.random_events(50, 34, 34)
    assert read(only(save(tmp_path, events))) == events


def test_arrays_in_python(event_writers: ModuleType) -> None:
    first, second = (event_writers.random_events(20, 34, 34, seed=k) for k in (5, 6))
    found = open_recordings([structured(first), structured(second)], labels=[1, 0])
    assert [read(r) for r in found] == [first, second]
    assert [r.label for r in found] == [1, 0]
    t, x, y, p = np.array(first + second).T
    sample = np.repeat([0, 1], 20)
    joined = open_recordings({"t": t, "x": x, "y": y, "p": p, "sample": sample})
    assert [read(r) for r in joined] == [first, second]


def test_a_folder_gives_its_classes_in_turn(event_writers: ModuleType, tmp_path: Path) -> None:
    for label, file in ((3, "a"), (3, "b"), (10, "a")):
        (tmp_path / str(label)).mkdir(exist_ok=True)
        event_writers.write_nmnist(tmp_path / str(label) / f"{file}.bin", [(5, 1, 2, 1)])
    (tmp_path / ".DS_Store").write_bytes(b"x")
    found = open_recordings(tmp_path)
    assert [(r.name, r.label) for r in found] == [("3/a.bin", 3), ("10/a.bin", 10), ("3/b.bin", 3)]
    assert len(open_recordings(tmp_path, n_samples=2)) == 2
    assert [r.label for r in open_recordings(tmp_path / "3")] == [None, None]
