"""e-prop on delayed recall: cues on two sides, a pause, then: which side had more?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nmhw.sim.learning.experiments.result import (
    ExperimentResult,
    Floats,
    Progress,
    lines,
    report,
)
from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

N_GROUP = 8  # sources per group: left, right, recall, background
N_CUES = 5
CUE_STEPS, GAP_STEPS, PAUSE_STEPS, RECALL_STEPS = 4, 3, 15, 8
N_STEPS = N_CUES * (CUE_STEPS + GAP_STEPS) + PAUSE_STEPS + RECALL_STEPS
N_HIDDEN = 40
DECAY, OUT_DECAY = 0.97, 0.8
GENERATOR = (
    f"{N_CUES} cues of {CUE_STEPS} steps, each left or right by a coin, {GAP_STEPS} steps apart; "
    f"{PAUSE_STEPS} steps of pause; then a recall signal of {RECALL_STEPS} steps, at which the "
    f"side of the majority is asked; groups of {N_GROUP} sources spike with rate 0.4 when on, a "
    "background group with 0.05 (after Bellec et al. 2020 and Frenkel and Indiveri 2022)"
)


def make_trial(rng: np.random.Generator) -> tuple[Floats, int]:
    """Return (N_STEPS, 4 N_GROUP) spikes and the side, 0 left or 1 right."""
    rates = np.zeros((N_STEPS, 4, N_GROUP))
    sides = rng.integers(0, 2, N_CUES)
    for k, side in enumerate(sides):
        start = k * (CUE_STEPS + GAP_STEPS)
        rates[start : start + CUE_STEPS, side] = 0.4
    rates[-RECALL_STEPS:, 2] = 0.4
    rates[:, 3] = 0.05
    spikes = rng.random(rates.shape) < rates
    return spikes.reshape(N_STEPS, -1).astype(np.float64), int(sides.sum() * 2 > N_CUES)


def build(
    seed: int, bits: int | None, rate: float, kind: str, head_rate: float = 0.001
) -> LocalEngine:
    """Return the network; kind: "e-prop", "readout only" or "no memory" (traces of one step)."""
    n_in = 4 * N_GROUP
    rng = stream(seed, "experiment.weights")
    matrix = rng.normal(0.0, 1.0, (2, N_HIDDEN))
    rule = None if kind == "readout only" else local_rule(
        "e-prop", decay=0.0 if kind == "no memory" else DECAY
    )  # fmt: skip
    neuron = LocalNeuron(decay=DECAY, theta=1.0, reset="subtract", width=1.0)
    hidden = LocalLayer("hidden", n_in, N_HIDDEN, neuron, rule, feedback="random",
                        feedback_weights=matrix, rate=rate)  # fmt: skip
    recurrent = replace(hidden, name="recurrent", n_in=N_HIDDEN, is_recurrent=True)
    head = LocalLayer("head", N_HIDDEN, 2, LocalNeuron("integrator", decay=OUT_DECAY),
                      local_rule("e-prop", decay=OUT_DECAY), rate=head_rate)  # fmt: skip
    first = [
        rng.normal(0.0, 0.8 / n_in**0.5, (n_in, N_HIDDEN)),
        rng.normal(0.0, 0.3 / N_HIDDEN**0.5, (N_HIDDEN, N_HIDDEN)),
        rng.normal(0.0, 0.1 / N_HIDDEN**0.5, (N_HIDDEN, 2)),
    ]
    return LocalEngine([hidden, recurrent, head], first, WeightFormat(bits), seed=seed,
                       use_compiled=True)  # fmt: skip


def teacher_of(side: int) -> Any:
    """Return a teacher that shows softmax minus target while recall is asked."""
    target = np.eye(2)[side]

    def teach(engine: LocalEngine, step: int) -> list[Any]:
        if step < N_STEPS - RECALL_STEPS:
            return [None, None, None]
        error = engine.softmax(2) - target
        return [error, error, error]

    return teach


def decide(engine: LocalEngine, spikes: Floats) -> int:
    """Return the side with the larger sum of readouts during recall."""
    outputs = engine.run(spikes, learn=False).outputs[2]
    return int(np.argmax(outputs[-RECALL_STEPS:].sum(axis=0)))


def run_recall(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.0003, head_rate: float = 0.001,
) -> ExperimentResult:  # fmt: skip
    """e-prop against the same network with a learned readout only, and with shuffled sides."""
    n, n_test = (500, 60) if quick else (1000, 300)
    tests = [make_trial(stream(seed, "experiment.test", k)) for k in range(n_test)]
    kinds = ["e-prop", "readout only", "shuffled sides", "no memory"][: 2 if quick else 4]
    curves: dict[str, list[float]] = {}
    counts = None
    for k, kind in enumerate(kinds):
        engine = build(seed, bits, rate, kind, head_rate)
        coin, curve = stream(seed, "experiment.coin"), []
        for trial in range(n):
            if trial % (n // 5) == 0:
                curve.append(_accuracy(engine, tests))
            spikes, side = make_trial(stream(seed, "experiment.trial", trial))
            if kind == "shuffled sides":
                side = int(coin.integers(2))
            engine.learning_rate = 1.0 - trial / n
            engine.run(spikes, teacher_of(side))
            report(progress, k * n + trial + 1, len(kinds) * n)
        curves[kind] = [*curve, _accuracy(engine, tests)]
        counts = engine.counts if kind == "e-prop" else counts
    at = np.linspace(0, n, 6)
    panel = lines("cue accumulation", "trials", "test accuracy",
                  **{k.replace(" ", "_"): (at, c) for k, c in curves.items()})  # fmt: skip
    learned, control = curves["e-prop"][-1], curves["readout only"][-1]
    limit = 0.75 if quick else 0.85
    shuffled = curves["shuffled sides"][-1] if not quick else 0.5
    passed = learned >= limit and learned >= control + 0.05 and shuffled < 0.65
    return ExperimentResult(
        "e-prop-recall", "e-prop accumulates cues over a pause", "e-prop", GENERATOR, seed,
        "test accuracy (chance 0.5)", learned, control, "only the readout learns",
        f"at least {limit}, 5 points above the control; with shuffled sides below 0.65",
        passed,
        {name: curves[name][-1] for name in kinds[2:]}, (panel,), counts,
    )  # fmt: skip


def _accuracy(engine: LocalEngine, tests: list[tuple[Floats, int]]) -> float:
    return float(np.mean([decide(engine, spikes) == side for spikes, side in tests]))
