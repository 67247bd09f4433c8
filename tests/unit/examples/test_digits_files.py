"""The shipped digits network, its spikes and the scripts that made them."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nir
import numpy as np
import pytest

ROOT = Path(__file__).parents[3]
DATA = ROOT / "nmhw" / "data"
SEEDS = ROOT / "tests" / "data" / "digits_seeds"


def load_script(name: str) -> ModuleType:
    path = ROOT / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"examples_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_nir_numpy = load_script("run_nir_numpy")


@pytest.mark.parametrize(("name", "n_samples"), [("test", 400), ("calibration", 64)])
def test_event_files_are_sorted_unique_and_in_range(name: str, n_samples: int) -> None:
    with np.load(DATA / f"digits_{name}.npz") as data:
        events = {key: data[key].astype(np.int64) for key in data.files}
    assert events["n_steps"] == 16
    assert events["labels"].shape == (n_samples,)
    assert events["labels"].max() == 9
    assert events["sample"].max() == n_samples - 1
    assert events["step"].max() < 16
    assert events["index"].max() < 64
    place = (events["sample"] * 16 + events["step"]) * 64 + events["index"]
    assert (np.diff(place) > 0).all()


def test_test_images_are_balanced_and_none_is_a_calibration_image() -> None:
    test, labels = run_nir_numpy.read_events(DATA / "digits_test.npz")
    calibration, _ = run_nir_numpy.read_events(DATA / "digits_calibration.npz")
    assert np.bincount(labels).tolist() == [40] * 10
    seen = {image.tobytes() for image in calibration}
    assert not any(image.tobytes() in seen for image in test)


def test_network_file_proves_its_time_step_and_has_full_shape_neurons() -> None:
    graph = nir.read(DATA / "digits.nir")
    chain = ["input", "fc1", "lif1", "fc2", "lif2", "fc3", "lif3", "output"]
    assert sorted(graph.edges) == sorted(itertools.pairwise(chain))
    assert graph.nodes["input"].input_type["input"].tolist() == [64]
    for name, n_neurons, tau_steps in (("lif1", 128, 8), ("lif2", 64, 8), ("lif3", 10, 16)):
        node = graph.nodes[name]
        assert node.tau.shape == node.v_reset.shape == (n_neurons,)
        assert (node.tau / node.r == 1e-4).all()
        assert (node.r * 1e-4 / node.tau == 1.0).all()
        assert (node.r == tau_steps).all()


def test_package_data_stay_small() -> None:
    assert (DATA / "digits.nir").stat().st_size < 300_000
    assert sum(path.stat().st_size for path in DATA.iterdir() if path.is_file()) < 1_000_000


def test_shipped_network_is_seed_3() -> None:
    packed = (SEEDS / "digits_seed3.nir.gz").read_bytes()
    assert gzip.decompress(packed) == (DATA / "digits.nir").read_bytes()


@pytest.mark.parametrize("seed", range(5))
def test_numpy_repeats_what_torch_computed(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "digits.nir"
    path.write_bytes(gzip.decompress((SEEDS / f"digits_seed{seed}.nir.gz").read_bytes()))
    raster, labels = run_nir_numpy.read_events(DATA / "digits_test.npz")
    spikes = run_nir_numpy.simulate_nir(path, raster)
    with np.load(SEEDS / "torch_reference.npz") as reference:
        row = reference["seed"].tolist().index(seed)
        counts, totals = reference["output_counts"][row], reference["layer_spikes"][row]
    assert np.array_equal(spikes["lif3"].sum(axis=1), counts)
    assert np.array_equal(np.stack([s.sum(axis=(1, 2)) for s in spikes.values()], axis=1), totals)
    assert (run_nir_numpy.predict(spikes["lif3"]) == labels).mean() >= 0.97


def test_scripts_rebuild_the_spike_files_from_scikit_learn(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    load_script("digits_data").export_data(tmp_path)
    for name in ("test", "calibration"):
        with (
            np.load(tmp_path / f"digits_{name}.npz") as fresh,
            np.load(DATA / f"digits_{name}.npz") as shipped,
        ):
            assert fresh.files == shipped.files
            assert all(np.array_equal(fresh[key], shipped[key]) for key in shipped.files)


def test_training_script_learns_and_writes_a_file_equal_to_torch(tmp_path: Path) -> None:
    for package in ("torch", "nirtorch", "sklearn"):
        pytest.importorskip(package)
    command = [sys.executable, str(ROOT / "examples" / "train_digits.py")]
    result = subprocess.run(
        [*command, "--seed", "7", "--epochs", "8", "-o", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert "0 predictions and 0 spike bins differ" in result.stdout
    accuracy = float(result.stdout.split("accuracy ")[1].split(" %")[0])
    assert accuracy > 60.0
    assert "digits_seed7.nir" in result.stderr
