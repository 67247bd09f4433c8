"""Samples over threads: the same bytes for any number of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nmhw.api.reading import chip
from nmhw.errors import InputError, UsageError
from nmhw.sim.chip_run import run_chip
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.program import build_program
from nmhw.sim.threads import count_threads, run_samples
from nmhw.values.events import SpikeEvents
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.network import InputPort
from nmhw.values.probe import Probe
from nmhw.values.quantized import CellSpec, QuantizedNetwork, QuantizedProjection

Make = Callable[..., Any]


@pytest.fixture
def net(population: Make, network: Make) -> QuantizedNetwork:
    r = np.random.default_rng(5)
    first = population("hidden", (12,), CellSpec(v_decay="shift"), v_keep=2, threshold=60)
    last = population("last", (4,), CellSpec(reset="subtract", max_spikes_per_step=3))
    return network(
        [InputPort("in", (9,))],
        [first, last],
        [
            QuantizedProjection("a", "in", "hidden", "dense", r.integers(-40, 60, (9, 12)), 1),
            QuantizedProjection("b", "hidden", "last", "dense", r.integers(-9, 29, (12, 4)), 2),
            QuantizedProjection("c", "hidden", "hidden", "dense", r.integers(-9, 9, (12, 12)), 1),
        ],
    )


@pytest.fixture
def events() -> SpikeEvents:
    r = np.random.default_rng(6)
    return SpikeEvents.from_dense((r.random((7, 10, 9)) < 0.4).astype(np.int64))


def everything(output: EngineOutput) -> dict[str, np.ndarray[Any, Any]]:
    found: dict[str, Any] = {f"{n} sample": e.sample for n, e in output.spikes.items()}
    found |= {f"{n} step": e.step for n, e in output.spikes.items()}
    found |= {f"{n} index": e.index for n, e in output.spikes.items()}
    found |= {f"{key} probe": data.values for key, data in output.probes.items()}
    for field in ("spike_totals", "undelivered", "step_counts", "active_updates", "saturations"):
        found |= {f"{n} {field}": value for n, value in getattr(output, field).items()}
    found |= {f"{n} v": state.v for n, state in output.states.items()}
    return found


@pytest.mark.parametrize("threads", [2, 3, 7, 20])
@pytest.mark.parametrize("keep_spikes", [0, 10**8])
def test_any_number_of_threads_returns_the_same(
    net: QuantizedNetwork, events: SpikeEvents, threads: int, keep_spikes: int
) -> None:
    options: dict[str, Any] = {
        "n_steps": 10, "keep_spikes": keep_spikes, "probes": [Probe("hidden", "v", 3)]
    }  # fmt: skip
    program = build_program(net)
    alone = run_samples(program, {"in": events}, threads=1, **options)
    together = run_samples(program, {"in": events}, threads=threads, **options)
    assert together.dropped == alone.dropped
    assert {n: e.n_samples for n, e in together.spikes.items()}["in"] == 7
    one, other = everything(alone), everything(together)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(other[name], value, err_msg=name)
    assert sum(t.sum() for t in alone.spike_totals.values()) > 50


def test_counters_per_step_do_not_depend_on_threads(
    net: QuantizedNetwork, events: SpikeEvents
) -> None:
    places = {"hidden": [(0, 8, 0), (8, 12, 1)], "last": [(0, 4, 2)]}
    slices = tuple(Slice(n, np.arange(a, b), c) for n, parts in places.items() for a, b, c in parts)
    kinds = {("a", 0): "dense", ("a", 1): "dense", ("b", 2): "dense"}
    kinds |= {("c", 0): "dense", ("c", 1): "dense"}
    mapping = Mapping("three", slices, kinds, ())
    runs = [
        run_chip(net, mapping, chip("generic"), {"in": events}, threads=threads).counters
        for threads in (1, 3)
    ]
    assert runs[0] is not None
    assert runs[1] is not None
    for kind, values in runs[0].totals.items():
        np.testing.assert_array_equal(runs[1].totals[kind], values)
    assert runs[0].steps is not None
    assert runs[1].steps is not None
    for kind, values in runs[0].steps.items():
        np.testing.assert_array_equal(runs[1].steps[kind], values)


def test_progress_adds_up_and_an_exception_in_it_stops_the_run(
    net: QuantizedNetwork, events: SpikeEvents
) -> None:
    seen: list[tuple[int, int]] = []
    program = build_program(net)
    run_samples(program, {"in": events}, n_steps=10, threads=3, progress=lambda *a: seen.append(a))
    assert seen[-1] == (70, 70)

    def fail(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_samples(program, {"in": events}, n_steps=10, threads=3, progress=fail)


def test_events_out_of_range_are_refused_with_threads_too(net: QuantizedNetwork) -> None:
    one = np.array([0, 9], np.int32)
    outside = SpikeEvents(one, one * 0, one * 0, 3, 10, (9,))
    with pytest.raises(InputError):
        run_samples(build_program(net), {"in": outside}, n_steps=10, threads=2)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "2"])
def test_a_wrong_number_of_threads_is_a_usage_error(wrong: Any) -> None:
    with pytest.raises(UsageError, match="threads"):
        count_threads(wrong)
