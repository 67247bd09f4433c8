"""Experiments of the local rules: settings chosen on one part, judged on another.

    python benchmarks/learning_local.py [--seeds 10-12] [--quick] [--only NAME] [-o DIR]

Per experiment, its learning rate is chosen among half, once and twice the default (seed 100;
images: the test part, on which the defaults were found by hand). With that rate it is judged
on seeds that no choice has used: fresh initial weights, order, noise and generated trials, and, for
images, the validation part, which no choice has seen either.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from learning_rows import Found, parse_seeds

from nmhw.io.atomic import write_text
from nmhw.sim.learning.experiments import run_experiment

FACTORS = (0.5, 1.0, 2.0)
CHOICE_SEEDS = (100,)

#: Name of the option that scales learning, and its default; None: nothing to choose.
RATES: dict[str, tuple[str, float] | None] = {
    "stdp-fields": ("rate", 0.02),
    "triplet-frequency": None,
    "sum-of-products": None,
    "r-stdp-chase": ("rate", 0.01),
    "pes-control": ("rate", 0.001),
    "e-prop-recall": ("rate", 0.0003),
    "soft-hebb-adaptation": ("rate", 0.05),
    "delta-digits": ("rate", 0.01),
    "drtp-digits": ("rate", 0.001),
    "decolle-digits": ("rate", 0.001),
    "sdsp-digits": ("move", 0.05),
}
ON_IMAGES = ("soft-hebb-adaptation", "delta-digits", "drtp-digits", "decolle-digits", "sdsp-digits")

#: Measures of which less is better.
ERRORS = ("pes-control",)


def choose_rate(name: str, quick: bool) -> Found:
    """Return the rate that does best where choices are made, and what each one reached."""
    option = RATES[name]
    if option is None:
        return {"options": {}, "reached": {}}
    field, default = option
    seen: Found = {"judged": "test"} if name in ON_IMAGES else {}
    reached = {}
    for factor in FACTORS:
        options = {field: factor * default, **seen, "quick": quick}
        tried = [run_experiment(name, seed, None, **options).learned for seed in CHOICE_SEEDS]
        reached[factor] = float(np.mean(tried))
    sign = -1.0 if name in ERRORS else 1.0
    # of equal ones the default, then the smaller
    best = max(FACTORS, key=lambda f: (sign * reached[f], f == 1.0, -f))
    return {"options": {field: best * default}, "factor": best, "reached": reached}


def judge(name: str, options: Found, seeds: list[int], quick: bool) -> list[Found]:
    """Return the results of unseen seeds (and images)."""
    return [run_experiment(name, s, None, quick=quick, **options).to_json() for s in seeds]


def main() -> None:
    """Choose, judge, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="10-12")
    parser.add_argument("--quick", action="store_true", help="reduced experiments, one seed")
    parser.add_argument("--only", default="", help="only what holds this in its name")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning-local"))
    options = parser.parse_args()
    seeds = [10] if options.quick else parse_seeds(options.seeds)
    folder = options.output / "quick" if options.quick else options.output
    print(f"{'experiment':21s} {'0.5, 1, 2 x rate':21s}{'taken':>6s}  {'learned':24s}"
          f"{'control':24s}passed")  # fmt: skip
    for name in RATES:
        if options.only in name:
            print(_describe(name, _found(name, seeds, options.quick, folder)), flush=True)


def _found(name: str, seeds: list[int], quick: bool, folder: Path) -> Found:
    path = folder / f"{name}.json"
    if path.exists():
        kept: Found = json.loads(path.read_text())
        if [r["seed"] for r in kept["results"]] == seeds:
            return kept
    chosen: Any = choose_rate(name, quick)
    found: Found = {"chosen": chosen, "results": judge(name, chosen["options"], seeds, quick)}
    write_text(path, json.dumps(found, indent=1) + "\n")
    kept = json.loads(path.read_text())
    return kept


def _describe(name: str, found: Found) -> str:
    tried = " ".join(f"{v:.3g}" for v in found["chosen"]["reached"].values()) or "-"
    factor = found["chosen"].get("factor")
    taken = "-" if factor is None else f"x {factor:g}"
    learned, control = (
        " ".join(f"{r[key]:.3g}" for r in found["results"]) for key in ("learned", "control")
    )
    passed = sum(r["passed"] for r in found["results"])
    return (f"{name:21s} {tried:21s}{taken:>6s}  {learned:24s}{control:24s}"
            f"{passed} of {len(found['results'])}")  # fmt: skip


if __name__ == "__main__":
    main()
