"""The engine: inputs, chunks, buffers, what is kept and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim import engine, spike_store, workspace
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput, EventChunk
from nmhw.sim.kernels.fields import J_KIND, KIND_SPARSE32, KIND_SPARSE_PACKED
from nmhw.sim.kernels.neurons import SCAN_SLACK
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort
from nmhw.values.probe import Probe
from nmhw.values.quantized import CellSpec, QuantizedNetwork, QuantizedProjection

Make = Callable[..., Any]


@pytest.fixture
def two_layers(population: Make, network: Make) -> QuantizedNetwork:
    r = np.random.default_rng(3)
    first = population("hidden", (30,), CellSpec(v_decay="shift"), v_keep=2, threshold=60)
    last = population("last", (5,), CellSpec(reset="subtract", max_spikes_per_step=3))
    return network(
        [InputPort("in", (20,))],
        [first, last],
        [
            QuantizedProjection("a", "in", "hidden", "dense", r.integers(-40, 60, (20, 30)), 1),
            QuantizedProjection("b", "hidden", "last", "dense", r.integers(-9, 19, (30, 5)), 2),
            QuantizedProjection("c", "hidden", "hidden", "dense", r.integers(-9, 9, (30, 30)), 1),
        ],
    )


@pytest.fixture
def events() -> SpikeEvents:
    r = np.random.default_rng(4)
    return SpikeEvents.from_dense((r.random((3, 12, 20)) < 0.4).astype(np.int64))


def assert_same(one: EngineOutput, other: EngineOutput) -> None:
    for name in one.spikes:
        for field in ("sample", "step", "index"):
            a, b = getattr(one.spikes[name], field), getattr(other.spikes[name], field)
            np.testing.assert_array_equal(a, b)
    for name in one.spike_totals:
        np.testing.assert_array_equal(one.spike_totals[name], other.spike_totals[name])
        np.testing.assert_array_equal(one.states[name].v, other.states[name].v)
        np.testing.assert_array_equal(one.undelivered[name], other.undelivered[name])


def test_results_do_not_depend_on_chunks(
    two_layers: QuantizedNetwork, events: SpikeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = build_program(two_layers)
    whole = run_program(program, {"in": events}, n_steps=14, continuous=True)
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(engine, "FIRST_CHUNK", 1)
    monkeypatch.setattr(engine, "CHUNK_S", 0.0)
    stepwise = run_program(
        program,
        {"in": events},
        n_steps=14,
        continuous=True,
        progress=lambda rows, total: done.append((rows, total)),
    )
    assert done == [(k + 1, 42) for k in range(42)]
    assert_same(whole, stepwise)


def test_results_do_not_depend_on_the_event_buffer(
    two_layers: QuantizedNetwork, events: SpikeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = build_program(two_layers)
    whole = run_program(program, {"in": events}, n_steps=14)
    chunks: list[EventChunk] = []
    monkeypatch.setattr(workspace, "_buffer_size", lambda control, size: 30 + 3 * 5)
    again = build_program(two_layers)
    small = run_program(again, {"in": events}, n_steps=14, on_chunk=chunks.append)
    assert len(chunks) > 5
    assert [c.first_row for c in chunks[1:]] == [c.end_row for c in chunks[:-1]]
    assert_same(whole, small)


def test_a_program_runs_again_without_touching_earlier_results(
    two_layers: QuantizedNetwork, events: SpikeEvents
) -> None:
    program = build_program(two_layers)
    probes = [Probe("hidden", "v", 2)]
    first = run_program(program, {"in": events}, n_steps=14, probes=probes)
    assert len(program.spare) == 1
    before = {k: v.copy() for k, v in first.step_counts.items()}
    values = first.probes["hidden", "v"].values.copy()
    silent = SpikeEvents.from_dense(np.zeros((3, 12, 20), np.int64))
    run_program(program, {"in": silent}, n_steps=14, probes=probes)
    third = run_program(program, {"in": events}, n_steps=14, probes=probes)
    assert_same(first, third)
    np.testing.assert_array_equal(first.probes["hidden", "v"].values, values)
    for name, counts in before.items():
        np.testing.assert_array_equal(first.step_counts[name], counts)
        np.testing.assert_array_equal(first.active_updates[name], third.active_updates[name])
        assert first.saturations[name] == third.saturations[name]


def test_spikes_beyond_the_limit_are_dropped_but_never_those_of_outputs(
    two_layers: QuantizedNetwork, events: SpikeEvents
) -> None:
    program = build_program(two_layers)
    seen: list[EventChunk] = []
    full = run_program(program, {"in": events}, n_steps=14)
    some = run_program(program, {"in": events}, n_steps=14, keep_spikes=5, on_chunk=seen.append)
    assert full.dropped == ()
    assert some.dropped == ("hidden",)
    assert set(some.spikes) == {"in", "last"}
    np.testing.assert_array_equal(some.spikes["last"].index, full.spikes["last"].index)
    np.testing.assert_array_equal(some.spike_totals["hidden"], full.spike_totals["hidden"])
    hidden = np.concatenate([chunk.events["hidden"][2] for chunk in seen])
    np.testing.assert_array_equal(hidden, full.spikes["hidden"].index)


def test_spikes_beyond_the_limit_are_dropped_once_per_part(
    two_layers: QuantizedNetwork, events: SpikeEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = run_program(build_program(two_layers), {"in": events}, n_steps=14)
    chunks: list[EventChunk] = []
    monkeypatch.setattr(workspace, "_buffer_size", lambda control, size: 30 + 3 * 5)
    chosen = mock.Mock(wraps=spike_store._choose)
    monkeypatch.setattr(spike_store, "_choose", chosen)
    program = build_program(two_layers)
    for limit in (0, 40):
        chunks.clear()
        chosen.reset_mock()
        some = run_program(
            program, {"in": events}, n_steps=14, keep_spikes=limit, on_chunk=chunks.append
        )
        assert chosen.call_count == len(chunks) - 1 > 5  # the last is written where it belongs
        np.testing.assert_array_equal(some.spikes["last"].index, full.spikes["last"].index)
        np.testing.assert_array_equal(some.spikes["last"].step, full.spikes["last"].step)


def test_undelivered_spikes_are_those_of_the_last_steps(
    two_layers: QuantizedNetwork, events: SpikeEvents
) -> None:
    output = run_program(build_program(two_layers), {"in": events}, n_steps=14)
    hidden = output.spikes["hidden"]
    assert output.undelivered["hidden"].shape == (2, 30)
    for k in range(2):
        late = np.bincount(hidden.index[hidden.step == 13 - k], minlength=30)
        np.testing.assert_array_equal(output.undelivered["hidden"][k], late)
    assert output.undelivered["last"].shape == (0, 5)


@pytest.mark.parametrize(
    ("largest", "kind"),
    [(90, KIND_SPARSE_PACKED), (16_383, KIND_SPARSE_PACKED), (16_385, KIND_SPARSE32)],
)
def test_more_than_65536_targets_equal_the_reference(
    population: Make, network: Make, largest: int, kind: int
) -> None:
    r = np.random.default_rng(0)
    n = 70_000
    indices = np.sort(r.integers(0, n, (6, 40)), axis=1).ravel()
    edge = QuantizedProjection(
        "wide",
        "in",
        "p",
        "sparse",
        np.append(r.integers(-largest, largest, indices.size - 2), (largest, -largest)).astype(
            np.int32
        ),
        1,
        indptr=np.arange(7) * 40,
        indices=indices,
    )
    small = network([InputPort("in", (6,))], [population("p", (n,), threshold=40)], [edge])
    raster = (r.random((1, 5, 6)) < 0.7).astype(np.int64)
    given = {"in": SpikeEvents.from_dense(raster)}
    program = build_program(small)
    assert program.table[0, J_KIND] == kind
    got = run_program(program, given, n_steps=6)
    expected = run_reference(small, given, n_steps=6)
    assert len(expected.spikes["p"]) > 50
    np.testing.assert_array_equal(got.spikes["p"].index, expected.spikes["p"].index)
    np.testing.assert_array_equal(got.states["p"].v, expected.states["p"].v)


def test_a_network_without_inputs_runs_on_its_biases(population: Make, network: Make) -> None:
    cell = population("p", (3,), v_bias=4, threshold=10)
    edge = QuantizedProjection("r", "p", "p", "dense", np.zeros((3, 3), np.int8), 1)
    program = build_program(network([], [cell], [edge]))
    output = run_program(program, {}, n_steps=7, n_samples=2)
    assert output.spikes["p"].step[:6].tolist() == [2, 2, 2, 5, 5, 5]
    with pytest.raises(UsageError, match="needs n_samples"):
        run_program(program, {}, n_steps=7)


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({}, InputError, "in: an input has no events"),
        ({"in": (1, 3, 20), "x": (1, 3, 20)}, InputError, "no such input: got 'x'"),
        ({"in": (1, 3, 19)}, InputError, r"events of another shape: got \(19,\) \(limit 20\)"),
    ],
)
def test_wrong_inputs_are_named(
    two_layers: QuantizedNetwork, given: dict[str, Any], error: type[Exception], text: str
) -> None:
    made = {k: SpikeEvents.from_dense(np.zeros(v, np.int64)) for k, v in given.items()}
    with pytest.raises(error, match=text):
        run_program(build_program(two_layers), made, n_steps=3)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("index", 20, r"index is out of range: got 20 \(limit 20\)"),
        ("index", -1, "index is out of range: got -1"),
        ("sample", 7, r"sample is out of range: got 7 \(limit 3\)"),
        ("step", -2, "step is out of range: got -2"),
    ],
)
def test_events_out_of_range_are_refused(
    two_layers: QuantizedNetwork, field: str, value: int, text: str
) -> None:
    parts = {"sample": 0, "step": 0, "index": 0, field: value}
    arrays = (np.array([parts[k]], np.int32) for k in ("sample", "step", "index"))
    with pytest.raises(InputError, match=text):
        run_program(
            build_program(two_layers), {"in": SpikeEvents(*arrays, 3, 12, (20,))}, n_steps=12
        )


def test_graded_events_are_refused(two_layers: QuantizedNetwork) -> None:
    zero = np.zeros(1, np.int32)
    graded = SpikeEvents(zero, zero, zero, 1, 3, (20,), np.array([0.5]))
    with pytest.raises(UnsupportedError, match=r"in: .*graded"):
        run_program(build_program(two_layers), {"in": graded}, n_steps=3)


def test_unsorted_events_are_sorted(two_layers: QuantizedNetwork, events: SpikeEvents) -> None:
    order = np.random.default_rng(0).permutation(len(events))
    shuffled = SpikeEvents(
        events.sample[order], events.step[order], events.index[order], 3, 12, (20,)
    )
    program = build_program(two_layers)
    one = run_program(program, {"in": events}, n_steps=12)
    other = run_program(program, {"in": shuffled}, n_steps=12)
    np.testing.assert_array_equal(one.spikes["last"].index, other.spikes["last"].index)


def test_sums_that_could_leave_32_bits_are_refused(population: Make, network: Make) -> None:
    edge = QuantizedProjection("w", "in", "p", "dense", np.full((4, 2), 2**30 - 1), 1)
    small = network([InputPort("in", (4,))], [population("p", (2,))], [edge])
    given = {"in": SpikeEvents.from_dense(np.ones((1, 2, 4), np.int64))}
    with pytest.raises(UnsupportedError, match=r"p: the summed input .* exceed 32 bits"):
        run_program(build_program(small), given, n_steps=2)


def test_oversized_spike_rings_are_refused(population: Make, network: Make) -> None:
    edge = QuantizedProjection("w", "in", "p", "dense", np.ones((4, 4), np.int8), 1)
    given = {"in": SpikeEvents.from_dense(np.ones((1, 2, 4), np.int64))}
    cell = population("p", (4,), CellSpec(max_spikes_per_step=2**29, reset="none"))
    grows = network([InputPort("in", (4,))], [cell], [edge])
    with pytest.raises(UnsupportedError, match=r"p: .*spike rings"):
        run_program(build_program(grows), given, n_steps=2)
    cell = population("p", (4,), CellSpec(max_spikes_per_step=2**29))
    bounded = network([InputPort("in", (4,))], [cell], [edge])
    assert run_program(build_program(bounded), given, n_steps=2).spike_totals["p"].size == 4


@pytest.mark.parametrize("delay", [0, 5])
def test_blocks_shrink_before_spike_rings_are_refused(
    population: Make, network: Make, monkeypatch: pytest.MonkeyPatch, delay: int
) -> None:
    into = QuantizedProjection("w", "in", "p", "dense", np.ones((4, 4), np.int8), 0)
    onward = QuantizedProjection("x", "p", "q", "dense", np.ones((4, 4), np.int8), delay)
    cells = [population(name, (4,), CellSpec()) for name in "pq"]
    chain = network([InputPort("in", (4,))], cells, [into, onward])
    given = {"in": SpikeEvents.from_dense(np.ones((1, 9, 4), np.int64))}
    whole = run_program(build_program(chain), given, n_steps=9)
    least = (4 + SCAN_SLACK) * (2 + delay)  # one step of both, and those on their way
    monkeypatch.setattr(workspace, "MAX_RING", least)
    assert_same(run_program(build_program(chain), given, n_steps=9), whole)
    monkeypatch.setattr(workspace, "MAX_RING", least - 1)
    with pytest.raises(UnsupportedError, match="spike rings"):
        run_program(build_program(chain), given, n_steps=9)


def test_an_unknown_probe_is_refused(two_layers: QuantizedNetwork, events: SpikeEvents) -> None:
    with pytest.raises(UsageError, match="no such population to probe: got 'lif'"):
        run_program(build_program(two_layers), {"in": events}, n_steps=3, probes=[Probe("lif")])


def test_active_updates_per_core_add_up(two_layers: QuantizedNetwork, events: SpikeEvents) -> None:
    program = build_program(two_layers)
    columns = {"hidden": np.arange(30) % 3, "last": np.full(5, 3)}
    options: dict[str, Any] = {"n_steps": 14, "core_columns": columns}
    output = run_program(program, {"in": events}, **options, core_steps=True)
    assert output.core_active is not None
    assert output.core_active.shape == (42, 4)
    by_column = sum(output.active_updates.values())
    np.testing.assert_array_equal(output.core_active.sum(axis=0), by_column)
    totals = run_program(program, {"in": events}, **options)
    assert totals.core_active is None
    whole = run_program(program, {"in": events}, n_steps=14)
    for name, counts in output.active_updates.items():
        np.testing.assert_array_equal(totals.active_updates[name], counts)
        assert whole.active_updates[name].tolist() == [counts.sum()] != [0]
