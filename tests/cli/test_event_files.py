"""``nmhw run --input`` takes event recordings, and says what became of every event."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import nir
import numpy as np
import pytest


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Input (2, 4, 4) -> conv -> IF -> linear -> IF of 3 classes."""
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(3, 2, 2, 2)).astype(np.float32)
    last = rng.normal(size=(3, 27)).astype(np.float32)

    def cell(*shape: int) -> nir.IF:
        one = np.ones(shape, np.float32)
        return nir.IF(r=one, v_threshold=one, v_reset=0 * one)

    nodes = {
        "input": nir.Input(np.array([2, 4, 4])),
        "conv": nir.Conv2d((4, 4), weight, 1, 0, 1, 1, np.zeros(3, np.float32)),
        "if1": cell(3, 3, 3),
        "flat": nir.Flatten({"input": np.array([3, 3, 3])}, 0, -1),
        "fc": nir.Linear(last),
        "if2": cell(3),
        "output": nir.Output(np.array([3])),
    }
    names = list(nodes)
    path = tmp_path_factory.mktemp("events") / "model.nir"
    nir.write(str(path), nir.NIRGraph(nodes, list(pairwise(names))))
    return str(path)


@pytest.fixture
def folder(event_writers: ModuleType, tmp_path: Path) -> Path:
    """Two classes of three recordings in N-MNIST's form."""
    for label in range(2):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        for k in range(3):
            events = event_writers.random_events(400, 4, 4, seed=10 * label + k, longest_gap=100)
            event_writers.write_nmnist(tmp_path / "data" / str(label) / f"{k}.bin", events)
    return tmp_path / "data"


def told(nmhw: Callable, *words: Any) -> dict[str, Any]:
    done = nmhw("run", *words, "--json", "-q", "--no-float")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_folder_of_recordings(nmhw: Callable, model: str, folder: Path) -> None:
    shared = (model, "--chip", "speck2e", "--input", str(folder), "--bin-dt", "1ms")
    found = told(nmhw, *shared)
    assert found["n_samples"] == 6
    assert found["accuracy"] is not None
    record = found["event_recordings"]
    assert record["sensor"] == [4, 4]
    assert record["read"] == record["sent"] == 2400
    assert sum(found["input_events"].values()) == 2400
    few = told(nmhw, *shared, "--recordings", "2", "--bin", "binary", "--steps", "10")
    assert few["n_samples"] == 2
    assert few["n_steps"] == 10
    record = few["event_recordings"]
    assert record["lost"]["late"] > 0
    assert record["lost"]["merged"] > 0
    assert record["read"] == record["sent"] + sum(record["lost"].values())
    text = nmhw("run", *shared, "--recordings", "2", "--steps", "10", "--no-float").out
    assert f"{record['lost']['late']} events behind step 10 were dropped" in text


def test_native_time_stamps_on_a_chip_without_steps(
    nmhw: Callable, model: str, folder: Path
) -> None:
    shared = (model, "--chip", "speck2e", "--input", str(folder / "0" / "0.bin"))
    found = told(nmhw, *shared, "--timing", "events")
    record = found["event_recordings"]
    assert record["dt_s"] == 1e-6
    assert record["lost"]["merged"] == 0
    assert found["n_steps"] == record["n_steps"] > 10_000
    text = nmhw("run", *shared, "--timing", "events").out
    assert "not compared with a float run" in text
    coarse = told(nmhw, *shared, "--timing", "events", "--bin-dt", "5ms")
    assert coarse["event_recordings"]["n_steps"] < 10


def test_windows_labels_and_calibration(nmhw: Callable, model: str, folder: Path) -> None:
    path = str(folder / "0" / "0.bin")
    found = told(nmhw, model, "--chip", "loihi1-nahuku", "--input", path, "--calibration", path,
                 "--bin-dt", "1ms", "--window", "5ms", "--bin", "binary")  # fmt: skip
    assert found["n_samples"] > 3
    assert found["n_steps"] == 5
    assert any(n["rule"] == "run.calibration-overlap" for n in found["notices"])


REFUSED = {
    "no step length": ((), "--bin-dt"),
    "a smaller sensor": (("--bin-dt", "1ms", "--sensor", "3x4"), "outside of the sensor"),
    "another input shape": (("--bin-dt", "1ms", "--polarity", "merge"), "wrong shape"),
    "an unknown binning": (("--bin-dt", "1ms", "--bin", "mean"), "no such binning"),
    "an encoder": (("--bin-dt", "1ms", "--encode", "rate", "--steps", "4"), "spikes already"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(nmhw: Callable, model: str, folder: Path, case: str) -> None:
    words, text = REFUSED[case]
    done = nmhw("run", model, "--chip", "speck2e", "--input", str(folder), "-q", *words)
    assert done.code == 2
    assert text in done.err
    assert "Traceback" not in done.err


def test_event_options_beside_a_plain_array(nmhw: Callable, model: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 3, 2, 4, 4), np.uint8))
    done = nmhw("run", model, "--chip", "speck2e", "--input", str(tmp_path / "x.npy"),
                "--sensor", "4x4")  # fmt: skip
    assert done.code == 2
    assert "--sensor" in done.err


def test_two_chips_compared_on_recordings(nmhw: Callable, model: str, folder: Path) -> None:
    done = nmhw("compare", model, "--chips", "speck2e,generic", "--input", str(folder),
                "--bin-dt", "2ms", "--json", "-q")  # fmt: skip
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [row["verdict"] for row in rows] == ["yes", "yes"]


def test_a_float_run_a_map_and_a_host_stage_take_recordings(
    nmhw: Callable, model: str, folder: Path
) -> None:
    path = str(folder / "1" / "2.bin")
    shared = ("--bin-dt", "1ms", "--bin", "binary", "-q", "--json")
    done = nmhw("run", model, "--float", "--input", path, *shared)
    assert done.code == 0, done.err
    done = nmhw("map", model, "--chip", "loihi1-nahuku", "--calibration", path, *shared)
    assert done.code == 0, done.err
    done = nmhw("run", model, "--chip", "generic", "--input", str(folder), "--input-stage", "host",
                "--steps", "20", *shared)  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["n_steps"] == 20
    assert any(n["rule"] == "input.events-lost" for n in found["notices"])


def test_a_stray_file_in_a_folder_is_named(nmhw: Callable, model: str, folder: Path) -> None:
    (folder / "1" / "notes.txt").write_text("hello there")
    done = nmhw("run", model, "--chip", "speck2e", "--input", str(folder), "--bin-dt", "1ms")
    assert done.code == 2
    assert "1/notes.txt" in done.err


def test_a_spike_stream_is_asked_for_by_name(nmhw: Callable, model: str, tmp_path: Path) -> None:
    (tmp_path / "s.dat").write_bytes(bytes([7]) * 32)
    shared = ("run", model, "--chip", "generic", "--input", str(tmp_path / "s.dat"), "--dt", "25us")
    done = nmhw(*shared)
    assert done.code == 2
    assert "--format spike-camera" in done.err
    done = nmhw(*shared, "--format", "spike-camera", "--sensor", "8x4", "--json", "-q")
    assert done.code == 0, done.err
    assert json.loads(done.out)["event_recordings"]["sent"] == 32 * 3
