"""Columns: the sources of every target, compressed; of convolutions only between pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import pixel_counts, synapse_counts
from nmhw.values.quantized import QuantizedProjection

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Sources per target, of one source channel and one target channel that connect.

    What is no convolution has one channel, and its pixels are its elements.

    Attributes
    ----------
    n_sources, n_targets : int
        Pixels per channel.
    indptr, sources, counts : arrays
        Compressed columns: the source pixels of target pixel t are
        ``sources[indptr[t]:indptr[t + 1]]`` with ``counts`` synapses each.
    groups, source_channels, target_channels : int
        Channels are those of one group.
    """

    n_sources: int
    n_targets: int
    indptr: Ints
    sources: Ints
    counts: Ints
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
        source, weights = self.sources[at], self.counts[at]
        if self.groups > 1:
            source = source + np.repeat(group * self.n_sources, lengths)
        if times is not None:
            weights = weights * np.repeat(times, lengths)
        total = np.bincount(source, weights=weights, minlength=self.groups * self.n_sources)
        return self._per_element(total.astype(np.int64))

    def reached(self) -> Ints:
        """Return all sources with a synapse, ascending."""
        pixels = np.zeros(self.n_sources, np.bool_)
        pixels[self.sources] = True
        return np.flatnonzero(self._per_element(np.tile(pixels, self.groups)))

    def sum_per_target(self, values: Ints) -> Ints:
        """Return (all targets,) sums of ``values``, one per entry, over every target's sources."""
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
    if geometry is None:
        matrix, channels = synapse_counts(projection, n_source, n_target), (1, 1, 1)
    else:
        matrix = pixel_counts(projection)
        outputs, inputs = projection.weights.shape[:2]
        channels = (geometry.groups, int(inputs), int(outputs) // geometry.groups)
    columns = matrix.tocsc()
    columns.eliminate_zeros()
    indptr, sources, counts = (
        array.astype(np.int64) for array in (columns.indptr, columns.indices, columns.data)
    )
    return Columns(*matrix.shape, indptr, sources, counts, *channels)


def _column_entries(indptr: Ints, columns: Ints) -> Ints:
    """Return the positions of all entries of some compressed columns."""
    lengths = indptr[columns + 1] - indptr[columns]
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    return np.arange(total, dtype=np.int64) + np.repeat(indptr[columns] - ends + lengths, lengths)
