"""Given weights of a projection, checked against the chip's grid (fields: see ``explicit``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.mappers.quantize.explicit import Explicit, whole_numbers
from nmhw.mappers.quantize.grid import SignMode, WeightGrid, pack_weights, weight_grid
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import Part, build_projection, compact
from nmhw.mappers.quantize.registers import Registers
from nmhw.values.chip import ArithmeticSpec, ChipSpec
from nmhw.values.quantized import QuantizedProjection

Ints = NDArray[np.int64]


def explicit_weights(
    part: Part,
    projection: LoweredProjection,
    delay_steps: int,
    registers: Registers,
    chip: ChipSpec,
) -> QuantizedProjection:
    """Return a projection with given integers (weights in the author's units where literal).

    Raises
    ------
    UsageError
        For weights, widths, modes or exponents off the chip's grid.
    """
    entry = part.explicit_weights.get(projection.name, {})
    arithmetic = chip.arithmetic
    if "weight" not in entry and not part.is_literal:
        raise UsageError(
            "explicit needs the weight too", got=", ".join(entry), where=projection.name
        )
    values = as_stored(projection, entry["weight"]) if "weight" in entry else projection.weights
    weights = whole_numbers(projection.name, "weight", values, None, -(1 << 31), (1 << 31) - 1)
    grid = _pick_grid(projection.name, weights, entry, arithmetic)
    low, high = arithmetic.weight_exponent
    given = entry.get("exponent", int(np.clip(0, low, high)))
    exponent = int(whole_numbers(projection.name, "exponent", given, 1, low, high)[0])
    stored, packed = pack_weights(weights)
    unit = 1.0 if part.is_literal else 2.0 ** -(arithmetic.input_shift + exponent)
    gain = np.ones(part.cell.size) if part.is_literal else part.cell.gain
    per_unit = registers.scale * gain * unit / (1 << packed)
    built = build_projection(
        projection, stored, exponent + packed, delay_steps, grid, compact(per_unit)
    )
    synapse = int(whole_numbers(projection.name, "synapse", entry.get("synapse", 0), 1, 0, 1)[0])
    if synapse and registers.u2 is None:
        raise _no_second_current(part, projection, arithmetic)
    return replace(built, synapse=1) if synapse else built


def _no_second_current(
    part: Part, projection: LoweredProjection, arithmetic: ArithmeticSpec
) -> UsageError:
    what, hint = "the target has no second synaptic current", f"u2_shift of {projection.target}"
    if arithmetic.n_currents < 2:
        what, hint = "the chip has one synaptic current", "synapse 0"
    elif part.is_output:
        what, hint = "an output has one synaptic current", "synapse 0"
    return UsageError(
        what, got="synapse 1", where=f"{projection.name}: synapse", hint=hint,
        rule="quantize.explicit",
    )  # fmt: skip


def _pick_grid(name: str, weights: Ints, entry: Explicit, arithmetic: ArithmeticSpec) -> WeightGrid:
    modes = (entry["sign_mode"],) if "sign_mode" in entry else arithmetic.sign_modes
    grids = [weight_grid(arithmetic, entry.get("bits"), cast(SignMode, m)) for m in modes]
    for grid in grids:
        if np.all(grid.holds(weights)):
            return grid
    grid = grids[0]
    raise UsageError(
        "a weight is not on the chip's grid",
        got=int(weights[~grid.holds(weights)].flat[0]),
        limit=(
            f"{grid.minimum}..{grid.maximum} in steps of {grid.step} "
            f"({grid.bits} bits, {grid.sign_mode})"
        ),
        where=f"{name}: weight",
        rule="quantize.explicit",
    )


def as_stored(projection: LoweredProjection, weight: Any) -> NDArray[Any]:
    """Return given weights in the storage order of the projection."""
    shape = projection.weights.shape
    if hasattr(weight, "tocsr"):
        csr = weight.tocsr().copy()
        csr.sort_indices()
        weight = csr.data if projection.storage == "sparse" else csr.toarray().T
    array = np.asarray(weight)
    if array.ndim == 0 or array.size == 1:
        return np.full(shape, array.reshape(-1)[0])
    if projection.storage == "dense" and array.shape == shape[::-1]:
        return array.T
    if array.shape == shape and projection.storage != "dense":
        return array
    wanted = shape[::-1] if projection.storage == "dense" else shape
    raise UsageError(
        "weight has the wrong shape", got=array.shape, limit=f"one value or {wanted}",
        where=f"{projection.name}: weight",
    )  # fmt: skip
