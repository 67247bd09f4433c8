"""A trained LearningNetwork as a Network of LIF neurons: to map it, to run it, to write it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.errors import UnsupportedError
from nmhw.values.linear import Dense, LinearOp, Reshape, Shape
from nmhw.values.network import Network
from nmhw.values.profile import Profile

if TYPE_CHECKING:
    from nmhw.sim.learning.gradient_rule import GradientRule
    from nmhw.sim.learning.layer import LearningLayer, LearningNetwork

#: Step length of a network that was trained in steps; only tau / dt has a meaning.
DT_S = 1e-3


def learned_network(
    net: LearningNetwork,
    weights: Sequence[Any],
    *,
    decay: float = 0.9,
    threshold: float = 1.0,
    head_spikes: bool = False,
    name: str = "learned",
) -> Network:
    """Return the network with one LIF population per layer and a head that (else) integrates.

    v[t] = decay v[t-1] + w s, spike at v >= threshold, v := 0: with Euler steps of 1 ms this is
    tau = dt / (1 - decay) and r = tau / dt. The head is an ``i`` population (its membrane is the
    score); a spike-time network keeps its shape and its weights, not its neuron.

    Parameters
    ----------
    weights : list of arrays of the layers' ``weight_shape``
    """
    from nmhw.api.reading import give_meaning

    builder = Network.build(name).input("input", net.in_shape)
    source, shape = "input", tuple(net.in_shape)
    leak = {"tau_mem_s": DT_S / (1.0 - decay), "r": 1.0 / (1.0 - decay)} if decay < 1 else {}
    for position, (layer, weight) in enumerate(zip(net.layers, weights, strict=True)):
        if layer.is_recurrent:
            builder.project(source, source, ops=_chain(layer, weight, shape), name=layer.name)
            continue
        target = layer.name
        is_head = position == len(net.layers) - 1 and not head_spikes
        out = tuple(layer.target_shape)
        if is_head:
            builder.population(target, out, "i")
        else:
            kind: Any = "lif" if leak else "if"
            builder.population(target, out, kind, v_threshold=threshold, **leak)
        builder.project(source, target, ops=_chain(layer, weight, shape))
        source, shape = target, out
    network = builder.output("output", source).done()
    profile = Profile("snntorch", dt_s=DT_S, compare=">=")
    return give_meaning(network, profile)


def trained_network(net: LearningNetwork, weights: Sequence[Any], rule: GradientRule) -> Network:
    """Return what a membrane rule has trained, as LIF neurons.

    Raises
    ------
    UnsupportedError
        For neurons that NIR 1.0 does not have (spike-time rules, moving thresholds).
    """
    if rule.uses_times or rule.name == "srm" or rule.threshold != "const":
        raise UnsupportedError(
            "NIR has no such neuron: the weights stay in the result",
            got=f"{rule.name}, threshold {rule.threshold}",
            hint="a rule with threshold const writes LIF neurons", rule="learn.no-nir-neuron",
        )  # fmt: skip
    return learned_network(net, weights, decay=rule.decay, threshold=rule.theta0,
                           head_spikes=rule.head == "spiking")  # fmt: skip


def _chain(layer: LearningLayer, weight: Any, shape: Shape) -> tuple[LinearOp, ...]:
    """Return pool, flattening and weights from a source of ``shape``."""
    ops: list[LinearOp] = []
    if layer.pool is not None:
        ops.append(layer.pool)
        shape = layer.pool.output_shape
    values = np.asarray(weight, np.float64)
    if layer.geometry is not None:
        if shape != layer.geometry.in_shape:
            ops.append(Reshape(shape, layer.geometry.in_shape))
        return (*ops, layer.geometry.as_conv(values))
    if len(shape) != 1:
        ops.append(Reshape(shape, (math.prod(shape),)))
    return (*ops, Dense(np.ascontiguousarray(values.T)))
