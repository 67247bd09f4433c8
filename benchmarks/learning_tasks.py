"""Harder tasks: convolutions on shifted digits, generated gestures, fine-tuning, classes in turn.

    python benchmarks/learning_tasks.py [--seeds 0-2] [--quick] [-o DIR] [--only NAME]

Every training continues from DIR where it stopped. Accuracy on test after the last epoch, energies
of one whole training (cost set horowitz-32bit) on each rule's own machine and on the baselines'.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from learning_rows import Found, Row, interval, parse_seeds, run_row, train_row

from nmhw.api.fine_tuning import learn_in_turn, read_for_learning
from nmhw.api.learning import learn
from nmhw.io.learning_data import load_learning_data
from nmhw.values.learning import WeightFormat
from nmhw.values.units import format_si

FLOAT = {"mode": "float", "batch": 64, "optimizer": "adam"}
NO_GRID = {"bits": None}
CONV = "1x12x12-c8k3p1-p2-64-10"
ALL = ("stbp-dense", "stbp-gated", "stbp-gated-once", "stbp-band")

ROWS = (
    Row("gestures STD-ED", "std-ed", {**FLOAT, "net": "144-128-8", "n_steps": 24, "epochs": 20,
                                      "lr": 5e-3}, NO_GRID, "gestures", baselines=ALL),
    Row("gestures MPD-ED", "mpd-ed", {**FLOAT, "net": "144-128-8", "n_steps": 24, "epochs": 10,
                                      "lr": 4e-3}, NO_GRID, "gestures", baselines=ALL),
    Row("gestures MPD-ED 8 bit", "mpd-ed", {"mode": "integer", "net": "144-128-8", "n_steps": 24,
                                            "epochs": 10, "lr": 0.02}, {}, "gestures"),
    Row("shifted digits MPD-ED dense", "mpd-ed", {**FLOAT, "net": "144-128-10", "n_steps": 8,
                                                  "epochs": 12, "lr": 4e-3}, NO_GRID,
        "digits-shifted"),
    Row("shifted digits MPD-ED conv", "mpd-ed", {**FLOAT, "net": CONV, "n_steps": 8, "epochs": 12,
                                                 "lr": 4e-3}, NO_GRID, "digits-shifted",
        baselines=ALL),
)  # fmt: skip


def fine_tune(folder: Path, seeds: list[int], limits: Any) -> list[str]:
    """Train on clean digits, write NIR, fine-tune its last layer on corrupted digits."""
    lines = []
    for seed in seeds:
        first = Row("clean", "mpd-ed", {"n_steps": 16, "epochs": 12, "lr": 0.02}, {})
        trained = train_row(first, [seed], folder / f"clean-{seed}", limits)
        trained.save(folder / f"clean-{seed}")
        start, more = read_for_learning(folder / f"clean-{seed}" / "trained.nir", "mpd-ed", {})
        data = load_learning_data("digits-corrupted")
        data = data if limits == (None,) * 3 else data.take(*limits)
        tuned = learn(
            data, "mpd-ed", n_steps=16, epochs=6, lr=0.02, seeds=(seed,), initial=start,
            frozen=("layer1",), baselines=("stbp-gated-once",), merge_validation=True,
            weights=WeightFormat(), **more,
        )  # fmt: skip
        tuned.save(folder / f"tuned-{seed}")
        ratio = tuned.to_json()["energy_ratio"]["horowitz-32bit"]["stbp-gated-once"]["value"]
        lines.append(
            f"fine-tuning, seed {seed}: clean {100 * trained.accuracy:.2f} %; corrupted "
            f"{100 * (tuned.accuracy_before or 0):.2f} % before, {100 * tuned.accuracy:.2f} % "
            f"after (head alone; STBP gated-once / MPD-ED {ratio:.1f}, learning only)"
        )
    return lines


def in_turn(seeds: list[int], limits: Any) -> list[str]:
    """Learn digits 0-4, then 5-9."""
    data = load_learning_data("digits")
    data = data if limits == (None,) * 3 else data.take(*limits)
    lines = []
    for rule, lr in (("std-ed", 0.01), ("mpd-ed", 0.02)):
        found = [
            learn_in_turn(
                data, (range(5), range(5, 10)), rule, seed=seed, epochs=6, lr=lr, n_steps=16,
                merge_validation=True,
            )
            for seed in seeds
        ]  # fmt: skip
        before, old, new = (
            100 * float(np.mean([f.accuracy[i, j] for f in found]))
            for i, j in ((0, 0), (1, 0), (1, 1))
        )
        lost = 100 * float(np.mean([f.forgetting for f in found]))
        lines.append(
            f"classes in turn, {rule}: 0-4 {before:.1f} % then {old:.1f} % once 5-9 are learned "
            f"({new:.1f} %); forgetting {lost:.1f} points"
        )
    return lines


def main() -> None:
    """Run everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-2")
    parser.add_argument("--quick", action="store_true", help="one seed, 96 images")
    parser.add_argument("--only", default="", help="only what holds this in its name")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning-tasks"))
    options = parser.parse_args()
    seeds = [0] if options.quick else parse_seeds(options.seeds)
    limits = (96, 0, 48) if options.quick else (None, None, None)
    folder = options.output / "quick" if options.quick else options.output
    lines = [f"{'training':30s}{'accuracy, % (interval)':26s}{'one training':>14s}"]
    for row in ROWS:
        if options.only in row.name:
            lines += _describe(row, run_row(row, seeds, folder, limits))
    if options.only in "fine-tuning":
        lines += ["", *fine_tune(folder, seeds, limits)]
    if options.only in "classes in turn":
        lines += ["", *in_turn(seeds, limits)]
    print("\n".join(lines))


def _describe(row: Row, found: Found) -> list[str]:
    lines = []
    for k, training in enumerate(found["trainings"]):
        energy = training["energy_j"]["horowitz-32bit"]["whole training"]["training"]
        name = row.name if k == 0 else f"  {training['name']}"
        shown = interval({"trainings": [training]})
        lines.append(f"{name:30s}{shown:26s}{format_si(energy, 'J'):>14s}")
    return lines


if __name__ == "__main__":
    main()
