"""Options of ``nmhw learn``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from nmhw.errors import UsageError

#: Largest label that a group may name.
MAX_LABEL = 999

F = TypeVar("F", bound=Callable[..., Any])

#: Option -> field of LearningSettings.
SETTINGS = {
    "net": "net",
    "n_steps": "n_steps",
    "code": "code",
    "epochs": "epochs",
    "lr": "lr",
    "lr_drop": "lr_drop",
    "batch": "batch",
    "optimizer": "optimizer",
    "mode": "mode",
}

#: Option -> field of WeightFormat.
FORMAT = {
    "weight_bits": "bits",
    "weight_range": "max_abs",
    "rounding": "rounding",
    "write_policy": "policy",
    "accumulate": "accumulate",
    "skip": "skip_confidence",
    "skip_error": "skip_error",
}

_OPTIONS = (
    click.option("--rule", default="std-ed", metavar="R",
                 help="std-ed, mpd-ed, stbp, srm, a local rule, or FILE.py:CLASS.  [std-ed]"),
    click.option("--chip", "chip_name", metavar="C",
                 help="Map the network there and route error packets.  [none]"),
    click.option("--check-rule", is_flag=True,
                 help="No training: check the rule's gradients, counters, twins; no DATA needed."),
    click.option("--experiment", metavar="NAME",
                 help="No DATA: a local rule's own experiment, e.g. stdp-fields, e-prop-recall."),
    click.option("--assume-learning-engine", is_flag=True,
                 help="Run a rule the chip does not have; every figure is hypothetical."),
    click.option("--net", metavar="SIZES", help="64-128-10, 1x8x8-c8k3p1-p2-10, or MODEL.nir."),
    click.option("--train", "n_train", type=click.IntRange(1), metavar="N",
                 help="At most N training samples."),
    click.option("--val", "n_validation", type=click.IntRange(0), metavar="N",
                 help="At most N validation samples."),
    click.option("--test", "n_test", type=click.IntRange(1), metavar="N",
                 help="At most N test samples."),
    click.option("--merge-validation", is_flag=True,
                 help="Train on the validation samples too (once everything is chosen)."),
    click.option("--steps", "n_steps", type=click.IntRange(1), metavar="T",
                 help="Steps per sample; ticks of a window for spike times.  [16]"),
    click.option("--code", type=click.Choice(["latency", "rate", "accumulate", "direct"]),
                 help="How images become spikes; direct: levels in every step.  [latency]"),
    click.option("--epochs", type=click.IntRange(1), metavar="N", help="[10]"),
    click.option("--lr", type=float, metavar="RATE", help="Learning rate.  [by rule]"),
    click.option("--lr-drop", type=float, metavar="F",
                 help="Factor on the rate after 70 % of the epochs.  [0.2]"),
    click.option("--batch", type=click.IntRange(1), metavar="N",
                 help="Samples per update.  [by rule and mode]"),
    click.option("--optimizer", type=click.Choice(["sgd", "adam"]), help="[by mode]"),
    click.option("--mode", type=click.Choice(["integer", "float"]), default="integer",
                 help="integer: one sample at a time, as a chip; float: mini-batches.  [integer]"),
    click.option("--weight-bits", type=click.IntRange(0, 16), metavar="B",
                 help="0 = no grid (float mode).  [8; float mode 0]"),
    click.option("--weight-range", type=float, metavar="W", help="Largest weight.  [1.5]"),
    click.option("--rounding", type=click.Choice(["stochastic", "nearest"]), help="[stochastic]"),
    click.option("--write-policy", type=click.Choice(["always", "if-changed"]),
                 help="[if-changed]"),
    click.option("--accumulate", type=click.Choice(["sample", "stream"]),
                 help="Weight writes once per sample, or per contribution.  [sample]"),
    click.option("--skip", type=float, metavar="P",
                 help="Skip the update when the target has at least this probability.  [0: never]"),
    click.option("--skip-error", type=float, metavar="E",
                 help="Skip output errors below E.  [0]"),
    click.option("--threshold", metavar="LAW",
                 help="STD-ED: window, fixed, ramp; others: const, ramp, homeostatic, learnable."),
    click.option("--mask", type=click.Choice(["spike", "band", "none"]), help="[by rule]"),
    click.option("--head", type=click.Choice(["integrator", "spiking"]), help="[integrator]"),
    click.option("--set", "rule_settings", multiple=True, metavar="FIELD=VALUE",
                 help="Any field of the rule, e.g. decay=0.8. Repeatable."),
    click.option("--baselines", metavar="NAMES",
                 help="Of stbp-dense,stbp-gated,stbp-gated-once,stbp-band; none.  [all four]"),
    click.option("--costs", metavar="SETS",
                 help="Of horowitz-32bit,horowitz-8bit,sop-1.5pj; none.  [all three]"),
    click.option("--scope", type=click.Choice(["learning only", "whole training"]),
                 default="learning only", help="Of the headline ratios.  [learning only]"),
    click.option("--classes-in-turn", metavar="GROUPS",
                 help="Classes one group after the other, 0-4/5-9: accuracy and forgetting."),
    click.option("--seeds", default="0", metavar="LIST", help="0, 0-9 or 0,3,5.  [0]"),
    click.option("--frozen", metavar="LAYERS", help="Layers that keep their weights."),
    click.option("--backend", default="numba", metavar="B",
                 help="numba, or lava: the rule as Lava processes, equal bit for bit.  [numba]"),
    click.option("-o", "--output", metavar="DIR",
                 help="Result, weights, checkpoints (and trained.nir for LIF networks)."),
    click.option("--resume", is_flag=True, help="Continue from the checkpoints in DIR."),
    click.option("--plots", is_flag=True, help="Also write PNG plots to DIR."),
)  # fmt: skip


def learning_options(function: F) -> F:
    """Add every option of ``nmhw learn``."""
    decorated: Any = function
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def parse_groups(text: str) -> tuple[tuple[int, ...], ...]:
    """Read ``0,1/2,3`` or ``0-4/5-9`` into groups of labels.

    Raises
    ------
    UsageError
        For anything else.
    """
    groups = []
    for group in text.split("/"):
        labels: list[int] = []
        for part in group.split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()):
                raise UsageError("groups are labels", got=repr(text),
                                 hint="--classes-in-turn 0-4/5-9")  # fmt: skip
            low, high = int(first), int(last if dash else first)
            if not low <= high <= MAX_LABEL:
                raise UsageError("no such labels", got=f"{low}-{high}", limit=f"0 to {MAX_LABEL}")
            labels += range(low, high + 1)
        groups.append(tuple(labels))
    return tuple(groups)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``0``, ``0-9`` or ``0,3,5`` into seeds.

    Raises
    ------
    UsageError
        For anything else.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UsageError("seeds are whole numbers", got=repr(text), hint="--seeds 0-9")
        seeds += range(int(first), int(last if dash else first) + 1)
    if not 0 < len(seeds) <= 1000:
        raise UsageError("no seed, or too many", got=repr(text), limit="1 to 1000")
    return tuple(seeds)
