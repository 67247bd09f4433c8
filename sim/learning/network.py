"""Learning networks: from sizes, from a Network, and their initial weights."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.from_network import LearningStart, from_network
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.sizes import parse_sizes
from nmhw.values.rng import stream

Floats = NDArray[np.float64]

__all__ = [
    "LearningLayer",
    "LearningNetwork",
    "LearningStart",
    "from_network",
    "initial_weights",
    "parse_sizes",
]


def initial_weights(net: LearningNetwork, rule: GradientRule, seed: int) -> list[Floats]:
    """Draw normal weights for every layer.

    Standard deviation ``rule.init_gain / sqrt(fan_in)`` and mean ``rule.init_mean / fan_in``; the
    head's are multiplied by ``rule.head_gain``.

    Parameters
    ----------
    seed : int
        Root seed; each layer draws from its own stream.

    Returns
    -------
    list of float64 arrays of the layers' ``weight_shape``
    """
    weights = []
    for k, layer in enumerate(net.layers):
        scale = rule.head_gain if k == len(net.layers) - 1 else 1.0
        draws = stream(seed, "learning.weights", k).standard_normal(layer.weight_shape)
        spread = rule.init_gain / math.sqrt(layer.fan_in)
        weights.append(scale * (rule.init_mean / layer.fan_in + spread * draws))
    return weights
