"""nmhw run --input-stage bias: constant frames on a chip, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw as package
from nmhw.api.reading import give_meaning
from nmhw.io.nir_write import write_nir


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(1)
    build = package.Network.build().input("in", 6)
    build.population("a", 5, "lif", tau_mem_s=0.01, v_threshold=1.0)
    build.population("b", 2, "lif", tau_mem_s=0.01, v_threshold=0.2)
    build.project("in", "a", 2 * rng.random((5, 6)), bias=0.1).project("a", "b", np.ones((2, 5)))
    network = give_meaning(build.output("out", "b").done(), dt_s=1e-3)
    write_nir(network, tmp_path / "net.nir")
    frames = rng.random((4, 6))
    np.save(tmp_path / "frames.npy", frames)
    np.save(tmp_path / "moving.npy", rng.random((4, 9, 6)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


RUN = ("run", "net.nir", "--dt", "1ms", "--chip", "loihi1-nahuku", "-q")


def test_a_static_image_needs_no_encoder(files: Path, nmhw: Any) -> None:
    words = (*RUN, "--input-stage", "bias", "--input", "frames.npy", "--repeat", "9",
             "--calibration", "frames.npy", "--json")  # fmt: skip
    done = nmhw(*words)
    assert done.code == 0, done.err
    assert (done.json["n_samples"], done.json["n_steps"]) == (4, 9)
    assert done.json["host_operations"][0]["macs"] == 4 * 30
    assert done.json["spikes"]["a"] > 0
    assert "host.bias" in done.json["energy_unpriced"]
    kept = nmhw(*words, "-o", "out", "--chunk", "3")
    reference = nmhw(*words, "--backend", "reference")
    assert kept.json["spikes"] == reference.json["spikes"] == done.json["spikes"]
    uncalibrated = nmhw(*RUN, "--input-stage", "bias", "--input", "frames.npy", "--repeat", "9")
    assert "room for frames of 0 to 1" in " ".join(uncalibrated.out.split())


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--input", "moving.npy"), 2, "varies over the steps"),
        (("--input", "frames.npy"), 2, "varies over the steps"),  # read as steps of one sample
        (("--input", "frames.npy", "--steps", "9"), 2, "--repeat T"),
        (("--input", "moving.npy", "--repeat", "9"), 2, "leave --repeat out"),
        (("--input", "frames.npy", "--repeat", "9", "--encode", "rate"), 2, "either an encoder"),
        (("--input", "frames.npy", "--repeat", "9", "--continuous"), 2, "got continuous"),
        (("--input", "frames.npy", "--repeat", "9", "--chip", "odin"), 3, "no biases"),
        (("--input", "frames.npy", "--repeat", "9", "--set", "hop_steps=1"), 3, "arrives later"),
        (("--input", "frames.npy", "--repeat", "9", "--calibration", "moving.npy"), 2,
         "leave --repeat out"),
    ],
)  # fmt: skip
def test_refusals_name_the_reason(
    files: Path, nmhw: Any, words: tuple[str, ...], code: int, message: str
) -> None:
    done = nmhw(*RUN, "--input-stage", "bias", *words)
    assert message in " ".join(done.err.split())
    assert done.code == code
