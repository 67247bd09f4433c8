"""STDP receptive fields: neurons that compete find the bars that images are made of."""

from __future__ import annotations

import numpy as np

from nmhw.sim.learning.experiments.result import (
    ExperimentResult,
    Floats,
    Progress,
    images,
    lines,
    report,
)
from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

SIDE = 6
N_BARS = 2 * SIDE
N_STEPS = 20
MAX_RATE = 0.5
NOISE = 0.05
N_NEURONS = 18
GENERATOR = (
    f"{SIDE} x {SIDE} patches with one of {N_BARS} bars, in every fourth patch two (after "
    "Foldiak 1990, doi:10.1007/BF02331346, recalled); Bernoulli spikes with rate "
    f"{MAX_RATE} on bars and {NOISE} elsewhere, {N_STEPS} steps"
)


def all_bars() -> Floats:
    """Return (12, 36): one bar per row."""
    bars = np.zeros((N_BARS, SIDE, SIDE))
    for k in range(SIDE):
        bars[k, k, :] = 1.0
        bars[SIDE + k, :, k] = 1.0
    return bars.reshape(N_BARS, -1)


def make_patch(rng: np.random.Generator, scramble: bool) -> Floats:
    """Return (N_STEPS, 36) spikes of one patch; scrambled: its pixels at random places."""
    present = rng.permutation(N_BARS)[: 1 + (rng.random() < 0.25)]
    pixels = all_bars()[present].max(axis=0)
    if scramble:
        pixels = rng.permutation(pixels)
    rates = np.where(pixels > 0, MAX_RATE, NOISE)
    return (rng.random((N_STEPS, pixels.size)) < rates).astype(np.float64)


def count_bars(weights: Floats, limit: float = 0.85) -> int:
    """Return how many bars some neuron's field resembles (cosine of centered vectors)."""
    fields = weights.T - weights.T.mean(axis=1, keepdims=True)
    bars = all_bars() - all_bars().mean(axis=1, keepdims=True)
    norms = np.linalg.norm(fields, axis=1)[:, None] * np.linalg.norm(bars, axis=1) + 1e-12
    return int(((fields @ bars.T / norms).max(axis=0) >= limit).sum())


def run_receptive_fields(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.02, offset: float = 0.9, theta: float = 4.0, up: float = 0.1,
    keep: float = 0.999, a_minus: float = 0.1,
) -> ExperimentResult:  # fmt: skip
    """Pair STDP with lateral inhibition and adaptive thresholds, on bars and on scrambled bars."""
    n = 300 if quick else 1000
    rule = local_rule("stdp", decay_x=0.85, decay_y=0.85, a_plus=1.0, a_minus=a_minus,
                      offset=offset)  # fmt: skip
    neuron = LocalNeuron(decay=0.9, theta=theta, n_winners=1, adaptation_step=up,
                         adaptation_decay=keep)  # fmt: skip
    layer = LocalLayer("fields", SIDE * SIDE, N_NEURONS, neuron, rule)
    first = stream(seed, "experiment.weights").uniform(0.3, 0.7, (SIDE * SIDE, N_NEURONS))
    curves, fields, engines = [], [], []
    for k, scramble in enumerate((False, True)):
        engine = LocalEngine([layer], [first], WeightFormat(bits, max_abs=1.0),
                             learning_rate=rate, seed=seed, use_compiled=True)  # fmt: skip
        rng, curve = stream(seed, "experiment.patches", k), []
        for sample in range(n):
            if sample % (n // 10) == 0:
                curve.append(count_bars(engine.weights[0]))
            engine.run(make_patch(rng, scramble))
            report(progress, k * n + sample + 1, 2 * n)
        curves.append([*curve, count_bars(engine.weights[0])])
        fields.append(engine.weights[0].T.reshape(-1, SIDE, SIDE).copy())
        engines.append(engine)
    at = np.linspace(0, n, len(curves[0]))
    panels = (
        lines("bars that some field shows", "patches", f"bars of {N_BARS}",
              learned=(at, curves[0]), scrambled_patches=(at, curves[1])),
        images("receptive fields, learned", fields[0]),
        images("receptive fields, scrambled patches", fields[1]),
    )  # fmt: skip
    learned, control = float(curves[0][-1]), float(curves[1][-1])
    limit = 6 if quick else 10
    return ExperimentResult(
        "stdp-fields", "STDP receptive fields of bars", "stdp", GENERATOR, seed,
        f"bars found of {N_BARS} (cosine >= 0.85)", learned, control, "scrambled patches",
        f"at least {limit} bars, at most 1 with scrambled patches",
        learned >= limit and control <= 1,
        {"before": float(curves[0][0])}, panels, engines[0].counts,
    )  # fmt: skip
