"""Pairing protocols: triplet STDP against frequency, and a written rule against pair STDP."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nmhw.sim.learning.experiments.result import ExperimentResult, Floats, Progress, lines, report
from nmhw.sim.learning.local import LearningRule, LocalEngine, LocalLayer, local_rule
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream

RATES_HZ = (5.0, 10.0, 20.0, 30.0, 40.0, 50.0)
N_PAIRINGS = 60
LAG_MS = 10


def protocol(rate_hz: float, lag_ms: int, n_pairings: int) -> tuple[Floats, Floats]:
    """Return source and target spikes in steps of 1 ms: n pairings, target ``lag_ms`` later."""
    period = round(1000.0 / rate_hz)
    n_steps = n_pairings * period + 3 * abs(lag_ms)
    pre, post = np.zeros((n_steps, 1)), np.zeros((n_steps, 1))
    start = np.arange(n_pairings) * period + abs(lag_ms)
    pre[start], post[start + lag_ms] = 1.0, 1.0
    return pre, post


def change_after(rule: LearningRule, pre: Floats, post: Floats, bits: int | None, seed: int) -> Any:
    """Return the engine after a weight of 0 saw these spikes."""
    layer = LocalLayer("pair", pre.shape[1], post.shape[1], rule=rule)
    first = np.zeros((pre.shape[1], post.shape[1]))
    engine = LocalEngine([layer], [first], WeightFormat(bits, max_abs=1.5), seed=seed)
    active = np.flatnonzero(pre.any(axis=1) | post.any(axis=1))
    engine.run(pre[: active[-1] + 1], forced=[post])
    return engine


def run_triplet(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8
) -> ExperimentResult:
    """Triplet STDP: the same pairs depress when rare and potentiate when frequent."""
    rates = RATES_HZ[::5] if quick else RATES_HZ
    n = N_PAIRINGS
    rules = {
        "triplet": local_rule("triplet-stdp"),
        "pair": local_rule("stdp", decay_x=math.exp(-1 / 16.8), decay_y=math.exp(-1 / 33.7),
                           a_plus=6.5e-3, a_minus=7.1e-3),
    }  # fmt: skip
    curves: dict[tuple[str, int], list[float]] = {}
    counts, done = None, 0
    for kind, rule in rules.items():
        for lag in (LAG_MS, -LAG_MS):
            curves[kind, lag] = []
            for rate in rates:
                engine = change_after(rule, *protocol(rate, lag, n), bits, seed)
                curves[kind, lag].append(float(engine.weights[0][0, 0]))
                if kind == "triplet":
                    counts = engine.counts if counts is None else counts + engine.counts
                done += 1
                report(progress, done, 4 * len(rates))
    gain = {kind: curves[kind, LAG_MS][-1] - curves[kind, LAG_MS][0] for kind in rules}
    reverse = curves["triplet", -LAG_MS]
    passed = gain["triplet"] > 0.3 and reverse[0] < 0 < reverse[-1]
    shown = {f"{k}, {d:+d} ms".replace(" ", "_"): (rates, c) for (k, d), c in curves.items()}
    panel = lines("change after 60 pairings", "pairings per second (Hz)", "weight change", **shown)
    return ExperimentResult(
        "triplet-frequency", "triplet STDP depends on frequency", "triplet-stdp",
        f"{n} pairings at {LAG_MS} ms, {rates[0]:g} to {rates[-1]:g} Hz (protocol of Sjostrom et "
        "al. 2001, doi:10.1016/S0896-6273(01)00542-6, recalled)", seed,
        "weight change at 50 Hz minus that at 5 Hz, target 10 ms after source",
        gain["triplet"], gain["pair"], "pair STDP with the same amplitudes",
        "above 0.3, and target before source turns from depression to potentiation", passed,
        {"reverse at 5 Hz": reverse[0], "reverse at 50 Hz": reverse[-1],
         "pair, reverse at 50 Hz": curves["pair", -LAG_MS][-1]}, (panel,), counts,
    )  # fmt: skip


def run_written(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8
) -> ExperimentResult:
    """Sum of products: pair STDP as text changes weights as pair STDP does, spike for spike."""
    text, tau = "dw = 2^-5*x1*y0 - 2^-6*x0*y1", (12.0, 20.0)
    written = local_rule("sum-of-products", dw=text, x1=(1.0, tau[0]), y1=(1.0, tau[1]))
    pair = local_rule("stdp", decay_x=math.exp(-1 / tau[0]), decay_y=math.exp(-1 / tau[1]),
                      a_plus=2.0**-5, a_minus=2.0**-6)  # fmt: skip
    rng, n_steps = stream(seed, "experiment.spikes"), 100 if quick else 400
    pre = (rng.random((n_steps, 12)) < 0.03).astype(np.float64)
    post = (rng.random((n_steps, 8)) < 0.03).astype(np.float64)
    follow = np.roll(pre[:, :8], 2, axis=0)  # source k is followed by target k
    post = np.maximum(post, follow * (rng.random((n_steps, 8)) < 0.7))
    one, two = (change_after(rule, pre, post, bits, seed) for rule in (written, pair))
    report(progress, 1, 1)
    w = one.weights[0]
    difference = float(np.abs(w - two.weights[0]).max())
    paired = float(np.diag(w[:8]).mean())
    others = float((w.sum() - np.trace(w[:8])) / (w.size - 8))
    lags = np.arange(-30, 31)
    window = np.array([
        float(change_after(written, *protocol(5.0, int(lag), 1), None, seed).weights[0][0, 0])
        for lag in lags
    ])  # fmt: skip
    panel = lines("learning window of " + text, "target after source (steps)", "weight change",
                  written=(lags, window))  # fmt: skip
    return ExperimentResult(
        "sum-of-products", "pair STDP written as a sum of products", "sum-of-products",
        f"12 sources and 8 targets, Bernoulli 0.03, target k follows source k by 2 steps with "
        f"probability 0.7, {n_steps} steps", seed,
        "mean weight between source k and target k", paired, others, "all other weights",
        "twice the absolute control and more; weights equal those of pair STDP",
        paired > 2 * abs(others) and difference < 1e-12,
        {"largest difference from pair STDP": difference}, (panel,), one.counts,
    )  # fmt: skip
