"""Columns: the sources of every target, compressed; of convolutions only between pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import pixel_counts, synapse_counts, synapse_pattern
from nmhw.values.quantized import QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Sources per target, of one source channel and one target channel that connect.

    What is no convolution has one channel, and its pixels are its elements.

    Attributes
    ----------
    n_sources, n_targets : int
        Pixels per channel.
    indptr : (n_targets + 1,) int64
    sources : (n_entries,) int32
        The source pixels of target pixel t are ``sources[indptr[t]:indptr[t + 1]]``.
    counts : (n_entries,) int64 or None
        Synapses of every entry; None = 1 each.
    groups, source_channels, target_channels : int
        Channels are those of one group.
    """

    n_sources: int
    n_targets: int
    indptr: Ints
    sources: NDArray[np.int32]
    counts: Ints | None = None
    groups: int = 1
    source_channels: int = 1
    target_channels: int = 1

    def synapses_from(self, neurons: Ints) -> Ints:
        """Return (all sources,) synapses of every source onto the target ``neurons``."""
        channel, pixel = np.divmod(neurons, self.n_targets)
        place = channel // self.target_channels * self.n_targets + pixel
        times = None
        if self.target_channels > 1:  # the channels of a group read the same sources
            present = np.bincount(place, minlength=self.groups * self.n_targets)
            place = np.flatnonzero(present)
            times = present[place]
        group, pixel = np.divmod(place, self.n_targets)
        at = _column_entries(self.indptr, pixel)
        lengths = self.indptr[pixel + 1] - self.indptr[pixel]
        source = self.sources[at]
        weights = None if self.counts is None else self.counts[at]
        if self.groups > 1:
            source = source + np.repeat(group * self.n_sources, lengths)
        if times is not None:
            repeated = np.repeat(times, lengths)
            weights = repeated if weights is None else weights * repeated
        total = np.bincount(source, weights, minlength=self.groups * self.n_sources)
        return self._per_element(total.astype(np.int64, copy=False))

    @property
    def n_synapses(self) -> int:
        """Synapses between all channels."""
        stored = self.sources.size if self.counts is None else int(self.counts.sum())
        return stored * self.groups * self.source_channels * self.target_channels

    def reached(self) -> Ints:
        """Return all sources with a synapse, ascending."""
        pixels = np.zeros(self.n_sources, np.bool_)
        pixels[self.sources] = True
        return np.flatnonzero(self._per_element(np.tile(pixels, self.groups)))

    def sum_per_target(self, measure: Callable[[Ints], Ints], rows: Ints | None = None) -> Ints:
        """Return (all targets,) the sum of a measure over the axons of every target.

        ``measure`` takes the synapses of axons, or the ``rows`` (all sources,) that each reads.
        """
        if self.counts is None:  # there are no pools, so that rows are read once too
            return self.fan_in() * measure(np.ones(1, np.int64))
        values = measure(self.counts if rows is None else rows[self.sources])
        per_pixel = np.diff(np.concatenate([[0], np.cumsum(values)])[self.indptr])
        return np.tile(per_pixel * self.source_channels, self.groups * self.target_channels)

    def fan_in(self) -> Ints:
        """Return (all targets,) distinct sources of every target."""
        per_pixel = np.diff(self.indptr) * self.source_channels
        return np.tile(per_pixel, self.groups * self.target_channels)

    def _per_element(self, per_group: NDArray[Any]) -> NDArray[Any]:
        """Repeat values of (group, pixel) for all source channels of the group."""
        if self.source_channels == 1:
            return per_group
        grouped = per_group.reshape(self.groups, self.n_sources)
        return np.repeat(grouped, self.source_channels, axis=0).ravel()


def compress(projection: QuantizedProjection, n_source: int, n_target: int) -> Columns:
    """Return the columns of a projection that is not stored densely."""
    geometry = projection.geometry
    if geometry is None and not projection.pools:
        pattern = synapse_pattern(projection, n_target).tocsc()
        return Columns(n_source, n_target, pattern.indptr.astype(np.int64), _narrow(pattern))
    channels = (1, 1, 1)
    if geometry is None:
        columns = synapse_counts(projection, n_source, n_target).tocsc()
    else:
        columns = pixel_counts(projection).tocsc()
        outputs, inputs = projection.weights.shape[:2]
        channels = (geometry.groups, int(inputs), int(outputs) // geometry.groups)
    columns.eliminate_zeros()
    counts = columns.data.astype(np.int64, copy=False)
    indptr = columns.indptr.astype(np.int64)
    return Columns(*columns.shape, indptr, _narrow(columns), counts, *channels)


def _narrow(columns: csc_array) -> NDArray[np.int32]:
    return columns.indices.astype(np.int32, copy=False)


def _column_entries(indptr: Ints, columns: Ints) -> Ints:
    """Return the positions of all entries of some compressed columns."""
    lengths = indptr[columns + 1] - indptr[columns]
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total, dtype=np.int64) + np.repeat(indptr[columns] - ends + lengths, lengths)
