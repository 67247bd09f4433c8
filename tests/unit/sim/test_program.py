"""Programs: update order, storage of every projection, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.sim.kernels import fields as f
from nmhw.sim.program import build_program
from nmhw.values.network import InputPort
from nmhw.values.quantized import ConvGeometry, QuantizedProjection

Make = Callable[..., Any]
PORT = InputPort("in", (4,))


def dense(name: str, source: str, target: str, weights: Any, delay: int = 1) -> QuantizedProjection:
    return QuantizedProjection(name, source, target, "dense", np.asarray(weights), delay)


def test_populations_are_ordered_along_edges_without_delay(population: Make, network: Make) -> None:
    ones = np.ones((4, 4), np.int8)
    edges = [dense("a", "in", "first", ones), dense("b", "first", "second", ones, 0)]
    edges.append(dense("back", "second", "first", ones, 1))
    listed = [population("second", (4,)), population("first", (4,))]
    assert build_program(network([PORT], listed, edges)).populations == ("first", "second")


def test_a_cycle_without_delay_is_refused_by_name(population: Make, network: Make) -> None:
    edge = dense("self", "loop", "loop", np.ones((4, 4), np.int8), 0)
    with pytest.raises(UnsupportedError, match=r"cycle without delay.*got loop"):
        build_program(network([PORT], [population("loop", (4,))], [edge]))


def test_weights_beyond_32_bits_are_refused_by_name(population: Make, network: Make) -> None:
    edge = dense("wide", "in", "p", np.full((4, 4), 2**31))
    with pytest.raises(UnsupportedError, match="wide: weights beyond 32 bits"):
        build_program(network([PORT], [population("p", (4,))], [edge]))


@pytest.mark.parametrize(
    ("weights", "kind", "shift"),
    [
        (np.full((4, 8), -127), f.KIND_DENSE8, 0),
        (np.array([[-128, 127]] * 4), f.KIND_DENSE8, 0),
        (np.full((4, 8), -128), f.KIND_DENSE8, 7),
        (np.full((4, 8), 254), f.KIND_DENSE8, 1),
        (np.arange(32).reshape(4, 8) * 16 - 256, f.KIND_DENSE8, 4),
        (np.full((4, 8), 255), f.KIND_DENSE16, 0),
        (np.full((4, 8), 2**20 + 1), f.KIND_SPARSE_PACKED, 0),
        (np.full((4, 8), 2**30 + 1), f.KIND_SPARSE32, 0),
        (np.eye(4, 400, dtype=np.int8), f.KIND_SPARSE_WIDE, 0),
    ],
)
def test_dense_storage_follows_width_and_density(
    population: Make, network: Make, weights: Any, kind: int, shift: int
) -> None:
    target = population("p", (weights.shape[1],))
    program = build_program(network([PORT], [target], [dense("w", "in", "p", weights)]))
    assert program.table[0, f.J_KIND] == kind
    assert program.shifts[0] == shift
    bound = np.abs(weights >> shift).sum(axis=0).max()
    assert program.input_bounds[0] == bound


def test_int16_sums_are_flushed_before_they_can_overflow(population: Make, network: Make) -> None:
    target = population("p", (8,))
    for largest in (1, 3, 100, 127, 128):
        weights = np.full((4, 8), -largest)
        weights[0, 0] = 1  # no common factor
        program = build_program(network([PORT], [target], [dense("w", "in", "p", weights)]))
        flush = int(program.table[0, f.J_FLUSH])
        assert flush % 4 == 0
        assert 2**15 - 4 * largest <= flush * largest + largest
        assert flush * largest < 2**15


def test_a_dense_enough_sparse_matrix_is_stored_as_rows(population: Make, network: Make) -> None:
    edge = QuantizedProjection(
        "w",
        "in",
        "p",
        "sparse",
        np.ones(4, np.int8),
        1,
        indptr=np.array([0, 1, 2, 3, 4]),
        indices=np.array([0, 1, 2, 3]),
    )
    program = build_program(network([PORT], [population("p", (8,))], [edge]))
    assert program.table[0, f.J_KIND] == f.KIND_DENSE8


def test_quads_pad_with_zero_weights_and_targets_their_quad_lacks(
    population: Make, network: Make
) -> None:
    r = np.random.default_rng(0)
    counts = r.integers(0, 7, 200)
    picks = [np.sort(r.permutation(900)[:k]) for k in counts]
    picks[3] = np.array([0, 1, 2])
    counts[3] = 3
    indices = np.concatenate(picks)
    edge = QuantizedProjection(
        "w",
        "in",
        "p",
        "sparse",
        np.ones(indices.size, np.int8),
        1,
        indptr=np.concatenate([[0], np.cumsum(counts)]),
        indices=indices,
    )
    port = InputPort("in", (200,))
    program = build_program(network([port], [population("p", (900,))], [edge]))
    assert program.table[0, f.J_KIND] == f.KIND_SPARSE_WIDE
    n_quads = int(program.pools["pointers"][200])
    quads = program.pools["quads"].view(np.uint16).reshape(-1, 4)[:n_quads]
    weights = program.pools["quad_weights"].view(np.int8).reshape(-1, 4)[:n_quads]
    assert weights.sum() == indices.size
    for targets, used in zip(quads, weights, strict=True):
        real = targets[used != 0]
        assert np.unique(real).size == real.size
        assert not set(targets[used == 0]) & set(real)


def test_a_convolution_makes_its_target_channel_last(population: Make, network: Make) -> None:
    geometry = ConvGeometry((1, 3, 3), (2, 3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 1)
    kernel = np.ones((2, 1, 3, 3), np.int8)
    edge = QuantizedProjection("c", "in", "p", "conv", kernel, 1, geometry=geometry)
    port = InputPort("in", (1, 3, 3))
    program = build_program(network([port], [population("p", (2, 3, 3))], [edge]))
    order = program.orders["p"]
    assert order is not None
    assert order[:4].tolist() == [0, 9, 1, 10]
    window = program.windows[0]
    assert window is not None
    assert (window.rows, window.length, window.stride) == (3, 6, 10)
    assert window.size == 5 * 5 * 2


def test_dense_synapses_take_one_byte(population: Make, network: Make) -> None:
    weights = np.random.default_rng(1).integers(-127, 128, (640, 512)).astype(np.int8)
    projection = QuantizedProjection("d", "in", "a", "dense", weights, 0)
    program = build_program(
        network([InputPort("in", (640,))], [population("a", (512,))], [projection])
    )
    assert program.n_bytes <= 1.02 * weights.size


@pytest.mark.parametrize(("n", "fan"), [(20_000, 100), (6_000, 1_100), (70_000, 40)])
def test_sparse_synapses_take_four_bytes(population: Make, network: Make, n: int, fan: int) -> None:
    rng = np.random.default_rng(2)
    n_source = 6_000 if n == 6_000 else 2_000  # 1,100 of 6,000: 18 % of a 36 MB matrix
    targets = (rng.integers(0, n, (n_source, 1)) + np.arange(fan) * (n // fan)) % n
    targets.sort(axis=1)
    projection = QuantizedProjection(
        "s", "in", "a", "sparse", rng.integers(1, 100, n_source * fan).astype(np.int8), 0,
        indptr=np.arange(n_source + 1) * fan, indices=targets.ravel(),
    )  # fmt: skip
    program = build_program(
        network([InputPort("in", (n_source,))], [population("a", (n,))], [projection])
    )
    pointers, empty_pools = 4 * n_source, 4096
    assert program.n_bytes <= 4 * n_source * fan + pointers + empty_pools
