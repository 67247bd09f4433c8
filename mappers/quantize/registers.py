"""Registers: one population's integers on an integer chip, at a given scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.quantize.cells import MembraneCell
from nmhw.mappers.quantize.grid import (
    DecayCode,
    choose_decay,
    choose_leak,
    largest_bias,
    legal_biases,
)
from nmhw.values.chip import ArithmeticSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """A population's integers; arrays (n,) in membrane LSBs, decays as codes."""

    u: DecayCode
    v: DecayCode
    scale: Floats
    threshold: Ints
    u_bias: Ints
    v_bias: Ints
    v_reset: Ints
    v0: Ints
    v_min: Ints | None
    refractory_steps: Ints | None = None
    n_clipped_biases: int = 0
    u2: DecayCode | None = None
    alias: Ints | None = None


def registers_at_scale(
    cell: MembraneCell,
    scale: Floats,
    threshold: Ints,
    arithmetic: ArithmeticSpec,
    where: str | None = None,
) -> Registers:
    """Return the registers next to the float cell.

    Parameters
    ----------
    scale : (n,) LSB per unit of v
    threshold : (n,) LSB, on the chip's grid
    where : name of the population, for errors

    Raises
    ------
    UnsupportedError
        For a decay that the chip cannot hold in any way.
    """
    u = DecayCode("clear", np.zeros(cell.size, np.int64), np.zeros(cell.size))
    if cell.has_current:
        u = choose_decay(arithmetic, cell.u_keep, "u", cell.form.integrator, where)
    v_bias, clipped = legal_biases(arithmetic, scale * cell.v_bias)
    u_bias, clipped_u = legal_biases(arithmetic, scale * cell.u_bias)
    lowest = arithmetic.lowest_v
    has_bound = lowest is not None or bool(np.any(np.isfinite(cell.v_min)))
    floor = -(1 << (arithmetic.v_bits - 1)) + 1 if lowest is None else lowest
    leak = constant_leak(arithmetic, cell)
    kept = np.ones(cell.size) if leak else cell.v_keep
    v = choose_decay(arithmetic, kept, "v", cell.form.integrator, where)
    if leak is not None:
        kind: Literal["subtract", "converge"] = "converge" if leak == "converge" else "subtract"
        v = choose_leak(arithmetic, cell.v_keep, threshold, kind)
    if leak == "constant":  # a bias downward, and a floor
        top = largest_bias(arithmetic)
        v_bias = np.clip(v_bias - v.code, -top, top)
        v, has_bound = replace(v, kind="none"), True
        floor = max(floor, 0)
    return Registers(
        u=u,
        v=v,
        scale=scale,
        threshold=threshold,
        u_bias=u_bias,
        v_bias=v_bias,
        v_reset=_integers(scale * cell.v_reset),
        v0=_integers(scale * cell.v0),
        v_min=_integers(np.maximum(scale * cell.v_min, floor)) if has_bound else None,
        n_clipped_biases=int((clipped | clipped_u).sum()),
    )


def constant_leak(
    arithmetic: ArithmeticSpec, cell: MembraneCell
) -> Literal["subtract", "converge", "constant"] | None:
    """Return which constant leak stands for the cell's decay, None where no one has to."""
    if np.all(cell.v_keep == 1):
        return None
    if "subtract" in arithmetic.decays:
        return "subtract"
    is_biased = bool(np.any(cell.v_bias))  # the leak's register is that of the bias
    if "converge" in arithmetic.decays and not (is_biased and "constant" in arithmetic.decays):
        return "converge"
    return "constant" if "constant" in arithmetic.decays else None


def nudge_threshold(
    registers: Registers, cell: MembraneCell, arithmetic: ArithmeticSpec
) -> Registers:
    """Move the threshold where the chip compares the other way: v >= t is v > t - 1 in integers.

    With coarser thresholds a whole step is right if v only takes multiples of it, else none.
    """
    if not cell.form.nudge:
        return registers
    step = 1 << arithmetic.threshold_shift
    if step > 1:
        values = (registers.u_bias, registers.v_bias, registers.v_reset, registers.v0)
        is_coarse = registers.v.kind in ("none", "clear") and registers.u.kind == "clear"
        if not is_coarse or any(np.any(value % step) for value in values):
            return registers
    threshold = np.maximum(registers.threshold + cell.form.nudge * step, 0)
    return replace(registers, threshold=threshold)


def _integers(x: Floats) -> Ints:
    return np.rint(x).astype(np.int64)
