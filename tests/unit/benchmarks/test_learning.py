"""The learning benchmarks run, resume, and print what they computed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nmhw.values.cost_sets import UNITS

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def run(script: str, *arguments: str) -> str:
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_digits_rows_resume_with_the_same_table(tmp_path: Path) -> None:
    line = ["--quick", "--rows", "STD-ED 8 bit stochastic", "-o", str(tmp_path)]
    first = run("learning_digits.py", *line)
    assert "STD-ED 8 bit stochastic" in first
    assert run("learning_digits.py", *line) == first
    found = json.loads(run("learning_digits.py", *line, "--json"))
    (row,) = found["rows"]
    assert row["settings"]["weights"]["bits"] == 8
    assert row["accuracy"]["mean"] > 0.7


def test_crossing_of_the_goal_is_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from learning_energy_report import crossing

    assert crossing([4, 16, 64], [10.0, 40.0, 160.0], 30.0) == "12"
    assert crossing([4, 16], [31.0, 90.0], 30.0) == "<= 4"
    assert crossing([4, 16], [3.0, 9.0], 30.0) == "-"


def test_a_learning_rate_is_chosen_on_validation_and_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import learning_energy as study

    reached = {0.0025: 0.5, 0.005: 0.6, 0.01: 0.9, 0.02: 0.9, 0.04: 0.7, 0.08: 0.1}
    tried: list[float] = []

    def train(training: Any, data: Any, seed: int, form: Any, lr: float, *_: Any) -> Any:
        assert seed == study.VALIDATION_SEED
        assert data.rows("validation").size > 0  # held out: not trained on
        tried.append(lr)
        record = SimpleNamespace(validation_accuracy=reached[lr], test_accuracy=1.0 - reached[lr])
        return SimpleNamespace(records=[record]), {}

    monkeypatch.setattr(study, "_train", train)
    limits = (40, 20, 20)
    wide = study.Training("mpd-ed", "rate", 16, "stream")
    chosen = study.choose_rate(wide, study.FORM, tmp_path, limits, False)
    assert chosen["lr"] == 0.01  # of equal ones the smaller
    assert tried == list(study.RATES)
    assert study.choose_rate(wide, study.FORM, tmp_path, limits, False) == chosen
    assert len(tried) == len(study.RATES)
    carried = study.Training("mpd-ed", "rate", 64, "stream")
    assert study.choose_rate(carried, study.FORM, tmp_path, limits, False) == {
        "lr": study.CARRIED["rate"][64], "validation": {},
    }  # fmt: skip


def test_static_power_draws_ratios_to_that_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from learning_energy_static import static_per_sample, static_table

    times = {"steps": [8], "seconds": [2e-5], "n_cores": 2, "chip_cores": 128, "static_w": 0.1}
    assert static_per_sample(times, "mpd-ed", 8) == pytest.approx(4e-6)
    assert static_per_sample(times, "std-ed", 8) == pytest.approx(12e-6)
    actions = {"whole training": [1000.0] * len(UNITS)}
    more = {"whole training": [40000.0] * len(UNITS)}
    trainings = {
        f"{rule}-{code}-8-sample": {"machines": {m: {"actions": a} for m, a in machines.items()}}
        for rule, code, machines in (
            ("std-ed", "latency", {"event": actions}),
            *(("mpd-ed", code, {"event": actions}) for code in ("latency", "rate")),
            *(("stbp", code, {"dense": more, "gated": more}) for code in ("latency", "rate")),
        )
    }
    rows = list(static_table({"steps": [8], "trainings": trainings}, times))
    cells = {tuple(row.split()[:3]): row.split()[3].split("/") for row in rows[3:-1]}
    mpd = [float(x) for x in cells["mpd-ed", "latency", "stbp-dense"]]
    assert mpd[0] == 40.0
    assert mpd[0] > mpd[1] > mpd[2] > 1.0
    assert float(cells["std-ed", "latency", "stbp-gated"][2]) < 1.0  # three windows of time
