"""``run -o DIR`` then ``report DIR``: the same report, other prices, damage noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

BODY = ("chip.json", "mapping.h5", "result.h5", "result.json", "SHA256SUMS")


@pytest.fixture
def saved(nmhw: Callable, run_args: list[str], files: Path, tmp_path: Path) -> tuple[Path, str]:
    """A saved run and the report it printed."""
    done = nmhw(*run_args, "--labels", files / "y.npy", "--probe", "lif1:v", "-o", tmp_path / "run")
    assert done.code == 0
    return tmp_path / "run", done.out


def test_report_prints_the_identical_text(nmhw: Callable, saved: tuple[Path, str]) -> None:
    folder, text = saved
    assert nmhw("report", folder).out == text


def test_report_json_equals_the_saved_summary(nmhw: Callable, saved: tuple[Path, str]) -> None:
    folder, _ = saved
    assert nmhw("report", folder, "--json").json == json.loads((folder / "result.json").read_text())


def test_two_runs_save_the_same_bytes(
    nmhw: Callable, run_args: list[str], files: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        assert nmhw(*run_args, "--labels", files / "y.npy", "-o", tmp_path / name).code == 0
    for name in BODY:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_another_pace_changes_static_energy_alone(nmhw: Callable, saved: tuple[Path, str]) -> None:
    folder, _ = saved
    free = nmhw("report", folder, "--json").json
    slow = nmhw("report", folder, "--json", "--pace", "period=5ms").json
    assert slow["pace"] == "period=5ms"
    assert slow["energy_j"]["dynamic"] == free["energy_j"]["dynamic"]
    steps = slow["n_steps"] + slow["drain_steps"]
    time_s = slow["n_samples"] * steps * 5e-3
    assert slow["energy_j"]["static"] == pytest.approx(slow["energy_j"]["static_power_w"] * time_s)


def test_no_costs_and_back(nmhw: Callable, saved: tuple[Path, str], tmp_path: Path) -> None:
    folder, text = saved
    unpriced = nmhw("report", folder, "--costs", "none")
    assert "energy unpriced" in unpriced.out
    assert nmhw("report", folder, "--costs", "nahuku").out == text


def test_a_run_that_was_unpriced_stays_so_when_only_the_pace_changes(
    nmhw: Callable, run_args: list[str], tmp_path: Path
) -> None:
    nmhw(*run_args, "--costs", "none", "-o", tmp_path / "run")
    again = nmhw("report", tmp_path / "run", "--pace", "period=1ms", "--json").json
    assert again["energy_j"]["total"] is None
    assert again["costs"] is None


def test_a_saved_run_is_replaced_and_a_foreign_folder_is_not(
    nmhw: Callable, saved: tuple[Path, str], run_args: list[str], tmp_path: Path
) -> None:
    folder, text = saved
    assert nmhw(*run_args, "--pace", "realtime", "-o", folder).code == 0
    assert nmhw("report", folder).out != text
    assert sorted(p.name for p in folder.iterdir()) == sorted([*BODY, "run-info.json"])
    (folder / "notes.txt").write_text("mine")
    refused = nmhw(*run_args, "-o", folder)
    assert refused.code == 2
    assert "the output folder holds other files" in refused.err
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", BODY)
def test_a_missing_or_damaged_file_is_one_message(
    nmhw: Callable, saved: tuple[Path, str], name: str
) -> None:
    folder, _ = saved
    path = folder / name
    content = path.read_bytes()
    middle = len(content) // 2
    for bad in (content[:middle], content[:-3], b"", None):
        path.unlink()
        if bad is not None:
            path.write_bytes(bad)
        done = nmhw("report", folder, "--json")
        assert done.code == 2
        assert done.json["error"] == "ResultFileError"
        path.write_bytes(content)


def test_html_is_written_instead_of_text(
    nmhw: Callable, saved: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = saved
    done = nmhw("report", folder, "--html", tmp_path / "r.html")
    assert done.code == 0
    assert done.out == ""
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_a_mapping_used_again_gives_the_same_run(
    nmhw: Callable, run_args: list[str], tmp_path: Path
) -> None:
    direct = nmhw(*run_args, "--json").json
    assert nmhw("map", *run_args[1:4], "-o", tmp_path / "m.h5").code == 0
    for chip in (run_args[2:4], []):
        again = nmhw(
            *run_args[:2], *chip, *run_args[4:], "--mapping", tmp_path / "m.h5", "--json"
        ).json
        assert {**again, "wall_s": None} == {**direct, "wall_s": None}


def test_spikes_beyond_the_limit_are_dropped_with_a_note_and_counts_stay(
    nmhw: Callable, run_args: list[str], tmp_path: Path
) -> None:
    whole = nmhw(*run_args, "--json").json
    cut = nmhw(*run_args, "--keep-spikes", 0, "-o", tmp_path / "run", "--json").json
    assert cut["spikes"] == whole["spikes"]
    assert cut["energy_j"] == whole["energy_j"]
    assert "run.spikes-dropped" in {n["rule"] for n in cut["notices"]}
    assert nmhw("report", tmp_path / "run").code == 0
