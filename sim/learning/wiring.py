"""A learning network as the flat tables that the kernels read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.kernels import layout as at
from nmhw.sim.learning.layer import LearningLayer, LearningNetwork

Ints = NDArray[np.int64]


def synapses_of(layer: LearningLayer) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32]]:
    """Return the synapses of a convolution by source: row pointers, targets, stored weights."""
    assert layer.geometry is not None
    numbers = np.arange(1, layer.n_weights + 1, dtype=np.float64).reshape(layer.weight_shape)
    matrix = layer.geometry.as_conv(numbers).to_csr()
    matrix.sort_indices()
    taps = np.rint(matrix.data).astype(np.int32) - 1
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32), taps


def pool_of(layer: LearningLayer) -> tuple[Ints, NDArray[np.int32]]:
    """Return, for every source, the pooled elements that cover it."""
    assert layer.pool is not None
    matrix = layer.pool.as_conv().to_csr()
    matrix.sort_indices()
    return matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)


def wire(net: LearningNetwork, frozen: tuple[str, ...] = ()) -> at.Wiring:
    """Return the tables of a network.

    Parameters
    ----------
    frozen : tuple of str
        Layers whose weights stay.
    """
    layers = np.zeros((len(net.layers), at.N_LAYER_COLUMNS), np.int64)
    rows, pools = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    targets, taps, covers = ([np.zeros(0, np.int32)] for _ in range(3))
    n_weights = n_neurons = n_rows = n_pools = n_synapses = n_covers = 0
    for k, (layer, row) in enumerate(zip(net.layers, layers, strict=True)):
        row[at.L_IS_DENSE] = layer.kind == "dense"
        row[[at.L_N_IN, at.L_N_OUT, at.L_N_SOURCE]] = layer.n_in, layer.n_out, layer.n_source
        row[[at.L_WEIGHTS, at.L_N_WEIGHTS]] = n_weights, layer.n_weights
        row[[at.L_ROWS, at.L_POOLS]] = n_rows, -1
        loop = net.recurrent_of(k)
        row[at.L_LOOP] = -1 if loop is None or layer.is_recurrent else loop
        row[at.L_NEURONS] = n_neurons - layer.n_out if layer.is_recurrent else n_neurons
        row[at.L_IS_FROZEN] = layer.name in frozen
        if layer.kind == "conv":
            pointers, target, tap = synapses_of(layer)
            rows.append(pointers + n_synapses)
            targets.append(target)
            taps.append(tap)
            n_rows += pointers.size
            n_synapses += target.size
        if layer.pool is not None:
            pointers, cover = pool_of(layer)
            row[at.L_POOLS] = n_pools
            pools.append(pointers + n_covers)
            covers.append(cover)
            n_pools += pointers.size
            n_covers += cover.size
        n_weights += layer.n_weights
        n_neurons += 0 if layer.is_recurrent else layer.n_out
    return at.Wiring(
        layers,
        np.array(net.feedforward, np.int64),
        np.concatenate(rows),
        np.concatenate(targets),
        np.concatenate(taps),
        np.concatenate(pools),
        np.concatenate(covers),
    )
