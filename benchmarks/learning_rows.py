"""Trainings in rows: run each from all seeds, keep what is done, print one table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmhw.api.learning import learn
from nmhw.api.learning_experiment import LearningExperiment
from nmhw.io.atomic import write_text
from nmhw.io.learning_data import load_learning_data
from nmhw.values.learning import WeightFormat

Found = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One training: how it is called, what it is, what it should reach.

    ``settings`` are those of ``nmhw.learn``; ``weights`` holds the fields of WeightFormat.
    """

    name: str
    rule: str
    settings: Found
    weights: Found = field(default_factory=dict)
    data: str = "digits"
    goal: str = ""
    baselines: tuple[str, ...] = ()


def run_row(row: Row, seeds: Sequence[int], folder: Path, limits: Sequence[int | None]) -> Found:
    """Return the summary of a row, from its file where it is done already."""
    path = folder / f"{row.name.replace(' ', '-').replace(',', '')}.json"
    if path.exists():
        found: Found = json.loads(path.read_text())
        if [s["seed"] for s in found["trainings"][0]["seeds"]] == list(seeds):
            return found
    summary = train_row(row, seeds, folder / path.stem, limits).to_json()
    write_text(path, json.dumps(summary, indent=1) + "\n")
    return summary


def train_row(
    row: Row, seeds: Sequence[int], folder: Path | None, limits: Sequence[int | None]
) -> LearningExperiment:
    """Train one row, continuing from its checkpoints; validation samples train too."""
    data = load_learning_data(row.data)
    if any(limit is not None for limit in limits):
        data = data.take(*limits)
    return learn(
        data, row.rule, seeds=seeds, baselines=row.baselines, merge_validation=True, out=folder,
        resume=True, progress=_say, weights=WeightFormat(**row.weights), **row.settings,
    )  # fmt: skip


def interval(found: Found) -> str:
    """Return mean and 95 % interval of the mean test accuracy in percent."""
    accuracy = found["trainings"][0]["accuracy"]
    if accuracy["low"] is None:
        return f"{100 * accuracy['mean']:.2f}"
    low, high = 100 * accuracy["low"], 100 * accuracy["high"]
    return f"{100 * accuracy['mean']:.2f} ({low:.2f} to {high:.2f})"


def parse_seeds(text: str) -> list[int]:
    """Read 0-9 or 0,3,5."""
    from nmhw.cli.learn_options import parse_seeds as parse

    return list(parse(text))


def _say(label: str, done: int, total: int) -> None:
    if done == total:
        print(label, file=sys.stderr, flush=True)
