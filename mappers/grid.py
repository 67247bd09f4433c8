"""Grid: which populations are feature maps."""

from __future__ import annotations

from nmhw.mappers.wiring import Wiring


def map_shape(wiring: Wiring, population: str) -> tuple[int, int, int] | None:
    """Return (channels, height, width) of a population laid out as feature maps, else None."""
    for wires in wiring.incoming[population]:
        if wires.projection.geometry is not None:
            return wires.projection.geometry.out_shape
    shape = wiring.network.shapes()[population]
    if len(shape) == 3:
        return int(shape[0]), int(shape[1]), int(shape[2])
    return None
