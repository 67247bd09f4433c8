"""Counters by hand: what is counted where, and in which step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError
from nmhw.sim import step_counter as step_counter_module
from nmhw.sim import step_tables as step_tables_module
from nmhw.sim.backends import run_backend
from nmhw.sim.chip_run import keep_tables, run_chip
from nmhw.sim.fanout import build_fan_out
from nmhw.values.chip import ArithmeticSpec, BoardSpec, ChipSpec, CoreSpec, MeshSpec
from nmhw.values.connectivity import synapse_counts
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Pool
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.network import InputPort
from nmhw.values.quantized import ConvGeometry, QuantizedNetwork, QuantizedProjection
from nmhw.values.result import Counters

Make = Callable[..., Any]

CHIP = ChipSpec(
    name="two",
    title="two chips of 2 x 2 tiles",
    describes="board",
    arithmetic=ArithmeticSpec("generic", "none"),
    mesh=MeshSpec(2, 2),
    cores=(CoreSpec("all", 4, {}),),
    encodings=(),
    costs={},
    default_costs=None,
    pace="free",
    sources={},
    board=BoardSpec(2, 1),
)


@pytest.fixture
def relay(population: Make, network: Make) -> QuantizedNetwork:
    """One input spike -> both neurons of a (delay 0) -> b (delay 1) -> a again (delay 1)."""
    ones = np.ones((2, 2), np.int8) * 10
    quiet = np.zeros((2, 2), np.int8)
    return network(
        [InputPort("in", (2,))],
        [population("a", (2,), threshold=5), population("b", (2,), threshold=15)],
        [
            QuantizedProjection("x", "in", "a", "dense", ones, 0),
            QuantizedProjection("y", "a", "b", "dense", ones, 1),
            QuantizedProjection("z", "b", "a", "dense", quiet, 1),
        ],
        drain_steps=1,
    )


def mapping_of(**cores: list[int]) -> Mapping:
    slices = [
        Slice(name, np.flatnonzero(np.array(where) == core), core)
        for name, where in cores.items()
        for core in sorted(set(where))
    ]
    kinds = {(p, core): "dense" for p in "xyz" for core in range(8)}
    return Mapping("two", tuple(slices), kinds, ())


def count(network: QuantizedNetwork, mapping: Mapping, steps: list[int], n: int) -> Counters:
    raster = np.zeros((1, n, 2), np.int64)
    raster[0, steps, 0] = 1
    result = run_chip(network, mapping, CHIP, {"in": SpikeEvents.from_dense(raster)})
    assert result.counters is not None
    return result.counters


def test_one_spike_is_followed_through_cores_and_steps(relay: QuantizedNetwork) -> None:
    counters = count(relay, mapping_of(a=[0, 3], b=[4, 4]), [0], 2)
    assert counters.cores.tolist() == [0, 3, 4]
    assert (counters.n_tiles, counters.n_chips, counters.n_steps) == (3, 2, 3)
    totals = {kind: values.tolist() for kind, values in counters.totals.items()}
    assert totals["neuron.spike"] == [1, 1, 2]
    assert totals["neuron.visit"] == [3, 3, 6]
    # the input reaches cores 0 and 3, both a spikes core 4, both b spikes cores 0 and 3
    assert totals["axon.in"] == [3, 3, 2]
    assert totals["axon.out"] == [1, 1, 4]
    assert totals["synop.dense"] == [3, 3, 4]
    assert totals["synop.sparse"] == [0, 0, 0]
    # port (0, 0) to core 3 at (1, 1); core 0 to 4: 2 right; 3 to 4: 1 right, 1 up; back likewise
    assert totals["hop.x"] == [2, 1 + 1, 2 * (2 + 1)]
    assert totals["hop.y"] == [0, 1 + 1, 2 * (0 + 1)]
    assert totals["hop.local"] == [1, 0, 0]
    assert totals["link.crossing"] == [1, 1, 4]
    assert counters.steps is not None
    assert counters.steps["neuron.spike"].tolist() == [[1, 1, 0], [0, 0, 2], [0, 0, 0]]
    assert counters.steps["synop.dense"].tolist() == [[1, 1, 0], [0, 0, 4], [2, 2, 0]]
    assert counters.synops_by_projection == {"x": 2, "y": 4, "z": 4}
    assert counters.events_by_input == {"in": 1}
    assert counters.connections == 10


def test_what_would_arrive_after_the_end_is_sent_but_not_delivered(
    relay: QuantizedNetwork,
) -> None:
    counters = count(relay, mapping_of(a=[0, 0], b=[1, 1]), [1], 2)
    assert counters.spikes_by_population == {"a": 2, "b": 2}
    assert counters.synops_by_projection == {"x": 2, "y": 4, "z": 0}
    assert counters.totals["axon.out"].tolist() == [2, 2]
    assert counters.totals["axon.in"].tolist() == [1, 2]


def test_idle_neurons_are_those_without_state_input_or_bias(relay: QuantizedNetwork) -> None:
    counters = count(relay, mapping_of(a=[0, 0], b=[0, 0]), [0], 2)
    # a: step 0 input; its weights from b are 0. b: step 1 input. Both reset to 0.
    assert counters.totals["neuron.active"].tolist() == [4]
    assert counters.totals["neuron.idle"].tolist() == [8]


def test_per_step_counts_are_left_out_when_they_would_be_too_large(
    relay: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_counter_module, "MAX_STEP_CELLS", 8)
    counters = count(relay, mapping_of(a=[0, 1], b=[2, 2]), [0], 2)
    assert counters.steps is None
    assert counters.total("neuron.visit") == 12


def test_a_mapping_that_misses_neurons_is_refused(relay: QuantizedNetwork) -> None:
    with pytest.raises(InputError, match="a: the mapping misses neurons: got 1"):
        build_fan_out(relay, mapping_of(a=[0], b=[1, 1]))


def test_a_missing_encoding_is_refused(relay: QuantizedNetwork) -> None:
    mapping = Mapping("two", mapping_of(a=[0, 0], b=[1, 1]).slices, {}, ())
    with pytest.raises(InputError, match="x: the mapping has no encoding"):
        build_fan_out(relay, mapping)


def test_convolution_tables_are_made_without_expanding_them(
    population: Make, network: Make
) -> None:
    pool = Pool("sum", (4, 9, 8), (2, 3), (2, 2), (1, 1))
    geometry = ConvGeometry((4, 5, 4), (6, 3, 3), (2, 2), (1, 1, 2, 2), (1, 2), 2)
    kernel = np.ones((6, 2, 3, 3), np.int8)
    assert geometry.as_conv(kernel).out_spatial == (3, 2)
    geometry = ConvGeometry((4, 5, 4), (6, 3, 2), (2, 2), (1, 1, 2, 2), (1, 2), 2)
    edge = QuantizedProjection("x", "in", "p", "conv", kernel, 1, geometry=geometry, pools=(pool,))
    small = network([InputPort("in", (4, 9, 8))], [population("p", (6, 3, 2))], [edge])
    core = np.random.default_rng(0).integers(0, 4, 36)
    slices = [Slice("p", np.flatnonzero(core == c), c) for c in range(4)]
    kinds = {("x", c): "shared" for c in range(4)}
    fan_out = build_fan_out(small, Mapping("two", tuple(slices), kinds, ()))
    expanded = synapse_counts(edge, 4 * 9 * 8, 36).toarray()
    table = fan_out.synops["x"].sparse
    assert table is not None
    for c in range(4):
        np.testing.assert_array_equal(table.toarray()[:, c], expanded[:, core == c].sum(axis=1))


def test_tables_are_kept_for_one_network_and_mapping(relay: QuantizedNetwork) -> None:
    kept: dict[str, Any] = {}
    near, far = mapping_of(a=[0, 0], b=[1, 1]), mapping_of(a=[0, 0], b=[7, 7])
    first = keep_tables(relay, near, kept)
    again = keep_tables(relay, near, kept)
    assert again[0] is first[0]
    assert again[1] is first[1]
    moved = keep_tables(relay, far, kept)
    assert moved[1].cores.tolist() == [0, 7]
    twin = replace(relay)
    assert keep_tables(twin, far, kept)[0].quantized is twin


def test_kept_tables_make_the_network_read_only(relay: QuantizedNetwork) -> None:
    keep_tables(relay, mapping_of(a=[0, 0], b=[1, 1]), {})
    with pytest.raises(ValueError, match="read-only"):
        relay.projections[0].weights[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        relay.population("a").threshold[0] = 1


def test_runs_with_kept_tables_are_equal(relay: QuantizedNetwork) -> None:
    mapping, kept = mapping_of(a=[0, 0], b=[1, 1]), {}
    raster = np.zeros((2, 5, 2), np.int64)
    raster[:, [0, 3], 0] = 1
    inputs = {"in": SpikeEvents.from_dense(raster)}
    fresh, *others = (
        run_backend("numba", relay, mapping, CHIP, inputs, kept=given)
        for given in (None, kept, kept)
    )
    assert fresh.counters is not None
    for other in others:
        assert other.counters is not None
        assert all((other.counters.totals[k] == v).all() for k, v in fresh.counters.totals.items())
        assert other.spikes["b"].index.tolist() == fresh.spikes["b"].index.tolist()
        assert other.spikes["b"].step.tolist() == fresh.spikes["b"].step.tolist()


@pytest.mark.parametrize(
    "limits",
    [
        {"MAX_CLASSES": 0, "MIN_SPARSITY": 0},
        {"MAX_CLASSES": 0, "MIN_SPARSITY": 10**9},
        {"MAX_CLASSES": 0, "MIN_SPARSITY": 10**9, "MAX_DENSE_TABLE": 0},
    ],
)
def test_counts_per_step_are_the_same_by_class_by_row_and_table_by_table(
    relay: QuantizedNetwork, monkeypatch: pytest.MonkeyPatch, limits: dict[str, int]
) -> None:
    mapping = mapping_of(a=[0, 1], b=[2, 1])
    by_class = count(relay, mapping, [0, 1], 4).steps
    for name, value in limits.items():
        monkeypatch.setattr(step_tables_module, name, value)
    other = count(relay, mapping, [0, 1], 4).steps
    assert by_class is not None
    assert other is not None
    assert by_class.keys() == other.keys()
    for kind, values in by_class.items():
        assert values.sum() > 0 or kind == "neuron.idle"
        np.testing.assert_array_equal(values, other[kind])
