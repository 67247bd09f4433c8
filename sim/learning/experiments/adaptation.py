"""Soft Hebbian adaptation: a classifier follows its drifting input by a reward alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.io.learning_data import DIGITS_SOURCE
from nmhw.sim.learning.experiments.digit_classes import (
    N_CLASSES,
    N_STEPS,
    UNSEEN,
    encode_digits,
)
from nmhw.sim.learning.experiments.result import (
    ExperimentResult,
    Floats,
    Progress,
    images,
    lines,
    report,
)
from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.dataset import Part
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

N_PER_CLASS = 6
N_NEURONS = N_CLASSES * N_PER_CLASS
GENERATOR = (
    f"{DIGITS_SOURCE}; accumulate code, {N_STEPS} steps; corrupted: moved by one pixel to the "
    "right and noisy (digits-corrupted)"
)


def build(first: Floats, seed: int, bits: int | None, rate: float, temperature: float) -> Any:
    """Return a softmax layer of N_PER_CLASS neurons per class."""
    neuron = LocalNeuron("softmax", decay=1.0, gain=1.0 / N_STEPS, temperature=temperature)
    layer = LocalLayer("hebb", 64, N_NEURONS, neuron, local_rule("soft-hebb"), rate=rate)
    return LocalEngine([layer], [first], WeightFormat(bits, max_abs=0.6), seed=seed,
                       use_compiled=True)  # fmt: skip


def class_of(engine: Any) -> int:
    """Return the class of the neuron with the largest output."""
    return int(np.argmax(engine.populations[0].output)) // N_PER_CLASS


def accuracy(engine: Any, samples: Any, labels: Any) -> float:
    """Return the fraction of samples whose winner belongs to the label."""
    hits = 0
    for x, label in zip(samples, labels, strict=True):
        engine.run(x, learn=False)
        hits += class_of(engine) == label
    return hits / len(labels)


def reward_teacher(label: int, negative: float) -> Any:
    """Return a teacher that rewards a right winner with 1 and a wrong one with ``-negative``."""

    def teach(engine: Any, step: int) -> list[Any]:
        if step < N_STEPS - 1:
            return [None]
        return [1.0 if class_of(engine) == label else -negative]

    return teach


def first_fields(samples: Any, labels: Any, seed: int) -> Floats:
    """Return (64, N_NEURONS): unit vectors from a mean of a few training images per neuron."""
    rng, fields = stream(seed, "experiment.fields"), []
    for label in range(N_CLASSES):
        mine = rng.permutation(np.flatnonzero(labels == label))
        for part in np.array_split(mine[: 4 * N_PER_CLASS], N_PER_CLASS):
            mean = samples[part].mean(axis=(0, 1))
            fields.append(mean / np.linalg.norm(mean))
    return np.array(fields).T


def run_adaptation(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.05, temperature: float = 0.02, negative: float = 0.5, judged: Part = UNSEEN,
) -> ExperimentResult:  # fmt: skip
    """Learn clean digits, then meet corrupted ones: frozen, adapting, and with random rewards."""
    n_train, n_test, epochs = (400, 150, 1) if quick else (1097, None, 3)
    clean = encode_digits(n_train, n_test, judged=judged)
    corrupted = encode_digits(n_train, n_test, "digits-corrupted", judged)
    total, done = 3 * epochs * n_train, 0

    def train(engine: Any, data: Any, labels: Any, n_epochs: int, test: Any) -> list[float]:
        nonlocal done
        curve = [accuracy(engine, test.test, test.test_labels)]
        for epoch in range(n_epochs):
            for sample in stream(seed, "experiment.order", epoch).permutation(n_train):
                engine.run(data.train[sample], reward_teacher(int(labels[sample]), negative))
                done += 1
                report(progress, done, total)
            curve.append(accuracy(engine, test.test, test.test_labels))
        return curve

    first = first_fields(clean.train, clean.train_labels, seed)
    source = build(first, seed, bits, rate, temperature)
    on_clean = train(source, clean, clean.train_labels, epochs, clean)
    trained = source.weights[0].copy()
    frozen = accuracy(source, corrupted.test, corrupted.test_labels)
    adapting = build(trained, seed, bits, rate, temperature)
    curve = train(adapting, corrupted, corrupted.train_labels, epochs, corrupted)
    misled = build(trained, seed, bits, rate, temperature)
    shuffled = stream(seed, "experiment.shuffle").permutation(corrupted.train_labels)
    lost = train(misled, corrupted, shuffled, epochs, corrupted)
    at = range(epochs + 1)
    pick = slice(None, None, N_PER_CLASS)
    panels = (
        lines("accuracy on corrupted digits", "epochs of adaptation", "accuracy",
              adapting=(at, curve), frozen=(at, [frozen] * (epochs + 1)),
              shuffled_rewards=(at, lost)),
        images("fields after clean digits", trained.T[pick].reshape(-1, 8, 8)),
        images("fields after adaptation", adapting.weights[0].T[pick].reshape(-1, 8, 8)),
    )  # fmt: skip
    return ExperimentResult(
        "soft-hebb-adaptation", "soft Hebbian learning adapts to corrupted digits", "soft-hebb",
        f"{GENERATOR}; judged on the {judged} part", seed,
        "accuracy on unseen corrupted digits", curve[-1], frozen,
        "weights frozen after clean digits",
        "10 points above the control, and above shuffled rewards",
        curve[-1] >= frozen + 0.1 and curve[-1] > lost[-1],
        {"clean digits before": on_clean[0], "clean digits after": on_clean[-1],
         "shuffled rewards": lost[-1]}, panels, adapting.counts,
    )  # fmt: skip
