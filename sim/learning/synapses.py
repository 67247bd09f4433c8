"""Synapses of one layer: sums, their transposes, and gradients of shared kernels, in float64."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.layer import LearningLayer
from nmhw.values.linear import Conv

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Synapses:
    """The connections of a layer, from the pooled sources to the targets.

    A dense layer has all of them. Of a convolution those inside the borders exist; several of them
    share one stored weight.

    Parameters
    ----------
    layer : LearningLayer
    """

    def __init__(self, layer: LearningLayer) -> None:
        self.layer = layer

    def drive(self, x: Floats, weights: Floats) -> Floats:
        """Return sum_i x_i w_ij: (B, n_in) -> (B, n_out)."""
        if self.layer.geometry is None:
            return x @ weights
        return self._conv(weights).apply(x).reshape(x.shape[0], self.layer.n_out)

    def carry_back(self, e: Floats, weights: Floats) -> Floats:
        """Return sum_j w_ij e_j: (B, n_out) -> (B, n_in)."""
        if self.layer.geometry is None:
            return e @ weights.T
        conv = self._conv(weights)
        c_in, height, width = conv.in_shape
        top, bottom, left, right = conv.padding
        kernels = weights.reshape(conv.groups, -1, *weights.shape[1:])
        errors = e.reshape(len(e), conv.groups, kernels.shape[1], *conv.out_spatial)
        padded = np.zeros((len(e), c_in, height + top + bottom, width + left + right))
        grouped = padded.reshape(len(e), conv.groups, -1, *padded.shape[2:])
        for ky, kx, rows, columns in _taps(conv):
            part = np.einsum("bgoyx,goi->bgiyx", errors, kernels[..., ky, kx], optimize=True)
            grouped[:, :, :, rows, columns] += part
        inner = padded[:, :, top : top + height, left : left + width]
        return inner.reshape(len(e), self.layer.n_in)

    def gradient(self, x: Floats, e: Floats) -> Floats:
        """Return sum over the batch of x_i e_j, summed over the synapses of each stored weight."""
        if self.layer.geometry is None:
            return x.T @ e
        conv = self._conv(np.zeros(self.layer.weight_shape))
        c_out, c_group, kh, kw = conv.weight.shape
        top, bottom, left, right = conv.padding
        around = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(x.reshape(-1, *conv.in_shape), around)
        grouped = padded.reshape(len(x), conv.groups, c_group, *padded.shape[2:])
        errors = e.reshape(len(x), conv.groups, c_out // conv.groups, *conv.out_spatial)
        result = np.empty((conv.groups, c_out // conv.groups, c_group, kh, kw))
        for ky, kx, rows, columns in _taps(conv):
            patch = grouped[:, :, :, rows, columns]
            result[..., ky, kx] = np.einsum("bgiyx,bgoyx->goi", patch, errors, optimize=True)
        return result.reshape(self.layer.weight_shape)

    def matrix(self, weights: Floats) -> Floats:
        """Return the weights as (n_in, n_out), zeros where there is no synapse."""
        if self.layer.geometry is None:
            return weights
        return self._conv(weights).to_csr().toarray()

    def reduce(self, pairs: Floats) -> Floats:
        """Return the sum of an (n_in, n_out) array over the synapses of each stored weight."""
        if self.layer.geometry is None:
            return pairs
        source, target, tap = self.indices
        size = self.layer.n_weights
        summed: Floats = np.bincount(tap, pairs[source, target], minlength=size).astype(np.float64)
        return summed.reshape(self.layer.weight_shape)

    @cached_property
    def indices(self) -> tuple[Ints, Ints, Ints]:
        """Source, target and flat index of the stored weight of every synapse."""
        if self.layer.geometry is None:
            tap = np.arange(self.layer.n_weights)
            return tap // self.layer.n_out, tap % self.layer.n_out, tap
        return self._conv(np.zeros(self.layer.weight_shape)).synapse_indices()

    @cached_property
    def exists(self) -> Bools:
        """(n_in, n_out): whether there is a synapse."""
        exists = np.zeros((self.layer.n_in, self.layer.n_out), dtype=bool)
        exists[self.indices[0], self.indices[1]] = True
        return exists

    @cached_property
    def fan_out(self) -> Ints:
        """(n_in,): synapses of every (pooled) source."""
        if self.layer.geometry is None:
            return np.full(self.layer.n_in, self.layer.n_out)
        return np.bincount(self.indices[0], minlength=self.layer.n_in)

    @property
    def n_synapses(self) -> int:
        """Number of synapses."""
        return int(self.fan_out.sum())

    def count_pairs(self, a: Any, b: Any) -> int:
        """Return the sum over synapses and rows of a_i b_j; a (B, n_in), b (B, n_out), integers."""
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        if self.layer.geometry is None:
            return int((a.sum(axis=1) * b.sum(axis=1)).sum())
        return int((self.drive(a, np.ones(self.layer.weight_shape)) * b).sum())

    def count_weights(self, a: Any, b: Any) -> int:
        """Return how many stored weights have a synapse with a_i b_j > 0 in some row, per sample.

        Parameters
        ----------
        a : (B, rows, n_in), 0 or more
        b : (B, rows, n_out), 0 or more
        """
        a, b = np.asarray(a > 0, np.float32), np.asarray(b > 0, np.float32)
        if self.layer.geometry is None:
            return sum(int(np.count_nonzero(x.T @ y)) for x, y in zip(a, b, strict=True))
        conv = self._conv(np.zeros(self.layer.weight_shape))
        batch, n_rows = a.shape[:2]
        top, bottom, left, right = conv.padding
        planes = a.reshape(batch, n_rows, conv.groups, -1, *conv.in_shape[1:])
        padded = np.pad(planes, (*((0, 0),) * 4, (top, bottom), (left, right)))
        targets = b.reshape(batch, n_rows, conv.groups, -1, *conv.out_spatial)
        columns = np.moveaxis(targets, 1, 3).reshape(*np.delete(targets.shape, [1, 4, 5]), -1)
        found = 0
        for _, _, y, x in _taps(conv):
            patch = np.moveaxis(padded[..., y, x], 1, 3)
            rows = patch.reshape(*patch.shape[:3], -1)
            found += int(np.count_nonzero(rows @ columns.swapaxes(2, 3)))
        return found

    def count_weights_of(self, pairs: Bools) -> int:
        """Return how many stored weights have a synapse in ``pairs``, (n_in, n_out)."""
        if self.layer.geometry is None:
            return int(pairs.sum())
        source, target, tap = self.indices
        return int(np.unique(tap[pairs[source, target]]).size)

    def reaches(self, targets: Bools) -> Bools:
        """Return which (pooled) sources have a synapse to one of ``targets``: (B, n_in)."""
        if self.layer.geometry is None:
            return np.repeat(targets.any(axis=1, keepdims=True), self.layer.n_in, axis=1)
        ones = np.ones(self.layer.weight_shape)
        return self.carry_back(targets.astype(np.float64), ones) > 0

    def rows(self) -> list[tuple[Ints, Ints]]:
        """Return (targets, flat weight indices) of every (pooled) source."""
        source, target, tap = self.indices
        order = np.argsort(source, kind="stable")
        ends = np.cumsum(self.fan_out)[:-1]
        return list(zip(np.split(target[order], ends), np.split(tap[order], ends), strict=True))

    def _conv(self, weights: Floats) -> Conv:
        geometry = self.layer.geometry
        assert geometry is not None
        return geometry.as_conv(weights)


def _taps(conv: Conv) -> Iterator[tuple[int, int, slice, slice]]:
    """Yield each kernel element with the padded rows and columns that it meets."""
    (oh, ow), (sy, sx) = conv.out_spatial, conv.stride
    for ky, kx in np.ndindex(conv.weight.shape[2:]):
        y, x = ky * conv.dilation[0], kx * conv.dilation[1]
        yield ky, kx, slice(y, y + (oh - 1) * sy + 1, sy), slice(x, x + (ow - 1) * sx + 1, sx)


@lru_cache(maxsize=64)
def synapses_of(layer: LearningLayer) -> Synapses:
    """Return the synapses of a layer, made once."""
    return Synapses(layer)


class Pooling:
    """What stands between the sources of a layer and its weights: nothing, or a pool.

    Parameters
    ----------
    layer : LearningLayer
    """

    def __init__(self, layer: LearningLayer) -> None:
        self.layer = layer

    @cached_property
    def cover(self) -> Any:
        """Sparse (n_source, n_in) int64: how often a pooled element counts a source (0 or 1)."""
        from scipy.sparse import csr_array, eye_array

        if self.layer.pool is None:
            return csr_array(eye_array(self.layer.n_in, dtype=np.int64))
        return csr_array(self.layer.pool.as_conv().to_csr() > 0).astype(np.int64)

    def sums(self, x: Any) -> Any:
        """Return the pooled sums: (B, n_source) -> (B, n_in)."""
        return x if self.layer.pool is None else np.asarray((self.cover.T @ x.T).T)

    def spread(self, e: Floats) -> Floats:
        """Return the transpose of `sums`: (B, n_in) -> (B, n_source)."""
        return e if self.layer.pool is None else np.asarray((self.cover @ e.T).T)

    def earliest(self, times: Floats) -> tuple[Floats, Ints]:
        """Return the earliest time in each window and the source that had it (first of several)."""
        if self.layer.pool is None:
            return times, np.broadcast_to(np.arange(self.layer.n_in), times.shape)
        windows = self._windows
        padded = np.concatenate([times, np.full((len(times), 1), np.inf)], axis=1)[:, windows]
        first = padded.argmin(axis=2)
        winner = windows[np.arange(len(windows)), first]
        return np.take_along_axis(padded, first[:, :, None], 2)[:, :, 0], winner

    def to_earliest(self, e: Floats, winner: Ints) -> Floats:
        """Return the transpose of `earliest` for errors: (B, n_in) -> (B, n_source)."""
        if self.layer.pool is None:
            return e
        out = np.zeros((len(e), self.layer.n_source + 1))
        np.add.at(out, (np.arange(len(e))[:, None], winner), e)
        return out[:, :-1]

    @cached_property
    def _windows(self) -> Ints:
        """(n_in, most sources in a window): sources in order, n_source where there is none."""
        columns = self.cover.T.tocsr()
        columns.sort_indices()
        sizes = np.diff(columns.indptr)
        windows = np.full((self.layer.n_in, int(sizes.max())), self.layer.n_source, dtype=np.int64)
        inside = np.arange(windows.shape[1]) < sizes[:, None]
        windows[inside] = columns.indices
        return windows


@lru_cache(maxsize=64)
def pooling_of(layer: LearningLayer) -> Pooling:
    """Return the pooling of a layer, made once."""
    return Pooling(layer)
