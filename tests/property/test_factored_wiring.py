"""Convolutions wired between pixels, and the verifier's recount, against expanded synapses."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.sparse import kron

from nmhw.mappers.core_axons import axons_by_core
from nmhw.mappers.wiring import wire_projection
from nmhw.values.connectivity import pixel_counts, pooled_map, pooled_rows, synapse_counts
from nmhw.values.linear import Conv, Pool
from nmhw.values.quantized import ConvGeometry, QuantizedProjection


@st.composite
def pooled(draw: st.DrawFn, channels: int) -> tuple[tuple[Pool, ...], tuple[int, int, int]]:
    """Up to two pools, overlapping, with gaps or padded, and the map they make."""
    shape = (channels, draw(st.integers(1, 7)), draw(st.integers(1, 7)))
    pools: list[Pool] = []
    for _ in range(draw(st.integers(0, 2))):
        kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
        assume(all(n + 2 * p >= k for n, p, k in zip(shape[1:], padding, kernel, strict=True)))
        pools.append(Pool("sum", shape, kernel, stride, padding))
        shape = pools[-1].output_shape
    return tuple(pools), shape


@st.composite
def convolutions(draw: st.DrawFn) -> QuantizedProjection:
    """Any kernel, stride, padding per side, dilation, groups, some weights zero."""
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 3))
    pools, shape = draw(pooled(c_in))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    weights = rng.integers(-1, 2, (c_out, c_in // groups, *kernel))
    conv = Conv(weights.astype(float), shape, stride, padding, dilation, groups)
    assume(min(conv.out_spatial) >= 1)
    geometry = ConvGeometry(shape, (c_out, *conv.out_spatial), stride, padding, dilation, groups)
    return QuantizedProjection("c", "in", "out", "conv", weights, 1, geometry=geometry, pools=pools)


@st.composite
def matrices(draw: st.DrawFn) -> QuantizedProjection:
    """Dense or sparse storage behind up to two pools."""
    pools, shape = draw(pooled(draw(st.integers(1, 2))))
    n_in, n_target = int(np.prod(shape)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        weights = rng.integers(-3, 4, (n_in, n_target))
        return QuantizedProjection("d", "in", "out", "dense", weights, 1, pools=pools)
    kept = rng.random((n_in, n_target)) < 0.3
    indptr = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
    indices = np.nonzero(kept)[1].astype(np.int64)
    weights = rng.integers(-3, 4, indices.size)
    return QuantizedProjection(
        "s", "in", "out", "sparse", weights, 1, indptr=indptr, indices=indices, pools=pools
    )


def sizes(projection: QuantizedProjection) -> tuple[int, int]:
    """Return the number of source elements and of targets."""
    geometry, pools = projection.geometry, projection.pools
    if geometry is not None:
        first = pools[0].in_shape if pools else geometry.in_shape
        return int(np.prod(first)), int(np.prod(geometry.out_shape))
    n_in = projection.indptr.size - 1 if projection.indptr is not None else None
    n_in = projection.weights.shape[0] if n_in is None else n_in
    n_target = projection.weights.shape[1] if projection.storage == "dense" else 9
    return int(np.prod(pools[0].in_shape)) if pools else n_in, n_target


@given(convolutions())
def test_channels_of_a_group_are_wired_alike(projection):
    n_source, n_target = sizes(projection)
    groups = projection.geometry.groups
    c_out, c_in = projection.weights.shape[:2]
    blocks = kron(np.eye(groups), np.ones((c_in, c_out // groups)))
    made = kron(blocks, pixel_counts(projection)).toarray()
    np.testing.assert_array_equal(made, synapse_counts(projection, n_source, n_target).toarray())


@given(convolutions() | matrices())
def test_pooled_rows_are_those_of_the_whole_map(projection):
    n_source, _ = sizes(projection)
    expected = np.asarray(pooled_map(projection, n_source).sum(axis=1)).ravel()
    np.testing.assert_array_equal(pooled_rows(projection, n_source), expected)


@given(convolutions() | matrices(), st.integers(0, 1000))
def test_wiring_counts_what_expanded_synapses_count(projection, seed):
    n_source, n_target = sizes(projection)
    counts = synapse_counts(projection, n_source, n_target).toarray()
    rows = np.asarray(pooled_map(projection, n_source).sum(axis=1)).ravel()
    wires = wire_projection(projection, n_source, n_target)
    chosen = np.flatnonzero(np.random.default_rng(seed).random(n_target) < 0.5)
    source, n_synapses = wires.axons_of(chosen)
    here = counts[:, chosen].sum(axis=1)
    if projection.storage == "dense" and not chosen.size:
        here, n_synapses = rows, rows[source]  # of no neurons, dense storage lists all sources
    np.testing.assert_array_equal(source, np.flatnonzero(here))
    np.testing.assert_array_equal(n_synapses, here[source])
    assert wires.n_synapses == counts.sum()
    np.testing.assert_array_equal(wires.connected(), np.flatnonzero(counts.sum(axis=1)))
    np.testing.assert_array_equal(wires.fan_in(), (counts > 0).sum(axis=0))
    np.testing.assert_array_equal(wires.synapses(), counts.sum(axis=0))
    squares = wires.sum_over_axons(np.square)
    np.testing.assert_array_equal(squares, np.square(counts).sum(axis=0))
    cubes = wires.sum_over_axons(lambda read: read**3, in_rows=True)
    np.testing.assert_array_equal(cubes, (rows[:, None] ** 3 * (counts > 0)).sum(axis=0))


@given(convolutions() | matrices(), st.integers(0, 1000))
def test_the_recount_finds_the_axons_of_expanded_synapses(projection, seed):
    n_source, n_target = sizes(projection)
    counts = synapse_counts(projection, n_source, n_target).toarray()
    home = np.random.default_rng(seed).choice([2, 3, 5, 8], n_target)
    found = {}
    for axons in axons_by_core(projection, n_source, home):
        assert axons.core not in found
        assert axons.source.size
        order = np.argsort(axons.source)
        found[axons.core] = (axons.source[order].tolist(), axons.n_synapses[order].tolist())
    assert list(found) == sorted(found)
    expected = {}
    for core in np.unique(home).tolist():
        here = counts[:, home == core].sum(axis=1)
        if here.any():
            expected[core] = (np.flatnonzero(here).tolist(), here[here > 0].tolist())
    assert found == expected
