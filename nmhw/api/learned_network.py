"""A trained LearningNetwork as a Network of LIF neurons: to map it, to run it, to write it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from nmhw.errors import UnsupportedError
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Reshape, Shape
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
    name: str = "learned",
) -> Network:
    """Return the network with one LIF population per layer and a head that only integrates.

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
        is_head = position == len(net.layers) - 1
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
    return learned_network(net, weights, decay=rule.decay, threshold=rule.theta0)


def learning_form(network: Network) -> tuple[LearningNetwork, list[Any]]:
    """Return the chain of layers of a network, and its weights.

    Raises
    ------
    UnsupportedError
        For anything but one chain of dense layers, convolutions and pools without biases.
    """
    from nmhw.sim.learning.layer import LearningNetwork
    from nmhw.sim.learning.sizes import conv_layer, dense_layer

    names = [network.inputs[0].name, *(p.name for p in network.populations)]
    ends = [(p.source, p.target) for p in network.projections]
    if len(network.inputs) != 1 or sorted(ends) != sorted(pairwise(names)):
        raise _no_chain("one chain from input to output is needed", network.name)
    layers, weights = [], []
    for target in names[1:]:
        projection = next(p for p in network.projections if p.target == target)
        if projection.bias is not None and np.any(projection.bias):
            raise _no_chain("biases are not trained", projection.name)
        ops = [op for op in projection.ops if not isinstance(op, Reshape)]
        first = ops[0] if ops else None
        pool = first if isinstance(first, Pool) else None
        ops = ops if pool is None else ops[1:]
        if len(ops) != 1 or not isinstance(ops[0], Dense | Conv):
            raise _no_chain("one dense or convolutional operation is needed", projection.name)
        op = ops[0]
        if isinstance(op, Dense):
            layers.append(dense_layer(target, op.input_shape[0], op.output_shape[0], pool))
            weights.append(op.weight.T.copy())
        else:
            shape = (op.weight.shape[0], op.weight.shape[1], *op.weight.shape[2:4])
            layers.append(
                conv_layer(target, op.in_shape, shape, op.stride, op.padding, op.dilation,
                           op.groups, pool)
            )  # fmt: skip
            weights.append(op.weight.copy())
    return LearningNetwork(tuple(layers), network.inputs[0].shape), weights


def _no_chain(what: str, where: str) -> UnsupportedError:
    return UnsupportedError(what, where=where, rule="learn.nir-chain")


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
