from functools import partial, reduce

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.mappers.footprint import (
    check_resources,
    demand_of,
    excess,
    format_amount,
    load_slice,
    merge_loads,
)
from nmhw.mappers.wiring import wire
from nmhw.values.chip import CoreSpec, MemorySpec
from nmhw.values.linear import Pool


def load_core(wiring, members):
    """Count a core from nothing: the loads of all its members, merged."""
    parts = [load_slice(wiring, name, neurons) for name, neurons in members.items()]
    return reduce(partial(merge_loads, wiring), parts)


def demand(network, chip, members, n_out=0):
    wiring = wire(network)
    at = {name: np.asarray(neurons, np.int64) for name, neurons in members.items()}
    return demand_of(wiring, chip, load_core(wiring, at), n_out)


def test_a_source_of_two_projections_is_one_input_axon(build):
    network = build.network(
        {"in": (5,)},
        [build.population("a", (4,)), build.population("b", (6,))],
        [build.dense("in", "a", 5, 4), build.dense("in", "b", 5, 6), build.dense("a", "b", 4, 6)],
    )
    chip = build.chip()
    assert demand(network, chip, {"a": range(4)})["in_axons"] == 5
    assert demand(network, chip, {"b": range(6)})["in_axons"] == 9
    assert demand(network, chip, {"a": range(4), "b": range(6)})["in_axons"] == 9


def test_pooled_sources_are_axons_themselves_and_read_one_row_each(build):
    pool = Pool("sum", (1, 4, 4), (2, 2), (2, 2))
    network = build.network(
        {"in": (1, 4, 4)},
        [build.population("a", (10,))],
        [build.dense("in", "a", 4, 10, pools=(pool,))],
    )
    used = demand(network, build.chip(), {"a": range(10)})
    assert (used["in_axons"], used["synapses"]) == (16, 160)
    assert used["synapse_bits"] == 16 * 128  # 10 + 10 x 8 = 90 -> 2 words


def test_overlapping_pools_make_a_source_read_several_rows(build):
    pool = Pool("sum", (1, 3, 3), (2, 2), (1, 1))
    network = build.network(
        {"in": (1, 3, 3)},
        [build.population("a", (5,))],
        [build.dense("in", "a", 4, 5, pools=(pool,))],
    )
    used = demand(network, build.chip(), {"a": range(5)})
    # 4 corners lie in one pool, 4 edges in two, the center in four
    assert (used["in_axons"], used["synapses"]) == (9, 5 * (4 + 8 + 4))


def test_profiles_count_parameters_and_thresholds_apart(build):
    a = build.population("a", (4,), threshold=[1, 1, 2, 3], v_keep=[7, 7, 7, 8])
    b = build.population("b", (2,), threshold=[3, 9], v_keep=7)
    network = build.network({"in": (1,)}, [a, b], [build.dense("in", "a", 1, 4)])
    chip = build.chip()
    used = demand(network, chip, {"a": range(4)})
    assert (used["neuron_profiles"], used["threshold_profiles"]) == (2, 3)
    both = demand(network, chip, {"a": range(4), "b": range(2)})
    assert (both["neuron_profiles"], both["threshold_profiles"]) == (2, 4)


def test_one_memory_holds_code_neurons_delays_axons_and_synapses(build):
    memory = MemorySpec(1000, 100, 10, 3)
    network = build.network(
        {"in": (5,)},
        [build.population("a", (4,))],
        [build.dense("in", "a", 5, 4, delay_steps=6)],
    )
    chip = build.chip(memory=memory)
    synapse_bits = 5 * 64  # 10 + 4 x 8 -> one word
    expected = 1000 + 4 * 100 + 4 * 6 * 10 + 5 * 3 + synapse_bits
    assert demand(network, chip, {"a": range(4)})["memory_bits"] == expected


def test_synapse_formats_differ_by_scale_width_and_sign(build):
    network = build.network(
        {"in": (5,), "other": (5,)},
        [build.population("a", (4,))],
        [build.dense("in", "a", 5, 4, shift=1), build.dense("other", "a", 5, 4, shift=2)],
    )
    assert demand(network, build.chip(), {"a": range(4)})["synapse_formats"] == 2


def test_the_words_of_a_convolution_core_are_padded_where_the_chip_says_so(build):
    from nmhw.values.chip import RuleSpec

    network = build.network(
        {"in": (2, 10, 10)},
        [build.population("a", (5, 8, 8))],
        [build.conv("in", "a", (2, 10, 10), 5, 3)],
    )
    budget = {"kernel_words": 1000, "neuron_words": 1000}
    raw = demand(network, build.chip(budget), {"a": range(320)})
    assert (raw["kernel_words"], raw["neuron_words"]) == (90, 320)
    rule = RuleSpec("power-of-two-memory", {"resources": ["kernel_words", "neuron_words"]})
    padded = demand(network, build.chip(budget, rules=(rule,)), {"a": range(320)})
    # K = 2 x 2^(4 + 3), N = 5 x 2^(3 + 3)
    assert (padded["kernel_words"], padded["neuron_words"]) == (256, 320)


def test_only_what_exceeds_a_budget_is_reported():
    assert excess({"neurons": 5, "in_axons": 7}, {"neurons": 5, "in_axons": 6}) == {
        "in_axons": (7, 6)
    }


def test_a_resource_that_cannot_be_counted_is_refused_by_name(build):
    chip = build.chip(groups=(CoreSpec("odd", 1, {"luck": 3}),))
    with pytest.raises(UnsupportedError, match="'luck'") as refusal:
        check_resources(chip)
    assert refusal.value.exit_code == 3


def test_amounts_read_like_data_sheets():
    assert format_amount("synapse_bits", 1048576) == "1.05 Mbit"
    assert format_amount("synapse_bits", 12345) == "12.3 kbit"
    assert format_amount("memory_bits", 640) == "640 bit"
    assert format_amount("neurons", 1024) == "1024"
