"""Latency noc of a deployment: the same for any division, sampled, saved, priced again, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import ChipFileError, ResultFileError, UnsupportedError, UsageError
from nmhw.io.result_file import load_saved_result, save_result
from nmhw.sim import step_counter
from nmhw.values.mapping import Slice

SAVED = ("chip.json", "mapping.h5", "result.h5", "result.json", "SHA256SUMS")


@pytest.fixture(scope="module")
def spread(network: nmhw.Network, x: np.ndarray) -> nmhw.Deployment:
    """The network with a core for every neuron, 15 cores apart: messages cross tiles."""
    found = nmhw.deploy(network, "loihi1-nahuku", calibration=x[:4])
    neurons = [(p.name, j) for p in found.quantized.populations for j in range(p.size)]
    slices = tuple(Slice(n, np.array([j]), 15 * k) for k, (n, j) in enumerate(neurons))
    kinds = {name: kind for (name, _), kind in found.mapping.encodings.items()}
    encodings = {(name, part.core): kind for name, kind in kinds.items() for part in slices}
    return replace(found, mapping=replace(found.mapping, slices=slices, encodings=encodings))


@pytest.fixture(scope="module")
def whole(spread: nmhw.Deployment, x: np.ndarray) -> nmhw.Run:
    return spread.run(x, latency="noc", threads=1)


def bytes_of(run: nmhw.Run, folder: Path) -> list[bytes]:
    run.save(folder)
    return [(folder / name).read_bytes() for name in SAVED]


def test_report_and_json_say_what_was_timed(whole: nmhw.Run) -> None:
    noc = whole.summary()["latency_noc"]
    n_rows = 12 * (10 + whole.result.drain_steps)
    assert (noc["timed_steps"], noc["steps"]) == (n_rows, n_rows)
    spikes = {name: len(events) for name, events in whole.result.spikes.items()}
    assert noc["messages"] == 5 * spikes["input"] + 3 * spikes["lif1"]
    assert noc["contention"] > 1
    assert noc["step_standard_error"] == 0
    assert whole.latency.fidelity == "noc"
    assert whole.latency.free_step_s == pytest.approx(noc["step"] + whole.latency.sync_s)
    report = whole.report()
    for words in ("Latency (noc; pace free)", "contention: 1.", "busiest link", "busiest receiver"):
        assert words in report
    assert {"davies-2018", "sana-fe"} <= whole.summary()["sources"].keys()


@pytest.mark.parametrize(("chunk", "threads"), [(1, 1), (5, 2), (None, 3)])
def test_chunks_and_threads_change_no_byte(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run, tmp_path: Path,
    chunk: int | None, threads: int,
) -> None:  # fmt: skip
    run = spread.run(x, latency="noc", chunk=chunk, threads=threads)
    assert bytes_of(run, tmp_path / "run") == bytes_of(whole, tmp_path / "whole")


def test_the_reference_backend_gives_the_same_times(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run
) -> None:
    run = spread.run(x, latency="noc", backend="reference")
    assert run.result.noc.step_ps.tolist() == whole.result.noc.step_ps.tolist()


@pytest.mark.parametrize("chunk", [None, 5])
def test_some_steps_are_those_of_the_whole(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run, chunk: int | None
) -> None:
    run = spread.run(x, latency="noc", noc_steps=30, chunk=chunk)
    times = run.result.noc
    assert times.rows.size == 30
    assert times.step_ps.tolist() == whole.result.noc.step_ps[times.rows].tolist()
    assert f"30 of {times.n_rows:,} steps; standard error" in run.report()
    assert run.summary()["latency_noc"]["step_standard_error"] > 0


def test_pieces_without_a_chosen_step(spread: nmhw.Deployment, x: np.ndarray) -> None:
    whole, parts = (spread.run(x, latency="noc", noc_steps=3, chunk=n) for n in (None, 1))
    assert whole.summary()["latency_noc"] == parts.summary()["latency_noc"]
    assert parts.result.noc.rows.tolist() == whole.result.noc.rows.tolist()


def test_an_interrupted_run_goes_on(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"

    def stop(done: int, total: int) -> None:
        if done > 6:
            raise KeyboardInterrupt

    options: dict[str, Any] = {"latency": "noc", "chunk": 3, "checkpoint": folder}
    with pytest.raises(KeyboardInterrupt):
        spread.run(x, **options, progress=stop)
    with pytest.raises(UsageError, match="differs from this one"):
        spread.run(x, checkpoint=folder, chunk=3, resume=True)
    again = spread.run(x, **options, resume=True)
    assert again.result.noc.step_ps.tolist() == whole.result.noc.step_ps.tolist()


@pytest.mark.parametrize(
    "change",
    [
        {"n_rows": 3},
        {"mesh": (8, 5)},
        {"step_ps": np.zeros(1, np.int64)},
        {"messages": np.full(2, -1, np.int64)},
        {"rows": np.array([4, 4])},
        {"receiver_ps": np.zeros(9, np.int64)},
    ],
)
def test_times_that_contradict_each_other_are_no_result(
    tmp_path: Path, deployed: nmhw.Deployment, x: np.ndarray, change: dict[str, Any]
) -> None:
    result = deployed.run(x[:1], latency="noc", noc_steps=2, compare_float=False).result
    save_result(replace(result, noc=replace(result.noc, **change)), tmp_path / "result.h5")
    with pytest.raises(ResultFileError, match="not a complete nmhw result"):
        load_saved_result(tmp_path / "result.h5")


def test_a_saved_run_brings_its_times(whole: nmhw.Run, tmp_path: Path) -> None:
    whole.save(tmp_path / "run")
    again = nmhw.load_result(tmp_path / "run")
    assert again.report() == whole.report()
    assert again.price(pace="period=1ms").latency.fidelity == "noc"


def test_other_prices_leave_the_times_out(whole: nmhw.Run) -> None:
    unpriced = whole.price(costs="none")
    assert unpriced.latency.fidelity == "analytic"
    assert unpriced.summary()["latency_noc"] is None
    assert any("cost table nahuku" in note for note in unpriced.latency.notes)
    assert unpriced.price(costs="nahuku").latency.fidelity == "noc"


def test_static_energy_follows_the_longer_step(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run
) -> None:
    plain = spread.run(x)
    ratio = whole.latency.total_s / plain.latency.total_s
    assert whole.energy.static_j == pytest.approx(plain.energy.static_j * ratio)
    low, high = whole.latency.total_low_s, whole.latency.total_high_s
    assert low < whole.latency.total_s < high
    assert (plain.latency.fidelity, plain.summary()["latency_noc"]) == ("analytic", None)


def test_spikes_and_counts_kept_for_timing_alone_are_dropped(
    spread: nmhw.Deployment, x: np.ndarray, whole: nmhw.Run, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    few = spread.run(x, latency="noc", keep_spikes=0)
    assert "lif1" not in few.result.spikes
    assert "lif2" in few.result.spikes
    assert few.result.noc.step_ps.tolist() == whole.result.noc.step_ps.tolist()
    # pieces whose counts per step fit, of a run whose counts do not
    monkeypatch.setattr(step_counter, "MAX_STEP_CELLS", 3 * (10 + few.result.drain_steps) * 8)
    large = spread.run(x, latency="noc")
    assert large.result.counters.steps is None
    assert large.result.noc.step_ps.tolist() == whole.result.noc.step_ps.tolist()
    with pytest.raises(UnsupportedError, match="too long to time its messages"):
        spread.run(x, latency="noc", continuous=True)


def test_continuous_runs_are_timed(spread: nmhw.Deployment, x: np.ndarray) -> None:
    run = spread.run(x, latency="noc", continuous=True)
    assert run.result.noc.rows.size == run.result.noc.n_rows


def test_progress_never_goes_back(spread: nmhw.Deployment, x: np.ndarray) -> None:
    seen: list[tuple[int, int]] = []
    spread.run(x, latency="noc", chunk=4, compare_float=False,
               progress=lambda *at: seen.append(at))  # fmt: skip
    done = [at for at, _ in seen]
    assert done == sorted(done)
    assert seen[-1] == (12, 12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latency": "exact"}, "no such latency"),
        ({"noc_steps": 5}, "only latency noc"),
        ({"latency": "noc", "noc_steps": 0}, "at least one step"),
        ({"latency": "noc", "noc_steps": 2.5}, "noc_steps"),
    ],
)
def test_wrong_words(
    deployed: nmhw.Deployment, x: np.ndarray, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        deployed.run(x, **options)


def test_chips_without_figures_name_all_that_is_missing(
    network: nmhw.Network, deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    other = nmhw.deploy(network, "loihi2", calibration=x[:4])
    with pytest.raises(UnsupportedError, match=r"hop\.x in \[costs.*the table \[noc\]"):
        other.run(x, latency="noc")
    with pytest.raises(UnsupportedError, match="a cost table with latencies"):
        deployed.run(x, latency="noc", costs="none")
    chip = nmhw.chip("loihi1-nahuku").with_(mesh=(4, 4), **{"mesh.cores_per_tile": 8})
    stale = nmhw.deploy(network, chip, calibration=x[:4])
    with pytest.raises(UnsupportedError, match=r"got hop\.x in"):
        stale.run(x, latency="noc")


def test_several_chips_are_refused(network: nmhw.Network, x: np.ndarray) -> None:
    chip = nmhw.chip("loihi1-nahuku").with_(board=(2, 1), describes="board")
    found = nmhw.deploy(network, chip, calibration=x[:4])
    found.run(x[:1], latency="noc", noc_steps=2)  # on the first chip alone
    slices = tuple(replace(part, core=part.core + 128) for part in found.mapping.slices)
    encodings = {(name, core + 128): e for (name, core), e in found.mapping.encodings.items()}
    moved = replace(found.mapping, slices=slices, encodings=encodings)
    with pytest.raises(UnsupportedError, match="network between chips"):
        replace(found, mapping=moved).run(x, latency="noc")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"noc.link_buffer": {"value": 0, "source": "sana-fe"}}, "whole number of messages"),
        ({"noc.receiver_queue": {"value": 2.5}}, "whole number of messages"),
        ({"noc.link_ns": {"value": -1.0}}, "must not be negative"),
        ({"noc.link_ns": {"value": 1.0, "unit": "us"}}, "wrong unit, ns expected"),
        ({"noc.link_ns": {"value": 1.0, "source": "nobody"}}, "is not a key of"),
        ({"noc.buffers": 3}, "unknown key"),
    ],
)
def test_wrong_figures_of_the_network(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ChipFileError, match=words):
        nmhw.chip("loihi1-nahuku").with_(**change)
