"""Copies: sources that need several axons become several equal compartments, one axon each.

On a crossbar an axon has one sign (ODIN) or one type (TrueNorth), and a neuron drives one axon
alone. A source whose synapses need more of them gets copies of itself: neurons with the same
synapses and registers, which therefore fire in the same steps. Copies of an input are events that
the host sends several times. The author's n neurons stay compartments 0..n-1.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import DoesNotFitError
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.network import InputPort
from nmhw.values.quantized import (
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]
#: Splits the synapses (sources, targets) of a projection into planes whose sum they are.
Planes = Callable[[QuantizedProjection, "csr_array"], "list[csr_array]"]

_MAX_ROUNDS = 32


def copy_sources(
    network: QuantizedNetwork,
    planes: Planes,
    *,
    chip_name: str,
    n_neurons: int,
    core: tuple[int, int] | None = None,
    plane_bits: int | None = None,
) -> QuantizedNetwork:
    """Return the network with one compartment per source and axon.

    Parameters
    ----------
    planes : function
        Of a projection and its (n_source, n_target) weights: matrices of one sign each, of which
        a compartment can serve one.
    n_neurons : int
        Of the whole chip; copies that outgrow it are refused.
    core : (neurons, axons), optional
        Of one core, where a compartment reaches one axon of one core: targets are cut into groups
        that fit a core, and every projection and group needs compartments of its own. Otherwise
        equal planes of all targets share one.
    plane_bits : int, optional
        Width of the stored weights of a plane (default: unchanged).

    Raises
    ------
    DoesNotFitError
        With the number of neurons that the copies need.
    """
    sizes = network.sizes()
    matrices = {p.name: planes(p, _matrix(p, sizes)) for p in network.projections}
    origin = {name: np.arange(size, dtype=np.int64) for name, size in sizes.items()}
    owners: dict[str, dict[Hashable, Ints]] = {}
    groups: dict[str, list[Ints]] = {}
    for _ in range(_MAX_ROUNDS):
        before = {name: values.size for name, values in origin.items()}
        for name in [*(p.name for p in reversed(network.populations)), *_names(network.inputs)]:
            outgoing = [p for p in network.projections if p.source == name]
            for target in {p.target for p in outgoing}:
                groups[target] = _cut(network, target, matrices, origin[target], core)
            needs = _list_needs(outgoing, matrices, origin, groups, sizes[name], core is None)
            owners[name], origin[name] = _assign(needs, sizes[name])
        total = sum(origin[p.name].size for p in network.populations)
        if total > n_neurons:
            raise _outgrown(network, origin, chip_name, n_neurons, core)
        if before == {name: values.size for name, values in origin.items()}:
            break
    else:
        raise _outgrown(network, origin, chip_name, n_neurons, core)
    projections = [
        _project(p, matrices[p.name], owners[p.source], origin, groups[p.target], core, plane_bits)
        for p in network.projections
    ]
    ports = [replace(p, shape=_shape(p.shape, origin[p.name])) for p in network.inputs]
    return replace(
        network,
        inputs=tuple(ports),
        populations=tuple(
            _expand(p, origin[p.name], groups.get(p.name, []) if core else [])
            for p in network.populations
        ),
        projections=tuple(projections),
        copies={name: o for name, o in origin.items() if o.size > sizes[name]},
    )


def count_copies(network: QuantizedNetwork) -> Mapping[str, int]:
    """Return the copies that each source got, by name."""
    return {name: int(o.size - np.unique(o).size) for name, o in network.copies.items()}


def _names(ports: Sequence[InputPort]) -> list[str]:
    return [port.name for port in ports]


def _matrix(projection: QuantizedProjection, sizes: Mapping[str, int]) -> csr_array:
    """Return the weights (n_source, n_target), pools folded in, without stored zeros."""
    from scipy.sparse import csr_array

    stored = stored_synapses(projection, sizes[projection.target])
    if projection.pools:
        stored = csr_array(pooled_map(projection, sizes[projection.source]) @ stored)
    matrix = csr_array(stored)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _cut(
    network: QuantizedNetwork,
    target: str,
    matrices: Mapping[str, Sequence[csr_array]],
    origin: Ints,
    core: tuple[int, int] | None,
) -> list[Ints]:
    """Return the compartments of ``target`` core by core (all together without ``core``).

    Copies of a neuron hear the same axons and stay together, of feature maps the channels of a
    pixel too; a core is filled as long as neurons and axons allow.
    """
    if core is None:
        return [np.arange(origin.size, dtype=np.int64)]
    from scipy.sparse import vstack

    planes = [m for p in network.projections if p.target == target for m in matrices[p.name]]
    axons = vstack(planes).tocsc()
    shape = network.population(target).shape
    place = np.arange(int(np.prod(shape)))
    if len(shape) == 3:
        place = place.reshape(shape[1], shape[2], shape[0]).transpose(2, 0, 1).ravel()
    order = np.argsort(place[origin], kind="stable")
    heard = np.zeros(axons.shape[0], np.bool_)
    groups: list[list[int]] = [[]]
    for compartment in order.tolist():
        column = origin[compartment]
        rows = axons.indices[axons.indptr[column] : axons.indptr[column + 1]]
        n_axons = int(heard.sum()) + int((~heard[rows]).sum())
        if groups[-1] and (len(groups[-1]) >= core[0] or n_axons > core[1]):
            groups.append([])
            heard[:] = False
        heard[rows] = True
        groups[-1].append(compartment)
    return [np.array(group, np.int64) for group in groups]


def _list_needs(
    outgoing: Sequence[QuantizedProjection],
    matrices: Mapping[str, Sequence[csr_array]],
    origin: Mapping[str, Ints],
    groups: Mapping[str, Sequence[Ints]],
    n: int,
    is_shared: bool,
) -> dict[Hashable, NDArray[np.bool_]]:
    """Return which sources (n,) need each axon."""
    needs: dict[Hashable, NDArray[np.bool_]] = {}
    for p in outgoing:
        for g, group in enumerate(groups[p.target]):
            reached = np.zeros(matrices[p.name][0].shape[1], np.int64)
            reached[origin[p.target][group]] = 1
            for b, plane in enumerate(matrices[p.name]):
                key = b if is_shared else (p.name, g, b)
                # weights of one sign do not cancel
                found = np.asarray(plane @ reached) != 0
                needs[key] = needs.get(key, np.zeros(n, np.bool_)) | found
    return needs


def _assign(
    needs: Mapping[Hashable, NDArray[np.bool_]], n: int
) -> tuple[dict[Hashable, Ints], Ints]:
    """Return the compartment (n,) that serves each need, -1 where none, and all origins."""
    used = np.zeros(n, np.bool_)
    origins = [np.arange(n, dtype=np.int64)]
    owners: dict[Hashable, Ints] = {}
    following = n
    for key, need in needs.items():
        owner = np.where(need & ~used, np.arange(n), -1)
        again = np.flatnonzero(need & used)
        owner[again] = following + np.arange(again.size)
        following += again.size
        origins.append(again)
        owners[key] = owner
        used |= need
    return owners, np.concatenate(origins)


def _project(
    projection: QuantizedProjection,
    planes: Sequence[csr_array],
    owners: Mapping[Hashable, Ints],
    origin: Mapping[str, Ints],
    groups: Sequence[Ints],
    core: tuple[int, int] | None,
    plane_bits: int | None,
) -> QuantizedProjection:
    """Return the projection between compartments."""
    from scipy.sparse import coo_array

    source, target = origin[projection.source], origin[projection.target]
    rows, columns, data = [], [], []
    for g, group in enumerate(groups):
        for b, plane in enumerate(planes):
            part = plane[:, target[group]].tocoo()
            row, column = (axis.astype(np.int64) for axis in part.coords)
            owner = owners[b if core is None else (projection.name, g, b)]
            rows.append(owner[row])
            columns.append(group[column])
            data.append(part.data)
    entries = (np.concatenate(data), (np.concatenate(rows), np.concatenate(columns)))
    matrix = coo_array(entries, shape=(source.size, target.size)).tocsr()
    matrix.sort_indices()
    scale = projection.weight_scale
    return replace(
        projection,
        storage="sparse",
        weights=_narrow(matrix.data),
        indptr=matrix.indptr.astype(np.int64),
        indices=matrix.indices.astype(np.int32),
        geometry=None,
        pools=(),
        weight_bits=projection.weight_bits if plane_bits is None else plane_bits,
        weight_scale=scale if scale.size == 1 else scale[target],
    )


def _narrow(weights: NDArray[Any]) -> NDArray[np.integer[Any]]:
    fits = not weights.size or (weights.min() >= -128 and weights.max() <= 127)
    return weights.astype(np.int8 if fits else np.int32)


def _shape(shape: tuple[int, ...], origin: Ints) -> tuple[int, ...]:
    return shape if origin.size == int(np.prod(shape)) else (int(origin.size),)


def _expand(
    population: QuantizedPopulation, origin: Ints, groups: Sequence[Ints]
) -> QuantizedPopulation:
    """Return the population with its copies."""
    changes: dict[str, Any] = {}
    if origin.size > population.size:
        for field in fields(population):
            value = getattr(population, field.name)
            if isinstance(value, np.ndarray):
                changes[field.name] = value[origin]
        changes["shape"] = _shape(population.shape, origin)
    if groups:
        changes["group"] = np.zeros(origin.size, np.int64)
        for number, group in enumerate(groups):
            changes["group"][group] = number
    return replace(population, **changes)


def _outgrown(
    network: QuantizedNetwork,
    origin: Mapping[str, Ints],
    chip_name: str,
    n_neurons: int,
    core: tuple[int, int] | None,
) -> DoesNotFitError:
    needed = [
        f"{p.name!r}: {p.size} neurons and {origin[p.name].size - p.size} copies of them so far"
        for p in network.populations
    ]
    held = sum(origin[p.name].size for p in network.populations)
    return DoesNotFitError(
        f"{network.name!r} does not fit on {chip_name}",
        violations=[
            f"neurons with the copies its axons need: at least {held} of {n_neurons}",
            *needed,
        ],
        hint=(
            "one sign per source, or smaller layers"
            if core is None
            else "chip.with_(arithmetic={'weight_bits': [2]}), or smaller layers"
        ),
        rule="map.does-not-fit",
    )
