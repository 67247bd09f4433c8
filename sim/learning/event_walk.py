"""One sample by events alone: a spike log forward, one walk backward, every operation counted.

The walk holds no (steps x neurons) array: forward it keeps state per neuron and appends to a log,
backward it reads the log once, latest entry first, with one error register per neuron. Its
gradients equal those of ``float_form``, its counts those of ``closed_forms``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import InputError
from nmhw.sim.learning.float_form import check_network, checked_inputs, checked_weights
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.tally import Tally
from nmhw.sim.learning.thresholds import initial_thresholds
from nmhw.sim.learning.walk_steps import StepWalk
from nmhw.sim.learning.walk_times import TimeWalk
from nmhw.values.learning import OperationCounts

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WalkResult:
    """What one sample did.

    Attributes
    ----------
    loss : float
    scores : (n_classes,) float64
    gradients : list of float64 arrays in the shape of the weights
    counts : OperationCounts
    n_logged : int
        Words in all spike logs, inputs included.
    """

    loss: float
    scores: Floats
    gradients: list[Floats]
    counts: OperationCounts
    n_logged: int


def walk_sample(
    net: LearningNetwork,
    weights: list[Floats],
    rule: GradientRule,
    inputs: ArrayLike,
    label: int,
    thresholds: list[Floats] | None = None,
    accumulate: Literal["sample", "stream"] = "sample",
) -> WalkResult:
    """Return loss, gradients and counts of one sample, from its events.

    Parameters
    ----------
    inputs : (n_inputs,) times or (T, n_inputs) spikes per step
    label : int

    Raises
    ------
    InputError, UnsupportedError
        As `run_batch`.
    """
    check_network(net, rule)
    w = checked_weights(net, weights)
    x = checked_inputs(net, rule, np.asarray(inputs, np.float64)[None])[0]
    if not 0 <= label < net.n_classes:
        raise InputError("a label has no output", got=label, limit=f"0 to {net.n_classes - 1}")
    tally = Tally(net, accumulate)
    walk: TimeWalk | StepWalk
    if rule.uses_times:
        walk = TimeWalk(net, w, rule, tally)
    else:
        theta = initial_thresholds(net, rule) if thresholds is None else thresholds
        walk = StepWalk(net, w, rule, theta, tally)
    scores = walk.forward(x)
    shifted = scores - scores.max()
    logits = shifted - np.log(np.exp(shifted).sum())
    tally.add(len(net.layers) - 1, "exponential", net.n_classes)
    error = np.exp(logits)
    error[label] -= 1.0
    gradients = walk.reverse(error)
    return WalkResult(float(-logits[label]), scores, gradients, tally.counts(), walk.n_logged)
