"""Part: one population with everything that ends at it, the unit that quantizers work on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.cells import MembraneCell
from nmhw.mappers.quantize.explicit import Explicit
from nmhw.mappers.quantize.grid import WeightGrid
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.scales import Bounds
from nmhw.values.discrete import FloatCell
from nmhw.values.linear import Sparse
from nmhw.values.network import Network, Population
from nmhw.values.quantized import LayerLoss, QuantizedPopulation, QuantizedProjection

# Beyond this, products with gains and scales leave the range of float32, and soon of float64.
_LARGEST = 1e30


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What a family's quantizer gets.

    Attributes
    ----------
    source : FloatCell
        Before gains, biases and reset value were folded.
    cell : MembraneCell
    incoming : lowered projections, weights in the author's units
    delays : steps on the chip, one per projection
    depth, reset_delay : of the population on the chip
    bounds : Bounds
        Largest states; only integer families use them.
    explicit : given integers of the population
    explicit_weights : given integers by projection name
    is_literal : bool
        The network's own numbers are the integers (``make_explicit``).
    exponents : left shifts that other populations decide, by projection name
    taken_names : names of the whole network's projections
    spikes : most spikes per step of each projection's sources
    is_output : whether an output port reads the population
    """

    population: Population
    source: FloatCell
    cell: MembraneCell
    incoming: tuple[LoweredProjection, ...]
    delays: tuple[int, ...]
    depth: int
    reset_delay: int
    bounds: Bounds
    explicit: Explicit = field(default_factory=dict)
    explicit_weights: Mapping[str, Explicit] = field(default_factory=dict)
    is_literal: bool = False
    exponents: Mapping[str, int] = field(default_factory=dict)
    taken_names: frozenset[str] = frozenset()
    spikes: tuple[int, ...] = ()
    is_output: bool = False

    @property
    def name(self) -> str:
        """Name of the population."""
        return self.population.name


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedPart:
    """What a family's quantizer returns.

    ``loss``: None where given integers replace a float. ``overflow``: bounds of u and v divided by
    the states' widths (0 = does not apply).
    """

    population: QuantizedPopulation
    projections: tuple[QuantizedProjection, ...]
    loss: LayerLoss | None
    overflow: tuple[float, float] = (0.0, 0.0)


def refuse_extreme_weights(network: Network) -> None:
    """Refuse weights that would overflow before the quantizer sees them.

    Raises
    ------
    UnsupportedError
        Naming the projection and the value.
    """
    for projection in network.projections:
        for op in projection.ops:
            values = getattr(op, "weight", None)
            values = getattr(op, "scale", None) if values is None else values
            values = op.matrix.data if isinstance(op, Sparse) else values
            if values is not None:
                _refuse_extreme(f"weight of {projection.name}", values, projection.target)


def refuse_extremes(part: Part) -> None:
    """Refuse finite numbers that no chip's integers could stand for.

    Raises
    ------
    UnsupportedError
        Naming the population (and projection) and the value.
    """
    named = [(f"weight of {p.name}", p.weights) for p in part.incoming]
    named += [("bias", part.cell.u_bias), ("bias", part.cell.v_bias)]
    if part.cell.is_spiking:
        named.append(("threshold", part.cell.threshold))
    for what, values in named:
        _refuse_extreme(what, values, part.name)


def _refuse_extreme(what: str, values: NDArray[Any], where: str) -> None:
    peak = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
    if peak > _LARGEST:
        raise UnsupportedError(
            f"a {what} is too large to quantize", got=f"{peak:.6g}", limit=f"{_LARGEST:.0e}",
            where=where, hint="check the file's values", rule="quantize.extreme-value",
        )  # fmt: skip


def build_projection(
    projection: LoweredProjection,
    stored: NDArray[np.integer[Any]],
    shift: int,
    delay_steps: int,
    grid: WeightGrid,
    weight_scale: NDArray[np.float64],
) -> QuantizedProjection:
    """Return the projection with integer weights in its storage form."""
    return QuantizedProjection(
        name=projection.name,
        source=projection.source,
        target=projection.target,
        storage=projection.storage,
        weights=np.ascontiguousarray(stored),
        delay_steps=delay_steps,
        shift=shift,
        indptr=projection.indptr,
        indices=projection.indices,
        geometry=projection.geometry,
        pools=projection.pools,
        weight_bits=grid.bits,
        sign_mode=grid.sign_mode,
        weight_scale=weight_scale,
    )


def profile_numbers(*columns: NDArray[Any]) -> NDArray[np.int64]:
    """Number the distinct rows of parameters (n,) in order of their values."""
    rows = np.stack([np.asarray(c, np.float64) for c in columns], axis=1)
    return np.unique(rows, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def compact(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (1,) where all values are equal, else the values."""
    return values[:1] if values.size and np.all(values == values[0]) else values
