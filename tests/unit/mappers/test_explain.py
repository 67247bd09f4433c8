"""The sentences a user reads when a network does not fit; exit code 3."""

from dataclasses import replace

import numpy as np
import pytest

from nmhw.errors import DoesNotFitError
from nmhw.mappers.greedy import map_network
from nmhw.values.chip import BoardSpec, CoreSpec


def refusal(network, chip):
    with pytest.raises(DoesNotFitError) as caught:
        map_network(network, chip)
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith("'net' does not fit on chip")
    return caught.value.violations


def test_a_layer_too_wide_names_layer_cores_and_what_would_fit(build):
    network = build.network(
        {"in": (10,)},
        [build.population("wide", (200_000,)), build.population("out", (10,))],
        [build.dense("in", "wide", 10, 200_000)],
    )
    layer, whole = refusal(network, build.chip())
    assert layer == (
        "'wide' does not fit on chip: needs 196 cores (200000 neurons, limit 1024 per core), "
        "limit 128, 68 short"
    )
    assert "needs 196 cores, limit 128, 68 cores short" in whole
    assert "no mapping below 196, by neurons" in whole
    assert "most cores: 'wide' 196 (200000 neurons, limit 1024 per core)" in whole
    assert "a board of 2 chips (chip.with_(board=(2, 1)))" in whole
    assert "'wide' about 35 % smaller" in whole


def test_a_fan_in_beyond_the_axons_names_neuron_fan_in_and_limit(build):
    network = build.network(
        {"in": (5000,)}, [build.population("fc", (10,))], [build.dense("in", "fc", 5000, 10)]
    )
    (text,) = refusal(network, build.chip())
    assert text.startswith(
        "'fc' does not fit on chip: neuron 0 has a fan-in of 5000 sources, limit 4096 input axons "
        "per core; fits with: at most 4096 inputs per neuron"
    )


def test_the_neuron_with_the_largest_fan_in_is_the_one_named(build):
    matrix = np.ones((20, 6), int)
    matrix[10:] = 0
    matrix[:15, 4] = 1
    network = build.network(
        {"in": (20,)}, [build.population("fc", (6,))], [build.sparse("in", "fc", matrix)]
    )
    (text,) = refusal(network, build.chip({"in_axons": 12}))
    assert "neuron 4 has a fan-in of 15 sources, limit 12" in text


def test_synapse_memory_of_one_neuron_names_amounts_and_narrower_weights(build):
    # 2000 axons of one synapse: 10 + 8 bits in words of 8 = 24 bits each
    thin = tuple(replace(e, word_bits=1) for e in build.chip().encodings)
    network = build.network(
        {"in": (2000,)}, [build.population("fc", (3,))], [build.dense("in", "fc", 2000, 3)]
    )
    (text,) = refusal(network, build.chip({"synapse_bits": 30_000}, encodings=thin))
    assert text == (
        "'fc' does not fit on chip: synapse memory 36.0 kbit needed by one neuron's core, limit "
        "30.0 kbit (neuron 0, 8-bit weights, 2000 axons in); fits with: 5-bit weights | a fan-in "
        "of about 1666"
    )


def test_narrower_weights_are_proposed_only_after_trying_them(build):
    network = build.network(
        {"in": (100,)}, [build.population("fc", (400,))], [build.dense("in", "fc", 100, 400)]
    )
    chip = build.chip({"synapse_bits": 100_000}, cores=3, mesh=(3, 1, 1))
    (_, whole) = refusal(network, chip)
    assert "fits with: 6-bit weights (3 cores)" in whole
    thin = replace(network.projections[0], weight_bits=6)
    assert map_network(replace(network, projections=(thin,)), chip).metrics["n_cores"] == 3
    wide = replace(chip, board=BoardSpec(2, 1))
    assert "a board of 2 chips" in whole
    assert map_network(network, wide).metrics["n_cores"] == 4


def test_all_violations_are_told_at_once(build):
    network = build.network(
        {"in": (5000,), "x": (10,)},
        [build.population("a", (10,)), build.population("b", (10,)), build.population("c", (4,))],
        [
            build.dense("in", "a", 5000, 10),
            build.dense("x", "b", 10, 10, delay_steps=40),
            build.dense("b", "c", 10, 4, weight_bits=9),
        ],
    )
    delay, width, axons = refusal(network, build.chip())
    assert delay == "'b' does not fit on chip: a delay of 40 steps in 'x>b', limit 1 (at least 1)"
    assert "'c' does not fit on chip: no synapse format for the dense projection 'b>c'" in width
    assert "with 9-bit weights" in width
    assert "'a' does not fit on chip: neuron 0 has a fan-in of 5000" in axons


def test_one_neuron_over_two_budgets_names_both(build):
    network = build.network(
        {"in": (5000,)}, [build.population("fc", (10,))], [build.dense("in", "fc", 5000, 10)]
    )
    chip = build.chip({"in_axons": 4096, "synapse_bits": 4096})
    resources = refusal(network, chip)
    assert "input axons" in resources[0]
    assert "synapse memory 320.0 kbit" in resources[1]


def test_output_axons_of_a_dense_loop_are_explained(build):
    network = build.network(
        {"in": (3,)},
        [build.population("rec", (30,))],
        [build.dense("in", "rec", 3, 30), build.dense("rec", "rec", 30, 30)],
    )
    (text,) = refusal(network, build.chip({"neurons": 10, "out_axons": 25}))
    assert text.startswith("'rec' does not fit on chip: ")
    assert "output axons needed by one core however it is cut, limit 25" in text


def test_a_neuron_is_measured_against_the_group_that_comes_nearest(build):
    groups = (CoreSpec("small", 4, {"in_axons": 5}), CoreSpec("large", 4, {"in_axons": 30}))
    network = build.network(
        {"in": (40,)}, [build.population("fc", (2,))], [build.dense("in", "fc", 40, 2)]
    )
    (text,) = refusal(network, build.chip(groups=groups, mesh=(8, 1, 1)))
    assert "fan-in of 40 sources, limit 30" in text


def test_violations_travel_in_the_json_form(build):
    network = build.network(
        {"in": (5000,)}, [build.population("fc", (10,))], [build.dense("in", "fc", 5000, 10)]
    )
    with pytest.raises(DoesNotFitError) as caught:
        map_network(network, build.chip())
    record = caught.value.to_dict()
    assert (record["exit_code"], record["rule"]) == (3, "map.does-not-fit")
    assert len(record["violations"]) == 1
