"""Chains of linear operations to one storage form each.

Flattens and reshapes vanish (elements keep their C order), constant factors move into the
weights, averages become sums, and what is left decides: pools and then a matrix or a kernel keep
their form, a pool alone is a depthwise kernel, one to one is sparse, everything else is multiplied
out to sparse synapses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.quantize.lower import LoweredProjection, is_constant
from nmhw.values.linear import (
    Conv,
    Dense,
    LinearOp,
    Pool,
    Reshape,
    Scale,
    Sparse,
    compose_csr,
)
from nmhw.values.network import Projection
from nmhw.values.quantized import ConvGeometry

Floats = NDArray[np.float64]


def lower_projection(projection: Projection, n_source: int, n_target: int) -> LoweredProjection:
    """Return the storage form of a projection (``split_by_delay`` has removed Delay nodes)."""
    ops = fold_constants(projection.ops)
    pools = tuple(op for op in ops[:-1] if isinstance(op, Pool))
    is_simple = len(pools) == len(ops) - 1
    last = ops[-1] if ops and is_simple else None
    ends = (projection.name, projection.source, projection.target)
    if isinstance(last, Pool):
        last = last.as_conv()
    factor = math.prod(_average(p) for p in pools)
    pools = tuple(replace(p, kind="sum") for p in pools)
    if isinstance(last, Dense):
        weights = _times(np.ascontiguousarray(last.weight.T), factor)
        return LoweredProjection(*ends, "dense", weights, n_target, pools=pools)
    if isinstance(last, Conv):
        c_out = int(last.weight.shape[0])
        geometry = ConvGeometry(
            last.in_shape,
            (c_out, *last.out_spatial),
            last.stride,
            last.padding,
            last.dilation,
            last.groups,
        )
        weights = _times(last.weight, factor)
        return LoweredProjection(*ends, "conv", weights, n_target, geometry=geometry, pools=pools)
    if isinstance(last, Sparse):
        return _sparse(ends, last.matrix, factor, n_target, pools)
    return _sparse(ends, compose_csr(projection.ops, n_source), 1.0, n_target, ())


def fold_constants(ops: Sequence[LinearOp]) -> list[LinearOp]:
    """Return an equivalent chain without reshapes and with scales moved into weights.

    The elements stay in C order throughout; only the shapes between operations are lost.
    """
    chain: list[LinearOp] = []
    for op in ops:
        if isinstance(op, Reshape):
            continue
        chain.append(op)
        while len(chain) > 1:
            merged = _merge(chain[-2], chain[-1])
            if merged is None:
                break
            chain[-2:] = [merged]
    # a uniform scale in front of pools moves behind them, next to the weights
    for k in range(len(chain) - 1):
        scale, after = chain[k], chain[k + 1]
        if isinstance(scale, Scale) and isinstance(after, Pool) and _is_uniform(scale):
            factor = np.full(after.output_shape, float(scale.scale.flat[0]))
            chain[k], chain[k + 1] = after, Scale(factor)
            return fold_constants(chain)
    return chain


def _merge(first: LinearOp, second: LinearOp) -> LinearOp | None:
    """Return the one operation that does both, or None where there is none of the known forms."""
    if isinstance(first, Scale):
        return _scale_then(first.scale.ravel(), second)
    if isinstance(second, Scale):
        return _then_scale(first, second.scale.ravel())
    if isinstance(first, Dense) and isinstance(second, Dense):
        return Dense(second.weight @ first.weight)
    return None


def _scale_then(scale: Floats, op: LinearOp) -> LinearOp | None:
    if isinstance(op, Scale):
        return Scale(op.scale * scale.reshape(op.scale.shape))
    if isinstance(op, Dense):
        return Dense(op.weight * scale)
    if isinstance(op, Sparse):
        from scipy.sparse import csr_array, diags_array

        return Sparse(csr_array(diags_array(scale) @ op.matrix))
    if isinstance(op, Conv) and is_constant(scale, op.in_shape[1] * op.in_shape[2]):
        c_out, c_group = op.weight.shape[:2]
        channel = scale[:: op.in_shape[1] * op.in_shape[2]].reshape(op.groups, c_group)
        factor = np.repeat(channel, c_out // op.groups, axis=0)
        return replace(op, weight=op.weight * factor[:, :, None, None])
    return None


def _then_scale(op: LinearOp, scale: Floats) -> LinearOp | None:
    if isinstance(op, Dense):
        return Dense(op.weight * scale[:, None])
    if isinstance(op, Sparse):
        from scipy.sparse import csr_array, diags_array

        return Sparse(csr_array(op.matrix @ diags_array(scale)))
    if isinstance(op, Conv) and is_constant(scale, math.prod(op.out_spatial)):
        channel = scale[:: math.prod(op.out_spatial)]
        return replace(op, weight=op.weight * channel[:, None, None, None])
    return None


def _is_uniform(scale: Scale) -> bool:
    return bool(np.all(scale.scale == scale.scale.flat[0]))


def _average(pool: Pool) -> float:
    return 1.0 / (pool.kernel[0] * pool.kernel[1]) if pool.kind == "avg" else 1.0


def _sparse(
    ends: tuple[str, str, str],
    matrix: Any,
    factor: float,
    n_target: int,
    pools: tuple[Pool, ...],
) -> LoweredProjection:
    from scipy.sparse import csr_array

    csr = csr_array(matrix)
    if not csr.has_canonical_format or not csr.data.all():
        csr = csr.copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return LoweredProjection(
        *ends,
        "sparse",
        _times(np.asarray(csr.data, np.float64), factor),
        n_target,
        indptr=csr.indptr.astype(np.int64),
        indices=csr.indices.astype(np.int32),
        pools=pools,
    )


def _times(weights: Floats, factor: float) -> Floats:
    """Return the product, without a copy for the factor 1: nobody writes to lowered weights."""
    if factor == 1 and weights.dtype == np.float64:
        return weights
    return weights * factor
