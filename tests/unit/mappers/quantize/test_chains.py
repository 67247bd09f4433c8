"""Every chain keeps its meaning: the stored form expands to the product of the operations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from nmhw.mappers.quantize.chains import lower_projection
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.values.connectivity import pooled_map, stored_synapses
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
from nmhw.values.quantized import QuantizedProjection

R = np.random.default_rng(5)
CONV = Conv(R.normal(size=(4, 2, 3, 2)), (2, 6, 5), (2, 1), (1, 0, 1, 1), (1, 2))
GROUPED = Conv(R.normal(size=(6, 1, 2, 2)), (2, 4, 4), groups=2)
ONE_D = Conv(R.normal(size=(3, 2, 1, 3)), (2, 1, 7), is_1d=True)
SUM = Pool("sum", (2, 6, 4), (2, 2), (2, 2))
AVG = Pool("avg", (2, 7, 6), (3, 2), (2, 2), (1, 0))
PER_CHANNEL = np.broadcast_to(R.normal(size=(2, 1, 1)), (2, 4, 4)).copy()


def expand(lowered: LoweredProjection, n_source: int) -> np.ndarray[Any, Any]:
    """Expand float weights synapse by synapse, with the integers' own code path."""
    # connectivity expands integers: number the stored weights, then look the floats up
    ids = np.arange(1, lowered.weights.size + 1, dtype=np.int64).reshape(lowered.weights.shape)
    numbered = QuantizedProjection(
        lowered.name,
        lowered.source,
        lowered.target,
        lowered.storage,
        ids,
        1,
        indptr=lowered.indptr,
        indices=lowered.indices,
        geometry=lowered.geometry,
        pools=lowered.pools,
    )
    stored = stored_synapses(numbered, lowered.n_target)
    values = lowered.weights.ravel()[stored.data - 1]
    floats = csr_array((values, stored.indices, stored.indptr), shape=stored.shape)
    return np.asarray((pooled_map(numbered, n_source) @ floats).toarray())


CASES: dict[str, tuple[tuple[LinearOp, ...], str, int]] = {
    "dense": ((Dense(R.normal(size=(3, 5))),), "dense", 0),
    "dense behind a flatten": (
        (Reshape((2, 3), (6,)), Dense(R.normal(size=(4, 6)))),
        "dense",
        0,
    ),
    "dense between scales": (
        (Scale(R.normal(size=5)), Dense(R.normal(size=(3, 5))), Scale(R.normal(size=3))),
        "dense",
        0,
    ),
    "two dense": ((Dense(R.normal(size=(6, 5))), Dense(R.normal(size=(3, 6)))), "dense", 0),
    "conv": ((CONV,), "conv", 0),
    "grouped conv": ((GROUPED,), "conv", 0),
    "conv1d": ((ONE_D,), "conv", 0),
    "conv with channel scales on both sides": (
        (
            Scale(PER_CHANNEL),
            GROUPED,
            Scale(np.broadcast_to(R.normal(size=(6, 1, 1)), (6, 3, 3)).copy()),
        ),
        "conv",
        0,
    ),
    "conv with an elementwise scale": ((GROUPED, Scale(R.normal(size=(6, 3, 3)))), "sparse", 0),
    "scale in front of conv per pixel": ((Scale(R.normal(size=(2, 4, 4))), GROUPED), "sparse", 0),
    "pool": ((SUM,), "conv", 0),
    "average pool": ((AVG,), "conv", 0),
    "pool then conv": (
        (SUM, Conv(R.normal(size=(3, 2, 2, 2)), (2, 3, 2))),
        "conv",
        1,
    ),
    "average pool, flatten, dense": (
        (AVG, Reshape((2, 4, 3), (24,)), Dense(R.normal(size=(5, 24)))),
        "dense",
        1,
    ),
    "uniform scale, pool, conv": (
        (Scale(np.full((2, 6, 4), 0.3)), SUM, Conv(R.normal(size=(3, 2, 2, 2)), (2, 3, 2))),
        "conv",
        1,
    ),
    "elementwise scale, pool, conv": (
        (
            Scale(R.normal(size=(2, 6, 4))),
            SUM,
            Conv(R.normal(size=(3, 2, 2, 2)), (2, 3, 2)),
        ),
        "sparse",
        0,
    ),
    "two pools then dense": (
        (
            Pool("sum", (2, 8, 8), (2, 2), (2, 2)),
            Pool("avg", (2, 4, 4), (2, 2), (2, 2)),
            Reshape((2, 2, 2), (8,)),
            Dense(R.normal(size=(3, 8))),
        ),
        "dense",
        2,
    ),
    "two convs": ((GROUPED, Conv(R.normal(size=(2, 6, 2, 2)), (6, 3, 3))), "sparse", 0),
    "one to one": ((), "sparse", 0),
    "scale alone": ((Scale(R.normal(size=7)),), "sparse", 0),
    "sparse": (
        (Sparse(csr_array(random_array((6, 9), density=0.3, rng=R))),),
        "sparse",
        0,
    ),
    "pool then sparse": (
        (
            SUM,
            Reshape((2, 3, 2), (12,)),
            Sparse(csr_array(random_array((12, 5), density=0.4, rng=R))),
        ),
        "sparse",
        1,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_stored_form_expands_to_the_product_of_the_chain(name: str) -> None:
    ops, storage, n_pools = CASES[name]
    n_source = int(np.prod(ops[0].input_shape)) if ops else 7
    n_target = int(np.prod(ops[-1].output_shape)) if ops else 7
    lowered = lower_projection(Projection("p", "a", "b", ops), n_source, n_target)
    assert (lowered.storage, len(lowered.pools)) == (storage, n_pools)
    assert all(pool.kind == "sum" for pool in lowered.pools)
    expected = compose_csr(ops, n_source).toarray()
    np.testing.assert_allclose(expand(lowered, n_source), expected, rtol=0, atol=1e-13)


def test_composed_zeros_are_dropped() -> None:
    matrix = csr_array(np.array([[1.0, 0.0], [0.0, 0.0]]))
    matrix.data[:] = 0.0
    lowered = lower_projection(Projection("p", "a", "b", (Sparse(matrix),)), 2, 2)
    assert lowered.weights.size == 0


def test_peaks_and_largest_input_are_those_of_the_expanded_matrix() -> None:
    for name in ("dense", "conv", "sparse", "pool then conv"):
        ops = CASES[name][0]
        n_source = int(np.prod(ops[0].input_shape))
        n_target = int(np.prod(ops[-1].output_shape))
        lowered = lower_projection(Projection("p", "a", "b", ops), n_source, n_target)
        matrix = compose_csr(ops, n_source).toarray()
        high, low = lowered.most_input()
        assert np.all(high >= np.maximum(matrix, 0).sum(axis=0) - 1e-12)
        assert np.all(low >= np.maximum(-matrix, 0).sum(axis=0) - 1e-12)
        if name in ("dense", "sparse"):
            np.testing.assert_allclose(lowered.peak(), np.abs(matrix).max(axis=0))
            np.testing.assert_allclose(high, np.maximum(matrix, 0).sum(axis=0))


def test_a_kernel_is_unrolled_where_gains_differ_within_a_channel() -> None:
    lowered = lower_projection(Projection("p", "a", "b", (GROUPED,)), 32, 54)
    gain = R.normal(size=54)
    gained = lowered.with_gain(gain)
    assert gained.storage == "sparse"
    np.testing.assert_allclose(expand(gained, 32), GROUPED.to_csr().toarray() * gain)
    uniform = np.repeat(R.normal(size=6), 9)
    kept = lowered.with_gain(uniform)
    assert kept.storage == "conv"
    np.testing.assert_allclose(expand(kept, 32), GROUPED.to_csr().toarray() * uniform)
