"""Place: packed cores onto physical ones, so that packets travel few hops.

Two starts (cores in order along a snake and along a Hilbert curve from the port's corner), each
improved by seeded annealing over swaps and finished by the best remaining swaps. Empty cores take
part in the swaps. Stops by moves, never by the clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.route import port_position, tile_positions
from nmhw.mappers.traffic import Traffic
from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Curve = Callable[[int, int, Ints, tuple[int, int]], Ints]

#: Links between chips carry about 30 times less than those on a chip (Davies et al. 2021,
#: doi:10.1109/JPROC.2021.3067593), so a border counts like that many hops.
CROSSING_HOPS = 30
_MOVES_PER_CORE = 1000
_MAX_MOVES = 100_000
#: Annealing starts at the mean cost of a core and cools geometrically to this share of it.
_COLDEST = 0.02
#: Distances are whole multiples of 1/64 of a hop.
_HOP_UNITS = 64
#: More cores than this are only laid out along the curves (swaps need a square matrix).
_MAX_IMPROVED = 2048
#: Physical cores considered beyond those needed.
_SPARE_SITES = 64


def place_cores(chip: ChipSpec, groups: Sequence[int], traffic: Traffic, seed: int = 0) -> Ints:
    """Return (n,) the global core index of every packed core.

    Parameters
    ----------
    groups : sequence of int
        Index into ``chip.cores`` of every packed core; there must be enough cores of each.
    traffic : Traffic
        Between the packed cores, in the same order.
    """
    n = len(groups)
    group_of = np.asarray(groups, np.int64)
    best: tuple[float, Ints] | None = None
    for curve in (_snake, _hilbert):
        sites = _candidate_sites(chip, group_of, curve)
        if n > _MAX_IMPROVED:
            cost = _cost_of(chip, sites[:n], traffic)
            if best is None or cost < best[0]:
                best = (cost, sites[:n])
            continue
        problem = _Problem(chip, sites, group_of, traffic)
        rng = np.random.default_rng([seed, 0x706C61])
        cost = problem.improve(rng)
        if best is None or cost < best[0] - 1e-9:
            best = (cost, sites[problem.site[:n]])
    assert best is not None
    return best[1]


def _candidate_sites(chip: ChipSpec, group_of: Ints, curve: Curve) -> Ints:
    """Return global core indices, the ones for the packed cores first, then spare ones."""
    order = _cores_along(chip, curve)
    group = _group_of_core(chip)[order]
    taken, spare = np.zeros(group_of.size, np.int64), []
    for g in np.unique(group_of):
        members = np.flatnonzero(group_of == g)
        free = order[group == g]
        taken[members] = free[: members.size]
        spare.append(free[members.size : members.size + _SPARE_SITES])
    return np.concatenate([taken, *spare])


def _group_of_core(chip: ChipSpec) -> Ints:
    per_chip = np.repeat(np.arange(len(chip.cores)), [g.count for g in chip.cores])
    return np.tile(per_chip, chip.board.n_chips)


def _cores_along(chip: ChipSpec, curve: Curve) -> Ints:
    """Return all global cores in the order in which ``curve`` visits them, chip by chip."""
    cores = np.arange(chip.n_cores, dtype=np.int64)
    at, local = np.divmod(cores, chip.cores_per_chip)
    tile = local // chip.mesh.cores_per_tile
    rank = curve(chip.mesh.width, chip.mesh.height, tile, chip.mesh.port)
    return cores[np.lexsort((local, rank, at))]


def _snake(width: int, height: int, tile: Ints, port: tuple[int, int]) -> Ints:
    x, y = _from_port(width, height, tile, port)
    return y * width + np.where(y % 2 == 0, x, width - 1 - x)


def _hilbert(width: int, height: int, tile: Ints, port: tuple[int, int]) -> Ints:
    """Rank along a Hilbert curve over the smallest power-of-two square around the mesh."""
    x, y = _from_port(width, height, tile, port)
    side = 1 << max(0, math.ceil(math.log2(max(width, height))))
    rank = np.zeros_like(x)
    half = side // 2
    while half > 0:
        right, top = (x & half) > 0, (y & half) > 0
        rank += half * half * ((3 * right) ^ top)
        flip = right & ~top
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(~top, y, x), np.where(~top, x, y)
        half //= 2
    return rank


def _from_port(width: int, height: int, tile: Ints, port: tuple[int, int]) -> tuple[Ints, Ints]:
    """Tile coordinates counted from the corner nearest to the port."""
    x, y = tile % width, tile // width
    if 2 * port[0] > width - 1:
        x = width - 1 - x
    if 2 * port[1] > height - 1:
        y = height - 1 - y
    return x, y


class _Problem:
    """Which site (column) each packed or empty core (row) takes.

    ``cost_at[a, s]`` is what core a would pay at site s while all others stay; a swap changes it by
    one outer product, and the change of any swap is four look-ups.
    """

    def __init__(self, chip: ChipSpec, sites: Ints, group_of: Ints, traffic: Traffic) -> None:
        n, m = group_of.size, sites.size
        self.distance = np.rint(_distances(chip, sites, sites) * _HOP_UNITS)
        scale = _exact_scale(traffic, float(self.distance.max(initial=1.0)))
        self.flow = np.zeros((m, m))
        self.flow[:n, :n] = np.rint(scale * (traffic.between + traffic.between.T))
        np.fill_diagonal(self.flow, 0.0)
        port = np.zeros((m, m))
        to_port = np.rint(_port_distances(chip, sites) * _HOP_UNITS)
        port[:n] = np.outer(np.rint(scale * traffic.from_port), to_port)
        self.site = np.arange(m)
        self.cost_at = port + self.flow @ self.distance
        self.port = port
        self.n = n
        all_groups = _group_of_core(chip)[sites]
        self.mates = [np.flatnonzero(all_groups == all_groups[a]) for a in range(m)]

    def cost(self) -> float:
        """Packet-weighted hops, in the problem's own units."""
        rows = np.arange(self.site.size)
        half = 0.5 * (self.cost_at - self.port)[rows, self.site].sum()
        return float(half + self.port[rows, self.site].sum())

    def improve(self, rng: np.random.Generator) -> float:
        """Anneal, then take the best swap until none helps; keep the better of both ends."""
        if self.site.size > 1 and self.n > 0:
            self._descend()
            kept, before = (self.site.copy(), self.cost_at.copy()), self.cost()
            self._anneal(rng)
            self._descend()
            if self.cost() >= before:
                self.site, self.cost_at = kept
        return self.cost()

    def _change(self, a: int, b: int) -> float:
        sa, sb = self.site[a], self.site[b]
        c = self.cost_at
        there_and_back = 2.0 * self.flow[a, b] * self.distance[sa, sb]
        return float(c[a, sb] + c[b, sa] - c[a, sa] - c[b, sb] + there_and_back)

    def _swap(self, a: int, b: int) -> None:
        sa, sb = self.site[a], self.site[b]
        moved = self.distance[sb] - self.distance[sa]
        change = self.flow[:, a] - self.flow[:, b]
        talking = np.flatnonzero(change)  # most cores talk to few others
        if 4 * talking.size < change.size:
            self.cost_at[talking] += np.outer(change[talking], moved)
        else:
            self.cost_at += np.outer(change, moved)
        self.site[a], self.site[b] = sb, sa

    def _descend(self) -> None:
        tolerance = 1e-9 * (1.0 + self.cost())
        for _ in range(4):
            improved = False
            for a in range(self.n):
                mates = self.mates[a]
                sa, sb = self.site[a], self.site[mates]
                c = self.cost_at
                change = c[a, sb] + c[mates, sa] - c[a, sa] - c[mates, sb]
                change += 2.0 * self.flow[a, mates] * self.distance[sa, sb]
                change[mates == a] = 0.0
                best = int(np.argmin(change))
                if change[best] < -tolerance:
                    self._swap(a, int(mates[best]))
                    improved = True
            if not improved:
                return

    def _anneal(self, rng: np.random.Generator) -> None:
        moves = min(_MAX_MOVES, _MOVES_PER_CORE * self.n)
        first = rng.integers(0, self.n, moves)
        second, chance = rng.random(moves), rng.random(moves)
        start = max(self.cost() / self.n, 1e-12)
        for move in range(moves):
            a = int(first[move])
            mates = self.mates[a]
            b = int(mates[int(second[move] * mates.size)])
            if a == b:
                continue
            heat = start * _COLDEST ** (move / moves)
            change = self._change(a, b)
            if change <= 0 or chance[move] < math.exp(-min(change / heat, 700.0)):
                self._swap(a, b)


def _cost_of(chip: ChipSpec, sites: Ints, traffic: Traffic) -> float:
    """Return the packet-weighted hops of a layout, pair by pair."""
    source, target = np.nonzero(traffic.between)
    at = tile_positions(chip, sites)
    between = traffic.between[source, target] @ _weighted(chip, at[source], at[target])
    return float(between + traffic.from_port @ _port_distances(chip, sites))


def _exact_scale(traffic: Traffic, longest: float) -> float:
    """Return the power of two that turns packets into whole numbers whose sums stay exact.

    Sums of whole numbers below 2^53 do not depend on their order, hence not on the number of
    threads of a matrix product.
    """
    if traffic.packets <= 0:
        return 1.0
    exponent = math.frexp(traffic.packets * max(longest, 1.0))[1]
    return math.ldexp(1.0, min(48 - exponent, 60))


def _distances(chip: ChipSpec, first: Ints, second: Ints) -> Floats:
    return _weighted(chip, tile_positions(chip, first)[:, None], tile_positions(chip, second)[None])


def _port_distances(chip: ChipSpec, sites: Ints) -> Floats:
    return _weighted(chip, port_position(chip)[None], tile_positions(chip, sites))


def _weighted(chip: ChipSpec, start: Ints, end: Ints) -> Floats:
    """Hops between positions, north-south ones at their price next to east-west ones."""
    x_price, y_price = _hop_prices(chip)
    steps = np.abs(start - end)
    size = np.asarray([chip.mesh.width, chip.mesh.height])
    crossings = np.abs(start // size - end // size).sum(axis=-1)
    return steps[..., 0] * x_price + steps[..., 1] * y_price + CROSSING_HOPS * crossings


def _hop_prices(chip: ChipSpec) -> tuple[float, float]:
    table = chip.costs.get(chip.default_costs or "")
    figures = table.energy_pj if table is not None else {}
    x, y = figures.get("hop.x"), figures.get("hop.y")
    if x is None or y is None or not x.value or not y.value:
        return 1.0, 1.0
    return 1.0, y.value / x.value
