"""-o and --html replace only what nmhw wrote, and are judged before the work begins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CHIP = "loihi1-nahuku"
Command = Callable[..., Any]


@pytest.mark.parametrize("name", ["model.nir", "other.nir", "x.npy", "text.nir"])
def test_map_leaves_foreign_files_alone(
    nmhw: Command, files: Path, tmp_path: Path, name: str
) -> None:
    for source in ("model.nir", "other.nir", "x.npy", "text.nir"):
        shutil.copy(files / source, tmp_path / source)
    before = (tmp_path / name).read_bytes()
    done = nmhw("map", tmp_path / "model.nir", "--chip", CHIP, "-o", tmp_path / name)
    assert done.code == 2
    assert "the output is an" in done.err
    assert (tmp_path / name).read_bytes() == before


def test_map_replaces_an_earlier_mapping(nmhw: Command, files: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.h5"
    for _ in range(2):
        assert nmhw("map", files / "model.nir", "--chip", CHIP, "-o", path).code == 0


def test_run_and_report_replace_only_their_own(
    nmhw: Command, run_args: list[str], files: Path, tmp_path: Path
) -> None:
    folder, page = tmp_path / "run", tmp_path / "page.html"
    for _ in range(2):
        assert nmhw(*run_args, "-o", folder).code == 0
        assert nmhw("report", folder, "--html", page).code == 0
    victim = tmp_path / "model.nir"
    shutil.copy(files / "model.nir", victim)
    for target in (victim, folder / "result.h5"):
        before = target.read_bytes()
        done = nmhw("report", folder, "--html", target)
        assert done.code == 2
        assert "no HTML report of nmhw" in done.err
        assert target.read_bytes() == before
    done = nmhw(*run_args, "--mapping", folder / "mapping.h5", "-o", folder)
    assert done.code == 2
    assert "holds an input of this command" in done.err


def test_a_folder_with_a_foreign_result_stays(
    nmhw: Command, run_args: list[str], tmp_path: Path
) -> None:
    text = json.dumps({"mine": 1})
    (tmp_path / "result.json").write_text(text)
    done = nmhw(*run_args, "-o", tmp_path)
    assert done.code == 2
    assert "no saved run of nmhw" in done.err
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]
    assert (tmp_path / "result.json").read_text() == text


def test_a_target_is_judged_before_the_model_is_read(nmhw: Command, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    missing = tmp_path / "missing.nir"
    run = ("run", missing, "--chip", CHIP, "--input", missing)
    assert "holds other files" in nmhw(*run, "-o", tmp_path / "full").err
    for command in (run, ("map", missing, "--chip", CHIP), ("demo",)):
        done = nmhw(*command, "-o", tmp_path / ("n" * 300))
        assert done.code == 2
        assert "File name too long" in done.err
    done = nmhw("report", missing, "--html", tmp_path / ("n" * 250))
    assert "File name too long" in done.err


def test_a_mapping_is_not_written_into_a_saved_run(
    nmhw: Callable, run_args: list[str], files: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "saved"
    assert nmhw(*run_args, "-o", folder).code == 0
    for name in ("mapping.h5", "other.h5"):
        refused = nmhw("map", files / "model.nir", "--chip", CHIP, "-o", folder / name)
        assert refused.code == 2
        assert "the folder holds a saved run" in refused.err
    assert nmhw("report", folder).code == 0
