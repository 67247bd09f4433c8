"""LocalClassifier: a local rule in the hidden layers, the delta rule on the head, for labeled data.

The same protocol as the event engine (train, predict, state, restore), so that trainings, their
checkpoints and their prices need no second form.

What the hidden layers get as third factor follows from ``spec.third_factor``: "none": nothing;
"global": 1 where the prediction is right at the end of a sample, else -1 (``soft-hebb``: always 1);
"per-neuron": the head's softmax error of every step through fixed random weights (``drtp``: the
target in its place; ``decolle``: the error of the layer's own fixed random readout). The head
integrates without leak and learns once per sample. In a network of one layer the rule itself trains
the head, from softmax minus target at the end of a sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.learning.epoch_outcome import EpochOutcome
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.local.engine import LocalEngine, Teacher
from nmhw.sim.learning.local.layer import LocalLayer, LocalNeuron
from nmhw.sim.learning.local.registry import load_rule
from nmhw.sim.learning.local.rule import Floats, LearningRule
from nmhw.sim.learning.local.third_factor import DeltaRule
from nmhw.sim.learning.packed import PackedEvents
from nmhw.values.learning import OperationCounts, RuleSpec, WeightFormat
from nmhw.values.rng import stream

#: Learning rate of hidden layers, relative to that of the head.
HIDDEN_RATE = 0.1


@dataclass(frozen=True, slots=True)
class ClassifierRule:
    """A local rule as trainings know rules: by name, spec, and that it takes spikes per step."""

    name: str
    rule: LearningRule

    @property
    def spec(self) -> RuleSpec:
        """What the rule needs from the machine."""
        return self.rule.spec

    @property
    def uses_times(self) -> bool:
        """Local rules take spikes per step."""
        return False


def classifier_rule(text: str, /, **options: Any) -> ClassifierRule:
    """Return a rule by name or ``my.py:MyRule``; see ``load_rule``."""
    rule = load_rule(text, **options)
    return ClassifierRule(rule.spec.name, rule)


def classifier_weights(net: LearningNetwork, seed: int) -> list[Floats]:
    """Return normal weights: 2 / sqrt(fan-in) in hidden layers, 0.1 / sqrt(fan-in) in the head."""
    weights = []
    for layer in net.layers:
        gain = 0.1 if layer is net.layers[-1] else 0.3 if layer.is_recurrent else 2.0
        rng = stream(seed, "learning.local.weights", layer.name)
        weights.append(rng.normal(0.0, gain / layer.n_in**0.5, (layer.n_in, layer.n_out)))
    return weights


class LocalClassifier:
    """Trains a network on labeled samples by a local rule, one sample at a time.

    Parameters
    ----------
    net : LearningNetwork
        Dense layers, also recurrent ones.
    weights : list of (n_in, n_out) float64
    rule : ClassifierRule
    weight_format : WeightFormat
        Weights are written whenever the rule changes them; ``accumulate`` and the skip limits
        belong to rules with a sample-wide gradient.
    lr : float
    seed : int
        Of rounding and of fixed random feedback.
    frozen : sequence of str
        Layers that keep their weights.

    Raises
    ------
    UnsupportedError
        For convolutions, pools, skip limits, and one layer with a rule that takes no error.
    """

    def __init__(
        self, net: LearningNetwork, weights: Sequence[Floats], rule: ClassifierRule,
        weight_format: WeightFormat, lr: float, seed: int = 0, frozen: Sequence[str] = (),
        n_steps: int = 16,
    ) -> None:  # fmt: skip
        _check_supported(net, rule, weight_format)
        self.net, self.rule = net, rule
        layers = [_layer(net, layer, rule, seed, frozen, n_steps) for layer in net.layers]
        self._engine = LocalEngine(layers, weights, weight_format, learning_rate=lr, seed=seed,
                                   use_compiled=True)  # fmt: skip

    @property
    def lr(self) -> float:
        """Learning rate of the head."""
        return self._engine.learning_rate

    @lr.setter
    def lr(self, value: float) -> None:
        self._engine.learning_rate = value

    def weights(self) -> list[Floats]:
        """Return copies of the weights."""
        return [w.copy() for w in self._engine.weights]

    def train(
        self, inputs: PackedEvents, labels: NDArray[Any], order: NDArray[Any]
    ) -> EpochOutcome:
        """Learn every sample of ``order`` once; see ``EpochOutcome``."""
        before = self._engine.counts
        fired = [np.zeros(layer.n_out, np.bool_) for layer in self._engine.layers]
        scores = np.zeros((len(order), self.net.n_classes))
        n_correct = 0
        for place, sample in enumerate(order):
            label = int(labels[sample])
            outcome = self._engine.run(dense_sample(inputs, int(sample)), self._teacher(label))
            scores[place] = self._engine.populations[-1].v
            n_correct += int(np.argmax(scores[place])) == label
            for k, n_spikes in enumerate(outcome.n_spikes):
                fired[k] |= n_spikes != 0
        after = self._engine.counts
        counts = OperationCounts(
            after.layers, after.values - before.values, after.n_samples - before.n_samples
        )
        hidden = [k for k in self.net.feedforward if k < len(self.net.layers) - 1]
        # errors are broadcast: no layer sends any to its sources
        routed = [np.zeros(self.net.layers[k].n_out, np.int64) for k in self.net.feedforward]
        silent = tuple(float(1.0 - fired[k].mean()) for k in hidden)
        return EpochOutcome(counts, {}, n_correct, len(order), silent, routed, {}, scores)

    def predict(self, inputs: PackedEvents) -> tuple[Floats, NDArray[np.int64], OperationCounts]:
        """Return scores (the head's membranes), predictions and the counts of the forward pass."""
        before = self._engine.counts
        scores = np.zeros((inputs.n_samples, self.net.n_classes))
        for sample in range(inputs.n_samples):
            self._engine.run(dense_sample(inputs, sample), learn=False)
            scores[sample] = self._engine.populations[-1].v
        after = self._engine.counts
        values, n = after.values - before.values, after.n_samples - before.n_samples
        self._engine.forget(n)
        return scores, scores.argmax(axis=1), OperationCounts(after.layers, values, n)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what a bit-identical continuation needs."""
        return self._engine.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from a `state`."""
        self._engine.restore(state)

    def _teacher(self, label: int) -> Teacher:
        target = np.eye(self.net.n_classes)[label]
        n, last_layer, spec = len(self.net.layers), len(self.net.layers) - 1, self.rule.spec
        is_supervised = n > 1 and spec.third_factor == "per-neuron" and spec.name != "delta"
        shows_target = spec.name in ("drtp", "decolle")

        def teach(engine: LocalEngine, step: int, n_steps: int) -> list[Any]:
            ends = step == n_steps - 1
            error = None
            if ends or (is_supervised and not shows_target):
                error = engine.softmax(last_layer) - target
            hidden: Any = None
            if is_supervised:
                hidden = target if shows_target else error
            elif spec.third_factor == "global" and ends:
                is_right = int(np.argmax(engine.populations[-1].v)) == label
                hidden = 1.0 if is_right or spec.name == "soft-hebb" else -1.0
            return [*[hidden] * last_layer, error if ends else None]

        return lambda engine, step: teach(engine, step, engine.n_steps)


def dense_sample(inputs: PackedEvents, sample: int) -> Floats:
    """Return (n_steps, n_inputs) of one packed sample."""
    start, end = inputs.pointers[sample : sample + 2]
    dense = np.zeros((int(inputs.n_steps or 1), inputs.n_inputs))
    place = (inputs.moment[start:end].astype(np.int64), inputs.index[start:end])
    np.add.at(dense, place, inputs.value[start:end])
    return dense


def _layer(
    net: LearningNetwork, layer: LearningLayer, rule: ClassifierRule, seed: int,
    frozen: Sequence[str], n_steps: int,
) -> LocalLayer:  # fmt: skip
    is_frozen = layer.name in frozen
    if layer is net.layers[-1]:
        head = LocalNeuron("integrator", decay=1.0)
        learner = rule.rule if len(net.layers) == 1 else DeltaRule()
        return LocalLayer(layer.name, layer.n_in, layer.n_out, head,
                          None if is_frozen else learner)  # fmt: skip
    spec = rule.spec
    neuron = LocalNeuron(decay=0.9, reset="subtract", width=1.0)
    if spec.name == "soft-hebb":
        neuron = LocalNeuron("softmax", decay=1.0, gain=1.0 / n_steps, temperature=0.05)
    used = None if is_frozen or spec.name == "delta" else rule.rule
    wiring: dict[str, Any] = {}
    if used is not None and spec.third_factor == "per-neuron":
        is_readout = spec.name == "decolle"
        scale = 1.0 / layer.n_out**0.5 if is_readout else 1.0
        rng = stream(seed, "learning.local.feedback", layer.name)
        wiring["feedback"] = "readout" if is_readout else "random"
        wiring["feedback_weights"] = rng.normal(0.0, scale, (net.n_classes, layer.n_out))
    return LocalLayer(layer.name, layer.n_in, layer.n_out, neuron, used, layer.is_recurrent,
                      rate=HIDDEN_RATE, **wiring)  # fmt: skip


def _check_supported(
    net: LearningNetwork, rule: ClassifierRule, weight_format: WeightFormat
) -> None:
    if len(net.layers) == 1 and rule.spec.third_factor != "per-neuron":
        raise UnsupportedError(
            "this rule has no error per neuron that labels could give", got=rule.name,
            hint="a hidden layer (--net 64-64-10), or nmhw learn --experiment NAME",
            rule="learn.no-labels",
        )  # fmt: skip
    for layer in net.layers:
        if layer.kind != "dense" or layer.pool is not None:
            raise UnsupportedError(
                "local rules train dense layers", got=layer.kind, where=layer.name,
                hint="--net 64-128-10", rule="learn.dense-only",
            )  # fmt: skip
    if weight_format.skip_confidence or weight_format.skip_error:
        raise UnsupportedError(
            "local rules learn as they go: a sample is not skipped afterwards", hint="--skip 0",
            rule="learn.local-skip",
        )  # fmt: skip
