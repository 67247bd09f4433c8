"""Routes: dimension-order (XY) paths on the mesh, their hops and the load of every link."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinkLoads:
    """Packets per directed link between neighboring routers, indexed by the link's start.

    ``east[y, x]`` goes from x to x + 1, ``west[y, x]`` from x to x - 1, ``north`` and ``south``
    likewise towards larger and smaller y.
    """

    east: Floats
    west: Floats
    north: Floats
    south: Floats

    @property
    def largest(self) -> float:
        """Load of the busiest link."""
        return max(
            float(a.max(initial=0.0)) for a in (self.east, self.west, self.north, self.south)
        )


def tile_positions(chip: ChipSpec, cores: Ints) -> Ints:
    """Return (n, 2) router coordinates (x, y) on the grid of all chips of the board."""
    at, local = np.divmod(np.asarray(cores, np.int64), chip.cores_per_chip)
    tile = local // chip.mesh.cores_per_tile
    x = (at % chip.board.width) * chip.mesh.width + tile % chip.mesh.width
    y = (at // chip.board.width) * chip.mesh.height + tile // chip.mesh.width
    return np.stack([x, y], axis=1)


def port_position(chip: ChipSpec) -> Ints:
    """Return (x, y) of the router where inputs enter (on the first chip)."""
    return np.asarray(chip.mesh.port, np.int64)


def count_hops(start: Ints, end: Ints) -> Ints:
    """Return the router-to-router steps between positions (..., 2)."""
    return np.abs(start - end).sum(axis=-1)


def count_crossings(chip: ChipSpec, start: Ints, end: Ints) -> Ints:
    """Return how many chip borders a packet crosses between positions (..., 2)."""
    size = np.asarray([chip.mesh.width, chip.mesh.height])
    return np.abs(start // size - end // size).sum(axis=-1)


def load_links(chip: ChipSpec, start: Ints, end: Ints, packets: Floats) -> LinkLoads:
    """Send ``packets`` (n,) from ``start`` to ``end`` (n, 2), along x first and then along y."""
    width, height = chip.mesh.width * chip.board.width, chip.mesh.height * chip.board.height
    east, west = _runs((height, width), start[:, 1], start[:, 0], end[:, 0], packets)
    north, south = _runs((width, height), end[:, 0], start[:, 1], end[:, 1], packets)
    return LinkLoads(east, west, north.T, south.T)


def _runs(
    shape: tuple[int, int], lane: Ints, start: Ints, end: Ints, packets: Floats
) -> tuple[Floats, Floats]:
    """Return the loads of straight runs along the second axis, upwards and downwards."""
    up = np.zeros((shape[0], shape[1] + 1))
    down = np.zeros((shape[0], shape[1] + 1))
    rising, falling = start < end, start > end
    # links are named by their start: upwards start .. end - 1, downwards end + 1 .. start
    np.add.at(up, (lane[rising], start[rising]), packets[rising])
    np.add.at(up, (lane[rising], end[rising]), -packets[rising])
    np.add.at(down, (lane[falling], end[falling] + 1), packets[falling])
    np.add.at(down, (lane[falling], start[falling] + 1), -packets[falling])
    return np.cumsum(up, axis=1)[:, :-1], np.cumsum(down, axis=1)[:, :-1]
