"""Mini-batch training in float64 NumPy by the specification itself: for rules without a kernel.

The multi-spike rule (SRM) is trained here; `engine.Engine` trains all others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.float_form import BatchResult, run_batch
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OperationCounts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Samples of one forward pass when judging.
_JUDGED_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class BatchOutcome:
    """What one epoch did; the fields of ``engine.EpochOutcome``.

    Attributes
    ----------
    counts : OperationCounts
    other_counts : mapping
        Empty: such a rule is counted by events only.
    n_correct, n_updated : int
    silent_fraction : tuple of float
        Per spiking population: neurons that fired in none of the epoch's samples.
    error_packets : list of (n,) int64
        Error packets that each neuron may be told, per population: one per spike; of an integrator
        head, whose error is sent once, one per sample in which the neuron fired.
    other_packets : mapping
        Empty.
    """

    counts: OperationCounts
    other_counts: Mapping[str, OperationCounts]
    n_correct: int
    n_updated: int
    silent_fraction: tuple[float, ...]
    error_packets: list[Ints]
    other_packets: Mapping[str, list[Ints]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class BatchEngine:
    """Trains a network in steps, in mini-batches with float weights; the protocol of ``Engine``.

    Attributes
    ----------
    optimizer : "sgd" | "adam"
    """

    net: LearningNetwork
    initial: Sequence[Floats]
    rule: GradientRule
    lr: float = 0.01
    optimizer: str = "sgd"
    batch: int = 64
    _weights: list[Floats] = field(init=False)
    _moments: list[list[Floats]] = field(init=False)
    _n_updates: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._weights = [np.array(w, np.float64) for w in self.initial]
        self._moments = [[np.zeros_like(w) for w in self._weights] for _ in range(2)]

    def weights(self) -> list[Floats]:
        """Return the weights."""
        return [w.copy() for w in self._weights]

    def train(self, inputs: SpikeEvents, labels: Ints, order: Ints) -> BatchOutcome:
        """Go once through the samples in ``order``."""
        counts: OperationCounts | None = None
        fired: list[NDArray[np.bool_]] = []
        errors: list[Ints] = []
        n_correct = 0
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            result = self._run(inputs, rows, labels[rows])
            counts = result.counts if counts is None else counts + result.counts
            n_correct += int((result.predictions == labels[rows]).sum())
            spikes = [s.sum(axis=(0, 1)).astype(np.int64) for s in result.spikes]
            if self.rule.head == "integrator" and spikes:
                spikes[-1] = result.fired[-1].sum(axis=0).astype(np.int64)
            before = errors or [np.zeros_like(s) for s in spikes]
            errors = [a + b for a, b in zip(before, spikes, strict=True)]
            now = [np.asarray(f.any(axis=0)) for f in result.fired]
            fired = [np.logical_or(a, b) for a, b in zip(fired or now, now, strict=True)]
            self._update(result)
        assert counts is not None
        silent = tuple(float(1.0 - f.mean()) for f in fired)
        return BatchOutcome(counts, {}, n_correct, len(order), silent, errors)

    def predict(self, inputs: SpikeEvents) -> tuple[Floats, Ints, OperationCounts]:
        """Return scores, predictions and the forward pass's counts."""
        scores, counts = [], None
        for start in range(0, inputs.n_samples, _JUDGED_AT_ONCE):
            rows = np.arange(start, min(inputs.n_samples, start + _JUDGED_AT_ONCE))
            result = self._run(inputs, rows, None)
            scores.append(result.scores)
            counts = result.counts if counts is None else counts + result.counts
        assert counts is not None
        joined = np.concatenate(scores)
        return joined, joined.argmax(axis=1), counts

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next epoch depends on."""
        found: dict[str, NDArray[Any]] = {"n_updates": np.array([self._n_updates])}
        for name, arrays in self._lists().items():
            found |= {f"{name}.{k}": array.copy() for k, array in enumerate(arrays)}
        return found

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from ``state``."""
        self._n_updates = int(state["n_updates"][0])
        for name, arrays in self._lists().items():
            for k in range(len(arrays)):
                arrays[k] = np.array(state[f"{name}.{k}"], np.float64)

    def _lists(self) -> dict[str, list[Floats]]:
        first, second = self._moments
        return {"weights": self._weights, "first": first, "second": second}

    def _run(self, inputs: SpikeEvents, rows: Ints, labels: Ints | None) -> BatchResult:
        dense = np.zeros((rows.size, self.rule.n_steps, inputs.n_neurons))
        bounds = np.searchsorted(inputs.sample, np.stack([rows, rows + 1]))
        for k, (first, last) in enumerate(bounds.T):
            part = slice(first, last)
            np.add.at(dense[k], (inputs.step[part], inputs.index[part]), 1.0)
        return run_batch(self.net, self._weights, self.rule, dense, labels)

    def _update(self, result: BatchResult) -> None:
        self._n_updates += 1
        for k, gradient in enumerate(result.gradients):
            self._weights[k] = self._weights[k] - self.lr * self._step(k, gradient)

    def _step(self, k: int, gradient: Floats) -> Floats:
        if self.optimizer == "sgd":
            return gradient
        first, second = (moments[k] for moments in self._moments)
        first[...] = 0.9 * first + 0.1 * gradient
        second[...] = 0.999 * second + 0.001 * gradient**2
        n = self._n_updates
        return (first / (1 - 0.9**n)) / (np.sqrt(second / (1 - 0.999**n)) + 1e-8)
