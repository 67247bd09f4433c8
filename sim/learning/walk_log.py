"""The forward half of the event walk in steps: neuron states now, and a log of what happened."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.thresholds import threshold_at

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Entry:
    """One word of a spike log: what the walk backward needs to know of a neuron-step.

    Attributes
    ----------
    step, neuron : int
    has_spike : bool
        Otherwise the entry is there because the mask admits it.
    excess : float
        v - theta (membrane rules).
    rise, reach : float
        du and h (SRM).
    """

    step: int
    neuron: int
    has_spike: bool
    excess: float = 0.0
    rise: float = 0.0
    reach: float = 0.0


@dataclass(slots=True)
class StepLog:
    """What one population kept of a sample.

    Attributes
    ----------
    entries : list of Entry
        In order of time.
    """

    entries: list[Entry] = field(default_factory=list)

    def spikes(self) -> list[tuple[int, int]]:
        """Return (step, neuron) of every spike."""
        return [(e.step, e.neuron) for e in self.entries if e.has_spike]


class Neurons:
    """One population in the middle of a sample: no history, the state of this step only.

    Parameters
    ----------
    rule : GradientRule
    thresholds : (n,) float64
    """

    def __init__(self, rule: GradientRule, thresholds: Floats) -> None:
        self.rule, self.thresholds = rule, thresholds
        self.v = np.zeros(thresholds.size)
        self.traces = np.zeros((3, thresholds.size))

    def step(self, t: int, drive: Floats) -> list[Entry]:
        """Advance by one step; return what must be logged."""
        if self.rule.name == "srm":
            return self._respond(t, drive)
        rule = self.rule
        self.v = rule.decay * self.v + drive
        excess = self.v - threshold_at(rule, self.thresholds, t)
        keeps = excess >= 0
        if rule.mask == "band":
            keeps = keeps | (np.abs(excess) < rule.band)
        elif rule.mask == "none":
            keeps = np.ones(keeps.shape, dtype=bool)
        self.v[excess >= 0] = 0.0
        return [
            Entry(t, j, bool(excess[j] >= 0), float(excess[j]))
            for j in np.flatnonzero(keeps).tolist()
        ]

    def _respond(self, t: int, drive: Floats) -> list[Entry]:
        rule = self.rule
        taus = np.array([rule.tau_m, rule.tau_s, rule.tau_grad])
        self.traces = (self.traces + drive) * (1 - 1 / taus)[:, None]
        m, r, h = self.traces
        u = rule.tau_m / (rule.tau_m - rule.tau_s) * (m - r)
        fired = np.flatnonzero(u >= rule.theta0).tolist()
        rise = u - self.v
        done = [Entry(t, j, True, 0.0, float(rise[j]), float(h[j])) for j in fired]
        u[fired] = 0.0
        self.traces[:, fired] = 0.0
        self.v = u
        return done
