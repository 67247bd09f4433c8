"""STD-ED against central differences: does the loss change as the gradients say?

Spike times are smooth in the weights as long as no neuron starts or stops firing and no input
enters or leaves a causal set. A weight whose step changes one of these sets is discarded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.check_cases import Case
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.head import cross_entropy
from nmhw.sim.learning.spike_time import causal_set
from nmhw.sim.learning.synapses import synapses_of
from nmhw.sim.learning.time_form import TimeTrace, forward, reverse

Floats = NDArray[np.float64]

#: Step of the five-point stencil.
STEP = 3e-5
#: Gradients below this count as this large in relative errors.
FLOOR = 1e-3


@dataclass(frozen=True, slots=True)
class Differences:
    """How far gradients are from central differences.

    Attributes
    ----------
    worst : float
        Largest abs(numeric - exact) / (FLOOR + abs(numeric) + abs(exact)).
    n_compared, n_discarded : int
        Weights.
    """

    worst: float
    n_compared: int
    n_discarded: int


def compare_differences(case: Case) -> Differences:
    """Vary every weight of a case by up to two steps in both directions.

    Parameters
    ----------
    case : Case
        Of STD-ED in exact time; its slope clip is lifted.
    """
    rule = case.rule.with_(slope_clip=math.inf)
    scores, traces = forward(case.net, case.weights, rule, case.inputs)
    gradients = reverse(case.weights, rule, traces, cross_entropy(scores, case.labels)[1])
    sets = _sets(rule, traces)
    worst, n_compared, n_discarded = 0.0, 0, 0
    for k, gradient in enumerate(gradients):
        for index in np.ndindex(gradient.shape):
            losses = [_loss_if_same(case, rule, k, index, m * STEP, sets) for m in (-2, -1, 1, 2)]
            if any(math.isnan(loss) for loss in losses):
                n_discarded += 1
                continue
            far_low, low, high, far_high = losses
            numeric = (8 * (high - low) - (far_high - far_low)) / (12 * STEP)
            exact = float(gradient[index])
            error = abs(numeric - exact) / (FLOOR + abs(numeric) + abs(exact))
            worst, n_compared = max(worst, error), n_compared + 1
    return Differences(worst, n_compared, n_discarded)


def _loss_if_same(
    case: Case, rule: GradientRule, k: int, index: tuple[int, ...], step: float, sets: list[bytes]
) -> float:
    """Return the loss with one weight moved; nan if a spike or causal set has changed."""
    weights = [w.copy() for w in case.weights]
    weights[k][index] += step
    scores, traces = forward(case.net, weights, rule, case.inputs)
    if _sets(rule, traces) != sets:
        return math.nan
    return cross_entropy(scores, case.labels)[0]


def _sets(rule: GradientRule, traces: list[TimeTrace]) -> list[bytes]:
    """Return who fired, who was clamped, who won each pool, and every causal set."""
    found = []
    for trace in traces:
        found.append(trace.winner.tobytes())
        if trace.spikes is None:
            continue
        spikes = trace.spikes
        found += [spikes.fired.tobytes(), spikes.is_open.tobytes()]
        if rule.threshold != "window":
            synapses = synapses_of(trace.layer)
            for b, t in enumerate(trace.inputs):
                causal = causal_set(synapses, t, spikes.crossing[b], spikes.fired[b])
                found.append(causal.tobytes())
    return found
