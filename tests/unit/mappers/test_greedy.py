from dataclasses import replace

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.bounds import bound_cores
from nmhw.mappers.greedy import GreedyMapper, map_network
from nmhw.mappers.verify import verify
from nmhw.mappers.wiring import wire
from nmhw.values.chip import CoreSpec
from nmhw.values.linear import Pool


@pytest.fixture
def chain(build):
    """in(4) -> a(6) -> b(3), one neuron of b per core."""
    return build.network(
        {"in": (4,)},
        [build.population("a", (6,)), build.population("b", (3,))],
        [build.dense("in", "a", 4, 6), build.dense("a", "b", 6, 3)],
    )


def test_metrics_count_packets_and_hops_from_the_layout(build, chain):
    chip = build.chip({"neurons": 3}, cores=3, mesh=(3, 1, 1))
    mapping = map_network(chain, chip)
    metrics = mapping.metrics
    # a needs two cores, b one: 4 inputs to 2 cores, 6 neurons of a to 1 core
    assert metrics["n_cores"] == metrics["cores_lower_bound"] == 3
    assert (metrics["input_packets"], metrics["packets"]) == (8, 14)
    assert metrics["remote_packets"] == 6
    home = {
        p.population: [s.core for s in mapping.slices if s.population == p.population]
        for p in mapping.slices
    }
    (b,) = home["b"]
    expected = sum(4 * core for core in home["a"]) + sum(3 * abs(core - b) for core in home["a"])
    assert metrics["unicast_hops"] == expected
    assert metrics["avg_hops"] == pytest.approx(expected / 14)


def test_rates_weight_the_packets(build, chain):
    chip = build.chip({"neurons": 3}, cores=3, mesh=(3, 1, 1))
    rates = {"in": np.array([1.0, 2, 3, 4]), "a": np.zeros(6)}
    metrics = map_network(chain, chip, rates=rates).metrics
    assert (metrics["input_packets"], metrics["packets"]) == (20, 20)


@pytest.mark.parametrize(
    "rates",
    [{"nobody": np.ones(3)}, {"a": np.ones(5)}, {"a": -np.ones(6)}, {"a": np.full(6, np.nan)}],
)
def test_rates_that_make_no_sense_are_refused(build, chain, rates):
    with pytest.raises(UsageError, match="rates"):
        map_network(chain, build.chip(), rates=rates)


def test_every_stage_is_deterministic_and_the_seed_is_used_only_for_placement(build, chain):
    chip = build.chip({"neurons": 1})
    first, again, other = (map_network(chain, chip, seed=s) for s in (1, 1, 2))
    assert [s.core for s in first.slices] == [s.core for s in again.slices]
    assert first.metrics == again.metrics
    assert other.metrics["packets"] == first.metrics["packets"]
    assert verify(chain, chip, other).is_legal


def test_slices_of_one_population_on_one_core_are_one_slice(build):
    network = build.network(
        {"in": (2, 6, 6)},
        [build.population("a", (4, 6, 6)), build.population("b", (5,))],
        [build.conv("in", "a", (2, 6, 6), 4, 3, pad=1), build.dense("a", "b", 144, 5)],
    )
    mapping = map_network(network, build.chip({"neurons": 40, "in_axons": 500}))
    keys = [(s.population, s.core) for s in mapping.slices]
    assert len(keys) == len(set(keys))
    assert all((np.diff(s.neurons) > 0).all() for s in mapping.slices)


def test_soft_budgets_are_kept_where_the_chip_has_the_cores(build):
    network = build.network(
        {"in": (4,)},
        [build.population("a", (6,), threshold=np.arange(6) + 1)],
        [build.dense("in", "a", 4, 6)],
    )
    group = CoreSpec("core", 4, {"threshold_profiles": 6}, {"threshold_profiles": 3})
    roomy = build.chip(groups=(group,), mesh=(4, 1, 1))
    mapping = map_network(network, roomy)
    assert (len(mapping.cores), mapping.notices) == (2, ())
    tight = build.chip(groups=(replace(group, count=1),), mesh=(1, 1, 1))
    (notice,) = map_network(network, tight).notices
    assert "threshold_profiles 6, advised limit 3" in notice.text


def test_no_synapses_at_all_is_no_problem(build):
    network = build.network({"in": (4,)}, [build.population("a", (6,))], [])
    mapping = map_network(network, build.chip())
    assert mapping.metrics["packets"] == 0
    assert mapping.encodings == {}


def test_the_bound_names_the_resource_that_binds(build):
    network = build.network(
        {"in": (100,)}, [build.population("a", (50,))], [build.dense("in", "a", 100, 50)]
    )
    wiring = wire(network)
    bound = bound_cores(wiring, build.chip({"neurons": 25, "synapse_bits": 9000}))
    assert (bound.n_cores, bound.resource) == (5, "synapse_bits")  # 100 x 50 x 8 / 9000
    bound = bound_cores(wiring, build.chip({"neurons": 9, "synapse_bits": 9000}))
    assert (bound.n_cores, bound.resource) == (6, "neurons")
    mixed = (CoreSpec("large", 1, {"neurons": 30}), CoreSpec("small", 9, {"neurons": 10}))
    assert bound_cores(wiring, build.chip(groups=mixed)).n_cores == 3


def test_a_mapper_says_its_name(build, chain):
    assert GreedyMapper().map(chain, build.chip()).mapper == GreedyMapper().name == "greedy"


@pytest.mark.parametrize("name", ["generic", "loihi1-d18", "loihi1-nahuku", "spinnaker2"])
def test_a_feature_map_network_fits_every_packaged_chip(build, name):
    pool = Pool("sum", (8, 16, 16), (2, 2), (2, 2))
    network = build.network(
        {"in": (2, 34, 34)},
        [
            build.population("c1", (8, 16, 16)),
            build.population("c2", (8, 16, 16)),
            build.population("fc", (64,)),
            build.population("out", (10,)),
        ],
        [
            build.conv("in", "c1", (2, 34, 34), 8, 5, stride=2, pad=1),
            build.conv("c1", "c2", (8, 16, 16), 8, 3, pad=1),
            build.dense("c2", "fc", 512, 64, pools=(pool,)),
            build.dense("fc", "out", 64, 10),
        ],
    )
    chip = load_chip(name)
    mapping = map_network(network, chip)
    assert verify(network, chip, mapping).is_legal
    bound = mapping.metrics["cores_lower_bound"]
    assert bound <= mapping.metrics["n_cores"] <= 2 * bound + 1


def test_layers_that_need_different_groups_of_cores_find_them(build):
    # a: 30 axons and 1 synapse each per neuron; b: 5 axons, but 50 neurons with 50 thresholds
    groups = (
        CoreSpec("wide", 2, {"in_axons": 40, "threshold_profiles": 1}),
        CoreSpec("varied", 2, {"in_axons": 10, "threshold_profiles": 50}),
    )
    network = build.network(
        {"x": (30,), "y": (5,)},
        [build.population("a", (4,)), build.population("b", (50,), threshold=np.arange(50) + 1)],
        [build.dense("x", "a", 30, 4), build.dense("y", "b", 5, 50)],
    )
    chip = build.chip(groups=groups, mesh=(4, 1, 1))
    mapping = map_network(network, chip)
    names = {s.population: chip.core_spec(s.core).name for s in mapping.slices}
    assert names == {"a": "wide", "b": "varied"}
