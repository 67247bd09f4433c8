"""Forward and reverse pass of a network in steps (MPD-ED, STBP, SRM)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning import membrane, spike_response
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.head import step_activity
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.synapses import Synapses, pooling_of, synapses_of
from nmhw.sim.learning.thresholds import threshold_at

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class StepTrace:
    """What went into a layer and came out of it.

    Attributes
    ----------
    layer : LearningLayer
    events : (B, T, n_in) float64
        Input events behind the pool, delivered in step t (of a recurrent layer: the spikes of
        step t - 1).
    spikes : (B, T, n_out) float64 or None
        None for an integrator head and for a recurrent layer (its targets are those of the layer
        in front).
    excess : (B, T, n_out) float64 or None
        v - theta; membrane rules only.
    responses : Responses or None
        SRM only.
    """

    layer: LearningLayer
    events: Floats
    spikes: Floats | None = None
    excess: Floats | None = None
    responses: spike_response.Responses | None = None


def forward(
    net: LearningNetwork,
    weights: list[Floats],
    rule: GradientRule,
    inputs: Floats,
    thresholds: list[Floats],
) -> tuple[Floats, list[StepTrace]]:
    """Return the scores (B, n_classes) and a trace per layer.

    Parameters
    ----------
    inputs : (B, T, n_inputs) float64
        Spikes per step.
    thresholds : list of (n,)
        Per spiking population (see ``initial_thresholds``).
    """
    traces: list[StepTrace] = []
    spikes = np.asarray(inputs, np.float64)
    for population, k in enumerate(net.feedforward):
        layer = net.layers[k]
        events = each_step(pooling_of(layer).sums, spikes)
        if k == len(net.layers) - 1 and rule.head == "integrator":
            traces.append(StepTrace(layer, events))
            return synapses_of(layer).drive(step_activity(rule, events), weights[k]), traces
        drive = each_step(partial(synapses_of(layer).drive, weights=weights[k]), events)
        loop = net.recurrent_of(k)
        if rule.name == "srm":
            done = spike_response.step_responses(rule, drive)
            spikes = done.spikes
            traces.append(StepTrace(layer, events, spikes, responses=done))
            continue
        at = partial(threshold_at, rule, thresholds[population])
        theta = np.stack([at(t) for t in range(rule.n_steps)])
        around = None if loop is None else weights[loop]
        excess, spikes = membrane.step_membranes(rule.decay, theta, drive, around)
        traces.append(StepTrace(layer, events, spikes, excess))
        if loop is not None:
            traces.append(StepTrace(net.layers[loop], delayed(spikes)))
    return spikes.sum(axis=1), traces


def reverse(
    weights: list[Floats], rule: GradientRule, traces: list[StepTrace], error: Floats
) -> tuple[list[Floats], list[Floats]]:
    """Return the gradient of every layer's weights and of every spiking population's thresholds.

    Parameters
    ----------
    error : (B, n_classes)
        dL/dscores.
    """
    gradients: list[Floats] = [np.zeros(0)] * len(traces)
    at_thresholds: list[Floats] = []
    d_out = np.repeat(error[:, None, :], rule.n_steps, axis=1)
    for k in range(len(traces) - 1, -1, -1):
        trace, w = traces[k], weights[k]
        if trace.layer.is_recurrent:
            continue
        synapses = synapses_of(trace.layer)
        if trace.spikes is None:
            gradients[k] = synapses.gradient(step_activity(rule, trace.events), error)
            at_events = _head_errors(rule, synapses.carry_back(error, w))
        elif trace.responses is not None:
            credit, at_time = spike_response.reverse(rule, trace.responses, d_out)
            gradients[k] = _over_steps(synapses, trace.events, credit)
            at_events = each_step(partial(synapses.carry_back, weights=w), at_time)
        else:
            loop = k + 1 if k + 1 < len(traces) and traces[k + 1].layer.is_recurrent else None
            around = None if loop is None else weights[loop]
            assert trace.excess is not None
            dv, entered = membrane.reverse(rule, trace.excess, trace.spikes, d_out, around)
            gradients[k] = _over_steps(synapses, trace.events, dv)
            if loop is not None:
                behind = synapses_of(traces[loop].layer)
                gradients[loop] = _over_steps(behind, traces[loop].events, dv)
            at_thresholds.append(-entered.sum(axis=(0, 1)))
            at_events = each_step(partial(synapses.carry_back, weights=w), dv)
        d_out = each_step(pooling_of(trace.layer).spread, at_events)
    return gradients, at_thresholds[::-1]


def delayed(spikes: Floats) -> Floats:
    """Return the spikes one step later; those of the last step are never delivered."""
    later = np.zeros(spikes.shape)
    later[:, 1:] = spikes[:, :-1]
    return later


def each_step(function: Callable[[Any], Any], x: NDArray[Any]) -> NDArray[Any]:
    """Apply a function of (rows, n) arrays to every step of a (B, T, n) array."""
    batch, n_steps, n = x.shape
    rows = np.asarray(function(x.reshape(batch * n_steps, n)))
    return rows.reshape(batch, n_steps, -1)


def _over_steps(synapses: Synapses, events: Floats, e: Floats) -> Floats:
    n_in, n_out = events.shape[2], e.shape[2]
    return synapses.gradient(events.reshape(-1, n_in), e.reshape(-1, n_out))


def _head_errors(rule: GradientRule, at_inputs: Floats) -> Floats:
    """Spread the head's error over the steps; for SRM it is that of the spike's time, -1/T."""
    sign = -1.0 / rule.n_steps if rule.name == "srm" else 1.0
    return np.repeat(sign * at_inputs[:, None, :], rule.n_steps, axis=1)
