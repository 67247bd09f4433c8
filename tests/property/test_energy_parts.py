"""Energy is the sum of its parts, unpriced kinds stay visible, pace only moves the static part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmhw.sim.timing import estimate_latency
from nmhw.values.chip import EVENT_KINDS, CostTable, Figure, SyncSpec
from nmhw.values.cost import price_energy
from nmhw.values.result import Counters

CORE_KINDS = [k for k in EVENT_KINDS if k.split(".")[0] in ("synop", "neuron", "axon", "hop")]


def make_counters(seed: int, n_cores: int = 3, n_samples: int = 2, n_steps: int = 4) -> Counters:
    rng = np.random.default_rng(seed)
    shape = (n_samples * n_steps, n_cores)
    kept = [k for k in CORE_KINDS if not k.startswith("hop")]
    steps = {k: rng.integers(0, 50, shape).astype(np.int32) for k in kept}
    totals = {k: v.sum(axis=0).astype(np.int64) for k, v in steps.items()}
    totals |= {k: rng.integers(0, 50, n_cores) for k in CORE_KINDS if k.startswith("hop")}
    return Counters(
        n_samples=n_samples,
        n_steps=n_steps,
        cores=np.arange(n_cores),
        totals=totals,
        steps=steps,
        synops_by_projection={},
        spikes_by_population={},
        events_by_input={"in": 5},
        connections=0,
        saturations={},
        n_tiles=1,
        n_chips=1,
    )


def figure(value: float | None, unit: str = "pJ", **more: object) -> Figure:
    return Figure(value, unit, "test", **more)


@st.composite
def tables(draw: st.DrawFn) -> CostTable:
    prices = st.one_of(st.none(), st.floats(0, 100))
    energy = {k: figure(draw(prices)) for k in EVENT_KINDS if draw(st.booleans())}
    latency = {k: figure(draw(st.floats(0, 100)), "ns") for k in CORE_KINDS}
    static = {"chip": figure(draw(st.floats(0, 1)), "W")}
    sync = SyncSpec("table", ((1, figure(600, "ns")),))
    return CostTable("t", "t", energy, latency, static, sync)


@given(tables(), st.integers(0, 5))
def test_energy_is_the_sum_of_its_parts(table: CostTable, seed: int) -> None:
    counters = make_counters(seed)
    energy = price_energy(counters, table, estimate_latency(counters, table, "free", None))
    lines = sum(line.energy_j or 0.0 for line in energy.lines)
    assert energy.total_j == pytest.approx(lines + (energy.static_j or 0.0), rel=1e-12)
    missing = {line.kind for line in energy.lines if line.count and line.energy_j is None}
    assert missing == set(energy.unpriced)
    assert energy.is_lower_bound == bool(missing)
    for line in energy.lines:
        priced = table.energy_pj.get(line.kind)
        if priced is not None and priced.value is not None:
            assert line.energy_j == pytest.approx(line.count * priced.value * 1e-12)


@given(tables(), st.floats(1e-9, 1e-2))
def test_dynamic_energy_is_the_same_under_every_pace(table: CostTable, period_s: float) -> None:
    counters = make_counters(1)
    free = price_energy(counters, table, estimate_latency(counters, table, "free", None))
    latency = estimate_latency(counters, table, "period", period_s)
    paced = price_energy(counters, table, latency)
    assert paced.dynamic_j == free.dynamic_j
    assert (paced.static_j or 0) >= (free.static_j or 0) or latency.overrun_steps == 0
    assert latency.per_sample_s >= counters.n_steps * period_s * (1 - 1e-12)


def test_without_a_table_everything_is_unpriced_and_nothing_is_zero() -> None:
    counters = make_counters(0)
    latency = estimate_latency(counters, None, "free", None)
    energy = price_energy(counters, None, latency)
    assert energy.total_j is None
    assert latency.per_sample_s is None
    assert "static" in energy.unpriced
    assert "synop.dense" in energy.unpriced


def test_included_kinds_cost_nothing_and_are_not_unpriced() -> None:
    counters = make_counters(0)
    table = CostTable(
        "t", "t", {"neuron.visit": figure(None, included_in="neuron.idle")}, {}, {}, SyncSpec()
    )
    energy = price_energy(counters, table, estimate_latency(counters, table, "free", None))
    assert "neuron.visit" not in energy.unpriced


def test_step_time_is_the_slowest_core_plus_the_barrier() -> None:
    counters = make_counters(3)
    latency_ns = {"neuron.active": figure(10, "ns"), "synop.dense": figure(2, "ns")}
    points = ((1, figure(600, "ns")), (2, figure(1000, "ns")))
    table = CostTable("t", "t", {}, latency_ns, {}, SyncSpec("table", points))
    latency = estimate_latency(counters, table, "free", None)
    worst = [
        max((active * 10).max(), (synops * 2).max()) + 600
        for active, synops in zip(
            counters.steps["neuron.active"], counters.steps["synop.dense"], strict=True
        )
    ]
    assert latency.free_step_s == pytest.approx(np.mean(worst) * 1e-9)
    assert "axon.in" in latency.unpriced
