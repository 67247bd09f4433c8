"""One projection as the arrays a delivery kernel reads: dense rows, sparse rows or conv segments.

Rows follow the source's internal order (or the pooled elements), targets the target's internal
order. A common power of two is taken out of weights that exceed int8 and goes into the shift,
so that Loihi's even 9-bit weights are stored in 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.conv_segments import AccumulatorWindow, ConvSegments, lower_conv
from nmhw.sim.kernels.fields import (
    HALF_TILE,
    KIND_CONV16,
    KIND_DENSE8,
    KIND_DENSE16,
    KIND_DENSE_TILES,
    KIND_IN_ORDER,
    KIND_SPARSE32,
    KIND_SPARSE_PACKED,
    KIND_SPARSE_WIDE,
    TILE,
)
from nmhw.sim.packed_synapses import largest_input, magnitudes, pack_quads, pack_synapses
from nmhw.values.connectivity import narrow_pointers, pooled_map, stored_synapses
from nmhw.values.quantized import QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]

#: A row element costs this fraction of a sparse synapse while the matrix is below so many bytes
#: (int8 on an AVX-512 server core with 1 MiB of L2 and 32 MiB of L3, rounded against rows). Beyond
#: 32 MiB rows would pay from 1/8 on: 1/4 keeps every matrix at 4 bytes per synapse.
ROW_COSTS = ((2**20, 1 / 40), (2**25, 1 / 20), (2**29, 1 / 4))

#: Largest matrix that is stored in tiles, in bytes: with blocks of steps, and one step at a time.
MAX_TILED, MAX_TILED_STEP = 2**24, 2**20


@dataclass(frozen=True, slots=True, eq=False)
class LoweredProjection:
    """Arrays of one projection, offsets still local.

    Attributes
    ----------
    kind : one of the KIND_* codes
    weights : int8, int16 or int32, flat
    extra_shift : bits taken out of the weights
    input_bound : int
        Largest sum of |weight| over the synapses of one target: no step delivers more than this
        times the number of events per source.
    rows, width, flush : dense: rows, padded row length, rows per int16 partial sum
        (width of packed synapses: bits of a weight)
    pointers, targets : sparse: row pointers (quads for KIND_SPARSE_WIDE) and target indices, or
        packed synapses
    conv : segments of a convolution, or None
    pool : (pointers, pooled indices) over the source's internal order, or None
    """

    kind: int
    weights: NDArray[np.integer[Any]]
    input_bound: int
    extra_shift: int = 0
    rows: int = 0
    width: int = 0
    flush: int = 0
    pointers: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    targets: NDArray[np.unsignedinteger[Any]] = field(
        default_factory=lambda: np.zeros(0, np.uint32)
    )
    conv: ConvSegments | None = None
    pool: tuple[Ints, NDArray[np.uint32]] | None = None

    @property
    def window(self) -> AccumulatorWindow | None:
        """Where valid sums lie in the accumulator; None = one plain row."""
        return None if self.conv is None else self.conv.window


def lower_projection(
    projection: QuantizedProjection,
    n_source: int,
    n_target: int,
    source_order: Ints | None,
    target_order: Ints | None,
    target_layout: tuple[int, int, int] | None,
) -> LoweredProjection:
    """Lower one projection.

    Parameters
    ----------
    source_order, target_order : (n,) int64 or None
        Author's index of every internal index; None = the same.
    target_layout : (channels, height, width) or None
        Author's shape whose channel-last order the target's internal order is.

    Raises
    ------
    UnsupportedError
        For weights beyond 32 bits.
    """
    pool = _lower_pool(projection, n_source, source_order)
    rows_order = source_order if pool is None else None
    weights, shift = _shrink(projection.weights, projection.name)
    largest = _largest(weights)
    factor = _pool_factor(projection, n_source)
    geometry = projection.geometry
    is_conv = geometry is not None and geometry.out_shape == target_layout and largest < 2**15
    if is_conv and geometry is not None:
        conv = lower_conv(geometry, weights, rows_order, pool)
        per_channel = magnitudes(weights).sum(axis=(1, 2, 3), dtype=np.int64)
        bound = factor * int(per_channel.max(initial=0))
        pool = None if conv.has_pool else pool
        kernel = conv.weights.astype(np.int16)
        return LoweredProjection(KIND_CONV16, kernel, bound, shift, conv=conv, pool=pool)
    is_dense = projection.storage == "dense" and largest < 2**15
    if is_dense and _prefers_rows(int(np.count_nonzero(weights)), *weights.shape, beyond=True):
        return _lower_dense(weights, shift, rows_order, target_order, factor, pool)
    matrix = _synapses(projection, weights, shift, n_target)
    n_stored = int(np.count_nonzero(matrix.data))
    if _largest(matrix.data) < 2**15 and _prefers_rows(n_stored, *matrix.shape, beyond=False):
        rows = matrix.astype(np.int16).toarray()
        return _lower_dense(rows, shift, rows_order, target_order, factor, pool)
    return _lower_sparse(matrix, shift, rows_order, target_order, factor, pool)


def _synapses(
    projection: QuantizedProjection, weights: NDArray[Any], shift: int, n_target: int
) -> csr_array:
    """Return all synapses as CSR without duplicates; narrow arrays of the network are not copied.

    Parameters
    ----------
    weights : those of the projection, ``shift`` bits to the right
    """
    from scipy.sparse import csr_array

    indices, indptr = projection.indices, projection.indptr
    if projection.storage == "sparse" and indices is not None and indptr is not None:
        shape = (indptr.size - 1, n_target)
        entries = (weights, indices, narrow_pointers(indptr))
        plain: csr_array = csr_array(entries, shape=shape)
        if plain.has_canonical_format:
            return plain
    matrix = stored_synapses(projection, n_target)
    matrix.data = matrix.data >> shift
    matrix.sum_duplicates()
    return matrix


def lower_in_order(
    projection: QuantizedProjection, n_source: int, n_target: int
) -> LoweredProjection:
    """Lower a projection whose synapses are added one by one to a saturating current.

    Raises
    ------
    UnsupportedError
        For weights beyond 31 bits, or right shifts.
    """
    if not 0 <= projection.shift < 16:
        raise UnsupportedError(
            "saturating sums take left shifts of the weights",
            got=projection.shift,
            limit="0 to 15",
            where=projection.name,
            rule="sim.cell-form",
        )
    stored = stored_synapses(projection, n_target)
    matrix = (pooled_map(projection, n_source).astype(np.int64) @ stored).tocsr()
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    weights = matrix.data.astype(np.int64) << projection.shift
    if _largest(weights) >= 2**31:
        raise UnsupportedError(
            "weights beyond 32 bits",
            got=_largest(weights),
            limit=2**31 - 1,
            where=projection.name,
            rule="sim.weight-width",
        )
    bound = int(np.bincount(matrix.indices, np.abs(weights), n_target).max(initial=0))
    return LoweredProjection(
        KIND_IN_ORDER,
        weights.astype(np.int32),
        bound,
        pointers=matrix.indptr.astype(np.uint32),
        targets=matrix.indices.astype(np.uint32),
    )


def _prefers_rows(n_synapses: int, n_rows: int, n_targets: int, *, beyond: bool) -> bool:
    """Whether whole rows are cheaper to add than the non-zero synapses alone.

    ``beyond`` is the answer for matrices too large to be converted.
    """
    elements = n_rows * n_targets
    for limit, cost in ROW_COSTS:
        if elements <= limit:
            return n_synapses >= cost * elements
    return beyond


def _largest(weights: NDArray[Any]) -> int:
    """Return max |weights| as a Python integer."""
    return max(int(weights.max(initial=0)), -int(weights.min(initial=0)))


def _shrink(weights: NDArray[Any], where: str) -> tuple[NDArray[Any], int]:
    """Return signed weights without their common factor 2**shift, if they exceed int8 with it."""
    largest = _largest(weights)
    if largest >= 2**31:
        raise UnsupportedError(
            "weights beyond 32 bits", got=largest, where=where, rule="sim.weights"
        )
    if largest < 128:
        return weights.astype(np.int8, copy=False), 0
    wide = weights.astype(np.int64)
    bits = int(np.bitwise_or.reduce(wide, axis=None))
    shift = (bits & -bits).bit_length() - 1
    wide >>= shift
    return wide.astype(np.int16) if _largest(wide) < 2**15 else wide, shift


def _pool_factor(projection: QuantizedProjection, n_source: int) -> int:
    """Return how many sources share one pooled element at most."""
    if not projection.pools:
        return 1
    return int(pooled_map(projection, n_source).sum(axis=0).max())


def _lower_pool(
    projection: QuantizedProjection, n_source: int, order: Ints | None
) -> tuple[Ints, NDArray[np.uint32]] | None:
    if not projection.pools:
        return None
    matrix = pooled_map(projection, n_source)
    if order is not None:
        matrix = matrix[order]
    counts = np.asarray(matrix.data, np.int64)
    row = np.repeat(np.arange(n_source), np.diff(matrix.indptr))
    pointers = np.zeros(n_source + 1, np.int64)
    np.cumsum(np.bincount(row, counts, n_source).astype(np.int64), out=pointers[1:])
    return pointers, np.repeat(matrix.indices, counts).astype(np.uint32)


def _lower_dense(
    weights: NDArray[Any],
    shift: int,
    rows_order: Ints | None,
    target_order: Ints | None,
    factor: int,
    pool: tuple[Ints, NDArray[np.uint32]] | None,
) -> LoweredProjection:
    rows, n = weights.shape
    bound = factor * int(magnitudes(weights).sum(axis=0, dtype=np.int64).max(initial=0))
    largest = max(1, _largest(weights))
    fits = weights.min(initial=0) >= -128 and weights.max(initial=0) <= 127
    granule = 64 if n > 64 else 16
    width = -(-n // granule) * granule
    padded = np.zeros((rows, width), np.int8 if fits else np.int16)
    ordered = weights if rows_order is None else weights[rows_order]
    padded[:, :n] = ordered if target_order is None else ordered[:, target_order]
    flush = (2**15 - 1) // largest // 4 * 4
    kind = KIND_DENSE8 if fits else KIND_DENSE16
    return LoweredProjection(
        kind, padded.ravel(), bound, shift, rows=rows, width=width, flush=flush, pool=pool
    )


def tile_rows(low: LoweredProjection, is_blocked: bool) -> LoweredProjection:
    """Return dense int8 rows in tiles of columns, where a tile is whole vectors.

    Without feedback (``is_blocked``) a tile is used for many steps in a row (``blocks.py``);
    matrices that the cache cannot keep from one use to the next remain whole rows.
    """
    limit = MAX_TILED if is_blocked else MAX_TILED_STEP
    if low.kind != KIND_DENSE8 or low.width % HALF_TILE or low.weights.size > limit:
        return low
    rows = low.weights.reshape(low.rows, low.width)
    tiles = [rows[:, at : at + TILE].ravel() for at in range(0, low.width, TILE)]
    return replace(low, kind=KIND_DENSE_TILES, weights=np.concatenate(tiles))


def _lower_sparse(
    matrix: csr_array,
    shift: int,
    rows_order: Ints | None,
    target_order: Ints | None,
    factor: int,
    pool: tuple[Ints, NDArray[np.uint32]] | None,
) -> LoweredProjection:
    from scipy.sparse import csr_array

    n = matrix.shape[1]
    if target_order is not None:
        internal = np.empty(n, np.int64)
        internal[target_order] = np.arange(n)
        matrix = csr_array((matrix.data, internal[matrix.indices], matrix.indptr), matrix.shape)
    if rows_order is not None:
        matrix = csr_array(matrix[rows_order])
    if target_order is not None or not matrix.data.all():
        matrix = matrix.copy()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
    data = matrix.data
    bound = factor * largest_input(matrix.indices, data, n)
    least, most = int(data.min(initial=0)), int(data.max(initial=0))
    if n <= 2**16 and least >= -128 and most <= 127:
        pointers, targets, quads = pack_quads(matrix)
        return LoweredProjection(
            KIND_SPARSE_WIDE, quads, bound, shift, pointers=pointers, targets=targets, pool=pool
        )
    pointers = matrix.indptr.astype(np.uint32)
    bits = max(most, ~least).bit_length() + 1
    if (n - 1).bit_length() + bits <= 32:
        return LoweredProjection(
            KIND_SPARSE_PACKED, np.zeros(0, np.int32), bound, shift, width=bits,
            pointers=pointers, targets=pack_synapses(matrix.indices, data, bits), pool=pool,
        )  # fmt: skip
    return LoweredProjection(
        KIND_SPARSE32, data.astype(np.int32), bound, shift, pointers=pointers,
        targets=matrix.indices.astype(np.uint32), pool=pool,
    )  # fmt: skip
