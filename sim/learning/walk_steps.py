"""The event walk of MPD-ED, SRM and, with every neuron-step in the log, STBP."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.synapses import pooling_of, synapses_of
from nmhw.sim.learning.tally import Tally
from nmhw.sim.learning.walk_errors import Errors
from nmhw.sim.learning.walk_log import Neurons, StepLog

Floats = NDArray[np.float64]
Arriving = dict[tuple[int, int], float]


class StepWalk:
    """One sample in steps, forward and backward.

    Parameters
    ----------
    net, weights, rule, thresholds
        See ``run_batch``.
    tally : Tally
        Counts every operation.
    """

    def __init__(
        self,
        net: LearningNetwork,
        weights: list[Floats],
        rule: GradientRule,
        thresholds: list[Floats],
        tally: Tally,
    ) -> None:
        self.net, self.weights, self.rule, self.tally = net, weights, rule, tally
        self.thresholds = thresholds
        self.rows = [synapses_of(layer).rows() for layer in net.layers]
        self.covers = [_cover(net, k) for k in range(len(net.layers))]
        #: Per layer: (step, source) of every input event, in order of time.
        self.events: list[list[tuple[int, int]]] = [[] for _ in net.layers]
        #: Per layer: the log of its targets (recurrent layers and integrator heads have none).
        self.logs = [StepLog() for _ in net.layers]
        self.is_clocked = rule.mask == "none"

    @property
    def n_logged(self) -> int:
        """Words in all logs, inputs included."""
        return len(self.events[0]) + sum(len(log.entries) for log in self.logs)

    def forward(self, inputs: Floats) -> Floats:
        """Return the scores; fills the logs."""
        spikes = [
            (t, i) for t, i in np.argwhere(inputs > 0).tolist() for _ in range(int(inputs[t, i]))
        ]
        self.tally.add(0, "log_word", len(spikes))
        scores = np.zeros(self.net.n_classes)
        for population, k in enumerate(self.net.feedforward):
            self.events[k] = spikes
            if k == len(self.net.layers) - 1 and self.rule.head == "integrator":
                return self._integrate(k)
            self._run(k, self.thresholds[population])
            spikes = self.logs[k].spikes()
        for _, j in spikes:
            scores[j] += 1.0
        return scores

    def reverse(self, error: Floats) -> list[Floats]:
        """Return the gradients; ``error`` is dL/dscores, (n_classes,)."""
        gradients = [np.zeros(w.shape) for w in self.weights]
        order = list(self.net.feedforward)[::-1]
        arriving: Arriving = {}
        if self.rule.head == "integrator":
            arriving = self._reverse_head(order.pop(0), error, gradients[-1])
        else:
            shape = (self.rule.n_steps, error.size)
            arriving = {(t, j): float(error[j]) for t, j in np.ndindex(shape)}
        for k in order:
            arriving = self._reverse_layer(k, arriving, gradients)
        return gradients

    def _run(self, k: int, thresholds: Floats) -> None:
        loop, log = self.net.recurrent_of(k), self.logs[k]
        neurons = Neurons(self.rule, thresholds)
        arrivals = _by_step(self.events[k])
        before: list[int] = []
        for t in range(self.rule.n_steps):
            drive = np.zeros(thresholds.size)
            for source in arrivals[t]:
                self._deliver(k, source, drive)
            for source in before if loop is not None else ():
                self._deliver(loop or 0, source, drive)
            entries = neurons.step(t, drive)
            self.tally.add(k, "neuron_update", thresholds.size)
            log.entries += entries
            before = [e.neuron for e in entries if e.has_spike]
            if loop is not None and t < self.rule.n_steps - 1:
                self.events[loop] += [(t + 1, j) for j in before]
            self.tally.add(k, "spike", len(before))
            self.tally.add(k, "log_word", len(before) if self.is_clocked else len(entries))
            self.tally.add(k, "history_word", len(entries) if self.is_clocked else 0)

    def _deliver(self, k: int, source: int, drive: Floats) -> None:
        for i in self.covers[k][source]:
            targets, taps = self.rows[k][i]
            np.add.at(drive, targets, self.weights[k].ravel()[taps])
            self.tally.add(k, "synop", taps.size)

    def _integrate(self, k: int) -> Floats:
        scores = np.zeros(self.net.n_classes)
        for t, source in self.events[k]:
            drive = np.zeros(scores.size)
            self._deliver(k, source, drive)
            scores += drive * self._worth(t)
        self.tally.add(k, "neuron_update", self.rule.n_steps * scores.size)
        return scores

    def _worth(self, t: int) -> float:
        return 1.0 - t / self.rule.n_steps if self.rule.name == "srm" else 1.0

    def _reverse_head(self, k: int, error: Floats, gradient: Floats) -> Arriving:
        """Integrator head: the same error in every step; a clocked machine repeats its work."""
        tally, clocked, n_steps = self.tally, self.is_clocked, self.rule.n_steps
        tally.add(k, "error_event", error.size * (n_steps if clocked else 1))
        activity: dict[int, float] = defaultdict(float)
        met: set[tuple[int, int]] = set()
        for t, source in self.events[k]:
            for i in self.covers[k][source]:
                activity[i] += self._worth(t)
                if clocked:
                    tally.add(k, "gradient_add", self.rows[k][i][1].size)
                    if (t, i) not in met:
                        tally.touch(k, self.rows[k][i][1])
                    met.add((t, i))
        for i, x in activity.items():
            targets, taps = self.rows[k][i]
            gradient.ravel()[taps] += x * error[targets]
            if not clocked:
                tally.add(k, "gradient_mac", taps.size)
                tally.touch(k, taps)
        return self._head_errors(k, error) if k else {}

    def _head_errors(self, k: int, error: Floats) -> Arriving:
        flat, slope = self.weights[k].ravel(), -1.0 / self.rule.n_steps
        sign = slope if self.rule.name == "srm" else 1.0
        asking = self._asking(k)
        back: dict[int, float] = {}
        for i in sorted({i for _, source in asking for i in self.covers[k][source]}):
            targets, taps = self.rows[k][i]
            back[i] = sign * float(flat[taps] @ error[targets])
            self._carry(k, taps.size * (self.rule.n_steps if self.is_clocked else 1))
        arriving: Arriving = {}
        for t, source in asking:
            reached = [i for i in self.covers[k][source] if self.rows[k][i][0].size]
            if reached or self.is_clocked:
                arriving[t, source] = sum(back[i] for i in reached)
        packets = arriving if self.is_clocked else {source for _, source in arriving}
        self.tally.add(k, "error_packet", len(packets))
        return arriving

    def _asking(self, k: int) -> list[tuple[int, int]]:
        """Return (step, source) of every entry of the sources' log that takes an error."""
        feeding = max(f for f in self.net.feedforward if f < k)
        return [(e.step, e.neuron) for e in self.logs[feeding].entries if self._admits(e.excess)]

    def _admits(self, excess: float) -> bool:
        return self.rule.mask != "band" or abs(excess) < self.rule.band

    def _reverse_layer(self, k: int, arriving: Arriving, gradients: list[Floats]) -> Arriving:
        """Walk one layer's log from its end; recurrent events are met on the way."""
        loop, layer = self.net.recurrent_of(k), self.net.layers[k]
        errors = Errors(self.rule, layer.n_out, k > 0, self.is_clocked)
        events, asking = _by_step(self.events[k]), _by_step(self._asking(k) if k else [])
        looping = _by_step(self.events[loop] if loop is not None else [])
        entries = defaultdict(list)
        for entry in self.logs[k].entries:
            entries[entry.step].append(entry)
        leaving: Arriving = {}
        for t in range(self.rule.n_steps - 1, -1, -1):
            for entry in entries[t]:
                if self._admits(entry.excess):
                    errors.enter(entry, arriving.get((t, entry.neuron)))
                elif entry.has_spike:
                    errors.block(entry.neuron)
            self._credit(k, t, events[t], errors, gradients[k])
            self._answer(k, t, asking[t], errors, leaving, t)
            if loop is not None and t:
                self._credit(loop, t, looping[t], errors, gradients[loop])
                back = [e.neuron for e in entries[t - 1] if self._admits(e.excess)]
                self._answer(loop, t, back, errors, arriving, t - 1)
        for name, n in errors.counts.items():
            self.tally.add(k, name, n)
        return leaving

    def _credit(self, k: int, t: int, sources: list[int], errors: Errors, gradient: Floats) -> None:
        """Add what the events of step t are credited with."""
        changed: set[int] = set()
        for source in sources:
            for i in self.covers[k][source]:
                targets, taps = self.rows[k][i]
                met = errors.alive[targets]
                taps = taps[met]
                np.add.at(gradient.ravel(), taps, errors.at_weights(targets[met], t))
                if i not in changed:
                    self.tally.touch(k, taps)
                changed.add(i)
                self.tally.add(k, "gradient_add" if self.is_clocked else "gradient_mac", taps.size)
                self.tally.add(k, "decay_lookup", 0 if self.is_clocked else taps.size)

    def _answer(
        self, k: int, t: int, sources: list[int], errors: Errors, out: Arriving, step: int
    ) -> None:
        """Send errors to the sources that ask in step t, filed under their own ``step``."""
        flat = self.weights[k].ravel()
        if self.is_clocked and sources:
            everything = [self.rows[k][i][1].size for i in range(self.net.layers[k].n_in)]
            self._carry(k, sum(everything))
            self.tally.add(k, "error_packet", len(sources))
        for source in sources:
            total, n_met = 0.0, 0
            for i in self.covers[k][source]:
                targets, taps = self.rows[k][i]
                met = errors.alive[targets]
                total += float(flat[taps[met]] @ errors.at_sources(targets[met], t))
                n_met += int(met.sum())
            if self.is_clocked or n_met:
                out[step, source] = out.get((step, source), 0.0) + total
            if not self.is_clocked:
                self._carry(k, n_met)
                self.tally.add(k, "error_packet", int(n_met > 0))
                shares = self.rule.mask == "spike" and self.rule.name != "srm"
                self.tally.add(k, "decay_lookup", 0 if shares else n_met)

    def _carry(self, k: int, n: int) -> None:
        self.tally.add(k, "propagation_mac", n)
        self.tally.add(k, "transposed_read", n)


def _cover(net: LearningNetwork, k: int) -> list[list[int]]:
    """Return, per source of layer k, the pooled elements that it is an event of."""
    cover = pooling_of(net.layers[k]).cover.tocsr()
    rows = zip(cover.indptr[:-1], cover.indptr[1:], strict=True)
    return [cover.indices[start:end].tolist() for start, end in rows]


def _by_step(events: list[tuple[int, int]]) -> dict[int, list[int]]:
    steps: dict[int, list[int]] = defaultdict(list)
    for t, source in events:
        steps[t].append(source)
    return steps
