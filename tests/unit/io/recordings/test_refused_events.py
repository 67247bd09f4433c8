"""Damaged and mistaken event files are refused by name."""

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmhw.api.events import load_events
from nmhw.errors import InputError, MissingExtraError
from nmhw.io.recordings.sources import open_recordings

EVENTS = [(5, 1, 2, 1), (7, 3, 4, 0), (900, 5, 6, 1)]
BACK = [(5, 1, 2, 1), (900, 3, 4, 0), (7, 5, 6, 1)]
KIND = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]


def refused(source: Any, **more: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        for recording in open_recordings(source, **more):
            for _ in recording.chunks():
                pass
    return caught.value


def written(writers: ModuleType, kind: str, path: Path, events: list[Any]) -> Path:
    """Write events in one of the formats."""
    if kind == "npy":
        table = np.array([(x, y, t, p) for t, x, y, p in events], KIND)
        np.save(path / "e.npy", table)
        return path / "e.npy"
    if kind in ("evt2", "evt3"):
        return getattr(writers, f"write_{kind}")(path / "e.raw", events, (640, 480))
    suffix = {"nmnist": "bin", "aedat2": "aedat", "dat": "dat"}[kind]
    return getattr(writers, f"write_{kind}")(path / f"e.{suffix}", events)


ALL = ["nmnist", "aedat2", "dat", "evt2", "evt3", "npy"]


@pytest.mark.parametrize("kind", ALL)
def test_files_that_are_cut_off(event_writers: ModuleType, tmp_path: Path, kind: str) -> None:
    path = written(event_writers, kind, tmp_path, EVENTS)
    path.write_bytes(path.read_bytes()[:-1])
    found = refused(path)
    assert found.rule == "events.truncated"
    assert path.name in str(found)


@pytest.mark.parametrize("kind", ALL)
def test_times_that_go_back(event_writers: ModuleType, tmp_path: Path, kind: str) -> None:
    found = refused(written(event_writers, kind, tmp_path, BACK))
    assert found.rule == "events.order"
    assert found.got == "event 2 at 7 after 900 microseconds"


@pytest.mark.parametrize("kind", ALL)
def test_recordings_without_an_event(event_writers: ModuleType, tmp_path: Path, kind: str) -> None:
    found = refused(written(event_writers, kind, tmp_path, []))
    assert found.rule == "events.empty"


@pytest.mark.parametrize("suffix", ["bin", "aedat", "aedat4", "dat", "raw", "npy", "h5"])
def test_files_of_no_byte(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"e.{suffix}").write_bytes(b"")
    assert refused(tmp_path / f"e.{suffix}").rule == "events.empty"


@pytest.mark.parametrize(("kind", "x", "y"), [("nmnist", 34, 0), ("nmnist", 0, 35),
                                             ("evt2", 640, 0), ("evt3", 0, 480)])  # fmt: skip
def test_coordinates_outside_of_the_sensor(
    event_writers: ModuleType, tmp_path: Path, kind: str, x: int, y: int
) -> None:
    path = written(event_writers, kind, tmp_path, [*EVENTS, (1000, x, y, 1)])
    found = refused(path)
    assert found.rule == "events.range"
    assert "of event 3" in str(found.got)


def test_davis_addresses_beyond_the_camera(event_writers: ModuleType, tmp_path: Path) -> None:
    path = written(event_writers, "aedat2", tmp_path, EVENTS)
    path.write_bytes(path.read_bytes() + struct.pack(">II", 400 << 12, 1000))
    assert refused(path).rule == "events.range"


HEADS = {
    "e.aedat": b"#!AER-DAT7.0\r\n", "e.raw": b"% nothing", "e.dat": b"\x00\x01\x02\x03" * 8,
    "e.bag": b"#ROSBAG V2.0\n", "e.aedat4": b"not this", "e.npy": b"\x93NUMPY\x01",
}  # fmt: skip


@pytest.mark.parametrize("name", HEADS)
def test_first_bytes_of_no_format(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HEADS[name])
    found = refused(tmp_path / name)
    assert found.rule in ("events.format", "events.header")


def test_evt_2_1_is_named(tmp_path: Path) -> None:
    (tmp_path / "e.raw").write_bytes(b"% evt 2.1\n% end\n" + bytes(16))
    found = refused(tmp_path / "e.raw")
    assert (found.rule, found.got) == ("events.encoding", "evt 2.1")


def test_dat_files_of_other_events(tmp_path: Path) -> None:
    (tmp_path / "e.dat").write_bytes(b"% Version 2\n" + bytes([14, 8]) + bytes(8))
    assert refused(tmp_path / "e.dat").rule == "events.encoding"


def test_headers_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "e.aedat").write_bytes(b"#!AER-DAT2.0 " + b"x" * (1 << 20))
    assert refused(tmp_path / "e.aedat").rule == "events.header"
    (tmp_path / "e.raw").write_bytes(b"% evt 3.0 " + b"x" * (2 << 20))
    assert refused(tmp_path / "e.raw").rule == "events.header"


def test_an_aedat2_camera_that_nobody_names(event_writers: ModuleType, tmp_path: Path) -> None:
    path = written(event_writers, "aedat2", tmp_path, EVENTS)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"DAVIS346", b"CDAVIS99"))
    assert refused(path).rule == "events.camera"
    path.write_bytes(raw.replace(b"AEChip", b"Remark"))
    assert refused(path).rule == "events.camera"
    assert open_recordings(path, sensor=(346, 260))[0].sensor == (346, 260)


SHD: dict[str, tuple[Callable[[Any], None], str]] = {
    "no units": (lambda f: f.__delitem__("spikes/units"), "events.format"),
    "one label too many": (lambda f: _replaced(f, "labels", [1, 2, 3]), "events.columns"),
    "labels as floats": (lambda f: _replaced(f, "labels", [0.5, 1.5]), "events.columns"),
    "plain times": (lambda f: _replaced(f, "spikes/times", [0.5, 1.5]), "events.columns"),
    "a unit too high": (lambda f: _row(f, "units", 1, [700]), "events.range"),
    "a unit below 0": (lambda f: _row(f, "units", 1, [-1]), "events.range"),
    "a negative time": (lambda f: _row(f, "times", 1, [-0.5]), "events.time-range"),
    "a time that is none": (lambda f: _row(f, "times", 1, [np.nan]), "events.time-range"),
    "more times than units": (lambda f: _row(f, "times", 1, [0.5, 0.75]), "events.columns"),
    "a silent sample": (lambda f: [_row(f, k, 1, []) for k in ("times", "units")], "events.empty"),
}  # fmt: skip


def _replaced(file: Any, name: str, values: Any) -> None:
    del file[name]
    file[name] = np.array(values)


def _row(file: Any, name: str, row: int, values: Any) -> None:
    file["spikes"][name][row] = np.array(values, file["spikes"][name].dtype.metadata["vlen"])


@pytest.mark.parametrize("case", SHD)
def test_damaged_shd_files(event_writers: ModuleType, tmp_path: Path, case: str) -> None:
    import h5py

    change, rule = SHD[case]
    path = event_writers.write_shd(tmp_path / "s.h5", [([0.5], [3]), ([0.5], [4])], [0, 1])
    with h5py.File(path, "a") as file:
        change(file)
    assert refused(path).rule == rule


def test_shd_files_that_are_cut_off(event_writers: ModuleType, tmp_path: Path) -> None:
    path = event_writers.write_shd(tmp_path / "s.h5", [([0.5], [3])], [0])
    path.write_bytes(path.read_bytes()[:-200])
    assert refused(path).rule in ("events.truncated", "events.format")


def test_shd_heaps_that_point_nowhere(event_writers: ModuleType, tmp_path: Path) -> None:
    path = event_writers.write_shd(tmp_path / "s.h5", [([0.5], [3])], [0])
    raw = path.read_bytes()
    assert b"GCOL" in raw
    path.write_bytes(raw.replace(b"GCOL", b"XXXX"))
    assert refused(path).rule == "events.truncated"


def test_columns_that_are_none() -> None:
    good = {"t": np.array([1, 2]), "x": np.array([1, 2]), "y": np.array([1, 2])}
    assert refused({**good, "x": np.array([1, 2, 3])}).rule == "events.columns"
    assert refused({"x": good["x"]}).rule == "events.columns"
    assert refused({**good, "ts": good["t"]}).rule == "events.columns"
    assert refused({**good, "p": np.array([0, 2])}).rule == "events.polarity"
    assert refused({**good, "sample": np.array([1, 0])}).rule == "events.order"
    assert "whole numbers" in str(refused({**good, "t": np.array([0.001, 0.002])}))
    assert refused({**good, "t": np.array([-3, 2])}).rule == "events.time-range"
    assert "one label" in str(refused([good], labels=[1, 2]))


def test_fields_that_are_objects_are_never_opened(tmp_path: Path) -> None:
    table = np.zeros(2, [("t", "<i8"), ("x", "O")])
    np.save(tmp_path / "e.npy", table, allow_pickle=True)
    assert refused(tmp_path / "e.npy").rule == "events.columns"
    np.savez(tmp_path / "e.npz", t=np.zeros(2, "i8"), x=np.array([{}, {}], object))
    assert refused(tmp_path / "e.npz").rule == "input.pickle"


def test_an_empty_folder_and_a_missing_file(tmp_path: Path) -> None:
    assert refused(tmp_path).rule == "events.empty"
    assert "no such file" in str(refused(tmp_path / "none.bin"))


def test_aedat4_without_its_package_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aedat", None)
    (tmp_path / "e.aedat4").write_bytes(b"#!AER-DAT4.0\r\n" + bytes(100))
    with pytest.raises(MissingExtraError) as caught:
        open_recordings(tmp_path / "e.aedat4")
    assert "nmhw[events]" in str(caught.value.hint)


def test_damaged_headers_and_packed_columns(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "e.npz", t=np.arange(500), x=np.arange(500) % 7)
    raw = bytearray((tmp_path / "e.npz").read_bytes())
    for at in range(60, 200):
        raw[at] ^= 0x5A
    (tmp_path / "e.npz").write_bytes(raw)
    assert "not a readable NumPy array" in str(refused(tmp_path / "e.npz"))
    np.save(tmp_path / "e.npy", np.zeros(3, KIND))
    raw = bytearray((tmp_path / "e.npy").read_bytes())
    at = raw.index(b"(3,)")
    raw[at : at + 4] = b"(3,("
    (tmp_path / "e.npy").write_bytes(raw)
    assert refused(tmp_path / "e.npy").rule == "events.format"


def test_more_windows_than_samples_can_be(tmp_path: Path) -> None:
    events = {"t": np.array([0, 2 * 10**9]), "x": np.array([0, 1])}
    with pytest.raises(InputError) as caught:
        load_events(events, dt="1us", sensor="2x1", window="1us")
    assert caught.value.rule == "events.windows"
    with pytest.raises(InputError) as caught:
        load_events({**events, "t": np.array([0, 2**40])}, dt="1us", sensor="2x1")
    assert caught.value.rule == "events.steps"
