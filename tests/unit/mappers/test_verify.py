from dataclasses import replace

import numpy as np
import pytest

from nmhw.mappers.greedy import map_network
from nmhw.mappers.verify import verify
from nmhw.values.chip import CoreSpec, EncodingSpec, MemorySpec
from nmhw.values.mapping import Slice, Utilization

BUDGET = {"neurons": 8, "in_axons": 40, "out_axons": 40, "synapse_bits": 5000}


@pytest.fixture
def network(build):
    return build.network(
        {"in": (6,)},
        [
            build.population("a", (12,), threshold=np.arange(12) // 4 + 1),
            build.population("b", (5,)),
        ],
        [
            build.dense("in", "a", 6, 12),
            build.dense("a", "b", 12, 5),
            build.sparse("b", "a", np.eye(5, 12, dtype=int)),
        ],
    )


@pytest.fixture
def chip(build):
    return build.chip(BUDGET)


@pytest.fixture
def mapping(network, chip):
    return map_network(network, chip)


def problems(network, chip, mapping, **changes):
    return " | ".join(verify(network, chip, replace(mapping, **changes)).violations)


def test_a_mapping_of_the_mapper_is_legal(network, chip, mapping):
    assert verify(network, chip, mapping).is_legal


def test_a_missing_neuron_is_named(network, chip, mapping):
    part = mapping.slices[0]
    slices = (replace(part, neurons=part.neurons[1:]), *mapping.slices[1:])
    assert "'a': 1 of 12 neurons on no core (first: 0)" in problems(
        network, chip, mapping, slices=slices
    )


def test_a_neuron_on_two_cores_is_named(network, chip, mapping):
    slices = (*mapping.slices, Slice("b", np.array([3]), 77))
    text = problems(network, chip, mapping, slices=slices)
    assert "'b': 1 of 5 neurons mapped more than once (first: 3)" in text


def test_cores_neurons_and_populations_must_exist(network, chip, mapping):
    extra = (Slice("c", np.array([0]), 3), Slice("b", np.array([9]), 3))
    text = problems(network, chip, mapping, slices=(*mapping.slices, *extra))
    assert "no such population" in text
    assert "neuron indices must lie in 0 to 4" in text
    far = tuple(replace(part, core=part.core + 500) for part in mapping.slices)
    assert "chip has cores 0 to 127" in problems(network, chip, mapping, slices=far)


def test_unsorted_neurons_are_refused(network, chip, mapping):
    part = mapping.slices[0]
    slices = (replace(part, neurons=part.neurons[::-1]), *mapping.slices[1:])
    assert "must ascend" in problems(network, chip, mapping, slices=slices)


@pytest.mark.parametrize("resource", sorted(BUDGET))
def test_every_budget_is_checked(network, chip, mapping, resource):
    needed = max(entry.resources[resource][0] for entry in mapping.utilization)
    tight = replace(chip, cores=(CoreSpec("core", 128, {**BUDGET, resource: needed - 1}),))
    text = problems(network, tight, mapping)
    assert f"{resource} {needed}, limit {needed - 1} on chip" in text


@pytest.mark.parametrize("resource", ["neuron_profiles", "threshold_profiles", "memory_bits"])
def test_profiles_and_memory_are_checked_too(build, network, chip, mapping, resource):
    memory = MemorySpec(10, 5, 3, 2)
    with_memory = replace(chip, memory=memory)
    mapping = map_network(network, with_memory)
    needed = max(entry.resources[resource][0] for entry in mapping.utilization)
    tight = replace(with_memory, cores=(CoreSpec("core", 128, {resource: needed - 1}),))
    assert f"{resource} {needed}, limit {needed - 1}" in problems(network, tight, mapping)


def test_a_budget_that_only_warns_is_a_warning(network, chip, mapping):
    soft = replace(chip, cores=(CoreSpec("core", 128, BUDGET, {"neurons": 4}),))
    verdict = verify(network, soft, mapping)
    assert verdict.is_legal
    assert any("advised limit 4" in text for text in verdict.warnings)


def test_a_budget_nobody_can_count_is_a_violation(network, chip, mapping):
    odd = replace(chip, cores=(CoreSpec("core", 128, {"luck": 1}),))
    assert "'luck' cannot be checked" in problems(network, odd, mapping)


def test_encodings_must_be_there_and_suit_the_projection(network, chip, mapping):
    key = next(k for k in mapping.encodings if k[0] == "b>a")
    without = {k: v for k, v in mapping.encodings.items() if k != key}
    assert "have no encoding" in problems(network, chip, mapping, encodings=without)
    for wrong in ("shared", "dense", "magic"):
        changed = {**mapping.encodings, key: wrong}
        text = problems(network, chip, mapping, encodings=changed)
        assert f"cannot be stored as {wrong!r}" in text
    idle = next(c for c in range(128) if c not in mapping.cores)
    text = problems(
        network, chip, mapping, encodings={**mapping.encodings, ("b>a", idle): "sparse"}
    )
    assert "which has no synapse there" in text


def test_an_index_too_narrow_for_the_core_is_refused(network, chip, mapping):
    narrow = (EncodingSpec("dense", (8,)), EncodingSpec("sparse", (8,), (1,)))
    text = problems(network, replace(chip, encodings=narrow), mapping)
    assert "no 'sparse' format of chip holds 8-bit weights and addresses" in text


def test_weights_too_wide_for_every_format_are_refused(network, chip, mapping):
    thin = tuple(replace(e, weight_bits=(1, 2)) for e in chip.encodings)
    assert "holds 8-bit weights" in problems(network, replace(chip, encodings=thin), mapping)


def test_delays_must_be_what_the_chip_can_do(build, chip, mapping, network):
    for steps, legal in ((0, False), (1, True), (2, False)):
        late = tuple(replace(p, delay_steps=steps) for p in network.projections)
        verdict = verify(replace(network, projections=late), chip, mapping)
        assert verdict.is_legal == legal


def test_stated_utilization_must_be_true(network, chip, mapping):
    entry = mapping.utilization[0]
    lie = Utilization(entry.core, {**entry.resources, "in_axons": (1, None)})
    text = problems(network, chip, mapping, utilization=(lie, *mapping.utilization[1:]))
    assert "the mapping states in_axons 1, a recount gives" in text


def test_a_mapping_for_another_chip_is_refused(network, chip, mapping):
    assert "made for chip 'other'" in problems(network, chip, mapping, chip_name="other")
