"""Recorded sites become the Network that the mappers take."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from nmhw.errors import TorchError
from nmhw.torch.assemble import add_loop, lower_bound, spread, with_loops
from nmhw.torch.forms import Form
from nmhw.torch.graph import INPUT
from nmhw.torch.label_rows import selection
from nmhw.torch.layers import is_max_pool, max_pool_window
from nmhw.torch.recorded_graph import RecordedGraph, alignment
from nmhw.torch.sites import RecordedSite
from nmhw.values.linear import LinearOp, Reshape
from nmhw.values.network import Network
from nmhw.values.network_builder import NetworkBuilder
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile, preset

#: What neurons of unknown equations are mapped as.
_UNKNOWN_TAU_STEPS = 16


def recorded_network(graph: RecordedGraph, name: str) -> tuple[Network, list[Notice]]:
    """Return the part of a recorded module that cores can hold, and what was assumed.

    Raises
    ------
    TorchError
        Where no layer of neurons takes sums of spikes.
    """
    on_chip = {n: s for n, s in graph.sites.items() if not s.is_host}
    if not any(site.kind != "linear" for site in on_chip.values()):
        raise TorchError(
            "no layer of neurons takes weighted sums of spikes: nothing here is for a chip",
            got=f"{len(graph.sites)} layers of neurons, {len(graph.host_calls)} calls of the host",
            where=name, rule="record.nothing",
            hint="neurons=MyNeuronClass names own layers; the first one may take analog values",
        )  # fmt: skip
    notices: list[Notice] = []
    profile = _profile(on_chip, graph.step_s, name, notices)
    builder = Network.build(name)
    sources = {b.source for s in on_chip.values() if s.form for b in s.form.branches}
    _add_inputs(builder, graph, sources, notices)
    found = {n: s.found for n, s in on_chip.items() if s.found is not None}
    profile, bounded = lower_bound(found, profile)
    for site in on_chip.values():
        _add_population(builder, site, graph.step_s, bounded)
    notices += _unknown(on_chip, name)
    for site in on_chip.values():
        _project(builder, graph, site, notices)
        add_loop(builder, site.name, site.shape, found)
    ends = [n for n in on_chip if n not in sources or n in graph.read_by_host]
    output = "output"
    while output in graph.sites:
        output += "_"
    network = builder.output(output, *(ends or list(on_chip)[-1:])).done()
    return with_loops(_with_profile(network, profile), profile), notices


def _with_profile(network: Network, profile: Profile) -> Network:
    return replace(network, profile=profile)


def _profile(
    sites: dict[str, RecordedSite], step_s: float, name: str, notices: list[Notice]
) -> Profile:
    known = {n: s.found.profile for n, s in sites.items() if s.found is not None}
    if not known:
        return preset("snntorch").with_(dt_s=step_s)
    first, profile = next(iter(known.items()))
    plain = profile.with_(dt_s=None)
    others = [n for n, p in known.items() if p.with_(name=plain.name, dt_s=None) != plain]
    if others:
        text = f"mapped with the meaning of {first}; it is another in {', '.join(others)}"
        notices.append(Notice("record.profile", name, text, "assumption"))
    return profile.with_(dt_s=step_s, name=profile.name)


def _add_inputs(
    builder: NetworkBuilder, graph: RecordedGraph, sources: set[str], notices: list[Notice]
) -> None:
    """Add the module's input and the neurons of the host whose spikes enter the chip."""
    root = graph.forms[graph.trace.root]
    if INPUT in sources and root is not None:
        builder.input(INPUT, root.branches[0].shape)
    for site in graph.sites.values():
        if site.is_host and site.name in sources:
            builder.input(site.name, site.shape)
            text = (
                f"{math.prod(site.shape)} neurons stay on the host; their spikes enter the chip in "
                "the step they are made, and the host's time is not modelled"
            )
            notices.append(Notice("record.host-neurons", site.name, text, "assumption"))


def _unknown(sites: dict[str, RecordedSite], name: str) -> list[Notice]:
    """Return what is assumed of neurons without known equations."""
    unknown = {n: s for n, s in sites.items() if s.found is None and s.kind == "lif"}
    if not unknown:
        return []
    kinds = ", ".join(sorted({type(s.module).__name__ for s in unknown.values()}))
    text = (
        f"neurons of unknown equations ({kinds}: {', '.join(unknown)}) are mapped as LIF, tau "
        f"{_UNKNOWN_TAU_STEPS} steps, threshold 1; this changes no spike, synop, packet or hop"
    )
    return [Notice("record.neurons", name, text, "assumption")]


def _add_population(
    builder: NetworkBuilder, site: RecordedSite, step_s: float, bounded: frozenset[str]
) -> None:
    parameters: dict[str, Any] = {}
    kind: Any = site.kind
    if kind == "threshold":
        parameters["v_threshold"] = 0.5
    elif kind != "linear" and site.found is None:
        parameters["tau_mem_s"] = _UNKNOWN_TAU_STEPS * step_s
        parameters["r"] = float(_UNKNOWN_TAU_STEPS)
    elif site.found is not None:
        drop = {"v_min"} if site.name in bounded else set()
        given = site.found.parameters.items()
        parameters = {k: spread(v, site.shape) for k, v in given if k not in drop}
    builder.population(site.name, site.shape, kind, **parameters)


def _project(
    builder: NetworkBuilder, graph: RecordedGraph, site: RecordedSite, notices: list[Notice]
) -> None:
    assert site.form is not None
    if site.kind == "threshold":
        _project_pool(builder, graph, site)
        return
    turn = max(0, len(site.values) - 1) if site.order == "step" else 0
    bias = _bias(graph, site.form, site, notices)
    names = builder.projection_names()
    for branch in site.form.branches:
        found = alignment(graph.extent, site.order, branch, turn)
        assert found is not None
        delay, features = found[0], found[1].numpy()
        ops: tuple[LinearOp, ...] = branch.ops
        if not np.array_equal(features, np.arange(branch.size)):
            ops = _reshaped(ops, branch.shape, (branch.size,))
            chosen = selection(features, branch.size)
            ops = _reshaped((*ops, chosen), chosen.output_shape, site.shape)
        else:
            ops = _reshaped(ops, branch.shape, site.shape)
        label = ">".join(branch.names) or f"{branch.source}>{site.name}"
        unique, number = label, 2
        while unique in names:
            unique, number = f"{label}#{number}", number + 1
        names.add(unique)
        builder.project(
            branch.source, site.name, ops=ops, delay_steps=delay, bias=bias, name=unique
        )
        bias = None


def _reshaped(ops: tuple[LinearOp, ...], shape: Any, wanted: Any) -> tuple[LinearOp, ...]:
    return ops if shape == wanted else (*ops, Reshape(shape, wanted))


def _bias(
    graph: RecordedGraph, form: Form, site: RecordedSite, notices: list[Notice]
) -> np.ndarray[Any, Any] | None:
    """Return the constant that arrives in every step; other constants are noted."""
    if form.offset is None:
        return None
    table = graph.extent.sorted(form.offset.to(torch.float64), site.order)
    if not bool(torch.allclose(table, table[:1, :1])):
        text = "constants that differ from step to step or sample to sample are left out"
        notices.append(Notice("record.constants", site.name, text, "assumption"))
        return None
    bias = table[0, 0].numpy()
    return bias if bias.any() else None


def _project_pool(builder: NetworkBuilder, graph: RecordedGraph, site: RecordedSite) -> None:
    assert site.form is not None
    branch = site.form.branches[0]
    call = next(c for c in graph.trace.calls if site.values[-1] in c.outputs and is_max_pool(c))
    shape = tuple(graph.trace.values[site.input_value].shape[1:])
    window = max_pool_window(call, shape)
    ops = (*_reshaped(branch.ops, branch.shape, shape), window)
    ops = _reshaped(ops, window.output_shape, site.shape)
    builder.project(branch.source, site.name, ops=ops, name=f"{site.name}_sum")
