"""Random small networks and samples on which a rule is checked: 1-4 layers, convolutions, pools."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.network import initial_weights
from nmhw.sim.learning.sizes import parse_sizes
from nmhw.values.rng import stream

Floats = NDArray[np.float64]

_CONVOLUTIONS = ("c2k2", "c2k2p1", "c3k3p1", "c2k3s2p1", "c3k1", "c2k3p1-p2", "c3k2-p2")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A network with weights, a rule and a batch.

    Attributes
    ----------
    net : LearningNetwork
    rule : GradientRule
    weights : list of float64 arrays
    inputs : (B, n_inputs) times or (B, T, n_inputs) spikes per step
    labels : (B,) int64
    """

    net: LearningNetwork
    rule: GradientRule
    weights: list[Floats]
    inputs: Floats
    labels: NDArray[np.int64]


def random_network(rng: np.random.Generator, with_loops: bool = False) -> LearningNetwork:
    """Return a network of 1-4 layers, half of them with convolutions and pools.

    Parameters
    ----------
    with_loops : bool
        Whether dense hidden layers may be recurrent.
    """
    n_hidden = int(rng.integers(0, 4))
    is_spatial = bool(rng.random() < 0.5)
    terms = []
    if is_spatial:
        n_conv = int(rng.integers(0, min(n_hidden, 2) + 1))
        terms = [str(rng.choice(_CONVOLUTIONS)) for _ in range(n_conv)]
        n_hidden -= n_conv
    for _ in range(n_hidden):
        loop = "r" if with_loops and rng.random() < 0.4 else ""
        terms.append(f"{loop}{rng.integers(1, 8)}")
    first = f"{rng.integers(1, 3)}x6x5" if is_spatial else str(rng.integers(1, 10))
    if is_spatial and rng.random() < 0.2:
        first += "-p2"
    text = "-".join([first, *terms, str(rng.integers(2, 5))])
    try:
        return parse_sizes(text)
    except UsageError:  # a pool behind a pool, or a plane that has become too small
        return parse_sizes("2x4x4-c2k3p1-p2-3")


def random_batch(
    net: LearningNetwork, rule: GradientRule, rng: np.random.Generator, n_samples: int
) -> tuple[Floats, NDArray[np.int64]]:
    """Return inputs and labels: times with silent inputs, or spikes with some double ones."""
    labels = rng.integers(0, net.n_classes, n_samples)
    if rule.uses_times:
        latest = 1.0 if rule.threshold == "window" else 0.6 * rule.t_end
        times = rng.random((n_samples, net.n_inputs)) * latest
        return np.where(rng.random(times.shape) < 0.8, times, np.inf), labels
    shape = (n_samples, rule.n_steps, net.n_inputs)
    spikes = (rng.random(shape) < rng.uniform(0.1, 0.6)) * (1 + (rng.random(shape) < 0.1))
    return spikes.astype(np.float64), labels


def random_case(rule: GradientRule, seed: int, n_samples: int = 2) -> Case:
    """Return a network that the rule can train, with weights strong enough for spikes."""
    rng = stream(seed, "learning.check-case")
    net = random_network(rng, rule.allows_recurrence)
    fires = rule.with_(
        init_mean=float(rng.choice([0.5, 2.0, 4.0])) * (3.0 if rule.name == "srm" else 1.0),
        head_gain=1.0,
    )
    weights = initial_weights(net, fires, seed)
    inputs, labels = random_batch(net, rule, rng, n_samples)
    return Case(net, rule, weights, inputs, labels)
