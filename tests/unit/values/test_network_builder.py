"""Networks written in code: what is wrong is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import nmhw
from nmhw.errors import UsageError
from nmhw.values.network_builder import NetworkBuilder


def builder() -> NetworkBuilder:
    return nmhw.Network.build("n").input("i", 4).population("a", 3, "if", v_threshold=1.0)


def join(weights: Any = None, **options: Any) -> NetworkBuilder:
    return builder().project("i", "a", np.ones((3, 4)) if weights is None else weights, **options)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: join(np.full((3, 4), np.nan)), "i>a: weights must be finite: got nan"),
        (lambda: join(csr_array(np.full((4, 3), np.inf))), "weights must be finite: got inf"),
        (lambda: join(np.ones((4, 3))), "i>a: shapes do not fit"),
        (lambda: join(np.ones((3, 4, 1))), "dense weights have two axes: got (3, 4, 1)"),
        (lambda: join("x"), "i>a: weights: not real numbers"),
        (lambda: join([[1, 2], [3]]), "i>a: weights: not a rectangular array"),
        (lambda: join(np.ones((3, 4)) * 1j), "not real numbers: got dtype complex128"),
        (lambda: join(bias=np.nan), "i>a: bias must be finite: got nan"),
        (lambda: join(bias=np.ones(2)), "wrong number of values: got 2 (limit 1 or 3)"),
        (lambda: join(delay_steps=1.5), "delay_steps must be a whole number >= 0: got 1.5"),
        (lambda: join(delay_steps=float("nan")), "delay_steps must be a whole number"),
        (lambda: builder().project("i", "b"), "n: no such node: got 'b'"),
        (lambda: builder().output("o"), "o: an output needs at least one population"),
        (lambda: builder().output("o", "i"), "o: no such population: got 'i'"),
        (lambda: builder().input("a", 2), "two nodes have the same name: got 'a'"),
        (lambda: builder().input("j", "x"), "a shape needs positive whole sizes: got 'x'"),
        (lambda: builder().input("j", 2.5), "positive whole sizes: got 2.5"),
        (lambda: builder().input("j", (2, 0)), "positive whole sizes: got (2, 0)"),
        (lambda: builder().population("b", 3, "lif", tau_mem_s=-1.0), "finite and positive"),
        (lambda: builder().population("b", 3, "lif"), "lif needs tau_mem_s"),
        (lambda: builder().population("b", 3, "fast"), "no such neuron kind: got 'fast'"),
        (lambda: builder().population("b", 3, "if", tau_mem_s=1.0), "if has no such parameter"),
        (lambda: builder().population("b", 3, "if", v_threshold=np.nan), "must be finite: got nan"),
        (lambda: builder().population("b", 3, "if", v_threshold="x"), "not real numbers"),
        (lambda: builder().population("b", 3, "if", v_threshold=np.ones(2)), "limit 1 or 3"),
        (lambda: builder().done(), "needs an input, a population and an output"),
    ],
)
def test_refusals(build: Callable[[], object], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        build()
    assert text in str(caught.value)


def test_sparse_and_dense_weights_of_one_matrix_run_alike() -> None:
    weights = np.array([[2.0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 3]])
    x = (np.random.default_rng(0).random((2, 6, 4)) < 0.5).astype(np.uint8)
    spikes = []
    for given in (weights, csr_array(weights.T)):
        network = join(given).output("o", "a").done()
        spikes.append(nmhw.run_float(network, x).spikes["a"].dense())
    np.testing.assert_array_equal(*spikes)
    assert spikes[0].sum() > 0


def test_shapes_of_several_axes_are_flattened_in_c_order() -> None:
    network = nmhw.Network.build("n").input("i", (2, 2)).population("a", (1, 2), "if")
    network.project("i", "a", np.array([[1.0, 0, 0, 0], [0, 0, 0, 1]])).output("o", "a")
    x = np.zeros((1, 2, 2, 2), np.uint8)
    x[0, :, 1, 1] = 1
    dense = nmhw.run_float(network.done(), 2 * x).spikes["a"].dense()
    assert dense[0, :, 0].sum() == 0
    assert dense[0, :, 1].sum() > 0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda b: b.input("x", 2.7), r"positive whole sizes: got 2\.7"),
        (lambda b: b.population("p", 2, "lif", tau_mem_s="1ms"), "tau_mem_s: .*got '1ms'"),
        (lambda b: b.output("o"), "o: an output needs at least one population"),
        (lambda b: b.project("a", "in", np.ones((2, 3))), "projected into an input: got a>in"),
        (lambda b: b.project("in", "a", np.ones((3, 2)), delay_steps="1"), "delay_steps .*got '1'"),
        (lambda b: b.project("in", "a", ops=(3,)), "in>a: this is no linear operation: got 3"),
        (lambda b: b.input(3, 2), "a node's name is a text: got 3"),
    ],
)
def test_wrong_types_are_refused_by_name(call: Any, text: str) -> None:
    build = nmhw.Network.build("net").input("in", 2).population("a", 3, "if")
    with pytest.raises(UsageError, match=text):
        call(build)
