import numpy as np
import pytest

from nmhw.mappers.cut import cut_network
from nmhw.mappers.pack import pack_parts
from nmhw.mappers.split import split_filled
from nmhw.mappers.wiring import wire
from nmhw.values.chip import CoreSpec


def pack(build, network, budget=None, score="shared-packets", groups=None):
    wiring = wire(network)
    chip = build.chip(budget, groups=groups)
    rates = wiring.default_rates()
    found = cut_network(wiring, chip, [chip.cores[0].budget], split_filled, rates)
    return pack_parts(wiring, chip, found.parts, rates, score)


def layers(build, sizes, inputs=None):
    """Unconnected populations p0, p1, ... that each read some input."""
    inputs = inputs or ["in"] * len(sizes)
    populations = [build.population(f"p{i}", (n,)) for i, n in enumerate(sizes)]
    ports = dict.fromkeys(inputs, (10,))
    wires = [
        build.dense(source, f"p{i}", 10, n)
        for i, (source, n) in enumerate(zip(inputs, sizes, strict=True))
    ]
    return build.network(ports, populations, wires)


@pytest.mark.parametrize("score", ["shared-packets", "fullest"])
def test_small_layers_share_a_core(build, score):
    packing = pack(build, layers(build, [60, 30, 10]), {"neurons": 100}, score)
    assert [set(core.load.members) for core in packing.cores] == [{"p0", "p1", "p2"}]


def test_a_leftover_joins_the_core_whose_inputs_it_shares(build):
    network = layers(build, [60, 60, 10], inputs=["x", "y", "y"])
    packing = pack(build, network, {"neurons": 100})
    assert [set(core.load.members) for core in packing.cores] == [{"p0"}, {"p1", "p2"}]


def test_a_leftover_joins_no_core_whose_budget_it_would_break(build):
    network = layers(build, [60, 60, 10], inputs=["x", "y", "z"])
    packing = pack(build, network, {"neurons": 100, "in_axons": 15})
    assert [set(core.load.members) for core in packing.cores] == [{"p0"}, {"p1"}, {"p2"}]


def test_wider_indices_of_a_fuller_core_count(build):
    # 10 axons x (6 synapses x (8 + index) bits): 14-bit synapses up to 64 neurons, 15 beyond
    matrix = np.zeros((10, 40), int)
    matrix[:, :6] = 1
    network = build.network(
        {"x": (10,), "y": (10,)},
        [build.population("a", (40,)), build.population("b", (40,))],
        [build.sparse("x", "a", matrix), build.sparse("y", "b", matrix)],
    )
    # 10 + 6 x 14 = 94 -> 2 words each; with a 7-bit index 10 + 6 x 15 = 100 -> still 2 words
    assert len(pack(build, network, {"synapse_bits": 20 * 128}).cores) == 1
    assert len(pack(build, network, {"synapse_bits": 20 * 128 - 1}).cores) == 2


def test_slices_go_to_the_tightest_group_that_holds_them(build):
    groups = (CoreSpec("large", 2, {"neurons": 100}), CoreSpec("small", 2, {"neurons": 20}))
    packing = pack(build, layers(build, [90, 18]), groups=groups)
    assert [(core.group, core.load.n_neurons) for core in packing.cores] == [(0, 90), (1, 18)]


def test_cores_beyond_the_chip_are_counted(build):
    groups = (CoreSpec("core", 2, {"neurons": 10}),)
    packing = pack(build, layers(build, [35]), groups=groups)
    assert (len(packing.cores), packing.missing) == (4, 2)
