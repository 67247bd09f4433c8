"""Are the recorded sums those that reached the neurons? Compared on the first batch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from nmhw.errors import TorchError
from nmhw.torch.forms import Branch
from nmhw.torch.label_rows import selection
from nmhw.torch.recorded_graph import RecordedGraph, alignment
from nmhw.torch.sites import RecordedSite, raster

#: float32 sums in another order are off by this much of the largest sum at most.
TOLERANCE = 1e-3

Floats = NDArray[np.float64]


def check_sums(graph: RecordedGraph) -> None:
    """Recompute what arrives at every layer of neurons from the spikes of its sources.

    Raises
    ------
    TorchError
        Where something took part that was not followed: tensors changed in place by an index,
        say, or through NumPy.
    """
    for site in graph.sites.values():
        has_feed = site.found is not None and site.found.feed is not None
        if site.is_host or has_feed or site.form is None or site.kind in ("threshold", "linear"):
            continue
        values = [graph.trace.values[v] for v in site.inputs]
        given = _numbers(raster(graph.extent, values, site.order))
        wanted = _recomputed(graph, site)
        largest = max(1e-6, float(np.abs(given).max(initial=0.0)))
        apart = np.abs(given - wanted)
        if not float(apart.max(initial=0.0)) <= TOLERANCE * largest:
            sample, step, neuron = (int(k) for k in np.argwhere(apart == apart.max())[0])
            found, true = (float(a[sample, step, neuron]) for a in (wanted, given))
            raise TorchError(
                "what was recorded does not add up to what arrives at these neurons",
                got=f"{found:.6g}", limit=f"{true:.6g}",
                where=f"{site.name}, sample {sample}, step {step}, neuron {neuron}",
                hint="no tensors changed in place by an index (x[...] = ...), no detours through "
                "NumPy, and layers that are the same in every step", rule="record.disagrees",
            )  # fmt: skip


def _numbers(tensor: torch.Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()


def _recomputed(graph: RecordedGraph, site: RecordedSite) -> Floats:
    """Return (samples, steps, features) sums of all branches and the constant."""
    extent, form = graph.extent, site.form
    assert form is not None
    turn = max(0, len(site.values) - 1) if site.order == "step" else 0
    size = int(np.prod(site.shape))
    total = np.zeros((extent.n_samples, extent.n_steps, size))
    if form.offset is not None:
        total += _numbers(extent.sorted(form.offset, site.order).transpose(0, 1))
    for branch in form.branches:
        found = alignment(extent, site.order, branch, turn)
        assert found is not None
        delay, features = found[0], found[1].numpy()
        made = _arriving(graph, branch)
        chosen = selection(features, branch.size).apply(made.reshape(-1, branch.size))
        made = chosen.reshape(extent.n_samples, extent.n_steps, size)
        total[:, delay:] += made[:, : extent.n_steps - delay]
    return total


def _arriving(graph: RecordedGraph, branch: Branch) -> Floats:
    """Return what a branch makes of its source's spikes, steps unshifted."""
    extent = graph.extent
    site = graph.sites.get(branch.source)
    if site is None:
        sample = graph.trace.values[graph.trace.root]
        spikes = sample.transpose(0, 1) if extent.layout == "TN" else sample
    else:
        spikes = raster(extent, [graph.trace.values[v] for v in site.values], site.order)
    x = _numbers(spikes).reshape(extent.n_samples * extent.n_steps, -1)
    for op in branch.ops:
        x = op.apply(x.reshape(-1, *op.input_shape))
    return x.reshape(extent.n_samples, extent.n_steps, -1)
