"""TFP and TFI on a chip equal plain NumPy in every pixel; the stream has SpikeCV's layout."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import nmhw
from nmhw.errors import InputError, UsageError
from nmhw.io.recordings.spike_camera import read_frames, write_frames

PLACE = Path(__file__).resolve().parents[3] / "examples/spike_camera.py"
HEIGHT, WIDTH, FRAMES = 12, 16, 40


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("spike_camera", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def frames(example: ModuleType) -> np.ndarray:
    """A filmed scene, with a pixel that never fires and one that fires once."""
    film = example.film(example.scene(HEIGHT, WIDTH), FRAMES)
    film[:, 0, 0] = 0
    film[:, 0, 1] = 0
    film[9, 0, 1] = 1
    film[:, 0, 2] = 1
    return film


def slow_intervals(frames: np.ndarray) -> np.ndarray:
    """Steps from the first to the second spike of every pixel, one pixel after the other."""
    out = np.zeros(frames.shape[1:])
    for at in np.ndindex(out.shape):
        times = [*np.flatnonzero(frames[(slice(None), *at)]).tolist()]
        if times:
            out[at] = (times[1] if len(times) > 1 else len(frames)) - times[0]
    return out


@pytest.mark.parametrize("chip", ["generic", "loihi1-d18", "truenorth"])
def test_reconstructions_on_chips_equal_numpy(
    example: ModuleType, frames: np.ndarray, tmp_path: Path, chip: str
) -> None:
    path = write_frames(tmp_path / "scene.dat", frames)
    size = (WIDTH, HEIGHT)
    spec = nmhw.chip(chip)
    counts, _ = example.reconstruct(example.tfp_network(HEIGHT, WIDTH), spec, path, size)
    np.testing.assert_array_equal(counts, frames.sum(axis=0))
    steps, run = example.reconstruct(example.tfi_network(HEIGHT, WIDTH), spec, path, size)
    np.testing.assert_array_equal(steps, slow_intervals(frames))
    np.testing.assert_array_equal(example.intervals(frames), slow_intervals(frames))
    assert run.facts["event_recordings"]["read"] == frames.sum()
    truth = example.scene(HEIGHT, WIDTH)
    on_chip, plain = (example.as_tfi(s) for s in (steps, slow_intervals(frames)))
    assert example.psnr(on_chip, truth) == example.psnr(plain, truth)


def test_brightness_comes_back(example: ModuleType) -> None:
    truth = example.scene(40, 64)
    film = example.film(truth, 128)
    assert example.psnr(example.as_tfp(film.sum(axis=0), 128), truth) > 40
    assert example.psnr(example.as_tfi(example.intervals(film)), truth) > 22


def test_a_board_is_as_large_as_the_neurons_need(example: ModuleType) -> None:
    assert example.room_for("generic", 1000).sha256 == nmhw.chip("generic").sha256
    assert example.room_for("generic", 200_000).board.width == 2


def test_the_layout_is_bit_by_bit_from_the_lowest_row(tmp_path: Path) -> None:
    """Pixel k of a frame, counted row by row from below, is bit k mod 8 of byte k // 8."""
    frames = (np.random.default_rng(2).random((5, 6, 4)) < 0.3).astype(np.uint8)
    raw = write_frames(tmp_path / "s.dat", frames).read_bytes()
    assert len(raw) == 5 * 3
    for frame, picture in enumerate(frames):
        for row in range(6):
            for column in range(4):
                k = (5 - row) * 4 + column
                assert raw[3 * frame + k // 8] >> k % 8 & 1 == picture[row, column]
    for n in (1, 2, 64):
        parts = list(read_frames(tmp_path / "s.dat", (4, 6), n_frames=n))
        np.testing.assert_array_equal(np.concatenate(parts), frames)
    upright = list(read_frames(tmp_path / "s.dat", (4, 6), flip_rows=False))
    np.testing.assert_array_equal(upright[0][:, ::-1], frames)
    found = nmhw.load_events(tmp_path / "s.dat", dt="25us", sensor="4x6", format="spike-camera")
    np.testing.assert_array_equal(found.events().dense().reshape(-1, 6, 4), frames)


def test_streams_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.dat").write_bytes(bytes(10))

    def load(sensor: str | None) -> None:
        nmhw.load_events(tmp_path / "s.dat", dt="25us", sensor=sensor, format="spike-camera")

    with pytest.raises(UsageError, match="does not say its size"):
        load(None)
    with pytest.raises(InputError, match="cut off"):
        load("4x6")
    with pytest.raises(InputError, match="whole number of bytes"):
        load("3x3")
    with pytest.raises(InputError, match="no event"):
        load("4x10")
    with pytest.raises(InputError, match="0 and 1"):
        write_frames(tmp_path / "t.dat", np.full((1, 2, 4), 2))
