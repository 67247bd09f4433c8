"""Saved results: the same after reading, the same bytes twice, one error for any damage."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nmhw.errors import ResultFileError
from nmhw.io.result_file import load_saved_result, save_result
from nmhw.values.events import SpikeEvents
from nmhw.values.result import Counters, ProbeData, RunResult

NAMES = ("in", "a/b", "..", "名前")


def make_events(rng: np.random.Generator, n: int, graded: bool = False) -> SpikeEvents:
    columns = (rng.integers(0, 3, n), rng.integers(0, 8, n), rng.integers(0, 6, n))
    value = rng.normal(size=n) if graded else None
    return SpikeEvents.from_arrays(*columns, 3, 8, (2, 3), value)


def make_result(seed: int = 0, n_events: int = 40, steps: bool = True) -> RunResult:
    rng = np.random.default_rng(seed)
    totals = {kind: rng.integers(0, 9, 4) for kind in ("synop.dense", "axon.in")}
    per_step = {kind: rng.integers(0, 9, (24, 4)).astype(np.int32) for kind in totals}
    counters = Counters(
        n_samples=3, n_steps=8, cores=np.array([0, 2, 3, 9]), totals=totals,
        steps=per_step if steps else None, synops_by_projection={"in>a/b": 5},
        spikes_by_population={"a/b": 40}, events_by_input={"in": 7}, connections=12,
        saturations={"a/b": 0}, n_tiles=2, n_chips=1, is_continuous=True,
    )  # fmt: skip
    spikes = {name: make_events(rng, n_events, name == "..") for name in NAMES}
    values = rng.integers(-9, 9, (3, 4, 6)).astype(np.int32)
    return RunResult(
        backend="numba", n_samples=3, n_steps=7, drain_steps=1, depths={"a/b": 1}, spikes=spikes,
        probes={("a/b", "v"): ProbeData("a/b", "v", np.arange(0, 8, 2), values)},
        counters=counters, spike_totals={"a/b": rng.integers(0, 9, 6)},
    )  # fmt: skip


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail instead of hanging."""

    def stop(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("steps", [True, False])
def test_what_is_read_is_what_was_written(tmp_path: Path, steps: bool) -> None:
    result = make_result(steps=steps)
    save_result(result, tmp_path / "r.h5")
    again = load_saved_result(tmp_path / "r.h5")
    for name in ("backend", "n_samples", "n_steps", "drain_steps", "depths"):
        assert getattr(again, name) == getattr(result, name)
    assert list(again.spikes) == list(NAMES)
    for name, events in result.spikes.items():
        for column in ("sample", "step", "index", "value"):
            expected, found = getattr(events, column), getattr(again.spikes[name], column)
            np.testing.assert_array_equal(found, expected)
        assert again.spikes[name].shape == events.shape
    np.testing.assert_array_equal(again.probes["a/b", "v"], result.probes["a/b", "v"].values)
    np.testing.assert_array_equal(again.spike_totals["a/b"], result.spike_totals["a/b"])
    before, after = result.counters, again.counters
    assert before is not None
    assert after is not None
    for kind, values in before.totals.items():
        np.testing.assert_array_equal(after.totals[kind], values)
    assert (after.steps is None) == (not steps)
    for kind, values in (before.steps or {}).items():
        np.testing.assert_array_equal((after.steps or {})[kind], values)
    for name in ("connections", "n_tiles", "n_chips", "is_continuous", "saturations", "n_resets"):
        assert getattr(after, name) == getattr(before, name)


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.h5", "b.h5"):
        save_result(make_result(n_events=3000), tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_beyond_the_limit_only_outputs_keep_their_spikes(tmp_path: Path) -> None:
    save_result(make_result(), tmp_path / "r.h5", keep_spikes=159, outputs=("..",))
    again = load_saved_result(tmp_path / "r.h5")
    assert list(again.spikes) == [".."]
    save_result(make_result(), tmp_path / "r.h5", keep_spikes=160)
    assert len(load_saved_result(tmp_path / "r.h5").spikes) == 4


def test_mostly_silent_counters_pass_the_guard(tmp_path: Path) -> None:
    result = make_result()
    assert result.counters is not None
    zeros = {"synop.dense": np.zeros((24_000, 400), np.int32)}
    counters = Counters(
        n_samples=3000, n_steps=8, cores=np.arange(400), steps=zeros,
        totals={"synop.dense": np.zeros(400, np.int64)}, synops_by_projection={},
        spikes_by_population={}, events_by_input={}, connections=0, saturations={}, n_tiles=1,
        n_chips=1,
    )  # fmt: skip
    silent = RunResult("numba", 3000, 7, 1, {}, {}, {}, counters)
    save_result(silent, tmp_path / "r.h5")
    assert load_saved_result(tmp_path / "r.h5").counters is not None


def test_flipped_bytes_end_in_one_error_or_in_a_result(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    save_result(make_result(), path)
    whole = path.read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    with within(60):
        for _ in range(300):
            damaged = bytearray(whole)
            for position in rng.integers(0, len(whole), rng.integers(1, 6)):
                damaged[position] = rng.integers(0, 256)
            path.write_bytes(bytes(damaged))
            try:
                load_saved_result(path)
            except ResultFileError:
                refused += 1
    assert refused > 50


def test_cut_files_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "r.h5"
    save_result(make_result(), path)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 1, len(whole) // 40):
        path.write_bytes(whole[:size])
        with pytest.raises(ResultFileError):
            load_saved_result(path)


def rewrite_meta(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    with h5py.File(path, "a") as file:
        meta = json.loads(file["meta"][()].tobytes())
        replaced = change(meta)
        del file["meta"]
        text = json.dumps(meta if replaced is None else replaced).encode()
        file["meta"] = np.frombuffer(text, np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: [],
        lambda m: 5,
        lambda m: m.pop("format") and None,
        lambda m: m.update(format=99),
        lambda m: m.update(n_samples="3"),
        lambda m: m.update(n_samples=0),
        lambda m: m.update(n_samples=2),
        lambda m: m.update(n_steps=-1),
        lambda m: m.update(depths=[1]),
        lambda m: m.update(spikes={}) or m.update(probes=[["a"]]),
        lambda m: m["spikes"].append(m["spikes"][0]),
        lambda m: m["spikes"][0].update(shape=[1]),
        lambda m: m["spikes"][0].update(shape=5),
        lambda m: m["spikes"][0].update(n_steps=2),
        lambda m: m["spikes"][0].update(is_graded=True),
        lambda m: m["totals"].append("x"),
        lambda m: m["counters"].update(totals=["a", "b", "c"]),
        lambda m: m["counters"].update(n_samples=4),
        lambda m: m["counters"].update(saturations={"a": "many"}),
        lambda m: m["counters"].pop("n_tiles") and None,
        lambda m: m.update(counters="none"),
    ],
)
def test_meta_that_contradicts_the_arrays_is_one_error(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    path = tmp_path / "r.h5"
    save_result(make_result(), path)
    rewrite_meta(path, change)
    with pytest.raises(ResultFileError):
        load_saved_result(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spikes/0/sample", np.zeros(40)),
        ("spikes/0/sample", np.zeros((40, 1), np.int32)),
        ("spikes/0/sample", np.zeros(3, np.int32)),
        ("spikes/0/index", np.full(40, 6, np.int32)),
        ("spikes/0/step", np.full(40, -1, np.int32)),
        ("probes/0/values", np.zeros(3)),
        ("cores", np.zeros(2, np.int64)),
        ("core_steps/0", np.zeros((1, 4), np.int32)),
        ("meta", "text"),
        ("meta", np.frombuffer(b"\xff\xfe", np.uint8)),
    ],
)
def test_arrays_of_another_kind_or_size_are_one_error(
    tmp_path: Path, name: str, value: Any
) -> None:
    path = tmp_path / "r.h5"
    save_result(make_result(), path)
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(ResultFileError):
        load_saved_result(path)


def test_a_file_of_something_else_is_one_error(tmp_path: Path) -> None:
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "r.h5").write_bytes(content)
        with pytest.raises(ResultFileError):
            load_saved_result(tmp_path / "r.h5")
    with pytest.raises(ResultFileError, match="no such file"):
        load_saved_result(tmp_path / "none.h5")
    with pytest.raises(ResultFileError):
        load_saved_result(tmp_path)
