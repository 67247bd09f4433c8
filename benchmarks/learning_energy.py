"""The energy study: accuracy against training energy, and STBP / event-driven ratios over T.

    python benchmarks/learning_energy.py [--quick] [--json] [--plots DIR] [-o DIR] [--seeds 0-1]
    python benchmarks/learning_energy.py --part 1/2     # one of two processes that share the work

Digits, 64-128-10. STD-ED in T ticks, MPD-ED and STBP in T steps, T = 4 to 64, latency and rate code
(STD-ED: latency; beside the rate code it is the same training). STBP is trained once per T and
counted for several machines: dense, spike-gated (the head's error carried back in every step, or
once), and band-masked (a training of its own). Weights are written once per sample, or at every
contribution ("stream": a training of its own too). Every training (rule, code, T, writes) takes the
learning rate of `rates_of` that is best on the validation part (one seed, training part alone);
the seeds of the tables then train on both parts. The T at which a ratio reaches 30 is printed, not
chosen.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from learning_rows import parse_seeds

from nmhw.api.learning import initial_settings
from nmhw.api.learning_rules import gradient_rule
from nmhw.api.training import TrainedSeed, Trainer
from nmhw.io.atomic import write_text
from nmhw.io.learning_data import load_learning_data
from nmhw.report.learn_summary import sum_counts
from nmhw.sim.learning.sizes import parse_sizes
from nmhw.values.cost_sets import COST_SETS
from nmhw.values.learning import WeightFormat
from nmhw.values.op_cost import SCOPES, Ratio, energy_ratio, op_ratio, unit_actions

Found = dict[str, Any]
STEPS = (4, 8, 16, 32, 64)
QUICK_STEPS = (4, 16)
CODES = ("latency", "rate")
GOAL = 30.0

WRITES = ("sample", "stream")

#: Machines that a training is counted for; the first one is the rule's own.
MACHINES = {
    "std-ed": ("event",),
    "mpd-ed": ("event",),
    "stbp": ("gated", "gated-once", "dense"),
    "stbp-band": ("band",),
}
BASELINES = {
    "stbp-dense": ("stbp", "dense"),
    "stbp-gated": ("stbp", "gated"),
    "stbp-gated-once": ("stbp", "gated-once"),
    "stbp-band": ("stbp-band", "band"),
}


@dataclass(frozen=True)
class Training:
    """One rule at one code and T."""

    rule: str
    code: str
    n_steps: int
    writes: str

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.rule}-{self.code}-{self.n_steps}-{self.writes}"


def trainings(steps: tuple[int, ...]) -> Iterator[Training]:
    """Yield every training of the study, the shortest first."""
    for n_steps in steps:
        for writes in WRITES:
            yield Training("std-ed", "latency", n_steps, writes)
            for code in CODES:
                for rule in ("mpd-ed", "stbp", "stbp-band"):
                    yield Training(rule, code, n_steps, writes)


def settings_of(training: Training, form: Found, lr: float) -> Any:
    """Return the LearningSettings of a training."""
    options: Found = {"mask": "band"} if training.rule == "stbp-band" else {}
    rule = "mpd-ed" if training.rule == "stbp-band" else training.rule
    weights = WeightFormat(accumulate="stream" if training.writes == "stream" else "sample")
    return initial_settings(
        rule, "digits", n_steps=training.n_steps, code=training.code, lr=lr, rule_options=options,
        weights=weights, **form,
    )  # fmt: skip


def choose_rate(training: Training, form: Found, folder: Path, limits: Any, is_wide: bool) -> Found:
    """Return the rate that is best on the validation part, and what each one reached there.

    Test images are looked at by no choice. Of equal rates the smaller one is taken.
    """
    rates = rates_of(training, is_wide)
    if len(rates) == 1 and training.writes == "stream":
        return {"lr": rates[0], "validation": {}}
    path = folder / "rates" / f"{training.name}.json"
    if path.exists():
        kept: Found = json.loads(path.read_text())
        return kept
    data = load_learning_data("digits").take(*limits)
    found = {}
    for lr in rates:
        judged, _ = _train(training, data, VALIDATION_SEED, form, lr, (), folder)
        found[lr] = judged.records[-1].validation_accuracy or 0.0
    best = max(found, key=lambda lr: (found[lr], -lr))
    chosen: Found = {"lr": best, "validation": {f"{lr:g}": v for lr, v in found.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(chosen, indent=1) + "\n")
    return chosen


def run(
    training: Training, seeds: list[int], form: Found, folder: Path, limits: Any,
    is_wide: bool,
) -> Found:  # fmt: skip
    """Train every seed; return accuracy and unit actions, from the file where it is done."""
    path = folder / f"{training.name}.json"
    if path.exists():
        found: Found = json.loads(path.read_text())
        if found["seeds"] == seeds:
            return found
    rates = choose_rate(training, form, folder, limits, is_wide)
    lr = rates["lr"]
    merged = load_learning_data("digits").take(*limits).merge_validation()
    kinds = MACHINES[training.rule]
    done = [_train(training, merged, seed, form, lr, kinds, folder) for seed in seeds]
    found = {
        "rule": training.rule, "code": training.code, "n_steps": training.n_steps, "seeds": seeds,
        "writes": training.writes, "lr": lr, "validation": rates["validation"],
        "validation_accuracy": rates["validation"].get(f"{lr:g}"),
        "accuracy": [t.test_accuracy for t, _ in done],
        "silent": max(done[0][0].records[-1].silent_fraction.values(), default=0.0),
        "n_samples": sum_counts([r.counts for r in done[0][0].records]).n_samples,
        "machines": {
            kind: _machine([forms[kind] for _, forms in done]) for kind in MACHINES[training.rule]
        },
    }  # fmt: skip
    write_text(path, json.dumps(found, indent=1) + "\n")
    print(training.name, f"{np.mean(found['accuracy']):.4f}", file=sys.stderr, flush=True)
    return found


def _train(
    training: Training, data: Any, seed: int, form: Found, lr: float, kinds: Any, folder: Path
) -> tuple[TrainedSeed, dict[str, TrainedSeed]]:
    settings = settings_of(training, form, lr)
    net = parse_sizes("64-128-10")
    part = "all" if data.rows("validation").size == 0 else "chosen"
    name = f"{training.name}-{part}-{settings.lr:g}-{seed}.npz"
    checkpoint = folder / "checkpoints" / name
    trainer = Trainer(data, net, gradient_rule(settings), settings, seed, accountings=kinds)
    return trainer.run(checkpoint, resume=True)


def _machine(trained: list[TrainedSeed]) -> Found:
    """Return unit actions per training sample and scope, and operations per sample."""
    counts = sum_counts([r.counts for t in trained for r in t.records])
    n = counts.n_samples
    return {
        "actions": {s: (unit_actions(counts, s) / n).tolist() for s in SCOPES},
        "operations": {k: v / n for k, v in counts.by_operation().items()},
        "values": (counts.values.sum(axis=0)).tolist(),
        "n_samples": n,
    }


def ratios(found: dict[str, Found], steps: tuple[int, ...]) -> list[Found]:
    """Return one entry per rule, code, T, baseline, writes, scope: ratios by cost set."""
    rows = []
    for rule in ("std-ed", "mpd-ed"):
        for code in CODES:
            for n_steps in steps:
                own_code = "latency" if rule == "std-ed" else code
                for writes in WRITES:
                    mine = found[f"{rule}-{own_code}-{n_steps}-{writes}"]["machines"]["event"]
                    for baseline, (kind, form) in BASELINES.items():
                        other = found[f"{kind}-{code}-{n_steps}-{writes}"]["machines"][form]
                        head = {"rule": rule, "code": code, "n_steps": n_steps,
                                "baseline": baseline, "writes": writes}  # fmt: skip
                        rows += _ratio_rows(head, other, mine)
    return rows


def _ratio_rows(head: Found, baseline: Found, rule: Found) -> Iterator[Found]:
    for scope in SCOPES:
        theirs, mine = (np.array(m["actions"][scope]) for m in (baseline, rule))
        by_set: dict[str, Ratio] = {c: energy_ratio(theirs, mine, c) for c in COST_SETS}
        yield {
            **head,
            "scope": scope,
            "op_ratio": _op_ratio(baseline, rule, scope),
            "energy_ratio": {c: r.to_json() for c, r in by_set.items()},
        }


def _op_ratio(baseline: Found, rule: Found, scope: Any) -> float:
    from nmhw.values.learning import OperationCounts

    counts = [
        OperationCounts(("all",), np.array([m["values"]], np.int64), m["n_samples"])
        for m in (baseline, rule)
    ]
    return op_ratio(counts[0], counts[1], scope)


def main() -> None:
    """Run the study and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="0-1")
    parser.add_argument("--quick", action="store_true", help="one seed, T = 4 and 16, 200 images")
    parser.add_argument("--part", help="K/N: only every N-th training from the K-th, no tables")
    parser.add_argument("--search-all", action="store_true",
                        help="choose every learning rate among all, at every T")  # fmt: skip
    parser.add_argument("--full", action="store_true", help="every ratio with its range")
    parser.add_argument("--steps", help="only these T, e.g. 4,8,16")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plots", type=Path, help="write PNG plots here")
    parser.add_argument("-o", "--output", type=Path, default=Path("learning-energy"))
    options = parser.parse_args()
    seeds = [0] if options.quick else parse_seeds(options.seeds)
    steps = QUICK_STEPS if options.quick else STEPS
    if options.steps:
        steps = tuple(int(t) for t in options.steps.split(","))
    limits = (200, 50, 100) if options.quick else (None, None, None)
    folder = options.output / "quick" if options.quick else options.output
    form = {**FORM, "epochs": 2} if options.quick else FORM
    wanted = list(trainings(steps))
    if options.part:
        k, n = (int(x) for x in options.part.split("/"))
        for training in wanted[k - 1 :: n]:
            run(training, seeds, form, folder, limits, options.search_all)
        return
    found = {t.name: run(t, seeds, form, folder, limits, options.search_all) for t in wanted}
    study = {"steps": list(steps), "trainings": found, "ratios": ratios(found, steps)}
    write_text(folder / "study.json", json.dumps(study, indent=1) + "\n")
    from learning_energy_report import plot, tables
    from learning_energy_static import chip_times, static_table

    if options.plots is not None:
        plot(study, options.plots)
    static = chip_times(steps, folder, options.quick)
    text = "\n".join([tables(study, GOAL, is_full=options.full), "", *static_table(study, static)])
    print(json.dumps(study, indent=1) if options.json else text)


#: What a chip would do: one sample at a time, plain descent, 8-bit weights up to 1.5.
FORM: Found = {
    "net": "64-128-10", "mode": "integer", "batch": 1, "optimizer": "sgd", "lr_drop": 0.2,
    "epochs": 10,
}  # fmt: skip

#: Learning rates to choose from at T = 16, on the validation part, with one seed no table uses.
RATES = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)

#: Elsewhere: chosen the same way among fewer (T = 4, 8: 0.005 to 0.04; MPD-ED at T = 32: the same;
#: latency code at T = 64: three), or carried over from the nearest T (the rest). A rate-coded
#: gradient grows with T.
CARRIED: Found = {
    "std-ed-latency": {4: 0.01, 8: 0.01, 32: 0.01, 64: 0.005},
    "mpd-ed-latency": {4: 0.04, 8: 0.04, 32: 0.04, 64: 0.08},
    "latency": {4: 0.04, 8: 0.04, 32: 0.04, 64: 0.04},
    "rate": {4: 0.02, 8: 0.02, 32: 0.005, 64: 0.0025},
}


def rates_of(training: Training, is_wide: bool) -> tuple[float, ...]:
    """Return the learning rates that a training chooses from; wide: all of them at every T."""
    found = CARRIED.get(f"{training.rule}-{training.code}", CARRIED[training.code])
    if is_wide or training.n_steps not in found:
        return RATES
    return (float(found[training.n_steps]),)


VALIDATION_SEED = 100


if __name__ == "__main__":
    main()
