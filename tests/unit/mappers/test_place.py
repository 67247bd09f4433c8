from dataclasses import replace

import numpy as np
import pytest

from nmhw.mappers.place import _hilbert, _snake, place_cores
from nmhw.mappers.route import count_crossings, count_hops, load_links, tile_positions
from nmhw.mappers.traffic import Traffic
from nmhw.values.chip import BoardSpec, CoreSpec, CostTable, Figure, MeshSpec


def mesh(build, width, height, per_tile=1, **fields):
    groups = fields.pop("groups", (CoreSpec("core", width * height * per_tile, {}),))
    mesh = MeshSpec(width, height, per_tile, port=fields.pop("port", (0, 0)))
    chip = build.chip(groups=groups)
    return replace(chip, mesh=mesh, **fields)


def hops(chip, cores, traffic):
    at = tile_positions(chip, cores)
    return float((traffic.between * count_hops(at[:, None], at[None])).sum())


@pytest.mark.parametrize("seed", range(3))
def test_the_planted_layout_of_a_small_mesh_is_found(build, seed):
    chip = mesh(build, 4, 4)
    at = tile_positions(chip, np.arange(16))
    neighbors = (count_hops(at[:, None], at[None]) == 1).astype(float)
    order = np.random.default_rng(seed).permutation(16)
    traffic = Traffic(neighbors[order][:, order], np.zeros(16))
    cores = place_cores(chip, [0] * 16, traffic, seed)
    assert sorted(cores) == list(range(16))
    assert hops(chip, cores, traffic) == traffic.between.sum()  # every packet one hop


def test_a_chain_is_laid_out_without_detours(build):
    chip = mesh(build, 8, 4)
    between = np.diag(np.ones(19), k=1)
    traffic = Traffic(between, np.zeros(20))
    assert hops(chip, place_cores(chip, [0] * 20, traffic), traffic) == 19


def test_cores_that_talk_most_share_a_tile(build):
    chip = mesh(build, 4, 4, per_tile=2)
    between = np.ones((4, 4))
    between[0, 3] = between[1, 2] = 100.0
    cores = place_cores(chip, [0] * 4, Traffic(between, np.zeros(4)))
    tiles = cores // 2
    assert tiles[0] == tiles[3]
    assert tiles[1] == tiles[2]


def test_input_layers_sit_at_the_port(build):
    for port in ((0, 0), (5, 3), (3, 0)):
        chip = mesh(build, 6, 4, port=port)
        between = np.zeros((3, 3))
        between[0, 1] = between[1, 2] = 1.0
        cores = place_cores(chip, [0] * 3, Traffic(between, np.array([5.0, 0, 0])))
        assert tuple(tile_positions(chip, cores[:1])[0]) == port


def test_expensive_north_south_hops_are_avoided(build):
    def figure(value):
        return Figure(value, "pJ", "test")

    energy = {"hop.x": figure(1.0), "hop.y": figure(10.0)}
    table = CostTable("t", "t", energy, {}, {})
    chip = mesh(build, 4, 4, costs={"t": table}, default_costs="t")
    traffic = Traffic(np.ones((4, 4)), np.zeros(4))
    rows = tile_positions(chip, place_cores(chip, [0] * 4, traffic))[:, 1]
    assert len(set(rows.tolist())) == 1


def test_groups_keep_to_their_own_cores(build):
    groups = (CoreSpec("a", 3, {}), CoreSpec("b", 5, {}))
    chip = mesh(build, 4, 2, groups=groups)
    wanted = [1, 0, 1, 0, 1]
    cores = place_cores(chip, wanted, Traffic(np.ones((5, 5)), np.ones(5)))
    assert [chip.core_spec(int(c)).name for c in cores] == ["ab"[g] for g in wanted]
    assert len(set(cores.tolist())) == 5


def test_talkers_stay_on_one_chip_of_a_board(build):
    chip = mesh(build, 2, 2, board=BoardSpec(2, 1))
    between = np.zeros((6, 6))
    between[:3, :3] = between[3:, 3:] = 1.0
    cores = place_cores(chip, [0] * 6, Traffic(between, np.zeros(6)))
    chips = cores // 4
    assert len(set(chips[:3].tolist())) == len(set(chips[3:].tolist())) == 1


def test_the_same_seed_gives_the_same_layout_with_fractional_rates(build):
    chip = mesh(build, 6, 6)
    rng = np.random.default_rng(3)
    traffic = Traffic(rng.random((30, 30)), rng.random(30))
    first, again = (place_cores(chip, [0] * 30, traffic, seed=9) for _ in range(2))
    assert (first == again).all()


@pytest.mark.parametrize("curve", [_snake, _hilbert])
def test_curves_visit_every_tile_of_a_square_by_neighbors(curve):
    rank = curve(8, 8, np.arange(64), (7, 0))
    order = np.argsort(rank)
    steps = np.abs(np.diff(order % 8)) + np.abs(np.diff(order // 8))
    assert sorted(rank) == list(range(64))
    assert set(steps.tolist()) == {1}
    assert order[0] == 7  # the port's corner


def test_links_carry_what_a_walk_along_x_then_y_carries(build):
    chip = mesh(build, 5, 4)
    rng = np.random.default_rng(0)
    start = np.stack([rng.integers(0, 5, 40), rng.integers(0, 4, 40)], axis=1)
    end = np.stack([rng.integers(0, 5, 40), rng.integers(0, 4, 40)], axis=1)
    packets = rng.integers(1, 9, 40).astype(float)
    walked = {name: np.zeros((4, 5)) for name in ("east", "west", "north", "south")}
    for (x, y), (to_x, to_y), n in zip(start.tolist(), end.tolist(), packets, strict=True):
        while x != to_x:
            walked["east" if to_x > x else "west"][y, x] += n
            x += 1 if to_x > x else -1
        while y != to_y:
            walked["north" if to_y > y else "south"][y, x] += n
            y += 1 if to_y > y else -1
    loads = load_links(chip, start, end, packets)
    for name, expected in walked.items():
        np.testing.assert_array_equal(getattr(loads, name), expected)
    assert loads.largest == max(a.max() for a in walked.values())
    assert sum(a.sum() for a in walked.values()) == packets @ count_hops(start, end)


def test_positions_run_over_the_grid_of_all_chips(build):
    chip = mesh(build, 2, 2, per_tile=2, board=BoardSpec(2, 2))
    at = tile_positions(chip, np.array([0, 1, 2, 7, 8, 16, 31]))
    assert at.tolist() == [[0, 0], [0, 0], [1, 0], [1, 1], [2, 0], [0, 2], [3, 3]]
    assert count_crossings(chip, at[0], at).tolist() == [0, 0, 0, 0, 1, 1, 2]
