"""Settings of one training: everything that, with data and seed, decides its outcome."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from nmhw.errors import UsageError
from nmhw.values.learning import WeightFormat

Code = Literal["latency", "rate", "accumulate", "direct"]
CODES: tuple[Code, ...] = ("latency", "rate", "accumulate", "direct")

#: A rate-coded pixel of value 1 spikes with this probability per step.
MAX_RATE = 0.5


#: Largest number of steps per sample, and largest learning rate.
MAX_STEPS, MAX_LR = 100_000, 1000.0

#: Weights of the largest code that fixed-point tables hold.
RANGE_LIMITS = (1e-3, 1e3)


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """One training.

    Attributes
    ----------
    rule : str
        Name of a gradient rule, or ``file.py:Class`` of your own.
    net : str
        Sizes ("64-128-10") or the path of a NIR file.
    n_steps : int
        Steps T per sample; for spike-time rules the ticks of a window.
    code : "latency" | "rate" | "accumulate" | "direct"
        How images become spikes ("direct": their levels, again in every step); event data are taken
        as they are.
    epochs, batch : int
    lr : float
        Learning rate of the first epochs, per sample (the gradient of a batch is a mean).
    lr_drop : float
        Factor on the rate after 70 % of the epochs.
    optimizer : "sgd" | "adam"
        Adam keeps two words per weight: float mode only.
    mode : "integer" | "float"
    weights : WeightFormat
    rule_options : mapping
        Fields of the rule that differ from its defaults (threshold, mask, head, time...).
    """

    rule: str = "mpd-ed"
    net: str = "64-128-10"
    n_steps: int = 16
    code: Code = "latency"
    epochs: int = 10
    batch: int = 1
    lr: float = 0.01
    lr_drop: float = 0.2
    optimizer: Literal["sgd", "adam"] = "sgd"
    mode: Literal["integer", "float"] = "integer"
    weights: WeightFormat = field(default_factory=WeightFormat)
    rule_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n_steps", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is at least 1", got=getattr(self, name))
        if self.n_steps > MAX_STEPS:
            raise UsageError("too many steps", got=self.n_steps, limit=MAX_STEPS)
        for rate in (self.lr, self.lr_drop):
            if not (math.isfinite(rate) and 0 < rate <= MAX_LR):
                raise UsageError("a learning rate is positive and finite", got=rate, limit=MAX_LR)
        low, high = RANGE_LIMITS
        if not low <= self.weights.max_abs <= high:
            raise UsageError("the range of weights is out of bounds", got=self.weights.max_abs,
                             limit=f"{low} to {high}", hint="--weight-range 1.5")  # fmt: skip
        if self.code not in CODES:
            raise UsageError("no such code", got=repr(self.code), hint=", ".join(CODES))
        if self.mode == "integer" and self.optimizer != "sgd":
            raise UsageError("integer learning is plain descent", got=self.optimizer,
                             hint="--mode float")  # fmt: skip
        if self.mode == "integer" and self.weights.bits is None:
            raise UsageError("integer learning needs weights of some width", hint="--weight-bits 8")

    def lr_of_epoch(self, epoch: int) -> float:
        """Return the learning rate of an epoch (from 0)."""
        return self.lr * (self.lr_drop if epoch >= 0.7 * self.epochs else 1.0)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(replace(self, rule_options=dict(self.rule_options)))

    def digest(self, *others: Any) -> str:
        """Return 16 hexadecimal digits that name these settings (and ``others``, JSON values)."""
        text = json.dumps([self.to_json(), *others], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
