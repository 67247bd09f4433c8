import numpy as np
import pytest

from nmhw.mappers.cut import cut_network
from nmhw.mappers.split import split_balanced, split_filled
from nmhw.mappers.wiring import wire


def cut(build, network, budget, split):
    wiring = wire(network)
    chip = build.chip(budget)
    return cut_network(wiring, chip, [budget], split, wiring.default_rates())


def sizes(found, name):
    return [part.size for part in found.parts if part.population == name]


@pytest.fixture
def maps(build):
    """One convolution from 2 x 16 x 16 to 8 x 16 x 16."""
    return build.network(
        {"in": (2, 16, 16)},
        [build.population("a", (8, 16, 16))],
        [build.conv("in", "a", (2, 16, 16), 8, 3, pad=1)],
    )


def test_feature_maps_are_cut_in_space_before_channels(build, maps):
    found = cut(build, maps, {"neurons": 512}, split_balanced)
    assert sizes(found, "a") == [512] * 4
    for part in found.parts:
        channel, y, x = np.unravel_index(part.neurons, (8, 16, 16))
        assert set(channel) == set(range(8))
        assert (np.ptp(y), np.ptp(x)) == (7, 7)
        assert part.load.n_in_axons == 2 * 9 * 9  # the tile and its halo inside the border


def test_channels_are_cut_when_a_kernel_does_not_fit(build, maps):
    # one kernel of all channels takes 8 x 18 x 8 = 1152 bits, one of two channels 288
    found = cut(build, maps, {"synapse_bits": 400}, split_balanced)
    channels = {frozenset((p.neurons // 256).tolist()) for p in found.parts}
    assert max(len(c) for c in channels) <= 2
    assert sum(sizes(found, "a")) == 2048


def test_dense_layers_are_cut_into_equal_runs_of_neighbors(build):
    network = build.network(
        {"in": (3,)}, [build.population("a", (100,))], [build.dense("in", "a", 3, 100)]
    )
    found = cut(build, network, {"neurons": 30}, split_balanced)
    assert sizes(found, "a") == [25, 25, 25, 25]
    assert all((np.diff(p.neurons) == 1).all() for p in found.parts)


def test_filling_leaves_only_the_last_slice_partly_empty(build):
    network = build.network(
        {"in": (3,)}, [build.population("a", (100,))], [build.dense("in", "a", 3, 100)]
    )
    assert sizes(cut(build, network, {"neurons": 30}, split_filled), "a") == [30, 30, 30, 10]


def test_uneven_fan_in_is_cut_by_axons_and_not_by_equal_counts(build):
    matrix = np.zeros((40, 8), int)
    matrix[:30, 0] = 1  # neuron 0 alone needs 30 of 32 axons
    for neuron in range(1, 8):
        matrix[30 + neuron, neuron] = 1
    network = build.network(
        {"in": (40,)}, [build.population("a", (8,))], [build.sparse("in", "a", matrix)]
    )
    found = cut(build, network, {"in_axons": 32}, split_balanced)
    assert sum(sizes(found, "a")) == 8
    assert all(part.load.n_in_axons <= 32 for part in found.parts)
    assert len(found.parts) == 2


def test_output_axons_are_counted_after_the_targets_are_cut(build):
    network = build.network(
        {"in": (3,)},
        [build.population("a", (40,)), build.population("b", (40,))],
        [build.dense("in", "a", 3, 40), build.dense("a", "b", 40, 40)],
    )
    found = cut(build, network, {"neurons": 20, "out_axons": 20}, split_filled)
    # b on two cores: every neuron of a needs two output axons, so ten fit on a core
    assert sizes(found, "b") == [20, 20]
    assert sizes(found, "a") == [10, 10, 10, 10]
    assert [p.n_out_axons for p in found.parts if p.population == "a"] == [20] * 4


def test_output_axons_of_a_loop_are_found_by_recounting(build):
    network = build.network(
        {"in": (3,)},
        [build.population("a", (24,)), build.population("b", (24,))],
        [
            build.dense("in", "a", 3, 24),
            build.dense("a", "b", 24, 24),
            build.dense("b", "a", 24, 24),
        ],
    )
    found = cut(build, network, {"neurons": 12, "out_axons": 40}, split_filled)
    assert not found.excess
    assert all(part.n_out_axons <= 40 for part in found.parts)


def test_output_axons_that_no_cut_lowers_are_reported(build):
    # a dense loop sends size x cores = 30 axons per core however it is cut
    network = build.network(
        {"in": (3,)},
        [build.population("a", (30,))],
        [build.dense("in", "a", 3, 30), build.dense("a", "a", 30, 30)],
    )
    found = cut(build, network, {"neurons": 10, "out_axons": 25}, split_filled)
    assert [(e.population, e.limit) for e in found.excess] == [("a", 25)]
    assert found.excess[0].needed > 25


def test_a_neuron_too_large_for_any_core_cannot_be_cut(build):
    network = build.network(
        {"in": (9,)}, [build.population("a", (4,))], [build.dense("in", "a", 9, 4)]
    )
    assert cut(build, network, {"in_axons": 8}, split_filled) is None
