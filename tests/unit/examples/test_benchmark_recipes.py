"""The recipes on tiny generated archives of the published formats, and without a connection."""

from __future__ import annotations

import hashlib
import importlib
import io
import pickle
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmhw.io.learning_data import load_learning_data

FOLDER = Path(__file__).resolve().parents[3] / "examples/benchmarks"
RECIPES = ("nmnist", "shd", "dvs_gesture", "cifar10")


@pytest.fixture
def recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in (*RECIPES, "downloads", "training"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tarred(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def published_at(archive: Any, path: Path) -> Any:
    """Return the archive as if this file were what its publisher holds."""
    digest = "md5:" + hashlib.md5(path.read_bytes()).hexdigest()
    return replace(archive, url=path.as_uri(), digest=digest, n_bytes=path.stat().st_size)


def nmnist_archives(module: ModuleType, folder: Path, writers: ModuleType) -> None:
    for part, n in (("Train", 4), ("Test", 2)):
        files = {}
        for label in range(10):
            for k in range(n if label < 2 else 1):
                events = writers.random_events(150, 34, 34, seed=7 * label + k)
                path = writers.write_nmnist(folder / "one.bin", events)
                files[f"{part}/{label}/{k:05d}.bin"] = path.read_bytes()
        made = zipped(folder / f"{part}.zip", files)
        module.ARCHIVES[part] = published_at(module.ARCHIVES[part], made)


def shd_archives(module: ModuleType, folder: Path, writers: ModuleType) -> None:
    rng = np.random.default_rng(1)
    for part, n in (("train", 6), ("test", 4)):
        samples = [
            (sorted(rng.random(80).tolist()), rng.integers(0, 700, 80).tolist()) for _ in range(n)
        ]
        path = writers.write_shd(folder / "one.h5", samples, np.arange(n) % 20)
        made = zipped(folder / f"{part}.zip", {f"shd_{part}.h5": path.read_bytes()})
        module.ARCHIVES[part] = published_at(module.ARCHIVES[part], made)


def gesture_archives(module: ModuleType, folder: Path, writers: ModuleType) -> None:
    rng = np.random.default_rng(2)
    for part in ("Train", "Test"):
        files = {}
        for user in ("user01_fluorescent", "user02_led"):
            for label in range(3):
                times = np.sort(rng.random(400)) * 2000  # milliseconds, some behind the window
                columns = [rng.integers(0, 128, 400), rng.integers(0, 128, 400),
                           rng.integers(0, 2, 400), times]  # fmt: skip
                buffer = io.BytesIO()
                np.save(buffer, np.stack(columns, 1))
                files[f"ibmGesture{part}/{user}/{label}.npy"] = buffer.getvalue()
        made = tarred(folder / f"{part}.tar.gz", files)
        module.ARCHIVES[part] = published_at(module.ARCHIVES[part], made)


def cifar_archives(module: Any, folder: Path, writers: ModuleType) -> None:
    rng = np.random.default_rng(3)
    files = {}
    for name in [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]:
        pixels = rng.integers(0, 256, (3, 3072)).astype(np.uint8)
        batch = {b"data": pixels, b"labels": [1, 5, 9], b"batch_label": b"generated"}
        files[f"cifar-10-batches-py/{name}"] = pickle.dumps(batch, protocol=2)
    module.ARCHIVE = published_at(module.ARCHIVE, tarred(folder / "c.tar.gz", files))


ARCHIVES = {
    "nmnist": nmnist_archives, "shd": shd_archives, "dvs_gesture": gesture_archives,
    "cifar10": cifar_archives,
}  # fmt: skip
SMALL = ["--train", "5", "--test", "3", "--steps", "6", "--epochs", "1", "--batch", "3",
         "--chips", "generic"]  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_the_whole_way_from_archive_to_table(
    name: str, recipe: Any, tmp_path: Path, event_writers: ModuleType,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    module, training = recipe(name), recipe("training")
    (tmp_path / "made").mkdir()
    ARCHIVES[name](module, tmp_path / "made", event_writers)
    weights = tmp_path / "w.pt"
    folder = ["--folder", str(tmp_path / "data")]
    first = module.parse([*SMALL, *folder, "--save-weights", str(weights)])
    assert training.run_recipe(module.recipe, first) == 0
    shown = capsys.readouterr()
    assert "epoch 1" in shown.err
    assert training.HEADER in shown.out
    row = shown.out.splitlines()[-1]
    assert row.startswith("generic")
    assert row.count("%") == 2
    again = module.parse([*SMALL, *folder, "--offline", "--weights", str(weights)])
    assert training.run_recipe(module.recipe, again) == 0  # from the folder, without training
    repeated = capsys.readouterr()
    assert repeated.out == shown.out
    assert "epoch" not in repeated.err


def test_the_published_network_runs_on_generated_events(
    recipe: Any, tmp_path: Path, event_writers: ModuleType, data_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    module, training = recipe("nmnist"), recipe("training")
    nmnist_archives(module, tmp_path, event_writers)
    stored = data_dir / "nir-cases/02_cnn/cnn_sinabs.nir"
    module.PUBLISHED = replace(module.PUBLISHED, url=stored.as_uri())  # its own digest and length
    options = module.parse(["--published", "--published-steps", "10", "--test", "2", "--chips",
                            "speck2f,spinnaker2", "--folder", str(tmp_path / "data")])  # fmt: skip
    assert training.run_recipe(module.recipe, options) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line != training.HEADER]
    assert [row.split()[0] for row in rows] == ["speck2f", "spinnaker2"]
    assert all(row.count("%") == 2 for row in rows)


@pytest.mark.parametrize("name", ["nmnist", "shd"])
def test_events_become_a_file_that_learn_reads(
    name: str, recipe: Any, tmp_path: Path, event_writers: ModuleType
) -> None:
    module, training = recipe(name), recipe("training")
    ARCHIVES[name](module, tmp_path, event_writers)
    file = tmp_path / "learn.npz"
    options = module.parse([*SMALL, "--folder", str(tmp_path / "data"), "--learn-file", str(file)])
    assert training.run_recipe(module.recipe, options) == 0
    data = load_learning_data(file)
    assert data.events is not None
    assert data.events.n_samples == 8
    assert data.shape == ((2, 34, 34) if name == "nmnist" else data.shape)
    assert data.split.tolist() == [1, 0, 0, 0, 0, 2, 2, 2]
    assert data.events.largest_count() == 1


@pytest.mark.parametrize("name", RECIPES)
def test_without_data_and_connection_a_recipe_is_skipped_with_one_line(
    name: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", "--offline", "--folder", tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 75
    assert done.stderr.startswith("skipped: ")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_an_unreachable_server_is_a_skip_and_leaves_nothing(recipe: Any, tmp_path: Path) -> None:
    module, training = recipe("shd"), recipe("training")
    nowhere = (tmp_path / "nowhere.zip").as_uri()
    module.ARCHIVES["test"] = replace(module.ARCHIVES["test"], url=nowhere)
    assert training.run_recipe(module.recipe, module.parse(["--folder", str(tmp_path / "d")])) == 75
    assert list((tmp_path / "d").iterdir()) == []


def test_files_that_are_not_the_published_ones_are_refused(
    recipe: Any, tmp_path: Path, event_writers: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    module, training = recipe("shd"), recipe("training")
    shd_archives(module, tmp_path, event_writers)
    folder = tmp_path / "data"
    options = module.parse([*SMALL, "--folder", str(folder)])
    right = module.ARCHIVES["test"]
    for wrong in (
        replace(right, digest="md5:" + "0" * 32), replace(right, n_bytes=5),
        replace(right, max_bytes=10),
    ):  # fmt: skip
        module.ARCHIVES["test"] = wrong
        assert training.run_recipe(module.recipe, options) == 2
        assert capsys.readouterr().err.startswith("error: ")
        assert list(folder.iterdir()) == []
    escaping = zipped(tmp_path / "bad.zip", {"other.txt": b"x"})
    module.ARCHIVES["test"] = published_at(right, escaping)
    assert training.run_recipe(module.recipe, options) == 2
    assert "holds no 'shd_test.h5'" in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == [right.name]


def test_a_pickle_that_would_run_code_is_refused(recipe: Any, tmp_path: Path) -> None:
    module, downloads = recipe("cifar10"), recipe("downloads")
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(tmp_path.exists))
    with pytest.raises(downloads.DamagedError, match="no place in a batch"):
        module.read_images([tmp_path / "data_batch_1"], 5)
    with pytest.raises(downloads.DamagedError, match="not a batch"):
        module.read_images([tmp_path / "none"], 5)


@pytest.mark.parametrize("name", RECIPES)
def test_arguments_that_make_no_sense_end_with_usage(name: str, recipe: Any) -> None:
    module = recipe(name)
    for wrong in (["--steps", "0"], ["--train", "-3"], ["--epochs", "x"], ["--no-such"]):
        with pytest.raises(SystemExit) as ended:
            module.parse(wrong)
        assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        module.parse(["--help"])
    assert ended.value.code == 0


def test_weights_of_another_network_are_refused(
    recipe: Any, tmp_path: Path, event_writers: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    module, training = recipe("shd"), recipe("training")
    shd_archives(module, tmp_path, event_writers)
    wrong = tmp_path / "w.pt"
    wrong.write_bytes(b"nothing")
    for path in (wrong, tmp_path / "none.pt"):
        options = module.parse([*SMALL, "--folder", str(tmp_path / "d"), "--weights", str(path)])
        assert training.run_recipe(module.recipe, options) == 2
        assert "weights" in capsys.readouterr().err
