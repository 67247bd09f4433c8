"""Digits with rules that need no backward pass: delta rule, DRTP, DECOLLE, and SDSP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmhw.io.encode import encode_accumulate
from nmhw.io.learning_data import DIGITS_SOURCE, load_learning_data
from nmhw.sim.learning.experiments.result import (
    ExperimentResult,
    Floats,
    Progress,
    lines,
    report,
)
from nmhw.sim.learning.local import LearningRule, LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.dataset import Part
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

N_CLASSES = 10
N_STEPS = 16
GENERATOR = f"{DIGITS_SOURCE}; accumulate code, {N_STEPS} steps; fixed split"

#: Settings of these experiments were chosen by hand while the test part was looked at. They are
#: therefore judged on the validation part, which no choice of theirs has seen.
UNSEEN: Part = "validation"


@dataclass(frozen=True, slots=True, eq=False)
class SpikeImages:
    """Encoded images: (samples, N_STEPS, pixels) bool, labels; test: those to be judged on."""

    train: Any
    train_labels: Any
    test: Any
    test_labels: Any


def encode_digits(
    n_train: int, n_test: int | None = None, name: str = "digits", judged: Part = UNSEEN
) -> SpikeImages:
    """Return the first training digits, and the first ones (default: all) to be judged on."""
    data = load_learning_data(name)
    assert data.images is not None
    parts = []
    for part, n in (("train", n_train), (judged, n_test)):
        rows = data.rows(part)[:n]  # type: ignore[arg-type]
        flat = data.images[rows].reshape(rows.size, -1)
        parts += [encode_accumulate(flat, N_STEPS).dense() != 0, data.labels[rows]]
    return SpikeImages(*parts)


def classify(engine: LocalEngine, samples: Any, labels: Any) -> float:
    """Return the fraction whose largest summed output of the last layer is the label."""
    hits = 0
    for x, label in zip(samples, labels, strict=True):
        hits += int(np.argmax(engine.run(x, learn=False).n_spikes[-1])) == label
    return hits / len(labels)


def train_epochs(
    engine: LocalEngine, data: SpikeImages, labels: Any, epochs: int, seed: int,
    teacher_of: Callable[[int], Any], progress: Progress | None = None,
) -> list[float]:  # fmt: skip
    """Train; return the accuracy on ``test`` before and after every epoch."""
    curve = [classify(engine, data.test, data.test_labels)]
    total = epochs * len(labels)
    for epoch in range(epochs):
        order = stream(seed, "experiment.order", epoch).permutation(len(labels))
        for k, sample in enumerate(order):
            engine.run(data.train[sample], teacher_of(int(labels[sample])))
            report(progress, epoch * len(labels) + k + 1, total)
        curve.append(classify(engine, data.test, data.test_labels))
    return curve


def weights_between(n_in: int, n_out: int, gain: float, seed: int, name: str) -> Floats:
    """Return normal weights with standard deviation gain / sqrt(n_in)."""
    return stream(seed, "experiment.weights", name).normal(0.0, gain / n_in**0.5, (n_in, n_out))


def _hidden(rule: LearningRule | None, n: int, rate: float, **wiring: Any) -> LocalLayer:
    neuron = LocalNeuron(decay=0.9, theta=1.0, reset="subtract", width=1.0)
    return LocalLayer("hidden", 64, n, neuron, rule, rate=rate, **wiring)


def _head(rule: LearningRule, n: int, rate: float) -> LocalLayer:
    return LocalLayer("head", n, N_CLASSES, LocalNeuron("integrator", decay=1.0), rule, rate=rate)


def _one_hot(label: int) -> Floats:
    return np.eye(N_CLASSES)[label]


def _delta_teacher(label: int) -> Any:
    def teach(engine: LocalEngine, step: int) -> list[Any]:
        last = step == N_STEPS - 1
        return [None, engine.softmax(1) - _one_hot(label) if last else None]

    return teach


def _drtp_teacher(label: int) -> Any:
    def teach(engine: LocalEngine, step: int) -> list[Any]:
        last = step == N_STEPS - 1
        return [_one_hot(label), engine.softmax(1) - _one_hot(label) if last else None]

    return teach


def _decolle_teacher(label: int) -> Any:
    target = 2.0 * _one_hot(label)

    def teach(engine: LocalEngine, step: int) -> list[Any]:
        last = step == N_STEPS - 1
        settled = step >= 3
        return [
            target if settled else None,
            engine.softmax(1) - _one_hot(label) if last else None,
        ]

    return teach


def _compare(
    rule: str, title: str, layers: list[LocalLayer], teacher_of: Callable[[int], Any], seed: int,
    progress: Progress | None, quick: bool, bits: int | None, baseline: list[LocalLayer] | None,
    judged: Part,
) -> ExperimentResult:  # fmt: skip
    """Train with true and with shuffled labels, and (baseline) with the hidden layer frozen."""
    n_train, n_judged = (300, 100) if quick else (1097, None)
    data = encode_digits(n_train, n_judged, judged=judged)
    epochs = 2 if quick else 3
    shuffled = stream(seed, "experiment.shuffle").permutation(data.train_labels)
    n_runs = 2 if baseline is None else 3
    curves, engines = [], []
    runs = [(layers, data.train_labels), (layers, shuffled), (baseline, data.train_labels)]
    for k, (used, labels) in enumerate(runs[:n_runs]):
        assert used is not None
        weights = [
            weights_between(layer.n_in, layer.n_out, 2.0 if j == 0 else 0.1, seed, layer.name)
            for j, layer in enumerate(used)
        ]
        engine = LocalEngine(used, weights, WeightFormat(bits), seed=seed, use_compiled=True)

        def sub(done: int, total: int, k: int = k) -> None:
            report(progress, k * total + done, n_runs * total)

        curves.append(train_epochs(engine, data, labels, epochs, seed, teacher_of, sub))
        engines.append(engine)
    facts = {"before": curves[0][0], "shuffled labels": curves[1][-1]}
    shown = {"learned": curves[0], "shuffled_labels": curves[1]}
    limit = 0.65 if quick else 0.85
    passed = curves[0][-1] >= limit and curves[1][-1] < 0.3
    criterion = f"accuracy >= {limit}; with shuffled labels < 0.3"
    if baseline is not None:
        passed = passed and curves[0][-1] >= curves[2][-1] + 0.03
        criterion += "; 3 points above the same network with its hidden layer frozen"
        facts["hidden layer frozen"] = curves[2][-1]
        shown["hidden_layer_frozen"] = curves[2]
    panel = lines(title, "epoch", "accuracy",
                  **{k: (range(len(c)), c) for k, c in shown.items()})  # fmt: skip
    return ExperimentResult(
        f"{rule}-digits", title, rule, f"{GENERATOR}; judged on the {judged} part", seed,
        "accuracy on unseen images", curves[0][-1],
        curves[1][-1], "shuffled labels", criterion, passed, facts, (panel,), engines[0].counts,
    )  # fmt: skip


def run_delta(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.01, judged: Part = UNSEEN,
) -> ExperimentResult:  # fmt: skip
    """Delta rule on the last layer of 64-128-10; the hidden layer is random and stays."""
    layers = [_hidden(None, 128, 0.0), _head(local_rule("delta"), 128, rate)]
    title = "delta rule on digits, random hidden layer"
    return _compare("delta", title, layers, _delta_teacher, seed, progress, quick, bits, None,
                    judged)  # fmt: skip


def run_drtp(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.001, n: int = 32, head_rate: float = 0.01, judged: Part = UNSEEN,
) -> ExperimentResult:  # fmt: skip
    """DRTP in a hidden layer of 32, delta rule on the head."""
    matrix = stream(seed, "experiment.feedback").normal(0.0, 1.0, (N_CLASSES, n))
    rule = local_rule("drtp", decay=0.9)
    layers = [
        _hidden(rule, n, rate, feedback="random", feedback_weights=matrix),
        _head(local_rule("delta"), n, head_rate),
    ]
    frozen = [_hidden(None, n, 0.0), layers[1]]
    title = "DRTP on digits"
    return _compare("drtp", title, layers, _drtp_teacher, seed, progress, quick, bits, frozen,
                    judged)  # fmt: skip


def run_decolle(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.001, n: int = 32, head_rate: float = 0.01, judged: Part = UNSEEN,
) -> ExperimentResult:  # fmt: skip
    """DECOLLE in a hidden layer of 32, delta rule on the head."""
    matrix = stream(seed, "experiment.feedback").normal(0.0, 1.0 / n**0.5, (N_CLASSES, n))
    rule = local_rule("decolle", decay_q=0.5, decay_p=0.9)
    layers = [
        _hidden(rule, n, rate, feedback="readout", feedback_weights=matrix),
        _head(local_rule("delta"), n, head_rate),
    ]
    frozen = [_hidden(None, n, 0.0), layers[1]]
    title = "DECOLLE on digits"
    return _compare("decolle", title, layers, _decolle_teacher, seed, progress, quick, bits, frozen,
                    judged)  # fmt: skip
