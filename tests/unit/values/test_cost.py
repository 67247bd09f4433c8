"""Prices: counts times figures, bounds, static power, and what stays unpriced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.sim.timing import estimate_latency
from nmhw.values.chip import CostTable, Figure, SyncSpec
from nmhw.values.cost import EnergyBreakdown, count_kinds, find_figure, price_energy
from nmhw.values.result import Counters


def pj(value: float | None, **more: Any) -> Figure:
    return Figure(value, "pJ", "test", **more)


def make_counters(**changes: Any) -> Counters:
    fields: dict[str, Any] = {
        "n_samples": 5, "n_steps": 4, "cores": np.arange(3), "steps": None,
        "totals": {"synop.dense": np.array([10, 20, 30]), "axon.in": np.array([1, 0, 1])},
        "synops_by_projection": {}, "spikes_by_population": {}, "events_by_input": {"in": 7},
        "connections": 0, "saturations": {}, "n_tiles": 1, "n_chips": 2,
    }  # fmt: skip
    return Counters(**{**fields, **changes})


def price(
    energy: dict[str, Figure], static: dict[str, Figure] | None = None, **changes: Any
) -> EnergyBreakdown:
    counters = make_counters(**changes)
    table = CostTable("t", "t", energy, {}, static or {}, SyncSpec())
    return price_energy(counters, table, estimate_latency(counters, table, "period", 1e-3))


def test_events_of_the_chip_are_counted_per_chip_step_sample_and_input() -> None:
    counts = count_kinds(make_counters())
    assert counts["synop.dense"] == 60
    assert counts["timestep"] == 5 * 4 * 2
    assert counts["reset"] == 5 * 2
    assert counts["host.io"] == 7
    assert count_kinds(make_counters(is_continuous=True))["reset"] == 2


def test_a_figure_serves_all_kinds_below_its_name() -> None:
    figures = {"synop": pj(1), "synop.shared": pj(2)}
    assert find_figure(figures, "synop.dense") is figures["synop"]
    assert find_figure(figures, "synop.shared") is figures["synop.shared"]
    assert find_figure(figures, "axon.in") is None


def test_bounds_of_figures_bound_the_total() -> None:
    energy = price({"synop": pj(10, low=8, high=15), "axon.in": pj(1)})
    assert energy.dynamic_j == pytest.approx((60 * 10 + 2) * 1e-12)
    assert energy.low_j == pytest.approx((60 * 8 + 2) * 1e-12)
    assert energy.high_j == pytest.approx((60 * 15 + 2) * 1e-12)


def test_static_power_is_per_used_chip_and_core_over_the_modelled_time() -> None:
    static = {"chip": Figure(0.1, "W", "test", low=0.05), "core": Figure(0.01, "W", "test")}
    energy = price({}, static)
    power_w = 2 * 0.1 + 3 * 0.01
    time_s = 5 * 4 * 1e-3
    assert energy.static_w == pytest.approx(power_w)
    assert energy.static_j == pytest.approx(power_w * time_s)
    assert energy.low_j == pytest.approx((2 * 0.05 + 3 * 0.01) * time_s)
    assert "static" not in energy.unpriced


def test_static_power_known_in_part_is_still_a_lower_bound() -> None:
    static = {"chip": Figure(0.1, "W", "test"), "core": Figure(None, "W", "test")}
    energy = price({}, static)
    assert energy.static_w == pytest.approx(0.2)
    assert "static" in energy.unpriced
    included = {"chip": Figure(0.1, "W", "t"), "core": Figure(None, "W", "t", included_in="chip")}
    assert "static" not in price({}, included).unpriced


def test_without_static_power_it_is_unpriced_not_zero() -> None:
    energy = price({"synop": pj(1)})
    assert energy.static_j is None
    assert energy.is_lower_bound
    assert energy.total_j == energy.dynamic_j


def test_a_figure_of_zero_is_a_price() -> None:
    energy = price({"synop": pj(0), "axon.in": pj(0)})
    assert energy.dynamic_j == 0
    assert "synop.dense" not in energy.unpriced


def test_kinds_that_never_happened_are_not_unpriced() -> None:
    assert "hop.x" not in price({}, totals={"hop.x": np.zeros(3, np.int64)}).unpriced


def test_bases_that_are_mixed_are_named() -> None:
    energy = price({"synop": pj(1, basis="fitted"), "axon.in": pj(1, basis="simulated")})
    assert energy.bases == ("fitted", "simulated")


def test_per_synop_energy_needs_every_synop_kind_priced() -> None:
    energy = price({"synop": pj(3), "axon.in": pj(1)})
    per = energy.per_synop_j()
    assert per["incremental"] == pytest.approx(3e-12)
    assert per["dynamic"] == pytest.approx((180 + 2) / 60 * 1e-12)
    assert per["all_in"] == per["dynamic"]
    assert price({"axon.in": pj(1)}).per_synop_j()["incremental"] is None
    silent = price({"synop": pj(3)}, totals={"synop.dense": np.zeros(3, np.int64)})
    assert set(silent.per_synop_j().values()) == {None}


def test_an_all_in_figure_gives_all_in_alone_and_contains_static_power() -> None:
    inside = Figure(None, "pJ", "test", scope="all-in", included_in="synop")
    energy = price({"synop": pj(26, scope="all-in"), "axon": inside})
    assert energy.per_synop_j() == {
        "incremental": None,
        "dynamic": None,
        "all_in": pytest.approx(26e-12),
    }
    assert energy.static_in == "synop"
    assert energy.dynamic_j is None
    assert energy.total_j == pytest.approx(60 * 26e-12)
    assert "static" not in energy.unpriced
    assert price({"synop": pj(26)}).static_in is None
    quiet = {"synop.dense": np.zeros(3, np.int64)}
    assert "static" in price({"synop": pj(26, scope="all-in")}, totals=quiet).unpriced


def test_energy_per_sample() -> None:
    energy = price({"synop": pj(5), "axon.in": pj(0)})
    assert energy.per_sample_j == pytest.approx(60 * 5e-12 / 5)
    assert price({}).per_sample_j is None
