"""Sites and paths become populations and projections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nmhw.errors import TorchError
from nmhw.torch.chain import Chain
from nmhw.torch.framework_neurons import FoundNeurons
from nmhw.torch.graph import INPUT, Graph, Site
from nmhw.torch.layers import (
    follow,
    has_weights,
    is_layer,
    keeps_values,
    max_pool_window,
    refuse_layer,
)
from nmhw.torch.paths import Path, claimed_shape
from nmhw.torch.tracing import trace_module
from nmhw.values.linear import Dense, Shape
from nmhw.values.network import Network
from nmhw.values.network_builder import NetworkBuilder
from nmhw.values.neuron import SPIKING_KINDS
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile
from nmhw.values.topology import is_recurrent, projection_delays

Found = Mapping[str, FoundNeurons]


def assemble(
    graph: Graph, found: Found, profile: Profile, name: str, where: str
) -> tuple[Network, Profile, list[Notice]]:
    """Return the network, the profile with a common lower bound in it, and what was done.

    Raises
    ------
    TorchError
        For layers and windows that have no linear form.
    """
    profile, bounded = lower_bound(found, profile)
    builder = Network.build(name)
    notices: list[Notice] = []
    shapes = _shapes(graph, found)
    builder.input(INPUT, shapes[INPUT])
    for site in graph.order:
        _add_population(builder, site, shapes[site.name], found, bounded)
    for site in graph.order:
        for path in site.paths:
            chain = _chain(graph, site, path, shapes, found)
            notices += chain.notices
            label = ">".join(chain.names) or None
            builder.project(
                path.source, site.name, ops=tuple(chain.ops), delay_steps=path.delay,
                bias=None if chain.bias is None else chain.bias.ravel(), name=label,
            )  # fmt: skip
        add_loop(builder, site.name, shapes[site.name], found)
        if site.is_pool:
            notices.append(_pool_notice(site, found, math.prod(shapes[site.name]), profile))
    output = "output"
    while output in graph.sites:
        output += "_"
    network = builder.output(output, *graph.outputs).done()
    network = replace(network, projections=_named_apart(network))
    unique = {(n.rule, n.about): n for n in notices}
    return with_loops(network, profile), profile, list(unique.values())


def lower_bound(found: Found, profile: Profile) -> tuple[Profile, frozenset[str]]:
    """Return the profile's bound where every IF has one at -threshold, and who has none left."""
    fires = {n: f for n, f in found.items() if f.kind == "if"}
    if fires and all(
        "v_min" in f.parameters and np.all(f.parameters["v_min"] == -f.parameters["v_threshold"])
        for f in fires.values()
    ):
        return profile.with_(lower_bound="minus-threshold", name=profile.name), frozenset(fires)
    return profile, frozenset()


def _add_population(
    builder: NetworkBuilder, site: Site, shape: Shape, found: Found, bounded: frozenset[str]
) -> None:
    if site.is_pool:
        builder.population(site.name, shape, "threshold", v_threshold=0.5)
    elif site.name not in found:
        builder.population(site.name, shape, "linear")
    else:
        neurons = found[site.name]
        drop = {"v_min"} if site.name in bounded else set()
        given = {k: spread(v, shape) for k, v in neurons.parameters.items() if k not in drop}
        builder.population(site.name, shape, neurons.kind, **given)


def add_loop(builder: NetworkBuilder, name: str, shape: Shape, found: Found) -> None:
    """Join neurons with themselves where their layer holds recurrent weights, a step later."""
    loop = found[name].loop if name in found else None
    if loop is None:
        return
    trace = trace_module(loop, torch.zeros(1, *shape), is_layer)
    chain, reached = Chain(shape), trace.root
    for call in trace.calls:
        if reached not in call.inputs:
            refuse_layer(call)
        follow(chain, replace(call, name=f"{name}.loop"), trace)
        reached = call.outputs[0]
    chain.reshape(shape, f"{name}.loop")
    bias = None if chain.bias is None else chain.bias.ravel()
    label = ">".join(chain.names) or f"{name}.loop"
    builder.project(name, name, ops=tuple(chain.ops), delay_steps=1, bias=bias, name=label)


def spread(value: Any, shape: Shape) -> Any:
    """Return a parameter as a number or as one value per neuron."""
    array = np.asarray(value, np.float64)
    if array.size == 1:
        return float(array.reshape(-1)[0])
    if array.ndim == 1 and array.size == math.prod(shape):
        return array
    return np.broadcast_to(array, shape).ravel()


def _size(graph: Graph, site: Site, found: Found) -> Shape:
    """Return the shape of a layer of neurons."""
    feed = found[site.name].feed
    return (feed.out_features,) if feed is not None else _features(graph, site, found) or (1,)


def _features(graph: Graph, site: Site, found: Found) -> Shape:
    """Return the shape of one sample's data where neurons take them."""
    given = tuple(graph.trace.values[site.value].shape)
    return given[2:] if found[site.name].layout in ("NT", "TN") else given[1:]


def _shapes(graph: Graph, found: Found) -> dict[str, Shape]:
    """Return the shapes of the input and of every site."""
    shapes: dict[str, Shape] = {}
    for site in graph.order:
        for path in site.paths:
            if path.source == INPUT and INPUT not in shapes:
                end = _features(graph, site, found) if site.name in found else ()
                shapes[INPUT] = claimed_shape(path, graph.trace, end)
    if not shapes.get(INPUT):
        raise TorchError(
            "the sample does not reach a layer of neurons", rule="torch.input",
            hint="a module whose input leads to its neurons",
        )  # fmt: skip
    for site in graph.order:
        if site.name in found:
            shapes[site.name] = _size(graph, site, found)
            continue
        known = [p for p in site.paths if p.source in shapes]
        if known:
            shapes[site.name] = _chain(graph, site, known[0], shapes, found).shape
    return shapes


def _chain(
    graph: Graph, site: Site, path: Path, shapes: Mapping[str, Shape], found: Found
) -> Chain:
    """Return the operations of a path, ending in the site's shape."""
    chain = Chain(shapes[path.source])
    if site.is_pool:
        call = graph.trace.calls[site.calls[-1]]
        _check_pool(site, path, found)
        chain.reshape(tuple(graph.trace.values[call.inputs[0]].shape[-3:]), site.name)
        chain.add(max_pool_window(call, chain.shape), f"{site.name}_sum")
        return chain
    for k, call in enumerate(path.calls):
        own, whole = path.carries(k)
        is_biased = own if chain.part is not None and not has_weights(call, graph.trace) else whole
        follow(chain, call, graph.trace, is_biased=is_biased)
    chain.embed(site.name)
    feed = found[site.name].feed if site.name in found else None
    if feed is not None:
        chain.reshape((feed.in_features,), site.name)
        chain.add(Dense(feed.weight.detach().double().numpy()), f"{site.name}.input_weights")
    if site.name in shapes and chain.shape != shapes[site.name]:
        if math.prod(chain.shape) != math.prod(shapes[site.name]):
            raise TorchError(
                "branches of different shapes are added", got=chain.shape,
                limit=shapes[site.name], where=site.name, hint="branches of one shape",
                rule="torch.shape",
            )  # fmt: skip
        chain.reshape(shapes[site.name], site.name)
    return chain


def _check_pool(site: Site, path: Path, found: Found) -> None:
    """Refuse a max-pool over anything but spikes: its maximum is no sum."""
    moved = [c for c in path.calls if not keeps_values(c)]
    source = found.get(path.source)
    if len(site.paths) != 1 or moved or source is None or source.kind not in SPIKING_KINDS:
        raise TorchError(
            "the maximum of currents or values is no linear operation", got="MaxPool2d",
            where=site.name,
            hint="the pool behind the neurons (then exact), or, changing the accuracy, AvgPool2d "
            "or a stride of 2 in the convolution; train again", rule="torch.max-pool",
        )  # fmt: skip
    if source.profile.multi_spike:
        raise TorchError(
            "the maximum over neurons that spike several times per step is no OR of spikes",
            got="MaxPool2d", where=site.name,
            hint="single spikes (SingleSpike), or AvgPool2d, which changes the accuracy",
            rule="torch.max-pool",
        )  # fmt: skip


def _pool_notice(site: Site, found: Found, size: int, profile: Profile) -> Notice:
    text = (
        f"MaxPool2d over spikes is {size} threshold neurons that fire when any input of their "
        "window does: the same spikes, more neurons, and a hop more on chips with a step per hop"
    )
    hint = "AvgPool2d costs no neurons and changes the accuracy: train with it"
    return Notice("torch.max-pool", site.name, text, "assumption", hint, about=site.name)


def _named_apart(network: Network) -> tuple[Any, ...]:
    """Give projections of shared layers names of their own."""
    seen: dict[str, int] = {}
    out = []
    for projection in network.projections:
        seen[projection.name] = count = seen.get(projection.name, 0) + 1
        name = projection.name if count == 1 else f"{projection.name}#{count}"
        out.append(replace(projection, name=name))
    return tuple(out)


def with_loops(network: Network, profile: Profile) -> Network:
    """Leave to the profile the delay that it gives to the edges that close loops.

    Raises
    ------
    TorchError
        When the module's delays are not those of any profile.
    """
    wanted = {p.name: p.delay_steps for p in network.projections}
    free = replace(
        network,
        projections=tuple(
            replace(p, delay_steps=0) if is_recurrent(network, p) else p
            for p in network.projections
        ),
    )
    delays = projection_delays(free, profile)
    for name, delay in wanted.items():
        if delays[name] != delay:
            raise TorchError(
                "a loop passes its spikes on in another step than the profile", got=delay,
                limit=f"{delays[name]} steps", where=name, hint="spikes of the step before",
                rule="torch.loop",
            )  # fmt: skip
    return free
