"""The event walk of STD-ED: per-neuron sums at input events, one error event per fired neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.synapses import pooling_of, synapses_of
from nmhw.sim.learning.tally import Tally

Floats = NDArray[np.float64]


@dataclass(slots=True)
class TimeLog:
    """What one layer kept of a sample.

    Attributes
    ----------
    events : list of (time, pooled source, source)
        Delivered inputs, in order of time.
    spikes : dict neuron -> (crossing on the inputs' time axis, slope inverse; 0 if clamped)
    """

    events: list[tuple[float, int, int]] = field(default_factory=list)
    spikes: dict[int, tuple[float, float]] = field(default_factory=dict)


class TimeWalk:
    """One sample of spike times, forward and backward.

    Parameters
    ----------
    net, weights, rule
        See ``run_batch``.
    tally : Tally
        Counts every operation.
    """

    def __init__(
        self, net: LearningNetwork, weights: list[Floats], rule: GradientRule, tally: Tally
    ) -> None:
        self.net, self.weights, self.rule, self.tally = net, weights, rule, tally
        self.logs = [TimeLog() for _ in net.layers]
        self.rows = [synapses_of(layer).rows() for layer in net.layers]
        self.n_logged = 0
        in_ticks = rule.time == "ticks"
        #: Times are whole numbers of 1 / scale in ticks, so that sums of them are exact.
        self.scale = rule.n_steps if in_ticks else 1
        is_window = rule.threshold == "window"
        self.opens = float(self.scale) if is_window else 0.0
        self.last = self.opens + (round(rule.t_end * self.scale) if in_ticks else rule.t_end)
        self.read_at = 2.0 if is_window else rule.t_end

    def forward(self, times: Floats) -> Floats:
        """Return the scores; fills the logs."""
        fired = [(self._rounded(t), i) for i, t in enumerate(times) if math.isfinite(t)]
        self._log(0, len(fired))
        for k, layer in enumerate(self.net.layers):
            self.logs[k].events = _first_arrivals(layer, sorted(fired))
            if k == len(self.net.layers) - 1 and self.rule.head == "integrator":
                return self._integrate(k)
            self._fire(k)
            opens = self.opens
            fired = [(t - opens, j) for j, (t, _) in self.logs[k].spikes.items()]
            self.tally.add(k, "spike", len(fired))
            self._log(k, len(fired))
        scores = np.full(self.net.n_classes, -self.rule.timing_gain * self.rule.t_end)
        for t, j in fired:
            scores[j] = -self.rule.timing_gain * t / self.scale
        return scores

    def reverse(self, error: Floats) -> list[Floats]:
        """Return the gradients; ``error`` is dL/dscores, (n_classes,)."""
        gradients = [np.zeros(w.shape) for w in self.weights]
        top = len(gradients) - 1
        if self.rule.head == "integrator":
            arriving = self._reverse_head(top, error, gradients[top])
            below = range(top - 1, -1, -1)
        else:
            arriving = {j: -self.rule.timing_gain * float(p) for j, p in enumerate(error)}
            below = range(top, -1, -1)
        for k in below:
            arriving = self._reverse_layer(k, arriving, gradients[k])
        return gradients

    def _rounded(self, t: float) -> float:
        return float(np.ceil(t * self.scale - 1e-9)) if self.rule.time == "ticks" else t

    def _log(self, layer: int, n_words: int) -> None:
        self.n_logged += n_words
        self.tally.add(layer, "log_word", n_words)

    def _integrate(self, k: int) -> Floats:
        scores = np.zeros(self.net.n_classes)
        for t, i, _ in self.logs[k].events:
            targets, taps = self.rows[k][i]
            scores[targets] += self.weights[k].ravel()[taps] * self._activity(t)
            self.tally.add(k, "synop", taps.size)
            self.tally.add(k, "neuron_update", taps.size)
        return scores

    def _activity(self, t: float) -> float:
        return max(self.read_at - t / self.scale, 0.0)

    def _fire(self, k: int) -> None:
        """Integrate events; a target is looked at when an event reaches it, and at the end."""
        layer, log, flat = self.net.layers[k], self.logs[k], self.weights[k].ravel()
        total, moment = np.zeros(layer.n_out), np.zeros(layer.n_out)
        waits = self.rule.threshold == "window"
        for t, i, _ in log.events:
            targets, taps = self.rows[k][i]
            for j in targets.tolist() if not waits else ():
                self._look(log, j, total[j], moment[j], t)
            total[targets] += flat[taps]
            moment[targets] += flat[taps] * t
            self.tally.add(k, "synop", taps.size)
            self.tally.add(k, "neuron_update", taps.size)
        for j in range(layer.n_out):
            self._look(log, j, total[j], moment[j], self.last)
        self.tally.add(k, "crossing", layer.n_out)

    def _look(self, log: TimeLog, j: int, total: float, moment: float, until: float) -> None:
        """Log the spike of neuron j if its membrane passed the threshold by ``until``."""
        rule, scale, opens = self.rule, self.scale, self.opens
        if j in log.spikes:
            return

        def above(t: float) -> float:
            return total * t - moment - (rule.theta0 * scale - rule.slope * (t - opens))

        if opens and above(opens) >= 0:
            log.spikes[j] = (opens, 0.0)
            return
        is_over = above(until) >= 0
        if opens and rule.time == "exact":
            is_over = above(until) > 0
        if not (is_over and total * until - moment > 0):
            return
        steep = total + rule.slope
        t = (rule.theta0 * scale + rule.slope * opens + moment) / steep
        if rule.time == "ticks":
            t = math.ceil(t)
            t += 1 if above(t) < 0 else -1 if above(t - 1) >= 0 else 0
        log.spikes[j] = (min(t, until), 1.0 / steep)

    def _reverse_head(self, k: int, error: Floats, gradient: Floats) -> dict[int, float]:
        tally, flat = self.tally, self.weights[k].ravel()
        tally.add(k, "error_event", error.size)
        leaving: dict[int, float] = {}
        for t, i, source in self.logs[k].events:
            targets, taps = self.rows[k][i]
            gradient.ravel()[taps] += self._activity(t) * error[targets]
            tally.add(k, "gradient_mac", taps.size)
            tally.touch(k, taps)
            if k and taps.size:
                sign = -1.0 if t / self.scale < self.read_at else 0.0
                carried = sign * float(flat[taps] @ error[targets])
                leaving[source] = leaving.get(source, 0.0) + carried
                self._carry(k, taps.size)
        tally.add(k, "error_packet", len(leaving))
        return leaving

    def _reverse_layer(
        self, k: int, arriving: dict[int, float], gradient: Floats
    ) -> dict[int, float]:
        log, tally, flat = self.logs[k], self.tally, self.weights[k].ravel()
        errors: dict[int, tuple[float, float]] = {}
        for j, (t, inverse) in log.spikes.items():
            if inverse and j in arriving:
                errors[j] = (t, arriving[j] * min(inverse, self.rule.slope_clip))
                tally.add(k, "error_event")
                tally.add(k, "division")
        leaving: dict[int, float] = {}
        for t_in, i, source in log.events:
            targets, taps = self.rows[k][i]
            met = np.array([j in errors and errors[j][0] > t_in for j in targets], dtype=bool)
            if not met.any():
                continue
            pairs = [errors[j] for j in targets[met]]
            t_out, e = (np.array(column) for column in zip(*pairs, strict=True))
            np.add.at(gradient.ravel(), taps[met], -e * (t_out - t_in) / self.scale)
            tally.add(k, "gradient_mac", len(pairs))
            tally.touch(k, taps[met])
            if k:
                leaving[source] = leaving.get(source, 0.0) + float(flat[taps[met]] @ e)
                self._carry(k, len(pairs))
        tally.add(k, "error_packet", len(leaving))
        return leaving

    def _carry(self, k: int, n: int) -> None:
        self.tally.add(k, "propagation_mac", n)
        self.tally.add(k, "transposed_read", n)


def _first_arrivals(
    layer: LearningLayer, fired: list[tuple[float, int]]
) -> list[tuple[float, int, int]]:
    """Return the events at the weights: behind a pool the first of each window, in time order."""
    if layer.pool is None:
        return [(t, i, i) for t, i in fired]
    cover = pooling_of(layer).cover.tocsr()
    events, taken = [], set()
    for t, source in fired:
        for i in cover.indices[cover.indptr[source] : cover.indptr[source + 1]].tolist():
            if i not in taken:
                taken.add(i)
                events.append((t, i, source))
    return events
