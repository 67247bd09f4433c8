"""The learning benchmarks run, resume, and print what they computed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
