"""A local rule on labeled data: it trains the head, behind hidden layers that stay random.

The teacher gives softmax minus target at the last step of a sample, so any rule with a third factor
per neuron can learn from it, your own included.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.local.engine import LocalEngine
from nmhw.sim.learning.local.layer import LocalLayer, LocalNeuron
from nmhw.sim.learning.local.rule import Floats, Ints, LearningRule
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OperationCounts, RuleSpec, WeightFormat

DECAY = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class LabelRule:
    """A local rule where trainings expect a gradient rule.

    Attributes
    ----------
    rule : LearningRule
    n_steps : int
    """

    rule: LearningRule
    n_steps: int

    @property
    def name(self) -> str:
        """Name of the rule."""
        return self.rule.spec.name

    @property
    def spec(self) -> RuleSpec:
        """What the rule needs."""
        return self.rule.spec

    @property
    def uses_times(self) -> bool:
        """Local rules run in steps."""
        return False


@dataclass(frozen=True, slots=True, eq=False)
class LabelOutcome:
    """What one epoch did; the fields of ``engine.EpochOutcome``."""

    counts: OperationCounts
    other_counts: Mapping[str, OperationCounts]
    n_correct: int
    n_updated: int
    silent_fraction: tuple[float, ...]
    error_events: list[Ints]


class LabelTraining:
    """Trains the last layer of a chain of dense layers; the protocol of ``Engine``.

    Raises
    ------
    UnsupportedError
        For a rule without a third factor per neuron, and for layers that are not dense.
    """

    def __init__(
        self, net: LearningNetwork, initial: Sequence[Floats], rule: LabelRule,
        weight_format: WeightFormat, lr: float, seed: int,
    ) -> None:  # fmt: skip
        if rule.spec.third_factor != "per-neuron":
            raise UnsupportedError(
                "this rule has no error per neuron that labels could give", got=rule.name,
                hint="nmhw learn --experiment NAME shows it at work", rule="learn.no-labels",
            )  # fmt: skip
        if any(x.kind != "dense" or x.is_recurrent or x.pool is not None for x in net.layers):
            raise UnsupportedError(
                "local rules train dense layers", hint="--net 64-128-10", rule="learn.dense-only"
            )
        self.lr, self.net, self.n_steps = lr, net, rule.n_steps
        hidden = [
            LocalLayer(x.name, x.n_in, x.n_out, LocalNeuron(decay=DECAY)) for x in net.layers[:-1]
        ]
        last = net.layers[-1]
        head = LocalLayer(
            last.name, last.n_in, last.n_out, LocalNeuron("integrator", decay=1.0), rule.rule
        )
        self._engine = LocalEngine(
            [*hidden, head], initial, weight_format, learning_rate=lr, seed=seed, use_compiled=True
        )

    def weights(self) -> list[Floats]:
        """Return the weights."""
        return [np.array(w) for w in self._engine.weights]

    def train(self, inputs: SpikeEvents, labels: Ints, order: Ints) -> LabelOutcome:
        """Go once through the samples in ``order``."""
        self._engine.learning_rate = self.lr
        head, before = len(self.net.layers) - 1, self._engine.counts
        fired = [np.zeros(x.n_out, np.bool_) for x in self.net.layers[:-1]]
        n_correct = 0
        for row in order:
            target = np.eye(self.net.n_classes)[labels[row]]
            seen: list[int] = []

            def teach(
                engine: LocalEngine, step: int, target: Any = target, seen: Any = seen
            ) -> list[Any]:
                if step < self.n_steps - 1:
                    return [None] * (head + 1)
                shares = engine.softmax(head)
                seen.append(int(np.argmax(shares)))
                return [*[None] * head, shares - target]

            outcome = self._engine.run(self._raster(inputs, int(row)), teach)
            n_correct += seen[-1] == labels[row]
            fired = [f | (n > 0) for f, n in zip(fired, outcome.n_spikes[:-1], strict=True)]
        after = self._engine.counts
        counts = OperationCounts(
            self.net.names, after.values - before.values, after.n_samples - before.n_samples
        )
        silent = tuple(float(1.0 - f.mean()) for f in fired)
        errors = [np.zeros(x.n_out, np.int64) for x in self.net.layers[:-1]]
        return LabelOutcome(counts, {}, n_correct, len(order), silent, errors)

    def predict(self, inputs: SpikeEvents) -> tuple[Floats, Ints, OperationCounts]:
        """Return scores, predictions and the forward pass's counts; counts of training stay."""
        before = self._engine.counts
        scores = np.array([
            self._engine.run(self._raster(inputs, row), learn=False).outputs[-1][-1]
            for row in range(inputs.n_samples)
        ])  # fmt: skip
        values = self._engine.counts.values - before.values
        counts = OperationCounts(self.net.names, values, inputs.n_samples)
        return scores, scores.argmax(axis=1), counts

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next epoch depends on."""
        noise = json.dumps([g.bit_generator.state for g in self._engine.noise]).encode()
        found: dict[str, NDArray[Any]] = dict(self._engine.store.state())
        return {**found, "noise": np.frombuffer(noise, np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from ``state``."""
        self._engine.store.restore({k: v for k, v in state.items() if k != "noise"})
        saved = json.loads(state["noise"].tobytes())
        for generator, one in zip(self._engine.noise, saved, strict=True):
            generator.bit_generator.state = one

    def _raster(self, inputs: SpikeEvents, row: int) -> Floats:
        first, last = np.searchsorted(inputs.sample, [row, row + 1])
        raster = np.zeros((self.n_steps, inputs.n_neurons))
        np.add.at(raster, (inputs.step[first:last], inputs.index[first:last]), 1.0)
        return raster
