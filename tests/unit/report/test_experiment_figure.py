"""Figures and texts of experiments."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from nmhw.report.experiment_figure import draw_experiment, render_experiment
from nmhw.sim.learning.experiments.result import ExperimentResult, bars, images, lines


def result() -> ExperimentResult:
    panels = (
        lines("curve", "epoch", "accuracy", learned=([0, 1], [0.1, 0.9]), control=([0, 1], [0, 0])),
        bars("end", "accuracy", {"a": 1.0, "b": 2.0}),
        images("fields", np.random.default_rng(0).normal(size=(5, 3, 3))),
    )
    return ExperimentResult(
        "x", "title", "stdp", "data", 1, "accuracy", 0.9, 0.1, "nothing", "> 0.5", True,
        {"before": 0.1}, panels,
    )  # fmt: skip


def test_a_figure_has_all_panels_and_the_same_bytes_again(tmp_path: Path) -> None:
    one = draw_experiment(result(), tmp_path / "a.png").read_bytes()
    assert one == draw_experiment(result(), tmp_path / "b.png").read_bytes()
    assert one.startswith(b"\x89PNG")
    assert int.from_bytes(one[16:20], "big") == 1500  # three panels of 5 inches


def test_the_text_names_the_control_and_whether_the_criterion_is_met() -> None:
    text = render_experiment(result())
    assert "0.1  (nothing)" in text
    assert "> 0.5: met" in text
    assert "before: 0.1" in text
    long = replace(result(), generator="a long sentence " * 20)
    assert max(map(len, render_experiment(long).splitlines())) <= 100
