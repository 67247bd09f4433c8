"""Mini-batch training in float64 NumPy: the specification's gradients, Adam or plain descent.

For comparison with batch-1 integer learning, and for tasks whose point is not the arithmetic. It
keeps its weights on a grid too when the format has bits: rounded after every batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError, UsageError
from nmhw.sim.learning.closed_forms import Accounting, count_steps, count_times
from nmhw.sim.learning.float_form import BatchResult, run_batch
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.thresholds import initial_thresholds, may_enter, moved_thresholds
from nmhw.sim.learning.time_form import TimeTrace
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OPERATION_INDEX, PHASES, OperationCounts, WeightFormat
from nmhw.values.rng import stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_READ, _WRITE, _WORD = (
    OPERATION_INDEX[name] for name in ("weight_read", "weight_write", "random_word")
)

#: Samples of one forward pass when judging.
_JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class BatchOutcome:
    """What one epoch did.

    Attributes
    ----------
    counts : OperationCounts
        As the rule's own machine works.
    other_counts : mapping of accounting to OperationCounts
        The same training on machines that skip less.
    n_correct, n_updated : int
    silent_fraction : tuple of float
        Per spiking population: neurons that fired in none of the epoch's samples.
    error_events : list of (n,) int64
        Error events that entered each neuron, per population.
    """

    counts: OperationCounts
    other_counts: Mapping[str, OperationCounts]
    n_correct: int
    n_updated: int
    silent_fraction: tuple[float, ...]
    error_events: list[Ints]


@dataclass(slots=True, eq=False)
class BatchEngine:
    """Trains a network in mini-batches; the same protocol as the event engine.

    Attributes
    ----------
    accountings : tuple of str
        Also count every batch as these machines would work; see ``closed_forms``. "/stream" behind
        a name: weights written at every contribution.
    frozen : tuple of str
        The first layers, which keep their weights: no error reaches them and nothing is counted
        for them but the forward pass.
    """

    net: LearningNetwork
    initial: Sequence[Floats]
    rule: GradientRule
    weight_format: WeightFormat
    lr: float = 0.01
    seed: int = 0
    optimizer: str = "sgd"
    batch: int = 64
    accountings: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()
    _weights: list[Floats] = field(init=False)
    _moments: list[list[Floats]] = field(init=False)
    _thresholds: list[Floats] = field(init=False)
    _n_updates: int = field(init=False, default=0)
    _reads_before: dict[str, Ints] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.frozen and self.frozen != self.net.names[: len(self.frozen)]:
            raise UsageError(
                "frozen layers are the first ones", got=self.frozen, limit=self.net.names
            )
        if self.weight_format.skip_confidence > 0:
            raise UnsupportedError(
                "a batch is not skipped", got="skip", hint="--batch 1", rule="learning.batch-skip"
            )
        given = [np.array(w, np.float64) for w in self.initial]
        self._weights = [self._rounded(w, k) for k, w in enumerate(given)]
        self._moments = [[np.zeros_like(w) for w in self._weights] for _ in range(2)]
        self._thresholds = initial_thresholds(self.net, self.rule)

    def weights(self) -> list[Floats]:
        """Return the weights."""
        return [w.copy() for w in self._weights]

    def train(self, inputs: Any, labels: Ints, order: Ints) -> BatchOutcome:
        """Go once through the samples in ``order``.

        Parameters
        ----------
        inputs : (samples, inputs) times, or SpikeEvents
        """
        totals: dict[str, OperationCounts] = {}
        self._reads_before = {}
        fired: list[NDArray[np.bool_]] = []
        errors: list[Ints] = []
        n_correct = 0
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            x = self._dense(inputs, rows)
            result = self._run(x, labels[rows])
            self._add(totals, "", result.counts)
            for kind in self.accountings:
                self._add(totals, kind, self._count(kind, x, result))
            n_correct += int((result.predictions == labels[rows]).sum())
            errors = _sum_errors(self.rule, errors, result)
            now = [np.asarray(f.any(axis=0)) for f in result.fired]
            fired = [np.logical_or(a, b) for a, b in zip(fired or now, now, strict=True)]
            changed = self._update(result)
            self._count_changes(totals, changed)
        silent = tuple(float(1.0 - f.mean()) for f in fired)
        own = totals.pop("")
        return BatchOutcome(own, totals, n_correct, len(order), silent, errors)

    def predict(self, inputs: Any) -> tuple[Floats, Ints, OperationCounts]:
        """Return scores, predictions and the forward pass's counts."""
        n = inputs.n_samples if isinstance(inputs, SpikeEvents) else len(inputs)
        scores, counts = [], None
        for start in range(0, n, _JUDGED_AT_ONCE):
            rows = np.arange(start, min(n, start + _JUDGED_AT_ONCE))
            result = self._run(self._dense(inputs, rows), None)
            scores.append(result.scores)
            counts = result.counts if counts is None else counts + result.counts
        assert counts is not None
        joined = np.concatenate(scores)
        return joined, joined.argmax(axis=1), counts

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next epoch depends on."""
        found: dict[str, NDArray[Any]] = {"n_updates": np.array([self._n_updates])}
        for name, arrays in self._lists().items():
            found |= {f"{name}.{k}": array for k, array in enumerate(arrays)}
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from ``state``."""
        self._n_updates = int(state["n_updates"][0])
        for name, arrays in self._lists().items():
            for k in range(len(arrays)):
                arrays[k] = np.array(state[f"{name}.{k}"], np.float64)

    def _lists(self) -> dict[str, list[Floats]]:
        return {
            "weights": self._weights, "first": self._moments[0], "second": self._moments[1],
            "thresholds": self._thresholds,
        }  # fmt: skip

    def _dense(self, inputs: Any, rows: Ints) -> Floats:
        if not isinstance(inputs, SpikeEvents):
            return np.asarray(inputs[rows], np.float64)
        shape = (rows.size, self.rule.n_steps, inputs.n_neurons)
        dense = np.zeros(shape)
        bounds = np.searchsorted(inputs.sample, np.stack([rows, rows + 1]))
        for k, (first, last) in enumerate(bounds.T):
            part = slice(first, last)
            np.add.at(dense[k], (inputs.step[part], inputs.index[part]), 1.0)
        return dense

    def _run(self, x: Floats, labels: Ints | None) -> BatchResult:
        return run_batch(
            self.net, self._weights, self.rule, x, labels,
            thresholds=None if self.rule.uses_times else self._thresholds,
            accumulate=self.weight_format.accumulate,
        )  # fmt: skip

    def _count(self, kind: str, x: Floats, result: BatchResult) -> OperationCounts:
        """Count the same batch as another machine would work."""
        name, _, stream_mark = kind.partition("/")
        accounting = cast(Accounting, name)
        accumulate: Any = "stream" if stream_mark else self.weight_format.accumulate
        traces: Any = result.traces
        if self.rule.uses_times:
            return count_times(self.net, self.rule, traces, accounting, accumulate, True)
        return count_steps(self.net, self.rule, x, traces, accounting, accumulate, True)

    def _add(self, totals: dict[str, OperationCounts], kind: str, counts: OperationCounts) -> None:
        counts = count_without(counts, len(self.frozen))
        totals[kind] = totals[kind] + counts if kind in totals else counts

    def _count_changes(self, totals: dict[str, OperationCounts], changed: Ints) -> None:
        """Count writes of changed codes, and rounding words, where single samples are written."""
        kept = self.weight_format
        if kept.bits is None or self.batch != 1:
            return
        for kind, counts in totals.items():
            if kind.endswith("/stream") or kept.accumulate == "stream":
                continue
            if kept.policy == "if-changed":
                # the closed forms write back whatever they read
                reads = counts.values[:, _READ] - self._reads_before.get(kind, 0)
                counts.values[:, _WRITE] += changed - reads
            self._reads_before[kind] = counts.values[:, _READ].copy()
            if kept.rounding == "stochastic":
                counts.values[:, _WORD] = counts.values[:, _READ]

    def _update(self, result: BatchResult) -> Ints:
        """Change the weights; return how many of each layer changed."""
        self._n_updates += 1
        changed = np.zeros(len(self._weights), np.int64)
        for k, gradient in enumerate(result.gradients):
            if self.net.layers[k].name in self.frozen:
                continue
            step = self._step(k, gradient)
            new = self._rounded(self._weights[k] - self.lr * step, k)
            changed[k] = int((new != self._weights[k]).sum())
            self._weights[k] = new
        if self.rule.threshold == "homeostatic" and result.spikes:
            self._thresholds = moved_thresholds(self.rule, self._thresholds, result.spikes)
        if self.rule.threshold == "learnable":
            for theta, gradient in zip(self._thresholds, result.threshold_gradients, strict=True):
                theta -= self.lr * gradient
                np.maximum(theta, self.rule.theta_floor, out=theta)
        return changed

    def _step(self, k: int, gradient: Floats) -> Floats:
        if self.optimizer == "sgd":
            return gradient
        first, second = (moments[k] for moments in self._moments)
        first[...] = 0.9 * first + 0.1 * gradient
        second[...] = 0.999 * second + 0.001 * gradient**2
        n = self._n_updates
        return (first / (1 - 0.9**n)) / (np.sqrt(second / (1 - 0.999**n)) + 1e-8)

    def _rounded(self, weights: Floats, k: int) -> Floats:
        bits = self.weight_format.bits
        if bits is None:
            return weights
        top = 2 ** (bits - 1) - 1
        code = self.weight_format.max_abs / top
        offset: Any = 0.5
        if self.weight_format.rounding == "stochastic":
            rng = stream(self.seed, "learning.rounding", self._n_updates, k)
            offset = rng.random(weights.shape)
        return np.clip(np.floor(weights / code + offset), -top, top) * code


def count_without(counts: OperationCounts, n_frozen: int) -> OperationCounts:
    """Return the counts when the first layers are frozen: they only go forward."""
    if not n_frozen:
        return counts
    values = counts.values.copy()
    forward = [OPERATION_INDEX[name] for name in PHASES["forward"]]
    rest = np.setdiff1d(np.arange(values.shape[1]), forward)
    values[:n_frozen, rest] = 0
    sent = [OPERATION_INDEX[n] for n in ("propagation_mac", "transposed_read", "error_packet")]
    values[n_frozen, sent] = 0
    return replace(counts, values=values)


def _sum_errors(rule: GradientRule, before: list[Ints], result: BatchResult) -> list[Ints]:
    """Return the error events per neuron so far, per spiking population."""
    found = []
    for trace in result.traces:
        if trace.spikes is None:
            continue
        if isinstance(trace, TimeTrace):
            entered = trace.spikes.is_open.sum(axis=0)
        else:
            mask = trace.spikes if trace.excess is None else may_enter(rule, trace.excess)
            entered = mask.sum(axis=(0, 1))
        found.append(np.asarray(entered, np.int64))
    return found if not before else [a + b for a, b in zip(before, found, strict=True)]
