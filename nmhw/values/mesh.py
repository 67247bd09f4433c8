"""Where cores and chips sit: the grid of one chip, and the grid of chips on a board."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MeshSpec:
    """Tiles of ``cores_per_tile`` cores on a ``width`` x ``height`` grid with XY routing.

    Core k sits in tile k // cores_per_tile; tile t at x = t % width, y = t // width. Inputs enter
    at tile ``port``. Hop costs: ``hop.x`` east-west, ``hop.y`` north-south, ``hop.local`` in-tile.
    """

    width: int
    height: int
    cores_per_tile: int = 1
    port: tuple[int, int] = (0, 0)
    source: str = ""


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """Several equal chips on a ``width`` x ``height`` grid; a crossing costs ``link.crossing``."""

    width: int = 1
    height: int = 1
    source: str = ""

    @property
    def n_chips(self) -> int:
        """Number of chips."""
        return self.width * self.height
