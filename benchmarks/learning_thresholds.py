"""Adaptive against fixed threshold (STD-ED), each with its own learning rate from one grid.

    python benchmarks/learning_thresholds.py [--seeds 0-9] [--quick] [-o DIR] [--part K/N]

Digits, 64-128-10, exact times, float weights, Adam, 25 epochs. A row is one form of the rule; its
learning rate is the one of `RATES` that is best on the validation part (mean of two seeds that no
table uses, training part alone). Then it trains on both parts, and is judged on test.

The adaptive threshold is the default window (infinite for t < 1, falling to 0 at t = 2). The fixed
one is `theta0` = 1 until `t_end`: 2 gives it the time of a window, 4 is its default. `gain` scales
the initial weights: standard deviation gain / sqrt(fan-in).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from learning_rows import Found, Row, interval, parse_seeds, run_row

from nmhw.api.learning import learn
from nmhw.io.atomic import write_text
from nmhw.io.learning_data import load_learning_data
from nmhw.values.learning import WeightFormat

FORM: Found = {"mode": "float", "batch": 64, "optimizer": "adam", "lr_drop": 0.2, "epochs": 25}
RATES = (5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
VALIDATION_SEEDS = (100, 101)
DEFAULT_GAIN, SMALL_GAIN = 2.0**0.5, 0.35


@dataclass(frozen=True)
class Form:
    """One form of STD-ED."""

    head: str
    threshold: str
    t_end: float
    gain: float = DEFAULT_GAIN

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.head}, {self.threshold}, t_end {self.t_end:g}, gain {self.gain:.2f}"

    @property
    def options(self) -> Found:
        """Options of the rule."""
        return {"head": self.head, "threshold": self.threshold, "t_end": self.t_end,
                "time": "exact", "init_gain": self.gain}  # fmt: skip


#: Adaptive, then the fixed ones that it is compared with.
GROUPS = tuple(
    (Form(head, "window", 1.0, gain), *(Form(head, "fixed", t, gain) for t in ends))
    for head, gain, ends in (
        ("integrator", DEFAULT_GAIN, (2.0, 4.0)),
        ("integrator", SMALL_GAIN, (2.0,)),
        ("spiking", DEFAULT_GAIN, (4.0,)),
    )
)


def choose_rate(form: Form, folder: Path, limits: Any, seeds: Any) -> Found:
    """Return the rate that is best on the validation part; of equal ones the smaller."""
    path = folder / "rates" / f"{form.name.replace(', ', '-').replace(' ', '-')}.json"
    if path.exists():
        kept: Found = json.loads(path.read_text())
        return kept
    data = load_learning_data("digits").take(*limits)
    found = {}
    for lr in RATES:
        tried = learn(
            data, "std-ed", seeds=seeds, baselines=(), lr=lr, rule_options=form.options,
            weights=WeightFormat(bits=None), **FORM,
        )  # fmt: skip
        reached = [t.records[-1].validation_accuracy or 0.0 for t in tried.trained]
        found[lr] = float(np.mean(reached))
    best = max(RATES, key=lambda lr: (found[lr], -lr))
    chosen: Found = {"lr": best, "validation": {f"{lr:g}": v for lr, v in found.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(chosen, indent=1) + "\n")
    return chosen


def row_of(form: Form, lr: float) -> Row:
    """Return the training of the table."""
    settings = {**FORM, "lr": lr, "rule_options": form.options}
    return Row(form.name, "std-ed", settings, {"bits": None})


def main() -> None:
    """Choose rates, train, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--quick", action="store_true", help="two seeds, 200 training images")
    parser.add_argument("--part", help="K/N: only every N-th form from the K-th, no table")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning-thresholds"))
    options = parser.parse_args()
    seeds = [0, 1] if options.quick else parse_seeds(options.seeds)
    limits: Any = (200, 50, 100) if options.quick else (None, None, None)
    folder = options.output / "quick" if options.quick else options.output
    forms = [form for group in GROUPS for form in group]
    if options.part:
        k, n = (int(x) for x in options.part.split("/"))
        forms = forms[k - 1 :: n]
    found = {}
    for form in forms:
        rates = choose_rate(form, folder, limits, VALIDATION_SEEDS)
        found[form] = rates, run_row(row_of(form, rates["lr"]), seeds, folder, limits)
    if options.part:
        return
    print(f"test accuracy in %, mean of {len(seeds)} seeds (95 % interval of the mean); validation")
    print("accuracy by learning rate: " + ", ".join(f"{lr:g}" for lr in RATES))
    print(f"{'head':11s}{'threshold':10s}{'t_end':>5s}{'gain':>6s}  {'validation':32s}{'lr':>6s}  "
          f"{'test':24s}{'adaptive -':>10s}  silent")  # fmt: skip
    for group in GROUPS:
        best = _mean(found[group[0]][1])
        for form in group:
            rates, summary = found[form]
            tried = " ".join(f"{100 * v:5.1f}" for v in rates["validation"].values())
            gap = "" if form is group[0] else f"{100 * (best - _mean(summary)):.1f}"
            silent = summary["epochs"][-1]["silent"]
            shown = " ".join(f"{100 * s:.0f} %" for s in silent.values())
            print(f"{form.head:11s}{form.threshold:10s}{form.t_end:5g}{form.gain:6.2f}  {tried:32s}"
                  f"{rates['lr']:6g}  {interval(summary):24s}{gap:>10s}  {shown}")  # fmt: skip


def _mean(summary: Found) -> float:
    return float(summary["trainings"][0]["accuracy"]["mean"])


if __name__ == "__main__":
    main()
