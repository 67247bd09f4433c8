"""Cost laws as pure functions."""

import pytest

from nmhw.errors import UsageError
from nmhw.values.figure import Figure, LawSpec
from nmhw.values.laws import (
    clocked_power_w,
    clocked_synop_pj,
    event_time_s,
    interpolate_points,
    max_synops_per_s,
    required_clock_hz,
    xylo_cycles,
)


def law(kind, terms=None, points=(), unit="pJ"):
    figures = {k: Figure(v, unit, "me") for k, v in (terms or {}).items()}
    return LawSpec(
        kind, "me", figures, "layers", tuple((x, Figure(y, "s", "me")) for x, y in points)
    )


POWER = law("clocked-power", {"static": 1e-3, "cycle": 10.0, "synop": 5.0})


def test_clocked_power_adds_three_terms():
    assert clocked_power_w(POWER, 0, 0) == 1e-3
    assert clocked_power_w(POWER, 1e6, 0) == pytest.approx(1e-3 + 10e-6)
    assert clocked_power_w(POWER, 1e6, 2e6) == pytest.approx(1e-3 + 10e-6 + 10e-6)


def test_energy_per_operation_falls_to_the_incremental_one():
    slow, fast = (clocked_synop_pj(POWER, 0, rate) for rate in (1e6, 1e12))
    assert slow == pytest.approx(5 + 1000)
    assert fast == pytest.approx(5, rel=1e-3)


def test_energy_per_operation_needs_operations():
    with pytest.raises(UsageError, match="needs operations"):
        clocked_synop_pj(POWER, 1e6, 0)


def test_vendor_test_vector_of_xylo_takes_757_cycles():
    cycles = xylo_cycles(
        n_in=15,
        n_input_targets=4,
        n_hidden=8,
        n_output_sources=4,
        n_out=2,
        fan_out=4,
        p_in=1.0,
        p_hidden=1.0,
        alias_targets=0.5,
        alias_sources=0.5,
    )
    assert cycles == 757


def test_silent_xylo_without_alias_pays_its_neurons_and_channels():
    cycles = xylo_cycles(n_in=3, n_hidden=10, n_out=2, fan_out=9, p_in=0, p_hidden=0)
    assert cycles == 3 + 10 * 22 + 2 * 12


def test_silent_aliases_cost_cycles():
    quiet = {"n_in": 0, "n_hidden": 4, "n_out": 0, "fan_out": 0, "p_in": 0, "p_hidden": 0}
    extra = xylo_cycles(**quiet, alias_targets=0.5, alias_sources=0.5) - xylo_cycles(**quiet)
    assert extra == 4 * (2 * 0.25 + 3 * 0.25 + 0.5 * 0.5)


def test_required_clock_ends_the_step_in_time():
    margin = law("xylo-cycles", {"clock_margin": 1.2}, unit="ratio")
    assert required_clock_hz(margin, 1000, 1e-3) == pytest.approx(1.2e6)


def test_event_cycles_give_rate_and_time():
    cycles = law("event-cycles", {"synop": 2, "spike": 513}, unit="cycles")
    assert max_synops_per_s(cycles, 1e6) == 5e5
    assert event_time_s(cycles, "spike", 1e6) == pytest.approx(513e-6)


def test_missing_term_is_named():
    with pytest.raises(UsageError, match=r"unpriced: got leak; try: synop"):
        event_time_s(law("event-cycles", {"synop": 2}), "leak", 1e6)


def test_law_of_another_kind_is_refused():
    with pytest.raises(UsageError, match=r"another kind: got clocked-power \(limit event-cycles\)"):
        max_synops_per_s(POWER, 1e6)


def test_points_are_joined_by_lines_and_never_extended():
    points = law("points", points=((1, 1.0), (2, 3.0), (4, 4.0)))
    assert [interpolate_points(points, x) for x in (1, 1.5, 2, 3, 4)] == [1, 2, 3, 3.5, 4]
    for x in (0.9, 4.1):
        with pytest.raises(UsageError, match="1 to 4 layers"):
            interpolate_points(points, x)


def test_unpriced_points_are_skipped():
    points = law("points", points=((1, 1.0), (2, None), (3, 5.0)))
    assert interpolate_points(points, 2) == 3
