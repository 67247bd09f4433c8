"""SDSP on digits: ten neurons and a teacher, weights of a few bits, in the manner of ODIN."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.learning.experiments.digit_classes import (
    GENERATOR,
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

N_PIXELS = 64
W_MAX = 7.0
#: Mean move of a weight at one source spike: smaller than a code, so it is drawn.
MEAN_MOVE = 0.05
#: The teacher's current alone lifts a membrane above V_MID, the input alone does not.
THETA, V_MID, DRIVE, INHIBITION = 100.0, 200.0, 300.0, 20.0
TEACHER = "a teacher current drives the neuron of the class and inhibits the others a little"


def build(seed: int, bits: int | None, move: float) -> LocalEngine:
    """Return pixels onto ten neurons with weights from -7 to 7."""
    form = WeightFormat(bits, max_abs=W_MAX)
    scale = W_MAX / (2 ** (bits - 1) - 1) if bits is not None else 1.0
    rule = local_rule(
        "sdsp", v_mid=V_MID, decay_ca=0.93, ca_low=0.3, ca_up=6.5, ca_down=99.0,
        jump=move / scale, w_min=-W_MAX, w_max=W_MAX,
    )  # fmt: skip
    neuron = LocalNeuron(decay=0.9, theta=THETA, reset="zero")
    layer = LocalLayer("classes", N_PIXELS, N_CLASSES, neuron, rule)
    first = stream(seed, "experiment.weights").uniform(-1.0, 1.0, (N_PIXELS, N_CLASSES))
    return LocalEngine([layer], [first], form, seed=seed, use_compiled=True)


def teach(engine: LocalEngine, spikes: Any, label: int) -> None:
    """Show an image with a current that drives its neuron and inhibits the others."""
    drive = np.full((N_STEPS, N_CLASSES), -INHIBITION)
    drive[:, label] = DRIVE
    engine.run(spikes, drives=[drive])


def decide(engine: LocalEngine, spikes: Any) -> int:
    """Return the neuron with most spikes; among equals the one with the largest membrane."""
    n_spikes = engine.run(spikes, learn=False).n_spikes[0]
    return int(np.lexsort((engine.populations[0].v, n_spikes))[-1])


def run_sdsp(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 4,
    move: float = MEAN_MOVE, judged: Part = UNSEEN,
) -> ExperimentResult:  # fmt: skip
    """SDSP with true and with shuffled labels."""
    n_train, n_judged = (300, 100) if quick else (1097, None)
    data = encode_digits(n_train, n_judged, judged=judged)
    epochs, n = (2, 300) if quick else (3, 1097)
    curves, engines = [], []
    for k, is_shuffled in enumerate((False, True)):
        rng, labels = stream(seed, "experiment.shuffle"), data.train_labels
        labels = rng.permutation(labels) if is_shuffled else labels
        engine = build(seed, bits, move)
        curve = [_accuracy(engine, data)]
        for epoch in range(epochs):
            order = stream(seed, "experiment.order", epoch).permutation(n)
            for done, sample in enumerate(order):
                teach(engine, data.train[sample], int(labels[sample]))
                report(progress, (k * epochs + epoch) * n + done + 1, 2 * epochs * n)
            curve.append(_accuracy(engine, data))
        curves.append(curve)
        engines.append(engine)
    at = range(epochs + 1)
    fields: Floats = engines[0].weights[0].T.reshape(-1, 8, 8)
    panels = (
        lines("SDSP on digits", "epoch", "accuracy", learned=(at, curves[0]),
              shuffled_labels=(at, curves[1])),
        images("weights of the ten neurons", fields),
    )  # fmt: skip
    limit = 0.6 if quick else 0.75
    return ExperimentResult(
        "sdsp-digits", "SDSP classifies digits with ten neurons", "sdsp",
        f"{GENERATOR}; {TEACHER}; judged on the {judged} part", seed,
        "accuracy on unseen images", curves[0][-1], curves[1][-1],
        "shuffled labels", f"at least {limit}; with shuffled labels < 0.35",
        curves[0][-1] >= limit and curves[1][-1] < 0.35, {"before": curves[0][0]}, panels,
        engines[0].counts,
    )  # fmt: skip


def _accuracy(engine: LocalEngine, data: Any) -> float:
    pairs = zip(data.test, data.test_labels, strict=True)
    return float(np.mean([decide(engine, x) == label for x, label in pairs]))
