"""One error register per neuron: all that the walk backward carries from step to step."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.spike_response import psp
from nmhw.sim.learning.thresholds import surrogate
from nmhw.sim.learning.walk_log import Entry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Errors:
    """The errors of a layer's targets while its log is read backward.

    A register holds the error as it was in step ``since``; towards earlier steps it decays by lam
    per step (membrane rules), or along the PSP and the backward kernel (SRM).

    Parameters
    ----------
    rule : GradientRule
    n : int
    carries : bool
        Whether sources take errors (SRM then needs a second slope factor).
    is_clocked : bool
        Every neuron-step takes an error, whether one arrives or not.
    """

    def __init__(self, rule: GradientRule, n: int, carries: bool, is_clocked: bool) -> None:
        self.rule, self.carries, self.is_clocked = rule, carries, is_clocked
        self.alive = np.zeros(n, dtype=bool)
        self.counts: Counter[str] = Counter()
        self._since = np.zeros(n, dtype=np.int64)
        self._weight_error, self._source_error = np.zeros(n), np.zeros(n)

    def enter(self, entry: Entry, error: float | None) -> None:
        """Let dL/ds (SRM: dL/dt) of a logged neuron-step in, None if none arrived."""
        j, t = entry.neuron, entry.step
        if error is None and not self.is_clocked:
            if entry.has_spike:
                self.block(j)
            return
        if self.rule.name == "srm":
            self._enter_time(entry, error or 0.0)
            return
        slope = float(surrogate(self.rule, np.array(entry.excess)))
        self.counts["surrogate"] += 1
        if entry.has_spike:
            self.block(j)
        if slope == 0.0 and not self.is_clocked:
            return
        self.counts["error_event"] += 1
        held = 0.0
        if self.alive[j]:
            held = self._weight_error[j] * self.rule.decay ** int(self._since[j] - t)
            self.counts["decay_lookup"] += 0 if self.is_clocked else 1
        self._weight_error[j] = self._source_error[j] = slope * (error or 0.0) + held
        self._since[j], self.alive[j] = t, True

    def block(self, j: int) -> None:
        """An own spike: nothing from later steps passes it."""
        self.alive[j] = False

    def at_weights(self, targets: Ints, t: int) -> Floats:
        """Return what an input event of step t is credited with, per target."""
        age = self._since[targets] - t
        kernel = psp(self.rule, age) if self.rule.name == "srm" else self.rule.decay**age
        return self._weight_error[targets] * kernel

    def at_sources(self, targets: Ints, t: int) -> Floats:
        """Return what a source spike of step t is told by each target, before the weight."""
        age = self._since[targets] - t
        if self.rule.name != "srm":
            return self._source_error[targets] * self.rule.decay**age
        return self._source_error[targets] * (1 - 1 / self.rule.tau_grad) ** (age + 1)

    def _enter_time(self, entry: Entry, error: float) -> None:
        j, rule = entry.neuron, self.rule
        self.counts["error_event"] += 1
        self.counts["division"] += 2 if self.carries else 1
        by_rise = min(1 / entry.rise, rule.weight_clip) if entry.rise > 0 else 0.0
        by_reach = min(1 / entry.reach, rule.time_clip) if entry.reach > 0 else 0.0
        self._weight_error[j], self._source_error[j] = -error * by_rise, error * by_reach
        self._since[j], self.alive[j] = entry.step, True
