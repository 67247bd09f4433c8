"""Expansion of a quantized projection to its synapses: who reaches whom, with which weight."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.linear import Pool, compose_csr
from nmhw.values.quantized import QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def pooled_map(projection: QuantizedProjection, n_source: int) -> csr_array:
    """Return the (n_source, n_pooled) 0/1 matrix of the pools in front (identity without)."""
    if not projection.pools:
        return compose_csr((), n_source)
    from scipy.sparse import csr_array

    matrix = compose_csr(projection.pools, n_source)
    ones = np.ones_like(matrix.data, dtype=np.int64)
    return csr_array((ones, matrix.indices, matrix.indptr), shape=matrix.shape)


def pooled_rows(projection: QuantizedProjection, n_source: int) -> NDArray[np.int64]:
    """Return (n_source,) how many pooled elements cover each source element (1 without pools)."""
    if not projection.pools:
        return np.ones(n_source, np.int64)
    # pools treat all channels alike
    channels, height, width = projection.pools[0].in_shape
    one = replace(projection, pools=_one_channel(projection))
    covered = pooled_map(one, height * width).sum(axis=1)
    return np.tile(np.asarray(covered, np.int64).ravel(), channels)


def pixel_counts(projection: QuantizedProjection) -> csr_array:
    """Return CSR (source pixels, target pixels) of a convolution: synapses of one source event.

    They are the same between any two channels of one group, and none between groups:
    ``synapse_counts`` without its c_in * c_out / groups copies.
    """
    geometry = projection.geometry
    assert geometry is not None
    n_target = geometry.out_shape[1] * geometry.out_shape[2]
    pools = _one_channel(projection)
    flat = replace(
        geometry,
        in_shape=(1, *geometry.in_shape[1:]),
        out_shape=(1, *geometry.out_shape[1:]),
        groups=1,
    )
    first = (pools[0] if pools else flat).in_shape
    one = replace(projection, weights=projection.weights[:1, :1], geometry=flat, pools=pools)
    return synapse_counts(one, first[1] * first[2], n_target)


def _one_channel(projection: QuantizedProjection) -> tuple[Pool, ...]:
    return tuple(replace(p, in_shape=(1, *p.in_shape[1:])) for p in projection.pools)


def stored_synapses(projection: QuantizedProjection, n_target: int) -> csr_array:
    """Return stored synapses behind the pools: CSR (n_pooled, n_target) of int64 weights.

    Stored zeros stay explicit (dense rows and kernels store them).
    """
    from scipy.sparse import csr_array

    weights = projection.weights
    if projection.storage == "dense":
        n_in = weights.shape[0]
        indptr = np.arange(n_in + 1, dtype=np.int64) * n_target
        indices = np.tile(np.arange(n_target, dtype=np.int64), n_in)
        data: Any = weights.astype(np.int64).ravel()
        return csr_array((data, indices, indptr), shape=(n_in, n_target))
    if projection.storage == "sparse":
        assert projection.indptr is not None
        assert projection.indices is not None
        shape = (projection.indptr.size - 1, n_target)
        data = weights.astype(np.int64)
        indices = projection.indices.astype(np.int32)  # a copy: callers clean up in place
        return csr_array((data, indices, narrow_pointers(projection.indptr)), shape=shape)
    assert projection.geometry is not None
    conv = projection.geometry.as_conv(weights)
    rows, cols, taps = conv.synapse_indices()
    c, h, w = projection.geometry.in_shape
    data = weights.astype(np.int64).ravel()[taps]
    return csr_array((data, (rows, cols)), shape=(c * h * w, n_target))


def synapse_pattern(projection: QuantizedProjection, n_target: int) -> csr_array:
    """Return CSR (n_pooled, n_target) of int8 ones: where sparse storage has its synapses."""
    from scipy.sparse import csr_array

    assert projection.indptr is not None
    assert projection.indices is not None
    ones = np.ones(projection.indices.size, np.int8)
    shape = (projection.indptr.size - 1, n_target)
    indices = projection.indices.astype(np.int32, copy=False)
    return csr_array((ones, indices, narrow_pointers(projection.indptr)), shape=shape)


def narrow_pointers(indptr: NDArray[np.int64]) -> NDArray[np.int32 | np.int64]:
    """Return pointers as narrow as the indices where they fit: scipy widens both alike."""
    return indptr.astype(np.int32) if indptr[-1] < 1 << 31 else indptr


def synapse_counts(projection: QuantizedProjection, n_source: int, n_target: int) -> csr_array:
    """Return CSR (n_source, n_target): stored synapses that one source event reads."""
    stored = stored_synapses(projection, n_target)
    from scipy.sparse import csr_array

    ones = csr_array((np.ones_like(stored.data), stored.indices, stored.indptr), shape=stored.shape)
    return csr_array(pooled_map(projection, n_source) @ ones)


def count_synapses(projection: QuantizedProjection, n_target: int) -> int:
    """Return the number of stored synapses behind the pools (conv: unrolled, borders excluded)."""
    if projection.storage == "dense":
        return int(projection.weights.shape[0]) * n_target
    if projection.storage == "sparse" or projection.geometry is None:
        return int(projection.weights.size)
    geometry = projection.geometry
    c_out, c_group, kh, kw = projection.weights.shape
    taps = [
        _count_taps(geometry.in_shape[1 + axis], out, k, geometry.stride[axis], pad, dilation)
        for axis, (out, k, pad, dilation) in enumerate(
            zip(
                geometry.out_shape[1:],
                (kh, kw),
                (geometry.padding[0], geometry.padding[2]),
                geometry.dilation,
                strict=True,
            )
        )
    ]
    return int(c_out * c_group * taps[0] * taps[1])


def _count_taps(n_in: int, n_out: int, kernel: int, stride: int, pad: int, dilation: int) -> int:
    """Count (output, tap) pairs of one axis that fall inside the input."""
    position = np.arange(n_out)[:, None] * stride + np.arange(kernel) * dilation - pad
    return int(((position >= 0) & (position < n_in)).sum())
