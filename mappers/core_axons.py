"""Core axons: which sources reach which core with how many synapses, for ``verify`` alone.

Written apart from the mappers' own wiring. Synapses are labelled with the core of their target
and sorted by it; those of a convolution only between pixels, which follow from the positions
along both axes of the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import pooled_map, synapse_counts, synapse_pattern
from nmhw.values.quantized import ConvGeometry, QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CoreAxons:
    """The axons of one projection into one core.

    Attributes
    ----------
    core : int
    source, n_synapses : (n_axons,) int64
        Distinct source elements, in no particular order, and the synapses of each.
    """

    core: int
    source: Ints
    n_synapses: Ints


def axons_by_core(
    projection: QuantizedProjection, n_source: int, target_core: Ints
) -> Iterator[CoreAxons]:
    """Yield the axons into every core that has one, cores ascending.

    Parameters
    ----------
    target_core : (n_target,) int64
        Core of every target neuron.
    """
    if projection.storage == "dense":
        yield from _dense_axons(projection, n_source, target_core)
        return
    cores, home = np.unique(target_core, return_inverse=True)
    home = home.ravel()
    geometry = projection.geometry
    groups = channels = 1
    if geometry is None:
        n_pixels, n_target = n_source, target_core.size
        counts = (
            synapse_counts(projection, n_source, n_target)
            if projection.pools
            else synapse_pattern(projection, n_target)
        )
        labelled = _labelled(counts, home)
    else:
        groups, channels = geometry.groups, geometry.in_shape[0] // geometry.groups
        n_pixels = n_source // geometry.in_shape[0]
        labelled = _labelled_pixels(projection, geometry, home)
    for k, core in enumerate(cores.tolist()):
        ends = labelled.indptr[k * groups : (k + 1) * groups + 1]
        here = slice(ends[0], ends[-1])
        group = np.repeat(np.arange(groups), np.diff(ends))
        place = labelled.indices[here] + group * n_pixels
        starts = np.flatnonzero(np.diff(place, prepend=-1))  # rows ascend in each column
        if not starts.size:
            continue
        n_synapses = np.add.reduceat(labelled.data[here], starts, dtype=np.int64)
        group, pixel = np.divmod(place[starts], n_pixels)
        source = (group * channels + np.arange(channels)[:, None]) * n_pixels + pixel
        yield CoreAxons(core, source.ravel(), np.tile(n_synapses, channels))


def _dense_axons(
    projection: QuantizedProjection, n_source: int, target_core: Ints
) -> Iterator[CoreAxons]:
    """Every source that a pooled row covers reaches every target."""
    covered = count_covered(projection, n_source)
    source = np.flatnonzero(covered)
    cores, n_targets = np.unique(target_core, return_counts=True)
    for core, n in zip(cores.tolist(), n_targets.tolist(), strict=True):
        if source.size:
            yield CoreAxons(core, source, covered[source] * n)


def count_covered(projection: QuantizedProjection, n_source: int) -> Ints:
    """Return (n_source,) the stored rows that an event of each source reads."""
    return np.asarray(pooled_map(projection, n_source).sum(axis=1), np.int64).ravel()


def _labelled(counts: csr_array, home: Ints) -> csc_array:
    """Return compressed columns of cores, an entry for every synapse (rows may repeat)."""
    from scipy.sparse import csr_array

    shape = (counts.shape[0], int(home.max(initial=-1)) + 1)
    cores = home.astype(np.int32)[counts.indices]
    return csr_array((counts.data, cores, counts.indptr), shape=shape).tocsc()


def _labelled_pixels(
    projection: QuantizedProjection, geometry: ConvGeometry, home: Ints
) -> csc_array:
    """Return compressed columns of (core, group), rows = source pixels."""
    from scipy.sparse import coo_array, csr_array, kron

    _, height, width = geometry.out_shape
    per_group = geometry.out_shape[0] // geometry.groups
    channel, pixel = np.divmod(np.arange(home.size), height * width)
    column = home * geometry.groups + channel // per_group
    shape = (height * width, (int(home.max(initial=-1)) + 1) * geometry.groups)
    neurons = coo_array((np.ones(home.size, np.int64), (pixel, column)), shape=shape)
    y, x = (csr_array(_axis_paths(projection, geometry, axis)) for axis in (0, 1))
    return csr_array(kron(y, x, format="csr") @ neurons.tocsr()).tocsc()


def _axis_paths(projection: QuantizedProjection, geometry: ConvGeometry, axis: int) -> Ints:
    """Return (n_source, n_target) along one axis: pooled positions that lead to the target."""
    paths = _windows(
        geometry.in_shape[1 + axis], geometry.out_shape[1 + axis], geometry.stride[axis],
        geometry.padding[2 * axis],
        projection.weights.shape[2 + axis], geometry.dilation[axis],
    )  # fmt: skip
    pooled: Ints | None = None
    for pool in projection.pools:
        n_in, n_out = pool.in_shape[1 + axis], pool.output_shape[1 + axis]
        window = _windows(n_in, n_out, pool.stride[axis], pool.padding[axis], pool.kernel[axis])
        # an element is covered or not, however many ways lead there
        pooled = window if pooled is None else np.minimum(pooled @ window, 1)
    return paths if pooled is None else pooled @ paths


def _windows(n_in: int, n_out: int, stride: int, pad: int, kernel: int, dilation: int = 1) -> Ints:
    """Return (n_in, n_out) 0/1: whether a position lies under a tap of the output's window."""
    offset = np.arange(n_in)[:, None] - (np.arange(n_out) * stride - pad)
    tap, between = np.divmod(offset, dilation)
    return ((between == 0) & (tap >= 0) & (tap < kernel)).astype(np.int64)
