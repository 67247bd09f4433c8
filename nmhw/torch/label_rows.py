"""Rows of a matrix of labels: which features of one sample and step a layer joins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nmhw.values.linear import Sparse

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of a matrix of labels: each belongs to one sample and step.

    Attributes
    ----------
    groups, ranks : (rows,) int64
        Sample and step; place among the rows of that. -1 = the row is empty.
    features : (n_rows, columns) int64, -1 = nothing; alike in every sample and step
    """

    groups: Ints
    ranks: Ints
    features: Ints

    @property
    def n_rows(self) -> int:
        """Rows per sample and step."""
        return int(self.features.shape[0])

    def is_identity(self, size: int) -> bool:
        """Whether one row holds all features in order."""
        return self.n_rows == 1 and np.array_equal(self.features[0], np.arange(size))


def find_rows(labels: torch.Tensor, size: int) -> Rows | None:
    """Return the rows of a matrix of labels, or None where rows mix samples or steps."""
    table = labels.numpy()
    group = np.where(table >= 0, table // size, -1)
    groups = group.max(axis=1, initial=-1)
    if ((group >= 0) & (group != groups[:, None])).any():
        return None
    used = np.flatnonzero(groups >= 0)
    if not used.size:
        return None
    order = used[np.argsort(groups[used], kind="stable")]
    _, counts = np.unique(groups[order], return_counts=True)
    if (counts != counts[0]).any():
        return None
    features = np.where(table >= 0, table % size, -1)[order]
    features = features.reshape(counts.size, int(counts[0]), -1)
    if (features != features[:1]).any():
        return None
    ranks = np.full(groups.size, -1, np.int64)
    ranks[order] = np.tile(np.arange(counts[0]), counts.size)
    return Rows(groups, ranks, features[0])


def row_labels(rows: Rows, width: int) -> torch.Tensor:
    """Return (rows, width) labels of what ``width`` outputs per row are."""
    size = rows.n_rows * width
    first = np.where(rows.groups >= 0, rows.groups * size + rows.ranks * width, -1)
    table = np.where(first[:, None] >= 0, first[:, None] + np.arange(width), -1)
    return torch.from_numpy(table)


def row_blocks(features: Ints, matrix: NDArray[np.float64], size: int) -> Sparse:
    """Return the matrix once per row of features; zeros are not stored."""
    from scipy.sparse import csr_array

    width, n_in = matrix.shape
    n_rows = features.shape[0]
    source = np.broadcast_to(features[:, None, :], (n_rows, width, n_in))
    target = (np.arange(n_rows)[:, None] * width + np.arange(width))[:, :, None]
    kept = (source >= 0) & (matrix != 0)[None]
    values = np.broadcast_to(matrix, source.shape)[kept]
    places = (source[kept], np.broadcast_to(target, source.shape)[kept])
    return Sparse(csr_array((values, places), shape=(size, n_rows * width)))


def selection(features: Ints, size: int) -> Sparse:
    """Return the operation that puts source elements ``features`` (-1 = none) into order."""
    return row_blocks(features[:, None], np.ones((1, 1)), size)
