"""A Network of IF or LIF neurons as a LearningNetwork, its weights and its neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ProfileError, UnsupportedError
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork
from nmhw.sim.learning.sizes import conv_layer, dense_layer
from nmhw.values.discrete import FloatCell
from nmhw.values.discretize import discretize
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Reshape, Scale, Sparse
from nmhw.values.network import Network, Projection
from nmhw.values.profile import Profile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LearningStart:
    """What a network gives to a membrane rule.

    Attributes
    ----------
    net : LearningNetwork
        Layers are called as their populations.
    weights : list of float64 arrays
        With the gain of a step's input folded in, and thresholds where they differ.
    decay, theta0 : float
        Of all spiking neurons.
    has_spiking_head : bool
    """

    net: LearningNetwork
    weights: list[Floats]
    decay: float
    theta0: float
    has_spiking_head: bool


def from_network(network: Network) -> LearningStart:
    """Return the layers, weights and neuron of a chain of IF or LIF populations.

    Feed-forward hops of the profile only shift time and are left out. The profile's gain of one
    step's input (r dt / tau...) is folded into the weights, a mean pool into the weights behind it.
    Thresholds that differ are scaled to 1, weights with them. A head without neurons ("linear") is
    summed over the steps, like an integrator. Spikes are those at v >= theta, whatever ``compare``.

    Parameters
    ----------
    network : Network
        With its profile resolved (``network.profile``).

    Raises
    ------
    ProfileError
        Without a profile.
    UnsupportedError
        For anything but one chain of dense layers, convolutions and pools with recurrent dense
        connections; biases, delays, a reset other than to zero, synaptic currents, decays that
        differ, or a head that leaks.
    """
    profile = network.profile
    if profile is None:
        raise ProfileError("learning needs the network's profile", where=network.name)
    _check_profile(profile, network.name)
    cells = discretize(network, profile)
    order = _chain(network)
    for name in order:
        _check_cell(cells[name], name)
    spiking = [name for name in order if cells[name].is_spiking]
    if order[: len(spiking)] != spiking or len(order) - len(spiking) > 1:
        raise _unfit("only the head may integrate without spikes", network.name)
    head = network.population(order[-1])
    if not head.model.is_spiking and head.model.kind not in ("i", "linear"):
        raise _unfit("a head without spikes sums up and does not leak", head.name, head.model.kind)
    theta0 = _common_threshold(cells, spiking)
    layers: list[LearningLayer] = []
    weights: list[Floats] = []
    for name in order:
        scale = cells[name].v_gain / (
            1.0 if theta0 is not None or name not in spiking else cells[name].threshold
        )
        for projection in sorted(network.incoming(name), key=lambda p: p.source == name):
            layer, w = _layer(projection, name, scale)
            layers.append(layer)
            weights.append(w)
    net = LearningNetwork(tuple(layers), network.inputs[0].shape)
    decay = _common_decay(cells, spiking)
    return LearningStart(net, weights, decay, theta0 or 1.0, len(spiking) == len(order))


def _unfit(what: str, where: str, got: object = None) -> UnsupportedError:
    return UnsupportedError(what, got=got, where=where, rule="learn.network")


def _check_profile(profile: Profile, where: str) -> None:
    unfit = {
        "reset": profile.reset != "zero", "reset_delay": profile.reset_delay != 0,
        "multi_spike": profile.multi_spike, "overshoot_rule": profile.overshoot_rule,
        "reset_lag": profile.reset_lag != 0,
    }  # fmt: skip
    for field, is_unfit in unfit.items():
        if is_unfit:
            raise _unfit(f"membrane rules have no such {field}", where, getattr(profile, field))


def _check_cell(cell: FloatCell, where: str) -> None:
    unfit = {
        "synaptic currents": cell.has_current, "a resting potential": np.any(cell.drive != 0),
        "a reset potential": np.any(cell.v_reset != 0), "an initial membrane": np.any(cell.v0 != 0),
        "a lower bound of the membrane": np.any(np.isfinite(cell.v_min)),
    }  # fmt: skip
    for what, is_unfit in unfit.items():
        if is_unfit:
            raise _unfit(f"membrane rules do not train {what}", where)


def _chain(network: Network) -> list[str]:
    """Return the population names from input to output."""
    order, at = [], network.inputs[0].name
    loops = {p.target for p in network.projections if p.source == p.target}
    edges = [(p.source, p.target) for p in network.projections if p.source != p.target]
    following = dict(edges)
    while at in following and following[at] not in order:
        at = following[at]
        order.append(at)
    is_chain = len(edges) == len(following) == len(order) == len(network.populations)
    single = len(network.projections) == len(edges) + len(loops)
    outputs = [source for port in network.outputs for source in port.sources]
    if len(network.inputs) != 1 or not is_chain or not single or outputs != order[-1:]:
        raise _unfit("one chain of populations from input to output is needed", network.name)
    if order[-1] in loops:
        raise _unfit("a head has no recurrent connections", order[-1])
    return order


def _common_threshold(cells: dict[str, FloatCell], spiking: list[str]) -> float | None:
    """Return the one threshold of all neurons, None if they differ."""
    values = np.concatenate([np.ones(0), *(cells[name].threshold for name in spiking)])
    for name in spiking:
        if np.any(cells[name].threshold <= 0):
            raise _unfit("thresholds must be positive", name, float(cells[name].threshold.min()))
    if not values.size:
        return 1.0
    return float(values[0]) if np.allclose(values, values[0], rtol=1e-6, atol=0) else None


def _common_decay(cells: dict[str, FloatCell], spiking: list[str]) -> float:
    values = np.concatenate([np.ones(0), *(cells[name].v_keep for name in spiking)])
    if values.size and not np.allclose(values, values[0], rtol=1e-6, atol=1e-9):
        got = (float(values.min()), float(values.max()))
        raise _unfit("a rule has one decay for all neurons", ", ".join(spiking), got)
    return float(values[0]) if values.size else 1.0


def _layer(projection: Projection, name: str, scale: Floats) -> tuple[LearningLayer, Floats]:
    """Return a projection as a layer, its weights times ``scale`` of each target."""
    if projection.bias is not None and np.any(projection.bias):
        raise _unfit("biases are not trained", projection.name)
    if projection.delay_steps:
        raise _unfit("delays are not trained", projection.name, projection.delay_steps)
    pool, op, before, behind = _parts(projection)
    is_loop = projection.source == projection.target
    if isinstance(op, Conv):
        per_channel = (behind * scale).reshape(op.weight.shape[0], -1)
        if before.size > 1 or not np.allclose(per_channel, per_channel[:, :1]) or is_loop:
            raise _unfit("a shared kernel has one scale per channel", projection.name)
        c_out, c_in, kh, kw = op.weight.shape
        layer = conv_layer(name, op.in_shape, (c_out, c_in, kh, kw), op.stride, op.padding,
                           op.dilation, op.groups, pool)  # fmt: skip
        return layer, op.weight * float(before[0]) * per_channel[:, 0][:, None, None, None]
    matrix = op.weight.T if isinstance(op, Dense) else op.matrix.toarray()
    weights = np.asarray(matrix * before[:, None] * (behind * scale)[None, :], np.float64)
    n_in, n_out = weights.shape
    if not is_loop:
        return dense_layer(name, n_in, n_out, pool), weights
    if pool is not None:
        raise _unfit("recurrent connections have no pool", projection.name)
    return LearningLayer(
        f"{name}.recurrent", "dense", n_in, n_out, None, (n_in, n_out), True, None, (n_out,)
    ), weights


def _parts(
    projection: Projection,
) -> tuple[Pool | None, Dense | Conv | Sparse, Floats, Floats]:
    """Return the pool, the weighted operation, and the scales in front of and behind it."""
    pool: Pool | None = None
    weighted: Dense | Conv | Sparse | None = None
    before, behind = np.ones(1), np.ones(1)
    for op in projection.ops:
        if isinstance(op, Reshape):
            continue
        if isinstance(op, Scale) and weighted is not None:
            behind = behind * op.scale.ravel()
        elif isinstance(op, Scale):
            before = before * op.scale.ravel()
        elif isinstance(op, Pool) and pool is None and weighted is None and before.size == 1:
            pool = Pool("sum", op.in_shape, op.kernel, op.stride, op.padding)
            before = before / (math.prod(op.kernel) if op.kind == "avg" else 1)
        elif isinstance(op, Dense | Conv | Sparse) and weighted is None:
            weighted = op
        else:
            raise _unfit("one pool and one weighted operation can be trained", projection.name,
                         _kinds(projection.ops))  # fmt: skip
    if weighted is None:
        raise _unfit("there are no weights to train", projection.name, _kinds(projection.ops))
    return pool, weighted, before, behind


def _kinds(ops: tuple[LinearOp, ...]) -> str:
    return " > ".join(type(op).__name__ for op in ops) or "one to one"
