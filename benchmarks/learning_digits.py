"""What the rules reach on the digits: means over ten seeds with intervals, against goals.

    python benchmarks/learning_digits.py [--seeds 0-9] [--quick] [--json] [-o DIR]

Every training continues from DIR where it stopped. Settings were chosen on the validation part
(seeds 100 to 102, training on the training part alone); the table trains on both parts and
judges on the 400 test images, after the last epoch. Adaptive against fixed thresholds:
``learning_thresholds.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from learning_rows import Found, Row, interval, parse_seeds, run_row

#: Mini-batches of 64 with Adam, float weights: the rule alone.
FLOAT = {"mode": "float", "batch": 64, "optimizer": "adam", "lr_drop": 0.2}
NO_GRID = {"bits": None}

#: One sample at a time, plain descent, 8-bit weights up to 1.5: what a chip would do.
CHIP = {"mode": "integer", "batch": 1, "optimizer": "sgd", "lr_drop": 0.2, "epochs": 20}

TIMES = {**FLOAT, "lr": 5e-3, "epochs": 25}
STEPS = {**FLOAT, "lr": 4e-3, "epochs": 25}
RATE_32 = {**FLOAT, "lr": 2e-3, "epochs": 25, "n_steps": 32, "code": "rate"}
ON_CHIP_TIMES = {**CHIP, "lr": 0.01}
ON_CHIP_STEPS = {**CHIP, "lr": 0.04}
ON_CHIP_RATE_32 = {**CHIP, "lr": 0.005, "n_steps": 32, "code": "rate"}

ROWS = (
    Row("STD-ED", "std-ed", TIMES, NO_GRID, goal=">= 95"),
    Row("MPD-ED rate T=32", "mpd-ed", RATE_32, NO_GRID, goal=">= 96"),
    Row("MPD-ED latency T=16", "mpd-ed", STEPS, NO_GRID, goal=">= 94.5"),
    Row("STBP rate T=32", "stbp", RATE_32, NO_GRID, goal=">= 96"),
    Row("STBP latency T=16", "stbp", STEPS, NO_GRID, goal=">= 94.5"),
    Row("STD-ED 8 bit stochastic", "std-ed", ON_CHIP_TIMES, goal=">= 94.5"),
    Row("MPD-ED rate T=32 8 bit stochastic", "mpd-ed", ON_CHIP_RATE_32, goal=">= 94.5"),
    Row("MPD-ED 8 bit stochastic", "mpd-ed", ON_CHIP_STEPS, goal=""),
    Row("STD-ED 8 bit nearest", "std-ed", ON_CHIP_TIMES, {"rounding": "nearest"}, goal="fails"),
    Row("MPD-ED 8 bit nearest", "mpd-ed", ON_CHIP_STEPS, {"rounding": "nearest"}, goal="fails"),
    Row("STD-ED 4 bit stochastic", "std-ed", ON_CHIP_TIMES, {"bits": 4}),
)  # fmt: skip


def main() -> None:
    """Run all rows and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-9")
    parser.add_argument("--rows", default="", help="only rows whose name holds this")
    parser.add_argument("--quick", action="store_true", help="two seeds, 200 training images")
    parser.add_argument("--part", help="K/N: only every N-th row from the K-th, no table")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning-digits"))
    options = parser.parse_args()
    seeds = [0, 1] if options.quick else parse_seeds(options.seeds)
    limits = (200, 0, 100) if options.quick else (None, None, None)
    folder = options.output / "quick" if options.quick else options.output
    chosen = [row for row in ROWS if options.rows in row.name]
    if options.part:
        k, n = (int(x) for x in options.part.split("/"))
        for row in chosen[k - 1 :: n]:
            run_row(row, seeds, folder, limits)
        return
    found = [(row, run_row(row, seeds, folder, limits)) for row in chosen]
    if options.json:
        print(json.dumps({"seeds": seeds, "rows": [_as_json(r, f) for r, f in found]}, indent=1))
        return
    print(f"test accuracy in %, mean of {len(seeds)} seeds (95 % interval of the mean)")
    print(f"{'training':35s}{'accuracy':28s}{'goal':>14s}  silent neurons")
    for row, summary in found:
        silent = max(summary["epochs"][-1]["silent"].values(), default=0.0)
        print(f"{row.name:35s}{interval(summary):28s}{row.goal:>14s}  {100 * silent:.0f} %")


def _as_json(row: Row, summary: Found) -> Found:
    accuracy = summary["trainings"][0]["accuracy"]
    return {"name": row.name, "rule": row.rule, "goal": row.goal, "settings": summary["settings"],
            "accuracy": accuracy}  # fmt: skip


if __name__ == "__main__":
    main()
