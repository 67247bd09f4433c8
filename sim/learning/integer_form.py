"""The specification of the integer mode: training in fixed point, in plain NumPy.

Slow and readable; ``Engine(mode="integer")`` equals it bit for bit: weights, logs, counts. All
sums are exact in int64, so that their order does not matter; every rounding is written out in
``nmhw_lava.fixed_point``. Formats and tables: docs/learning.md, "Integer mode".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import UsageError
from nmhw.sim.lava.worker.nmhw_lava.fixed_point import moved_thresholds, output_errors
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.integer_layer import IntegerLayer
from nmhw.sim.learning.integer_steps import IntegerSteps
from nmhw.sim.learning.integer_times import SILENT, IntegerTimes
from nmhw.sim.learning.kernels.layout import IntegerArithmetic
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.spike_time import to_ticks
from nmhw.sim.learning.tables import THETA_BITS, IntegerFormat, integer_arithmetic
from nmhw.sim.learning.thresholds import initial_thresholds, threshold_at
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import OPERATION_INDEX, WeightFormat

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class IntegerOutcome:
    """What one pass did: counts by events, (n_layers, n_operations), with the store's."""

    counts: Ints
    scores: Ints
    n_correct: int
    n_updated: int
    error_packets: list[Ints]


class IntegerForm:
    """A training in integers; parameters as those of ``Engine``."""

    def __init__(
        self,
        net: LearningNetwork,
        initial: Sequence[ArrayLike],
        rule: GradientRule,
        weight_format: WeightFormat,
        *,
        lr: float = 0.01,
        seed: int = 0,
        batch: int = 1,
        frozen: tuple[str, ...] = (),
        form: IntegerFormat | None = None,
    ) -> None:
        if weight_format.bits is None or rule.time == "exact" or rule.name == "srm":
            raise UsageError("no integer form", got=(weight_format.bits, rule.time, rule.name))
        self.net, self.rule, self.format = net, rule, weight_format
        self.lr, self.batch, self.form = lr, batch, form or IntegerFormat()
        self.store = WeightStore(initial, weight_format, seed)
        is_stream = weight_format.accumulate == "stream"
        self._layers = [
            IntegerLayer(layer, k, self.store, layer.name in frozen, is_stream)
            for k, layer in enumerate(net.layers)
        ]
        self._unit = 2**self.form.input_shift / self.store.scale
        self.theta: list[Ints] = []
        self._steps: IntegerSteps | None = None
        self._times: IntegerTimes | None = None
        if rule.uses_times:
            self._times = IntegerTimes(net, rule, self._layers, len(frozen))
        else:
            self._steps = IntegerSteps(net, rule, self.form, self._layers, len(frozen))
            stored = self._unit * 2**THETA_BITS
            self.theta = [
                np.rint(t * stored).astype(np.int64) for t in initial_thresholds(net, rule)
            ]
        self._at_theta = [np.zeros_like(t) for t in self.theta]
        self._n_spikes = [np.zeros_like(t) for t in self.theta]

    def train(self, inputs: ArrayLike, labels: Ints, order: Sequence[int]) -> IntegerOutcome:
        """Learn from samples in ``order``; inputs as those of ``run_batch``."""
        a, x = self._arithmetic(), np.asarray(inputs, np.float64)
        walk = self._steps or self._times
        assert walk is not None
        walk.error_packets = [np.zeros(layer.n_out, np.int64) for layer in self.net.layers]
        scores = np.zeros((len(order), self.net.n_classes), np.int64)
        n_waiting = n_learned = n_correct = n_updated = 0
        for n, sample in enumerate(order):
            label = int(labels[sample])
            scores[n] = self._forward(x[sample], a)
            self._count_log(x[sample])
            n_correct += int(scores[n].argmax() == label)
            n_learned += self._learn(scores[n], label, a)
            n_waiting += 1
            if n_waiting == self.batch or n + 1 == len(order):
                self._end_batch(n_waiting, n_learned > 0, a)
                n_updated += n_learned
                n_waiting = n_learned = 0
        counts = np.stack([layer.counts for layer in self._layers]) + self.store.take_counts()
        for layer in self._layers:
            layer.counts = np.zeros_like(layer.counts)
        packets = [walk.error_packets[k] for k in self.net.feedforward]
        return IntegerOutcome(counts, scores, n_correct, n_updated, packets)

    def _learn(self, scores: Ints, label: int, a: IntegerArithmetic) -> bool:
        """Take in one sample's gradients; return whether it was learned from."""
        error, on, p = output_errors(scores, label, a)
        self._layers[self.net.feedforward[-1]].count("exponential", self.net.n_classes)
        is_learned = bool(on.any()) and not 0 < a.skip_confidence <= p
        if self._times is not None:
            if is_learned:
                self._times.reverse(error, on, a)
            return is_learned
        assert self._steps is not None
        for k, record in enumerate(self._steps.records):
            self._n_spikes[k] += record.spikes.sum(axis=0)
        if is_learned:
            for k, gradient in enumerate(self._steps.reverse(error, on, a)):
                self._at_theta[k] += gradient
        return is_learned

    def _end_batch(self, n: int, has_learned: bool, a: IntegerArithmetic) -> None:
        if has_learned and self.format.accumulate == "sample":
            for layer in self._layers:
                layer.update(n, a)
        law = self.rule.threshold
        for k, theta in enumerate(self.theta):
            if law in ("homeostatic", "learnable"):
                self.theta[k] = moved_thresholds(
                    theta, law, self._at_theta[k], self._n_spikes[k], n, a
                )
            self._at_theta[k][:] = self._n_spikes[k][:] = 0

    def log_of(self, inputs: ArrayLike, sample: int) -> Ints:
        """Return the spike log of a sample, as ``Engine.log_of`` does; counts as a forward pass."""
        self._forward(np.asarray(inputs, np.float64)[sample], self._arithmetic())
        return self._log()

    def _arithmetic(self) -> IntegerArithmetic:
        return integer_arithmetic(
            self.rule, self.lr, self.batch, (self.format.skip_confidence, self.format.skip_error),
            self.store.scale, self.form, np.zeros(1, np.int64),
        )  # fmt: skip

    def _log(self) -> Ints:
        rows = []
        if self._times is not None:
            hidden = (
                self._times.records if self.rule.head == "spiking" else (self._times.records[:-1])
            )
            for k, spikes in enumerate(hidden):
                for j in np.flatnonzero(spikes.t_out != SILENT):
                    rows.append((k, spikes.t_out[j], j, 0, 1 + 2 * int(spikes.is_open[j])))
        elif self._steps is not None:
            for k, record in zip(self.net.feedforward, self._steps.records, strict=False):
                flags = record.spikes + 2 * record.admitted
                for t, j in zip(*np.nonzero(flags), strict=True):
                    rows.append((k, t, j, record.excess[t, j], flags[t, j]))
        return np.array(rows, np.int64).reshape(-1, 5)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what ``Engine.state`` holds of weights, registers and thresholds."""
        theta = np.concatenate([*self.theta, np.zeros(0, np.int64)])
        return {**self.store.state(), "thresholds": theta}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a state of this or of an ``Engine``."""
        self.store.restore(state)
        ends = np.cumsum([t.size for t in self.theta])[:-1]
        if self.theta:
            self.theta = [t.copy() for t in np.split(state["thresholds"], ends)]

    def _forward(self, x: NDArray[np.float64], a: IntegerArithmetic) -> Ints:
        if self._times is not None:
            ticks = to_ticks(x, self.rule.n_steps) * self.rule.n_steps
            whole = np.where(np.isfinite(ticks), np.rint(ticks), SILENT).astype(np.int64)
            return self._times.forward(whole, a)
        assert self._steps is not None
        one = np.ones(1)
        falling = [threshold_at(self.rule, one, t)[0] for t in range(self.rule.n_steps)]
        ramp = np.rint(np.array(falling) * self._unit).astype(np.int64)
        return self._steps.forward(x.astype(np.int64), self.theta, ramp, a)

    def _count_log(self, x: NDArray[np.float64]) -> None:
        column = OPERATION_INDEX["log_word"]
        n_inputs = np.isfinite(x).sum() if self.rule.uses_times else x.sum()
        if not self._layers[0].is_frozen:
            self._layers[0].counts[column] += int(n_inputs)
        for layer, *_ in self._log():
            self._layers[layer].counts[column] += 1
