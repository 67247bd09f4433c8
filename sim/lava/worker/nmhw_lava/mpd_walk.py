"""The membranes of MPD-ED: forward with a log, backward from the errors that arrive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.cell_step import Cell
from nmhw_lava.fixed_point import entering, kept, moved_thresholds, slopes_at
from nmhw_lava.learning_parts import Counter, Teacher


class MembraneWalk:
    """One population.

    Parameters
    ----------
    settings : mapping
        ``n``, ``n_steps``, ``mask``, ``law``, ``ramp``, ``cell`` (spec, arrays), ``labels`` (of
        spiking outputs), ``stands`` (one error holds for all steps), ``trains``, ``operations``.
    a : arithmetic

    Attributes
    ----------
    spikes, admitted : (n_steps, n) bool
    excess : (n_steps, n) int64
        v - theta.
    """

    def __init__(self, settings: Mapping[str, Any], a: Any) -> None:
        self.settings, self.a = settings, a
        self.n, self.n_steps = settings["n"], settings["n_steps"]
        self.cell = Cell(settings["cell"]["spec"], settings["cell"]["arrays"])
        self.counter = Counter(settings["operations"])
        self.teacher = Teacher(settings["labels"], settings["n_samples"], self.n, a)
        shape = (self.n_steps, self.n)
        self.excess = np.zeros(shape, np.int64)
        self.spikes, self.admitted = np.zeros(shape, bool), np.zeros(shape, bool)
        self.fired = np.zeros(self.n, bool)
        self.packets = np.zeros(self.n, np.int64)
        self.limit = np.zeros(self.n, np.int64)
        self.start(self.limit)

    @property
    def moves_thresholds(self) -> bool:
        """Whether thresholds may differ from sample to sample."""
        return self.settings["law"] in ("homeostatic", "learnable")

    def start(self, theta: Any) -> None:
        """Begin a sample."""
        self.cell.start()
        self.limit = theta >> self.a.theta_bits
        self.error, self.asked = np.zeros(self.n, np.int64), np.zeros(self.n, bool)
        self.value, self.since = np.zeros((2, self.n), np.int64)
        self.alive = np.zeros(self.n, bool)
        self.at_threshold = np.zeros(self.n, np.int64)

    def step(self, t: int, arriving: Any, counts: Any) -> None:
        """Run step t; spikes reset the membrane behind the comparison."""
        limit = self.limit
        if self.settings["law"] == "ramp":
            limit = np.full(self.n, self.settings["ramp"][t])
        self.cell.arrays["threshold"] = limit
        fired = self.cell.step(arriving) > 0
        self.excess[t], self.spikes[t] = self.cell.v - limit, fired
        self.cell.v = np.where(fired, 0, self.cell.v)
        is_band = self.settings["mask"] == "band"
        self.admitted[t] = np.abs(self.excess[t]) < self.a.band if is_band else fired
        self.fired |= fired
        self.counter.add(counts, "neuron_update", self.n)
        self.counter.add(counts, "spike", fired.sum())
        if self.settings["learns"]:  # a forward pass keeps no log
            self.counter.add(counts, "log_word", (fired | self.admitted[t]).sum())

    def score(self, sample: int) -> None:
        """Take the numbers of spikes as the scores of a sample."""
        self.teacher.scores[sample] = self.spikes.sum(axis=0)

    def judge(self, sample: int, counts: Any) -> None:
        """Take the errors of the scores as those of every step."""
        error, on = self.teacher.judge(sample)
        self.counter.add(counts, "exponential", error.size)
        if self.settings["trains"]:
            self.error, self.asked = error, on

    def take(self, errors: Any, is_first: bool) -> None:
        """Take in the errors (2, n) of a row; where they stand, those of the first row hold."""
        self.packets += errors[1] != 0
        if self.settings["is_top"] or (self.settings["stands"] and not is_first):
            return
        self.error, self.asked = errors[0], errors[1] != 0

    def is_at_work(self, back: int) -> bool:
        """Return whether the step to come has an error to take in or to hold."""
        asked = self.asked & self.admitted[self.n_steps - 1 - back]
        return bool(asked.any() or self.alive.any())

    def back(self, back: int, counts: Any) -> Any:
        """Walk over one step; return the errors at the membranes (value, is live)."""
        t, a = self.n_steps - 1 - back, self.a
        held = self.alive & ~self.spikes[t]
        asked = self.admitted[t] & self.asked
        slope = slopes_at(self.excess[t], a)
        entry = asked & (slope != 0)
        entered = np.where(entry, entering(slope, self.error), 0)
        self.at_threshold -= entered
        self.counter.add(counts, "surrogate", asked.sum())
        self.counter.add(counts, "error_event", entry.sum())
        if self.settings["mask"] == "band":
            self.counter.add(counts, "decay_lookup", (entry & held).sum())
        faded = np.where(held, kept(self.value, np.where(held, self.since - t, 0), a), 0)
        self.value = np.where(entry, entered + faded, self.value)
        self.since = np.where(entry, t, self.since)
        self.alive = entry | held
        now = kept(self.value, np.where(self.alive, self.since - t, 0), a)
        return np.stack([np.where(self.alive, now, 0), self.alive.astype(np.int64)])

    def move(self, theta: Any) -> None:
        """Move thresholds behind a sample."""
        if self.moves_thresholds:
            theta[:] = moved_thresholds(
                theta, self.settings["law"], self.at_threshold, self.spikes.sum(axis=0), 1, self.a
            )

    def save(self, path: Path, theta: Any) -> None:
        """Write thresholds and what was counted per neuron."""
        np.savez(
            path,
            theta=theta,
            fired=self.fired,
            error_packets=self.packets,
            scores=self.teacher.scores,
            n_learned=np.array(self.teacher.n_learned),
        )
