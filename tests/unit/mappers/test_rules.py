from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nmhw.mappers import hidden_pool_rules, layer_form, layer_rules
from nmhw.mappers.greedy import map_network
from nmhw.mappers.layer_rules import rule_graph
from nmhw.mappers.verify import verify
from nmhw.values.chip import CoreSpec, RuleSpec
from nmhw.values.graph_checks import CHECKED, HOLDS_BY_CONSTRUCTION
from nmhw.values.linear import Pool
from nmhw.values.mapping import Mapping, Slice


def check(network, chip, mapping, kind, severity="error", **parameters):
    """Verify with one rule only and return its sentences."""
    rule = RuleSpec(kind, parameters, severity)
    verdict = verify(network, replace(chip, rules=(rule,)), mapping)
    return verdict.violations if severity == "error" else verdict.warnings


@pytest.fixture
def chip(build):
    return build.chip({"neurons": 4})


@pytest.fixture
def network(build):
    """in(3) -> a(4) -> b(8) on two cores."""
    return build.network(
        {"in": (3,)},
        [build.population("a", (4,)), build.population("b", (8,))],
        [build.dense("in", "a", 3, 4), build.dense("a", "b", 4, 8)],
    )


@pytest.fixture
def mapping(network, chip):
    return map_network(network, chip)


def test_an_unknown_rule_is_refused_by_name(network, chip, mapping):
    for kind in ("core-order", "moon-phase"):
        (text,) = check(network, chip, mapping, kind)
        assert f"rule {kind!r} that cannot be checked" in text


def test_an_unknown_rule_stops_the_mapper(network, chip):
    from nmhw.errors import DoesNotFitError

    with pytest.raises(DoesNotFitError, match="moon-phase"):
        map_network(network, replace(chip, rules=(RuleSpec("moon-phase"),)))


def test_a_rule_without_its_parameter_is_refused(network, chip, mapping):
    (text,) = check(network, chip, mapping, "destinations")
    assert "lacks its parameter 'max_destinations'" in text


def test_destinations_count_cores_per_neuron(network, chip, mapping):
    assert check(network, chip, mapping, "destinations", max_destinations=2) == ()
    (text,) = check(network, chip, mapping, "destinations", max_destinations=1)
    assert text == "'a': neuron 0 reaches 2 cores, limit 1 on chip (rule destinations)"


def test_a_rule_that_warns_does_not_refuse(network, chip, mapping):
    found = check(network, chip, mapping, "destinations", "warning", max_destinations=1)
    assert len(found) == 1
    rule = RuleSpec("destinations", {"max_destinations": 1}, "warning")
    assert verify(network, replace(chip, rules=(rule,)), mapping).is_legal


def test_sources_of_one_sign_pass_and_mixed_ones_are_named(build, network, chip, mapping):
    assert check(network, chip, mapping, "source-sign") == ()
    weights = np.ones((4, 8), int)
    weights[2, 5] = -1
    mixed = replace(
        network, projections=(network.projections[0], build.dense("a", "b", 4, 8, weights=weights))
    )
    (text,) = check(mixed, chip, mapping, "source-sign")
    assert "'a': 1 sources have synapses of both signs (first: 2)" in text


def test_a_sign_may_differ_between_projections_only_between_sources(build, chip):
    network = build.network(
        {"in": (3,)},
        [build.population("a", (4,)), build.population("b", (4,))],
        [
            build.dense("in", "a", 3, 4),
            build.dense("a", "b", 4, 4),
            build.dense("a", "a", 4, 4, weights=-np.ones((4, 4), int)),
        ],
    )
    (text,) = check(network, chip, map_network(network, chip), "source-sign")
    assert "'a': 4 sources" in text


def test_a_codebook_limits_the_weights_of_a_neuron(build, network, chip, mapping):
    weights = np.ones((4, 8), int)
    weights[:, 3] = [1, 2, 3, 4]
    many = replace(
        network, projections=(network.projections[0], build.dense("a", "b", 4, 8, weights=weights))
    )
    parameters = {"values_per_neuron": 4, "shared_by_axon_type": False}
    assert check(many, chip, mapping, "codebook", **parameters) == ()
    (text,) = check(many, chip, mapping, "codebook", **{**parameters, "values_per_neuron": 3})
    assert "'b': neuron 3 uses 4 distinct weights, limit 3" in text


def test_axon_types_must_suit_every_neuron_of_the_core(build, network, chip, mapping):
    weights = np.ones((4, 8), int)
    weights[:, 0] = [1, 2, 1, 2]
    weights[:, 1] = [1, 1, 2, 2]  # both neurons use two weights, but together need four types
    crossed = replace(
        network, projections=(network.projections[0], build.dense("a", "b", 4, 8, weights=weights))
    )
    parameters = {"values_per_neuron": 2, "shared_by_axon_type": True}
    found = check(crossed, chip, mapping, "codebook", **parameters)
    assert [text.split(":")[1].split(" on ")[0] for text in found] == [" 4 axon types, limit 2"]
    assert check(network, chip, mapping, "codebook", **parameters) == ()


def test_neighbors_of_a_core_share_parameters(build, chip, network, mapping):
    assert check(network, chip, mapping, "shared-pair", group_size=2, fields=["threshold"]) == ()
    uneven = build.population("a", (4,), threshold=[5, 5, 5, 6])
    changed = replace(network, populations=(uneven, network.populations[1]))
    again = map_network(changed, chip)
    (text,) = check(changed, chip, again, "shared-pair", group_size=2, fields=["threshold"])
    assert "1 groups of 2 neurons of 'a' differ in threshold" in text


def test_fan_out_is_limited_per_neuron_and_pooled_per_core(network, chip, mapping):
    parameters = {"average": 8, "max_fan_out": 8}
    assert check(network, chip, mapping, "pooled-fan-out", **parameters) == ()
    (text,) = check(network, chip, mapping, "pooled-fan-out", average=8, max_fan_out=7)
    assert "'a': neuron 0 has 8 targets, limit 7" in text
    (text,) = check(network, chip, mapping, "pooled-fan-out", average=7, max_fan_out=8)
    assert "32 targets of its neurons, limit 28" in text


def test_delays_beyond_the_guaranteed_slots_are_named(build, chip):
    from nmhw.values.chip import ArithmeticSpec

    slow = replace(chip, arithmetic=ArithmeticSpec("generic", "none", max_extra_delay_steps=20))
    network = build.network(
        {"in": (3,)}, [build.population("a", (4,))], [build.dense("in", "a", 3, 4, delay_steps=9)]
    )
    mapping = map_network(network, slow)
    assert check(network, slow, mapping, "delay-slots", guaranteed_steps=9) == ()
    (text,) = check(network, slow, mapping, "delay-slots", guaranteed_steps=8)
    assert "'in>a': a delay of 9 steps, 8 are guaranteed" in text


def test_routing_entries_count_inputs_and_sending_slices(network, chip, mapping):
    # the input and the one slice of a send; b has no targets
    assert check(network, chip, mapping, "routing-entries", max_entries=2) == ()
    (text,) = check(network, chip, mapping, "routing-entries", max_entries=1)
    assert "chip 0: 2 routing entries, limit 1" in text


def test_memories_of_concatenated_fields_are_padded_to_powers_of_two(build):
    """The worked example of the Speck formula: c = 2, f = 5, 3 x 3 kernel, 6 x 7 output."""
    network = build.network(
        {"in": (2, 8, 9)},
        [build.population("a", (5, 6, 7), v_bias=np.ones(210, np.int64))],
        [build.conv("in", "a", (2, 8, 9), 5, 3)],
    )
    neurons = np.arange(210)
    mapping = Mapping("chip", (Slice("a", neurons, 0),), {("in>a", 0): "shared"}, ())
    # kernel 2 x 2^(ceil log2 9 + ceil log2 5) = 2 x 2^(4 + 3); neurons 5 x 2^(3 + 3); biases 5
    exact = {"kernel_words": 256, "neuron_words": 320, "bias_words": 5}
    rule = {"resources": ["kernel_words", "neuron_words"]}
    fits = build.chip(groups=(CoreSpec("conv", 9, exact),), mesh=(3, 3, 1))
    assert check(network, fits, mapping, "power-of-two-memory", **rule) == ()
    for resource, needed in exact.items():
        tight = {**exact, resource: needed - 1}
        chip = build.chip(groups=(CoreSpec("conv", 9, tight),), mesh=(3, 3, 1))
        found = check(network, chip, mapping, "power-of-two-memory", **rule)
        assert any(f"{resource} {needed}, limit {needed - 1}" in text for text in found)


def test_the_mapper_respects_padded_memories(build):
    network = build.network(
        {"in": (2, 8, 9)},
        [build.population("a", (5, 6, 7))],
        [build.conv("in", "a", (2, 8, 9), 5, 3)],
    )
    rule = RuleSpec("power-of-two-memory", {"resources": ["kernel_words", "neuron_words"]})
    budget = {"kernel_words": 256, "neuron_words": 200}
    chip = build.chip(groups=(CoreSpec("conv", 9, budget),), mesh=(3, 3, 1), rules=(rule,))
    mapping = map_network(network, chip)
    assert len(mapping.cores) > 1
    assert max(u.resources["neuron_words"][0] for u in mapping.utilization) <= 200


def test_pools_of_quantized_layers_are_checked_by_the_same_names(build, chip):
    pool = Pool("sum", (1, 4, 4), (2, 2), (3, 3))
    dense = replace(build.dense("in", "a", 4, 4), pools=(pool,))
    network = build.network({"in": (1, 4, 4)}, [build.population("a", (4,))], [dense])
    names = ("convolution-after-pool", "pool-stride-within-pool", "no-batch-norm")
    texts = rule_graph(network, chip, None, {"checks": names})
    assert [text.rsplit("(", 1)[1] for text in texts] == [
        "pool-stride-within-pool)",
        "convolution-after-pool)",
    ]
    assert not rule_graph(network, chip, None, {"checks": names[2:]})


def test_every_checked_name_is_looked_at_and_no_other():
    modules = (hidden_pool_rules, layer_form, layer_rules)
    sources = "".join(Path(module.__file__).read_text("utf-8") for module in modules)
    assert all(f'"{name}" in' in sources or f'"{name}" not in' in sources for name in CHECKED)
    assert not set(CHECKED) & set(HOLDS_BY_CONSTRUCTION)
