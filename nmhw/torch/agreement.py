"""Does the float run of the network make the module's spikes? Compared on the sample itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmhw.errors import TorchError
from nmhw.torch.framework_neurons import FoundNeurons, Layout
from nmhw.torch.graph import INPUT, Graph, Site
from nmhw.values.linear import Shape
from nmhw.values.network import Network
from nmhw.values.notice import Notice

#: float32 sums of some hundred terms are off by this much of the threshold at most.
TOLERANCE = 1e-4

Found = Mapping[str, FoundNeurons]


def check_agreement(network: Network, graph: Graph, found: Found) -> list[Notice]:
    """Compare the spikes of every population with those of the module on the sample.

    Raises
    ------
    TorchError
        When they differ by more than rounding explains, naming the first differing bin.
    """
    raster = _input_raster(network, graph, found)
    spiking = [p for p in network.populations if p.name in found and p.model.is_spiking]
    if raster is None or not spiking:
        text = "the layout of the sample was not recognized: spikes were not compared"
        return [Notice("torch.unchecked", network.name, text, "warning", about="network")]
    run = _run(network, raster)
    n_bins, first = 0, None
    for population in spiking:
        site, neurons = graph.sites[population.name], found[population.name]
        own = _raster_of(site, neurons.layout, graph, population.shape, raster.shape[:2])
        ours = run.spikes[population.name].dense()
        differs = own.reshape(ours.shape) != ours
        n_bins += ours.size
        if differs.any():
            step = int(np.flatnonzero(differs.any(axis=(0, *range(2, ours.ndim))))[0])
            if first is None or step < first[1]:
                first = (population, step, differs, int(differs.sum()))
    if first is None:
        text = f"the float run makes the module's spikes in all {n_bins} bins of the sample"
        return [Notice("torch.checked", network.name, text, "assumption", about="network")]
    return [_judge(network, raster, first)]


def _judge(network: Network, raster: NDArray[Any], first: Any) -> Notice:
    """Return a notice where rounding explains the first difference; refuse the network else.

    Rounding explains it when a threshold moved by ``TOLERANCE`` of itself changes that very bin.
    """
    population, step, differs, count = first
    n_samples, n_steps = differs.shape[:2]
    flat = differs.reshape(n_samples, n_steps, -1)
    sample, neuron = (int(places[0]) for places in np.nonzero(flat[:, step]))
    place = f"{population.name}, sample {sample}, step {step}, neuron {neuron}"
    part = raster[sample : sample + 1, : step + 1]
    bins = [
        _run(_moved(network, population.name, factor), part).spikes[population.name]
        .dense().reshape(step + 1, -1)[step, neuron]
        for factor in (1.0 - TOLERANCE, 1.0 + TOLERANCE)
    ]  # fmt: skip
    if bins[0] == bins[1]:
        raise TorchError(
            "the float run does not make the module's spikes: the layers mean something else",
            got=f"{count} differing bins, the first at {place}", where=network.name,
            hint="profile=..., or states reset before the conversion; check=False keeps it",
            rule="torch.disagrees",
        )  # fmt: skip
    text = (
        f"{count} bins differ from the first at {place} on, where v is within {TOLERANCE:.0e} of "
        "the threshold: rounding of the module's numbers"
    )
    return Notice("torch.rounding", network.name, text, "approximation", about=population.name)


def _moved(network: Network, name: str, factor: float) -> Network:
    """Return the network with one population's thresholds scaled."""
    populations = tuple(
        replace(p, model=replace(p.model, v_threshold=p.model.v_threshold * factor))
        if p.name == name and p.model.v_threshold is not None
        else p
        for p in network.populations
    )
    return replace(network, populations=populations)


def _run(network: Network, raster: NDArray[Any]) -> Any:
    from nmhw.sim.float_run import run_float

    assert network.profile is not None
    return run_float(network, network.profile, raster.astype(np.float64), drain_steps=0)


def _input_raster(network: Network, graph: Graph, found: Found) -> NDArray[Any] | None:
    """Return what entered the network, (samples, steps, ...), or None where that is unclear."""
    shape = network.inputs[0].shape
    for site in graph.order:
        path = next((p for p in site.paths if p.source == INPUT), None)
        if path is None or site.name not in found:
            continue
        layout, trace = found[site.name].layout, graph.trace
        made = trace.values[trace.calls[site.calls[-1]].outputs[0]]
        if layout == "step":
            entries = graph.entries(site)
            ports = [trace.values[e] for e in entries]
            if len(entries) > 1 and len(set(entries)) == 1:
                return _whole_raster(ports[0], len(entries), shape)
            if any(t.numel() != len(t) * math.prod(shape) for t in ports):
                return None
            return torch.stack([t.reshape(-1, *shape) for t in ports], 1).double().numpy()
        if layout == "squeeze":
            steps = int(getattr(site.module, "num_timesteps", -1))
            batch = int(getattr(site.module, "batch_size", -1))
            n_steps = steps if steps > 0 else len(made) // max(batch, 1)
            extent = (len(made) // n_steps, n_steps)
        else:
            extent = (made.shape[0], made.shape[1])
        port = trace.values[path.entry(site.value)]
        if port.numel() != math.prod(extent) * math.prod(shape):
            return None
        full = port.reshape(*extent, *shape)
        return (full.transpose(0, 1) if layout == "TN" else full).double().numpy()
    return None


def _whole_raster(port: torch.Tensor, n_steps: int, shape: Shape) -> NDArray[Any] | None:
    """Return the raster of a port that all steps were cut from, (samples, steps, ...)."""
    if port.numel() != math.prod(port.shape[:2]) * math.prod(shape):
        return None
    full = port.reshape(*port.shape[:2], *shape)
    if port.shape[0] == n_steps:
        full = full.transpose(0, 1)
    return full.double().numpy() if full.shape[1] == n_steps else None


def _raster_of(
    site: Site, layout: Layout, graph: Graph, shape: Shape, extent: tuple[int, ...]
) -> NDArray[Any]:
    """Return the spikes a site made, (samples, steps, ...)."""
    made = [graph.trace.values[graph.trace.calls[k].outputs[0]] for k in site.calls]
    if layout == "step":
        return torch.stack(made, 1).double().numpy()
    if layout == "squeeze":
        return made[0].reshape(*extent, *shape).double().numpy()
    return (made[0].transpose(0, 1) if layout == "TN" else made[0]).double().numpy()
