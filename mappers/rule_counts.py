"""Counts that the rules ask for, made from expanded synapses and the mapping alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec
from nmhw.values.connectivity import stored_synapses, synapse_counts
from nmhw.values.conv_words import WORDS, kernel_words, neuron_words
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]


def recount_words(
    quantized: QuantizedNetwork, mapping: Mapping, core: int, padded: Collection[str]
) -> dict[str, int]:
    """Count kernel, neuron and bias words of one core neuron by neuron.

    ``padded``: the resources whose address fields are padded (``nmhw.values.conv_words``).
    """
    total = dict.fromkeys(WORDS, 0)
    shapes = quantized.shapes()
    for part in mapping.slices:
        if part.core != core or part.neurons.size == 0:
            continue
        incoming = [p for p in quantized.projections if p.target == part.population]
        grid = next((p.geometry.out_shape for p in incoming if p.geometry is not None), None)
        shape = shapes[part.population]
        grid = grid or (shape if len(shape) == 3 else (int(np.prod(shape)), 1, 1))
        channel, row, column = np.unravel_index(part.neurons, grid)
        n_channels = len(set(channel.tolist()))
        height, width = int(row.max() - row.min()) + 1, int(column.max() - column.min()) + 1
        total["neuron_words"] += neuron_words(
            n_channels, height, width, is_padded="neuron_words" in padded
        )
        kernels = {}
        for p in incoming:
            if p.geometry is not None:
                _, c, kh, kw = p.weights.shape
                key: object = (p.weights.tobytes(), p.shift, p.weights.shape, astuple(p.geometry))
            else:
                before = p.pools[-1].output_shape if p.pools else shapes.get(p.source, ())
                n_rows = int(p.weights.shape[0] if p.indptr is None else p.indptr.size - 1)
                c, kh, kw = before if len(before) == 3 else (n_rows, 1, 1)
                key = p.name
            kernels[key] = kernel_words(c, n_channels, kh, kw, is_padded="kernel_words" in padded)
        total["kernel_words"] += sum(kernels.values())
        if (quantized.population(part.population).v_bias[part.neurons] != 0).any():
            total["bias_words"] += n_channels
    return total


def list_stored(quantized: QuantizedNetwork, population: str) -> tuple[Ints, Ints, Ints]:
    """Return (neuron, axon, weight) of every stored synapse into ``population``.

    Axons are numbered over all sources, so that the rows of one source are the same axons in
    every projection without pools.
    """
    found = [np.empty((3, 0), np.int64)]
    first: dict[tuple[str, int], int] = {}
    n_axons = 0
    for projection in quantized.projections:
        entries = stored_synapses(projection, quantized.sizes()[projection.target]).tocoo()
        key = (projection.source, id(projection) if projection.pools else 0)
        if key not in first:
            first[key], n_axons = n_axons, n_axons + int(entries.shape[0])
        if projection.target == population:
            row, column = (axis.astype(np.int64) for axis in entries.coords)
            weight = entries.data.astype(np.int64) << max(0, projection.shift)
            found.append(np.stack([column, row + first[key], weight]))
    neuron, axon, weight = np.concatenate(found, axis=1)
    return neuron, axon, weight


def count_axon_types(quantized: QuantizedNetwork, mapping: Mapping, core: int) -> int:
    """Return the axon types of one core when each axon joins the first type that suits it.

    Axons come by their smallest weight: where each has a single one, as many types suffice as any
    population has weights.
    """
    unset = np.iinfo(np.int64).min
    columns, rows, weights, n_neurons = [], [], [], 0
    for part in mapping.slices:
        if part.core == core:
            neuron, axon, weight = list_stored(quantized, part.population)
            here = np.isin(neuron, part.neurons)
            columns.append(np.searchsorted(part.neurons, neuron[here]) + n_neurons)
            rows.append(axon[here])
            weights.append(weight[here])
            n_neurons += part.neurons.size
    axon_of, column_of, weight_of = (np.concatenate(a) for a in (rows, columns, weights))
    types: list[Ints] = []
    order = np.argsort(axon_of, kind="stable")
    ends = np.cumsum(np.unique(axon_of, return_counts=True)[1])
    axons = np.split(order, ends[:-1]) if ends.size else []
    for at in sorted(axons, key=lambda at: int(weight_of[at].min())):
        for known in types:
            present = known[column_of[at]]
            if ((present == unset) | (present == weight_of[at])).all():
                break
        else:
            known = np.full(n_neurons, unset, np.int64)
            types.append(known)
        known[column_of[at]] = weight_of[at]
    return len(types)


def count_input_rows(quantized: QuantizedNetwork, mapping: Mapping, core: int, name: str) -> int:
    """Return how many elements of input ``name`` have a synapse on ``core``."""
    sizes = quantized.sizes()
    used = np.zeros(sizes[name], np.bool_)
    for projection in quantized.projections:
        if projection.source == name:
            here = mapping.core_of(projection.target, sizes[projection.target]) == core
            counts = synapse_counts(projection, sizes[name], here.size)
            used |= np.asarray(counts @ here.astype(np.int64)).ravel() > 0
    return int(used.sum())


def list_destinations(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, inputs: bool = False
) -> Iterator[tuple[str, Ints, Ints, Ints]]:
    """Yield per source node (name, core of its neurons, source, core) of every destination once."""
    sizes = quantized.sizes()
    keys: dict[str, list[Ints]] = {}
    for projection in quantized.projections:
        if projection.source not in sizes:
            continue
        n_target = sizes[projection.target]
        home = mapping.core_of(projection.target, n_target)
        pairs = synapse_counts(projection, sizes[projection.source], n_target).tocoo()
        source, target = (axis.astype(np.int64) for axis in pairs.coords)
        keys.setdefault(projection.source, []).append(
            np.unique(source * chip.n_cores + home[target])
        )
    populations = {p.name for p in quantized.populations}
    for name, found in keys.items():
        source, core = np.divmod(np.unique(np.concatenate(found)), chip.n_cores)
        if name in populations:
            yield name, mapping.core_of(name, sizes[name]), source, core
        elif inputs:
            yield name, np.empty(0, np.int64), source, core
