"""Forward and reverse pass of a network of spike times (STD-ED)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.head import read_time, time_activity, timing_scores
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.spike_time import SpikeTimes, carry_back, fire, to_ticks
from nmhw.sim.learning.synapses import pooling_of, synapses_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TimeTrace:
    """What went into a layer and came out of it.

    Attributes
    ----------
    layer : LearningLayer
    sources : (B, n_source) float64
        Times in front of the pool.
    inputs : (B, n_in) float64
        Times at the weights.
    winner : (B, n_in) int64
        Source of each pooled time.
    spikes : SpikeTimes or None
        None for an integrator head.
    """

    layer: LearningLayer
    sources: Floats
    inputs: Floats
    winner: Ints
    spikes: SpikeTimes | None


def forward(
    net: LearningNetwork, weights: list[Floats], rule: GradientRule, times: Floats
) -> tuple[Floats, list[TimeTrace]]:
    """Return the scores (B, n_classes) and a trace per layer.

    Parameters
    ----------
    times : (B, n_inputs) float64
        inf = silent; rounded up to ticks if the rule says so.
    """
    t = to_ticks(times, rule.n_steps) if rule.time == "ticks" else times
    traces: list[TimeTrace] = []
    scores = np.zeros((len(t), net.n_classes))
    for k, (layer, w) in enumerate(zip(net.layers, weights, strict=True)):
        inputs, winner = pooling_of(layer).earliest(t)
        is_head = k == len(net.layers) - 1
        if is_head and rule.head == "integrator":
            scores = synapses_of(layer).drive(time_activity(rule, inputs), w)
            traces.append(TimeTrace(layer, t, inputs, winner, None))
            break
        spikes = fire(synapses_of(layer), w, rule, inputs)
        traces.append(TimeTrace(layer, t, inputs, winner, spikes))
        t = spikes.times
        if is_head:
            scores = timing_scores(rule, t)
    return scores, traces


def reverse(
    weights: list[Floats], rule: GradientRule, traces: list[TimeTrace], error: Floats
) -> list[Floats]:
    """Return the gradient of every layer's weights.

    Parameters
    ----------
    error : (B, n_classes)
        dL/dscores.
    """
    gradients: list[Floats] = []
    d_times = -rule.timing_gain * error
    for trace, w in zip(reversed(traces), reversed(weights), strict=True):
        synapses = synapses_of(trace.layer)
        if trace.spikes is None:
            gradient = synapses.gradient(time_activity(rule, trace.inputs), error)
            live = trace.inputs < read_time(rule)
            at_inputs = np.where(live, -synapses.carry_back(error, w), 0.0)
        else:
            gradient, at_inputs = carry_back(synapses, w, rule, trace.inputs, trace.spikes, d_times)
        gradients.append(gradient)
        d_times = pooling_of(trace.layer).to_earliest(at_inputs, trace.winner)
    return gradients[::-1]
