"""The neurons of STD-ED: spike times by clocked crossing of a threshold, errors of these times."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.fixed_point import SLOPE_BITS, entering, half_up, inverse_slope
from nmhw_lava.learning_parts import Counter, Teacher

#: Tick of a neuron that does not fire.
SILENT = -1


class SpikeClock:
    """One population; parameters as those of ``mpd_walk.MembraneWalk``.

    Attributes
    ----------
    t_out : (n,) int64
        On the time axis of the inputs.
    total : (n,) int64
        Sum of the codes of the inputs before the spike.
    """

    def __init__(self, settings: Mapping[str, Any], a: Any) -> None:
        self.settings, self.a, self.last = settings, a, a.last
        n = settings["n"]
        self.counter = Counter(settings["operations"])
        self.teacher = Teacher(settings["labels"], settings["n_samples"], n, a)
        self.t_out, self.total = np.full(n, SILENT, np.int64), np.zeros(n, np.int64)
        self.fired = np.zeros(n, bool)
        self.packets = np.zeros(n, np.int64)

    def start(self) -> None:
        """Begin a sample."""
        self.t_out[:] = SILENT
        self.total[:] = 0

    def fire(self, tick: int, u: Any, slope: Any) -> Any:
        """Return who fires in this tick: for the first time, behind the window's opening."""
        if tick < self.a.opens:
            return np.zeros(u.size, bool)
        now = (self.t_out == SILENT) & (u >= self.a.theta_of_tick[tick]) & (u > 0)
        self.t_out[now], self.total[now] = tick, slope[now]
        return now

    def end(self, sample: int, counts: Any) -> None:
        """Count what a sample did; keep its scores if the spike times are the output."""
        has_fired = self.t_out != SILENT
        self.fired |= has_fired
        self.counter.add(counts, "crossing", has_fired.size)
        self.counter.add(counts, "spike", has_fired.sum())
        if self.settings["learns"]:  # a forward pass keeps no log
            self.counter.add(counts, "log_word", has_fired.sum())
        if self.settings["is_top"]:
            late = np.where(has_fired, self.t_out, self.a.last)
            self.teacher.scores[sample] = self.a.opens - late

    def judge(self, sample: int, counts: Any) -> tuple[Any, Any]:
        """Return dL/dt of the outputs and which of them take an error."""
        error, on = self.teacher.judge(sample)
        self.counter.add(counts, "exponential", error.size)
        return -half_up(self.a.timing_gain * error, SLOPE_BITS), on & self.settings["trains"]

    def answer(self, d_time: Any, reached: Any, counts: Any) -> Any:
        """Return (error, is live, spike time) of the neurons that an error of their time reaches.

        Spikes at the moment at which the window opens do not move with their inputs.
        """
        live = reached & (self.t_out != SILENT)
        if self.a.is_window:
            live &= self.t_out != self.a.opens
        error = np.zeros(live.size, np.int64)
        (at,) = np.nonzero(live)
        if at.size:
            inverse = [inverse_slope(int(total), self.a) for total in self.total[at]]
            error[at] = entering(np.array(inverse, np.int64), d_time[at])
        self.counter.add(counts, "division", at.size)
        self.counter.add(counts, "error_event", at.size)
        return np.stack([error, live.astype(np.int64), self.t_out])

    def save(self, path: Path) -> None:
        """Write what was counted per neuron."""
        np.savez(
            path,
            fired=self.fired,
            error_packets=self.packets,
            scores=self.teacher.scores,
            n_learned=np.array(self.teacher.n_learned),
        )
