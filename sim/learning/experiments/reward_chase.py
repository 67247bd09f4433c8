"""Reward-modulated STDP on a control toy: an agent on a line learns which way its target lies."""

from __future__ import annotations

from typing import Any

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

REACH = 6  # offsets from -REACH to REACH, 0 excluded: 2 * REACH place cells
N_CELLS = 2 * REACH
N_NOISE = 12
N_STEPS = 12
MAX_MOVES = 4 * REACH
GENERATOR = (
    f"agent and target on a line, offset -{REACH} .. {REACH}; one of {N_CELLS} place cells spikes "
    f"with rate 0.5, {N_NOISE} noise sources with rate 0.2, {N_STEPS} steps per move; two motor "
    "neurons, more spikes win (a draw: a coin); reward: 1 if the distance shrank, else 0, minus "
    "its running mean"
)


class Chase:
    """The task: an offset that moves towards 0 or away from it."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.offset = 0

    def start(self) -> None:
        """Put the target somewhere."""
        self.offset = int(self.rng.integers(1, REACH + 1)) * (1 if self.rng.random() < 0.5 else -1)

    def spikes(self) -> Floats:
        """Return (N_STEPS, N_CELLS + N_NOISE) spikes for the present offset."""
        rates = np.concatenate([np.zeros(N_CELLS), np.full(N_NOISE, 0.2)])
        rates[self.offset + REACH - (self.offset > 0)] = 0.5
        return (self.rng.random((N_STEPS, rates.size)) < rates).astype(np.float64)

    def move(self, motor: Floats) -> bool:
        """Move by the motor neurons' spike counts; return whether the distance shrank."""
        right = motor[1] > motor[0] or (motor[1] == motor[0] and self.rng.random() < 0.5)
        before = abs(self.offset)
        self.offset = int(np.clip(self.offset - (1 if right else -1), -REACH, REACH))
        return abs(self.offset) < before


def _engine(seed: int, bits: int | None, rate: float) -> LocalEngine:
    rule = local_rule("r-stdp", decay_x=0.8, decay_y=0.8, decay_e=0.95, a_plus=1.0, a_minus=0.2)
    neuron = LocalNeuron(decay=0.8, theta=1.0, n_winners=1)
    n_in = N_CELLS + N_NOISE
    first = stream(seed, "experiment.weights").uniform(0.3, 0.5, (n_in, 2))
    layer = LocalLayer("motor", n_in, 2, neuron, rule)
    return LocalEngine([layer], [first], WeightFormat(bits, max_abs=1.5), learning_rate=rate,
                       seed=seed, use_compiled=True)  # fmt: skip


def _pay(engine: LocalEngine, reward: float) -> None:
    """One more step without spikes, in which the reward arrives."""
    quiet = np.zeros((1, engine.layers[0].n_in))
    engine.run(quiet, lambda *_: [reward or None], keep_state=True, forced=[np.zeros((1, 2))])


def play(
    engine: LocalEngine, n_episodes: int, seed: int, learn: bool, shuffled: bool,
    progress: Any = None,
) -> Floats:  # fmt: skip
    """Return for every episode whether the target was reached in the fewest moves, or nearly."""
    task, coin = Chase(stream(seed, "experiment.chase")), stream(seed, "experiment.coin")
    mean, good = 0.5, np.zeros(n_episodes)
    for episode in range(n_episodes):
        task.start()
        least = abs(task.offset)
        for move in range(MAX_MOVES):
            motor = engine.run(task.spikes(), None, learn=learn).n_spikes[0]
            reward = float(task.move(motor))
            if learn:
                paid = float(coin.random() < mean) if shuffled else reward
                _pay(engine, paid - mean)
                mean += 0.02 * (reward - mean)
            if task.offset == 0:
                good[episode] = move + 1 <= least + 2
                break
        if progress:
            progress(episode + 1)
    return good


def run_chase(
    seed: int = 0, progress: Progress | None = None, *, quick: bool = False, bits: int | None = 8,
    rate: float = 0.01,
) -> ExperimentResult:  # fmt: skip
    """R-STDP with true rewards, and with rewards drawn by a coin of the same mean."""
    n, n_test = (120, 60) if quick else (400, 200)
    curves, scores, engines = [], [], []
    before = float(play(_engine(seed, bits, rate), n_test, seed + 1, False, False).mean())
    for k, shuffled in enumerate((False, True)):
        engine = _engine(seed, bits, rate)

        def tell(done: int, k: int = k) -> None:
            report(progress, k * n + done, 2 * n)

        good = play(engine, n, seed, True, shuffled, tell)
        curves.append(good.reshape(-1, n // 20).mean(axis=1))
        scores.append(float(play(engine, n_test, seed + 1, False, False).mean()))
        engines.append(engine)
    at = np.arange(1, 21) * (n // 20)
    weights = engines[0].weights[0][:N_CELLS]
    panels = (
        lines("episodes that end within two moves of the fewest", "episode", "fraction",
              true_rewards=(at, curves[0]), rewards_by_coin=(at, curves[1])),
        images("weights: place cell (left to right), motor neuron (left, right)", weights.T[None]),
    )  # fmt: skip
    limit = 0.8 if quick else 0.9
    return ExperimentResult(
        "r-stdp-chase", "reward-modulated STDP finds its target", "r-stdp", GENERATOR, seed,
        "fraction of episodes within two moves of the fewest, learning off", scores[0], scores[1],
        "rewards drawn by a coin", f"at least {limit}, and 0.4 above the control",
        scores[0] >= limit and scores[0] >= scores[1] + 0.4, {"before": before}, panels,
        engines[0].counts,
    )  # fmt: skip
