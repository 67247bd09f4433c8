"""Latency: the slowest core of every step, the barrier or tick, and the pace on top."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.timing import estimate_latency, parse_pace, parse_seconds
from nmhw.values.chip import CostTable, Figure, SyncSpec
from nmhw.values.result import Counters


def ns(value: float | None, **more: Any) -> Figure:
    return Figure(value, "ns", "test", **more)


def make_counters(steps: dict[str, Any] | None, totals: dict[str, Any], **more: Any) -> Counters:
    """One sample of as many steps as the counts have rows."""
    n_steps = len(next(iter(steps.values()))) if steps else 4
    fields: dict[str, Any] = {
        "n_samples": 1, "n_steps": n_steps, "cores": np.arange(2), "synops_by_projection": {},
        "spikes_by_population": {}, "events_by_input": {}, "connections": 0, "saturations": {},
        "n_tiles": 1, "n_chips": 1,
    }  # fmt: skip
    arrays = None if steps is None else {k: np.array(v, np.int32) for k, v in steps.items()}
    sums = {k: np.array(v, np.int64) for k, v in totals.items()}
    return Counters(**{**fields, **more}, steps=arrays, totals=sums)


STEPS = {"neuron.active": [[10, 2], [0, 0]], "synop.dense": [[1, 90], [0, 4]]}
TOTALS = {"neuron.active": [10, 2], "synop.dense": [1, 94]}
PRICES = {"neuron.active": ns(5), "synop": ns(2)}
BARRIER = SyncSpec("table", ((1, ns(100)), (4, ns(400))))


def table(sync: SyncSpec = BARRIER, prices: dict[str, Figure] | None = None) -> CostTable:
    return CostTable("t", "t", {}, PRICES if prices is None else prices, {}, sync)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1ms", 1e-3), ("50us", 5e-5), ("3ns", 3e-9), ("2s", 2.0), ("1e-3", 1e-3), (" 2 ms", 2e-3)],
)
def test_times_with_and_without_a_unit(text: str, seconds: float) -> None:
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "ms", "-1ms", "0", "nan", "inf", "1e400", "1e10", "1 min"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_seconds(text)


def test_paces() -> None:
    assert parse_pace("free", None) == ("free", None)
    assert parse_pace("realtime", 1e-3) == ("realtime", 1e-3)
    assert parse_pace("period=2ms", None) == ("period", 2e-3)
    with pytest.raises(UsageError, match="pace realtime needs dt"):
        parse_pace("realtime", None)
    for text in ("", "Free", "period", "period=", "periods=1ms"):
        with pytest.raises(UsageError):
            parse_pace(text, 1e-3)


def test_a_step_takes_the_slowest_core_of_either_direction_and_the_barrier() -> None:
    latency = estimate_latency(make_counters(STEPS, TOTALS), table(), "free", None)
    # step 0: core 0 sends 50 ns, core 1 receives 180 ns; step 1: core 1 receives 8 ns
    assert latency.free_step_s == pytest.approx((180 + 100 + 8 + 100) / 2 * 1e-9)
    assert latency.step_s == latency.free_step_s
    assert latency.p99_step_s == pytest.approx(np.quantile([280e-9, 108e-9], 0.99))
    assert latency.per_sample_s == pytest.approx(2 * latency.step_s)
    assert latency.unpriced == ()


def test_the_barrier_of_the_largest_listed_board_not_above_the_used_tiles() -> None:
    def sync(tiles: int) -> float | None:
        counters = make_counters(STEPS, TOTALS, n_tiles=tiles)
        return estimate_latency(counters, table(), "free", None).sync_s

    assert [sync(n) for n in (1, 3, 4, 99)] == pytest.approx([1e-7, 1e-7, 4e-7, 4e-7])
    unknown = table(SyncSpec("table", ((4, ns(400)),)))
    latency = estimate_latency(make_counters(STEPS, TOTALS), unknown, "free", None)
    assert latency.step_s is None
    assert latency.notes == ("no barrier figure for 1 tiles",)


def test_a_slower_pace_stretches_short_steps_and_counts_late_ones() -> None:
    counters = make_counters(STEPS, TOTALS)
    slow = estimate_latency(counters, table(), "period", 1e-3)
    assert slow.step_s == pytest.approx(1e-3)
    assert slow.overrun_steps == 0
    tight = estimate_latency(counters, table(), "period", 200e-9)
    assert tight.step_s == pytest.approx((280e-9 + 200e-9) / 2)
    assert tight.overrun_steps == 1
    assert tight.free_step_s == slow.free_step_s


def test_a_tick_is_the_shortest_step() -> None:
    tick = SyncSpec("tick", (), Figure(1e-3, "s", "test"))
    bare = estimate_latency(make_counters(STEPS, TOTALS), table(tick, {}), "free", None)
    assert bare.step_s == pytest.approx(1e-3)
    priced = estimate_latency(make_counters(STEPS, TOTALS), table(tick), "free", None)
    assert priced.step_s == pytest.approx(1e-3)
    short = SyncSpec("tick", (), Figure(100e-9, "s", "test"))
    late = estimate_latency(make_counters(STEPS, TOTALS), table(short), "free", None)
    assert late.step_s == pytest.approx((180e-9 + 100e-9) / 2)


def test_the_chips_tick_holds_without_a_table_and_behind_a_tables_own() -> None:
    counters = make_counters(STEPS, TOTALS)
    chips = Figure(1e-3, "s", "test")
    bare = estimate_latency(counters, None, "period", 1e-4, chips)
    assert bare.step_s == pytest.approx(1e-3)
    assert bare.overrun_steps == counters.n_steps * counters.n_samples
    assert bare.total_low_s == bare.total_high_s == bare.total_s
    assert estimate_latency(counters, None, "period", 2e-3, chips).step_s == 2e-3
    own = table(SyncSpec("tick", (), Figure(5e-3, "s", "test")), {})
    assert estimate_latency(counters, own, "free", None, chips).step_s == pytest.approx(5e-3)
    unsaid = table(SyncSpec(), {})
    assert estimate_latency(counters, unsaid, "free", None, chips).step_s == pytest.approx(1e-3)


def test_without_counts_per_step_the_average_step_stands_in_and_is_said_so() -> None:
    latency = estimate_latency(make_counters(None, TOTALS), table(), "free", None)
    assert latency.is_step_average
    assert latency.p99_step_s is None
    assert latency.step_s == pytest.approx((94 / 4 * 2 + 100) * 1e-9)
    assert "average step" in latency.notes[0]


def test_kinds_without_a_figure_are_named_and_included_ones_are_not() -> None:
    prices = {"synop": ns(2), "neuron.active": ns(None, included_in="synop")}
    counts = {**STEPS, "axon.out": [[1, 0], [0, 0]], "axon.in": [[0, 0], [0, 0]]}
    totals = {**TOTALS, "axon.out": [1, 0], "axon.in": [0, 0]}
    latency = estimate_latency(make_counters(counts, totals), table(prices=prices), "free", None)
    assert latency.unpriced == ("axon.out",)


def test_without_a_cost_table_nothing_has_a_time_but_the_pace() -> None:
    counters = make_counters(STEPS, TOTALS)
    free = estimate_latency(counters, None, "free", None)
    assert free.step_s is free.total_s is None
    paced = estimate_latency(counters, None, "period", 1e-3)
    assert paced.step_s == 1e-3
    assert paced.p99_step_s is None


def test_bounds_of_the_latency_figures_bound_the_run_and_its_static_energy() -> None:
    from nmhw.api.demo import deploy_demo, load_demo_images

    images = load_demo_images(5)
    run = deploy_demo("loihi1-nahuku").run(images.events, images.labels, compare_float=False)
    latency, energy = run.latency, run.energy
    assert latency.total_low_s < latency.total_s < latency.total_high_s
    dynamic = [sum(line.bounds_j[k] for line in energy.lines if line.energy_j) for k in (1, 2)]
    assert energy.low_j == pytest.approx(dynamic[0] + energy.static_w * latency.total_low_s)
    assert energy.high_j == pytest.approx(dynamic[1] + energy.static_w * latency.total_high_s)
    paced = run.price(pace="period=1ms").latency
    assert paced.total_low_s == pytest.approx(paced.total_s)
    assert paced.total_high_s == pytest.approx(paced.total_s)
