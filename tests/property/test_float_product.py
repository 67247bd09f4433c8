"""Every way to multiply spikes with a sparse matrix gives the same bits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array, random_array

from nmhw.sim import float_product
from nmhw.sim.float_linear import LinearMap
from nmhw.sim.float_product import SparseProduct
from nmhw.values.linear import Conv, LinearOp, Pool, compose_csr
from nmhw.values.network import Network


def random_chain(r: np.random.Generator) -> list[LinearOp]:
    shape = (int(r.integers(1, 4)), int(r.integers(4, 9)), int(r.integers(4, 9)))
    chain: list[LinearOp] = []
    if r.random() < 0.4:
        chain.append(Pool("sum", shape, (2, 2), (2, 2)))
        shape = (shape[0], shape[1] // 2, shape[2] // 2)
    weight = r.normal(size=(int(r.integers(1, 5)), shape[0], 2, int(r.integers(1, 4))))
    if r.random() < 0.3:
        weight[r.random(weight.shape) < 0.4] = 0.0
    stride = (int(r.integers(1, 3)), int(r.integers(1, 3)))
    chain.append(Conv(weight, shape, stride, (1, 0, 1, 1), (1, 1), 1))
    return chain


@given(seed=st.integers(0, 2**32 - 1))
def test_runs_elements_and_scipy_give_the_same_bits(seed: int) -> None:
    r = np.random.default_rng(seed)
    shape: tuple[int, ...] = ()
    if r.random() < 0.7:
        chain = random_chain(r)
        matrix = compose_csr(chain, int(np.prod(chain[0].input_shape)))
        shape = chain[-1].output_shape
    else:
        size = (int(r.integers(1, 30)), int(r.integers(1, 30)))
        matrix = csr_array(random_array(size, density=0.3, rng=r))
        matrix.data = r.normal(size=matrix.data.size)
    n_rows, n_source = int(r.integers(1, 9)), matrix.shape[0]
    counts = r.integers(1, 4, (n_rows, n_source)) * (r.random((n_rows, n_source)) < 0.3)
    events = csr_array(counts.astype(np.float64))
    plain = np.asarray((events @ matrix).toarray())
    for least, run in ((0, 0), (0, 10**9), (10**9, 4)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(float_product, "MIN_COMPILED", least)
            patch.setattr(float_product, "MIN_RUN", run)
            product = SparseProduct(matrix, shape)
            got = product.of_events(events)
            if run == 0 and len(shape) == 3 and shape[0] > 1 and matrix.nnz:
                assert product._runs is not None
        assert got.shape == plain.shape
        assert got.tobytes() == plain.tobytes()


@given(seed=st.integers(0, 2**32 - 1), activity=st.floats(0, 1))
def test_rows_with_many_zeros_are_multiplied_as_spikes(seed: int, activity: float) -> None:
    r = np.random.default_rng(seed)
    n_source, n_target = (int(x) for x in r.integers(1, 40, 2))
    matrix = csr_array(random_array((n_source, n_target), density=0.4, rng=r))
    matrix.data = r.normal(size=matrix.data.size)
    build = Network.build("sparse").input("in", n_source).population("p", n_target, "if")
    network = build.project("in", "p", matrix, name="w").output("out", "p").done()
    linear = LinearMap(network.projections[0], n_source, n_target)
    rows = r.normal(size=(int(r.integers(1, 9)), n_source))
    rows[r.random(rows.shape) >= activity] = 0.0
    assert linear.of_sent(rows).tobytes() == linear.of_rows(rows).tobytes()
