"""Runs in pieces, interrupted runs, and inputs that stay on disk give the bytes of a whole run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import nmhw
from nmhw.api import checkpoint, execute, judging, pieces
from nmhw.errors import InputError, SpikesNotKeptError, UsageError
from nmhw.io import event_file, nir_data
from nmhw.io.event_file import read_events
from nmhw.io.input_source import is_on_disk

SAVED = ("chip.json", "mapping.h5", "result.h5", "result.json", "SHA256SUMS")
PROBES = ("lif1:v:every=3", "lif2:v")


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in SAVED]


@pytest.fixture(scope="module")
def whole(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray, tmp_path_factory: Any
) -> list[bytes]:
    """The files of a run in one piece on one thread."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    deployed.run(x, y, probes=PROBES, threads=1).save(folder)
    return bytes_of(folder)


@pytest.mark.parametrize(
    ("chunk", "threads"), [*itertools.product((1, 5, 12, 100), (1, 2, 3)), (None, 4)]
)
def test_chunks_and_threads_change_no_byte(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray, whole: list[bytes], tmp_path: Path,
    chunk: int | None, threads: int,
) -> None:  # fmt: skip
    deployed.run(x, y, probes=PROBES, threads=threads, chunk=chunk).save(tmp_path / "run")
    assert bytes_of(tmp_path / "run") == whole


@pytest.mark.parametrize("chip", ["odin", "generic"])
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_chunks_change_nothing_on_any_backend_or_timing(
    network: nmhw.Network, x: np.ndarray, chip: str, backend: str
) -> None:
    timing = "events" if chip == "odin" else "steps"
    once = nmhw.deploy(network, chip, calibration=x[:4])
    options: dict[str, Any] = {"backend": backend, "timing": timing}
    one, many = (once.run(x, chunk=chunk, **options) for chunk in (None, 5))
    assert one.summary() == many.summary()
    for name, events in one.spikes.items():
        for column in ("sample", "step", "index"):
            same = np.array_equal(getattr(events, column), getattr(many.spikes[name], column))
            assert same, (name, column)
    for table in ("totals", "steps"):
        before, after = (getattr(run.result.counters, table) or {} for run in (one, many))
        assert {k: v.tolist() for k, v in before.items()} == {
            k: v.tolist() for k, v in after.items()
        }


def test_spikes_that_are_too_many_are_dropped_in_pieces_as_in_one(
    deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    n_events = sum(deployed.run(x).facts["spikes"].values())
    for keep in (0, n_events // 2, n_events - 1, n_events):
        one, many = (deployed.run(x, keep_spikes=keep, chunk=c) for c in (None, 2))
        assert one.summary() == many.summary()
        assert set(one.spikes) == set(many.spikes)
        assert ("lif1" in many.spikes) == (keep >= n_events)
    with pytest.raises(SpikesNotKeptError):
        _ = deployed.run(x, keep_spikes=0, chunk=2).spikes["lif1"]


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Arrange that the chip or float run is interrupted in its n-th piece."""

    def arrange(kind: str, n: int) -> None:
        original = pieces.run_pieces

        def run(name: str, work: Any, prepared: Any, **options: Any) -> list[Any]:
            count = itertools.count()

            def watched(inputs: Any, before: Any, progress: Any) -> Any:
                if name == kind and next(count) == n:
                    raise KeyboardInterrupt
                return work(inputs, before, progress)

            return original(name, watched, prepared, **options)

        monkeypatch.setattr(execute, "run_pieces", run)
        monkeypatch.setattr("nmhw.api.float_comparison.run_pieces", run)

    return arrange


@pytest.mark.parametrize(("kind", "n"), [("chip", 1), ("chip", 3), ("float", 0), ("float", 2)])
def test_an_interrupted_run_resumed_gives_the_same_bytes(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray, whole: list[bytes], tmp_path: Path,
    interrupt: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch, kind: str, n: int,
) -> None:  # fmt: skip
    folder = tmp_path / "run"
    with monkeypatch.context() as patched:
        interrupt(kind, n)
        with pytest.raises(KeyboardInterrupt):
            deployed.run(x, y, probes=PROBES, chunk=3, checkpoint=folder)
        patched.undo()
    monkeypatch.undo()
    chip_parts = len(list((folder / ".unfinished").glob("chip-*.json")))
    assert chip_parts == (n if kind == "chip" else 4)
    simulated: list[int] = []
    monkeypatch.setattr("nmhw.sim.chip_run.run_samples", _counting("nmhw.sim.chip_run", simulated))
    resumed = deployed.run(x, y, probes=PROBES, chunk=5, checkpoint=folder, resume=True)
    assert sum(simulated) == 12 - 3 * chip_parts
    resumed.save(folder)
    assert bytes_of(folder) == whole
    assert not (folder / ".unfinished").exists()


def _counting(module: str, simulated: list[int]) -> Callable[..., Any]:
    from nmhw.sim.threads import run_samples

    def run(program: Any, inputs: Any, **options: Any) -> Any:
        simulated.append(options["n_samples"])
        return run_samples(program, inputs, **options)

    return run


@pytest.fixture
def unfinished(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path,
    interrupt: Callable[[str, int], None], monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:  # fmt: skip
    """A folder with two finished pieces of three samples."""
    folder = tmp_path / "unfinished"
    interrupt("chip", 2)
    with pytest.raises(KeyboardInterrupt):
        deployed.run(x, chunk=3, checkpoint=folder)
    monkeypatch.undo()
    return folder


def test_an_unfinished_run_is_neither_lost_nor_mixed(
    deployed: nmhw.Deployment, x: np.ndarray, unfinished: Path
) -> None:
    with pytest.raises(UsageError, match="holds an unfinished run") as refused:
        deployed.run(x, checkpoint=unfinished)
    assert refused.value.rule == "output.unfinished"
    resume: dict[str, Any] = {"checkpoint": unfinished, "resume": True}
    with pytest.raises(UsageError, match=r"got probes, readout|got readout"):
        deployed.run(x, readout="first-spike", **resume)
    with pytest.raises(UsageError, match="got samples"):
        deployed.run(x[:10], **resume)
    other = x.copy()
    other[4, 0, 0] ^= 1
    with pytest.raises(InputError, match=r"inputs changed.*samples 3 to 5"):
        deployed.run(other, **resume)
    late = x.copy()
    late[11, 0, 0] ^= 1  # samples that have not run yet may change
    assert deployed.run(late, **resume).summary() == deployed.run(late).summary()


def test_damaged_pieces_run_again(
    deployed: nmhw.Deployment, x: np.ndarray, unfinished: Path
) -> None:
    first = min((unfinished / ".unfinished").glob("chip-*.h5"))
    first.write_bytes(first.read_bytes()[:-100])
    resumed = deployed.run(x, checkpoint=unfinished, resume=True)
    assert resumed.summary() == deployed.run(x).summary()


def test_settings_of_pieces_that_make_no_sense(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    with pytest.raises(UsageError, match="at least one sample"):
        deployed.run(x, chunk=0)
    with pytest.raises(UsageError, match="output folder can be resumed"):
        deployed.run(x, resume=True)
    with pytest.raises(UsageError, match="continuous run is one piece"):
        deployed.run(x, chunk=2, continuous=True)


def test_short_runs_leave_no_pieces(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path
) -> None:
    deployed.run(x, checkpoint=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert checkpoint.INTERVAL_S > 10


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every array in a file counts as large, and few samples fit a piece."""
    for module in (event_file, nir_data):
        monkeypatch.setattr(module, "MAPPED_BYTES", 1)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 200)


def write(path: Path, x: np.ndarray) -> Path:
    """Write the raster in the form that the suffix asks for."""
    if path.suffix == ".npy":
        np.save(path, np.asfortranarray(x) if "fortran" in path.name else x)
    elif path.suffix == ".npz":
        (np.savez_compressed if "packed" in path.name else np.savez)(path, x=x)
    else:
        grid = nir.TimeGriddedData(x.astype(bool), dt=1e-3)
        nir.write_data(path, nir.NIRGraphData({"input": nir.NIRNodeData({"spikes": grid})}))
    return path


@pytest.mark.parametrize("name", ["x.npy", "fortran.npy", "x.npz", "packed.npz", "x.h5"])
@pytest.mark.usefixtures("on_disk")
def test_inputs_that_stay_on_disk_give_the_same_run(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path, name: str
) -> None:
    found = read_events(write(tmp_path / name, x))
    assert is_on_disk(next(iter(found.streams.values()))) == (name != "packed.npz")
    seen: list[tuple[int, int]] = []
    run = deployed.run(found, progress=lambda done, total: seen.append((done, total)))
    assert json.dumps(run.summary()) == json.dumps(deployed.run(x).summary())
    assert seen[-1] == (12, 12)
    turned = write(tmp_path / f"turned-{name}", x.swapaxes(0, 1))
    again = deployed.run(read_events(turned), layout="TN")
    assert again.summary() == run.summary()


@pytest.mark.parametrize("method", ["rate", "latency", "accumulate"])
@pytest.mark.usefixtures("on_disk")
def test_analog_inputs_are_encoded_in_pieces_as_in_one(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path, method: str
) -> None:
    frames = np.random.default_rng(5).random((9, 6))
    np.save(tmp_path / "frames.npy", frames)
    runs = [
        deployed.run(given, encode=method, n_steps=7, chunk=chunk)
        for given, chunk in ((frames, None), (read_events(tmp_path / "frames.npy"), None),
                             (frames, 2))
    ]  # fmt: skip
    for run in runs[1:]:
        assert run.summary() == runs[0].summary()
        assert run.result.spikes["input"].index.tolist() == (
            runs[0].result.spikes["input"].index.tolist()
        )


@pytest.mark.usefixtures("on_disk")
def test_bad_values_on_disk_are_found_before_the_run_and_named(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = x.astype(np.float32)
    bad[10, 3, 2] = np.nan
    np.save(tmp_path / "bad.npy", bad)
    monkeypatch.setattr(execute, "run_pieces", lambda *_, **__: pytest.fail("it ran"))
    with pytest.raises(InputError, match=r"not finite: got nan at \(10, 3, 2\)"):
        deployed.run(read_events(tmp_path / "bad.npy"))


def test_large_probes_are_a_warning_before_the_run(
    deployed: nmhw.Deployment, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "_MUCH_BYTES", 12 * 5 * 8)
    with pytest.warns(UserWarning, match=r"the probes take .* lif1:v.*every=K"):
        deployed.run(x, probes=["lif1:v"])
    monkeypatch.setattr(judging.os, "sysconf", lambda name: 1)
    with pytest.raises(UsageError, match="do not fit the memory"):
        deployed.run(x, probes=["lif1:v"])
