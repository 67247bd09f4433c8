"""Sparse synapses as the kernels read them: four to a uint64 and a uint32, or one to a uint32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.memory import aligned_zeros

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def magnitudes(weights: NDArray[Any]) -> NDArray[Any]:
    """Return |weights| in a type that holds |-128| too."""
    return np.abs(weights.astype(np.int16) if weights.dtype.itemsize == 1 else weights)


def largest_input(indices: NDArray[Any], weights: NDArray[Any], n_target: int) -> int:
    """Return the largest sum of |weight| over the synapses of one target."""
    sums = np.zeros(n_target, np.int64)
    for here in _slices(weights.size):
        chosen = magnitudes(weights[here])
        sums += np.bincount(indices[here], chosen, n_target).astype(np.int64)
    return int(sums.max(initial=0))


def pack_synapses(indices: NDArray[Any], weights: NDArray[Any], bits: int) -> NDArray[np.uint32]:
    """Return target << bits | weight of every synapse."""
    packed = aligned_zeros(weights.size, np.uint32)
    for here in _slices(weights.size):
        low = weights[here].astype(np.int32).view(np.uint32) & np.uint32(2**bits - 1)
        packed[here] = (indices[here].astype(np.uint32) << np.uint32(bits)) | low
    return packed


def _slices(size: int) -> Iterator[slice]:
    """Yield slices that keep temporary arrays small beside the synapses."""
    step = max(2**22, size // 16)
    return (slice(at, min(size, at + step)) for at in range(0, size, step))


def pack_quads(
    matrix: csr_array,
) -> tuple[NDArray[np.uint32], NDArray[np.uint16], NDArray[np.int8]]:
    """Pad every row to quads; a padding synapse has weight 0 and a target its quad lacks."""
    lengths = np.diff(matrix.indptr)
    n_quads = -(-lengths // 4)
    pointers = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(n_quads, out=pointers[1:])
    row = np.repeat(np.arange(lengths.size), lengths)
    place = np.arange(matrix.indices.size) - np.repeat(matrix.indptr[:-1], lengths)
    place = place + 4 * pointers[row]
    targets = np.full(4 * int(pointers[-1]), -1, np.int64)
    weights = np.zeros(targets.size, np.int8)
    targets[place] = matrix.indices
    weights[place] = matrix.data
    quads = targets.reshape(-1, 4)
    partial = np.flatnonzero((quads < 0).any(axis=1))
    used = (quads[partial, :, None] == np.arange(4)).any(axis=1)
    free = np.argmin(used, axis=1)
    quads[partial] = np.where(quads[partial] < 0, free[:, None], quads[partial])
    return pointers.astype(np.uint32), targets.astype(np.uint16), weights
