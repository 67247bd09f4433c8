"""Learning energy: recipes, phases, ratios and their exact ranges."""

from itertools import product

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.values.cost_sets import COST_SETS, UNITS
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS, PHASES, OperationCounts
from nmhw.values.op_cost import (
    RECIPES,
    energy_by_operation,
    energy_ratio,
    learning_energy,
    op_ratio,
    unit_actions,
)


def counts_of(n_samples: int = 1, **operations: int) -> OperationCounts:
    values = np.zeros((1, len(OPERATIONS)), np.int64)
    for name, count in operations.items():
        values[0, OPERATION_INDEX[name]] = count
    return OperationCounts(("fc1",), values, n_samples)


def test_every_operation_has_a_recipe_and_belongs_to_one_phase() -> None:
    assert set(RECIPES) == set(OPERATIONS)
    phases = [name for names in PHASES.values() for name in names]
    assert sorted(phases) == sorted(OPERATIONS)


@pytest.mark.parametrize("name", COST_SETS)
def test_every_set_prices_every_unit_inside_its_own_range(name: str) -> None:
    value, low, high = COST_SETS[name].price_vectors()
    assert value.size == len(UNITS)
    assert (low <= value).all()
    assert (value <= high).all()
    assert all(price.source for price in COST_SETS[name].prices.values())


def test_the_sop_set_charges_its_headline_per_synop() -> None:
    energy = learning_energy(counts_of(synop=1000), "sop-1.5pj")
    assert energy.energy_j == pytest.approx(1.5e-9)


def test_energy_of_a_hand_computed_sample() -> None:
    counts = counts_of(synop=10, gradient_mac=5, weight_read=2, weight_write=1, error_packet=3)
    energy = learning_energy(counts, "horowitz-32bit", packet_bit_hops=40.0)
    forward, update, backward = 10 * (5.0 + 0.9), 3 * 5.0, 5 * 4.6 + 40 * 0.1
    assert energy.energy_j == pytest.approx((forward + update + backward) * 1e-12)
    assert energy.by_phase == pytest.approx(
        {"forward": forward * 1e-12, "log": 0.0, "backward": backward * 1e-12,
         "update": update * 1e-12}
    )  # fmt: skip
    assert energy.low_j < energy.energy_j < energy.high_j
    parts = sum(energy_by_operation(counts, "horowitz-32bit").values())
    assert parts + 4e-12 == pytest.approx(energy.energy_j)


def test_learning_only_leaves_the_forward_pass_and_static_energy_out() -> None:
    counts = counts_of(synop=10, gradient_mac=5)
    energy = learning_energy(counts, "horowitz-8bit", "learning only", static_j=1.0)
    assert energy.energy_j == pytest.approx(5 * 0.23e-12)
    whole = learning_energy(counts, "horowitz-8bit", "whole training", static_j=1.0)
    assert whole.by_phase["static"] == 1.0
    assert whole.energy_j > 1.0


def test_the_ratio_s_range_is_that_of_all_corners_of_all_prices() -> None:
    baseline = unit_actions(counts_of(gradient_mac=90, weight_read=4, weight_write=4))
    rule = unit_actions(counts_of(gradient_mac=3, weight_read=3, weight_write=1, division=1))
    found = energy_ratio(baseline, rule, "sop-1.5pj")
    _, low, high = COST_SETS["sop-1.5pj"].price_vectors()
    every = [
        float(baseline @ np.array(corner)) / float(rule @ np.array(corner))
        for corner in product(*zip(low, high, strict=True))
    ]
    assert found.low == pytest.approx(min(every))
    assert found.high == pytest.approx(max(every))
    assert found.low <= found.value <= found.high


def test_op_ratio_is_per_sample_and_without_memory() -> None:
    baseline = counts_of(2, gradient_mac=200, weight_read=10**6)
    rule = counts_of(4, gradient_mac=40)
    assert op_ratio(baseline, rule) == pytest.approx(10.0)


def test_a_rule_that_did_nothing_has_no_ratio() -> None:
    with pytest.raises(UsageError, match="no arithmetic"):
        op_ratio(counts_of(gradient_mac=1), counts_of(weight_read=1))
    nothing = unit_actions(counts_of())
    with pytest.raises(UsageError, match="nothing that is priced"):
        energy_ratio(nothing, nothing, "sop-1.5pj")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="no such cost set"):
        learning_energy(counts_of(synop=1), "free-lunch")
    with pytest.raises(UsageError, match="no such scope"):
        unit_actions(counts_of(), "backward")  # type: ignore[arg-type]
