"""The chip's grids: which weights, thresholds, biases and decays its registers can hold.

Everything here is exact and says what it clipped; scales are chosen elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.values.chip import ArithmeticSpec
from nmhw.values.quantized import Decay

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SignMode = Literal["mixed", "excitatory", "inhibitory"]

# 1 - 2**-k from a float32 time constant is off by up to 1e-7
_EXACT_SHIFT = 1e-6


@dataclass(frozen=True, slots=True)
class WeightGrid:
    """Legal weights: ``minimum``, ``minimum + step`` ... ``maximum``, all multiples of ``step``."""

    minimum: int
    maximum: int
    step: int
    bits: int
    sign_mode: SignMode

    @property
    def largest(self) -> int:
        """Largest magnitude that both signs of the mode can hold."""
        if self.sign_mode == "excitatory":
            return self.maximum
        if self.sign_mode == "inhibitory":
            return -self.minimum
        return min(self.maximum, -self.minimum)

    def round(self, x: Floats, rounding: str = "nearest") -> tuple[Ints, Bools]:
        """Return the grid points for real weights, and where the grid's ends clipped them.

        "nearest" takes the even multiple on ties, "truncate" goes toward zero.
        """
        steps = np.rint(x / self.step) if rounding == "nearest" else np.trunc(x / self.step)
        low, high = -(-self.minimum // self.step), self.maximum // self.step
        inside = np.clip(steps, low, high)
        return inside.astype(np.int64) * self.step, inside != steps

    def holds(self, weights: NDArray[Any]) -> Bools:
        """Where ``weights`` are legal."""
        inside = (weights >= self.minimum) & (weights <= self.maximum)
        return np.asarray(inside & (weights % self.step == 0))


def weight_grid(
    arithmetic: ArithmeticSpec, bits: int | None = None, sign_mode: SignMode = "mixed"
) -> WeightGrid:
    """Return the grid of a projection.

    Each bit less than the full width doubles the step. Where a sign costs the mixed mode a bit
    (step 2 at full width, as on Loihi), one-signed modes have half the step and one point more.

    Raises
    ------
    UnsupportedError
        For a width or a sign mode that the chip does not have.
    """
    full = max(arithmetic.weight_bits)
    width = full if bits is None else bits
    if width not in arithmetic.weight_bits:
        widths = ", ".join(map(str, arithmetic.weight_bits))
        what = "no such weight width"
        raise UnsupportedError(what, got=width, limit=widths, rule="quantize.grid")
    if sign_mode not in arithmetic.sign_modes:
        modes = ", ".join(arithmetic.sign_modes)
        what = "no such sign mode"
        raise UnsupportedError(what, got=sign_mode, limit=modes, rule="quantize.grid")
    if arithmetic.weight_coding == "axons":
        return axon_grid(width)
    step = arithmetic.weight_step
    maximum, minimum = arithmetic.weight_max, arithmetic.weight_min
    if sign_mode != "mixed":
        finer = max(1, step // 2)
        top = maximum + step - finer
        minimum, maximum = (0, top) if sign_mode == "excitatory" else (-top, 0)
        step = finer
    step <<= full - width
    return WeightGrid(
        minimum=-(-minimum // step) * step,
        maximum=maximum // step * step,
        step=step,
        bits=width,
        sign_mode=sign_mode,
    )


def axon_grid(n_axons: int) -> WeightGrid:
    """Return the weights that ``n_axons`` axons of different types make, in units of the first.

    Two axons weigh 1 and -1; more are the bits of a number in two's complement: 1, 2, -4 or
    1, 2, 4, -8.
    """
    half = 1 << (n_axons - 1)
    low, high = (-1, 1) if n_axons == 2 else (-half, half - 1)
    return WeightGrid(low, high, 1, n_axons, "mixed")


def pick_grid(arithmetic: ArithmeticSpec, weights: Floats) -> WeightGrid:
    """Return the finest grid at full width: one-signed matrices use a one-signed mode."""
    if weights.size and "excitatory" in arithmetic.sign_modes and weights.min() >= 0:
        return weight_grid(arithmetic, sign_mode="excitatory")
    if weights.size and "inhibitory" in arithmetic.sign_modes and weights.max() <= 0:
        return weight_grid(arithmetic, sign_mode="inhibitory")
    return weight_grid(arithmetic, sign_mode=cast(SignMode, arithmetic.sign_modes[0]))


def pack_weights(weights: NDArray[np.integer[Any]]) -> tuple[NDArray[np.integer[Any]], int]:
    """Return weights in the narrowest storage and the left shift that restores them.

    Common factors of two are dropped where that makes them fit int8; else int16, then int32.
    """
    low, high = (int(weights.min()), int(weights.max())) if weights.size else (0, 0)
    for shift in range(4):
        if shift and np.any(weights & ((1 << shift) - 1)):
            break
        if low >> shift >= -128 and high >> shift <= 127:
            return (weights >> shift if shift else weights).astype(np.int8), shift
    wide = low >= -(1 << 15) and high < 1 << 15
    return weights.astype(np.int16 if wide else np.int32), 0


def largest_threshold(arithmetic: ArithmeticSpec) -> int:
    """Return the largest threshold in membrane LSBs (register and state width)."""
    register = ((1 << arithmetic.threshold_bits) - 1) << arithmetic.threshold_shift
    return min(register, (1 << (arithmetic.v_bits - 1)) - 1)


def legal_thresholds(
    arithmetic: ArithmeticSpec, x: Floats, rounding: Literal["nearest", "down"] = "nearest"
) -> Ints:
    """Return the thresholds (LSB, >= 0) of the chip's grid next to (or below) ``x``."""
    step = 1 << arithmetic.threshold_shift
    mantissa = np.rint(x / step) if rounding == "nearest" else np.floor(x / step)
    top = largest_threshold(arithmetic) // step
    return np.clip(mantissa, 0, top).astype(np.int64) * step


def largest_bias(arithmetic: ArithmeticSpec) -> int:
    """Return the largest bias in LSBs that both signs can hold."""
    return ((1 << (arithmetic.bias_bits - 1)) - 1) << arithmetic.bias_exponent[1]


def legal_biases(arithmetic: ArithmeticSpec, x: Floats) -> tuple[Ints, Bools]:
    """Return mantissa << exponent next to ``x`` per neuron, and where it was clipped.

    The smallest exponent that holds the value is used.
    """
    top = (1 << (arithmetic.bias_bits - 1)) - 1
    low, high = arithmetic.bias_exponent
    exponent = np.full(x.shape, low, np.int64)
    for e in range(low, high):
        exponent[np.rint(np.abs(x) / 2.0**e) > top] = e + 1
    mantissa = np.rint(x / np.exp2(exponent))
    inside = np.clip(mantissa, -top, top).astype(np.int64)
    value = np.where(
        exponent >= 0, inside << np.maximum(exponent, 0), inside >> -np.minimum(exponent, 0)
    )
    return value, inside != mantissa


@dataclass(frozen=True, slots=True, eq=False)
class DecayCode:
    """One state's decay: kind and register (n,), and the keep factor (n,) it amounts to."""

    kind: Decay
    code: Ints
    keep: Floats


def choose_decay(
    arithmetic: ArithmeticSpec,
    keep: Floats,
    state: Literal["u", "v"],
    integrator: Literal["euler", "exponential"] = "euler",
    where: str | None = None,
) -> DecayCode:
    """Return the chip's decay next to ``keep`` (n,), the fraction that stays per step.

    Order: none, clear, a shift where it is exact, multiply and shift, the next shift. A leak that
    is not 0 keeps at least the smallest leak of the register. "shift-tail" takes round(log2(tau /
    dt)), where ``integrator`` says what time constant tau belongs to ``keep``. ``where`` names the
    population in errors.

    Raises
    ------
    UnsupportedError
        When the chip has none of these for the value.
    """
    has, bits = arithmetic.decays, arithmetic.decay_bits
    zeros = np.zeros(keep.shape, np.int64)
    if np.all(keep == 1) and "none" in has:
        return DecayCode("none", zeros, keep)
    if "shift-tail" in has:
        return _choose_tail(arithmetic, keep, state, integrator, where)
    if np.all(keep == 0) and _can_clear(arithmetic, state):
        return DecayCode("clear", zeros, keep)
    leak = 1 - keep
    shift = np.rint(-np.log2(np.clip(leak, 2.0**-30, 1)))
    is_exact = np.all(np.abs(np.exp2(-shift) - leak) <= _EXACT_SHIFT * leak) and np.all(shift >= 1)
    if "shift" in has and is_exact:
        return DecayCode("shift", shift.astype(np.int64), 1 - np.exp2(-shift))
    if "mulshift" in has:
        offset = arithmetic.u_decay_offset if state == "u" else 0
        top = 1 << bits
        register = np.clip(np.rint(leak * top) - offset, 0, top - 1).astype(np.int64)
        if not offset:
            register = np.where((leak > 0) & (register == 0), 1, register)
        code = top - register - offset
        return DecayCode("mulshift", code, code / top)
    if "shift" in has and np.all((keep > 0) & (keep < 1)):
        shift = np.maximum(shift, 1)
        return DecayCode("shift", shift.astype(np.int64), 1 - np.exp2(-shift))
    raise UnsupportedError(
        f"no decay of {state} holds this value",
        got=f"{float(keep.min()):.6g}..{float(keep.max()):.6g} kept per step",
        limit=", ".join(has),
        where=where,
        rule="quantize.decay",
    )


def _choose_tail(
    arithmetic: ArithmeticSpec, keep: Floats, state: str, integrator: str, where: str | None
) -> DecayCode:
    """Return the shift next to log2(tau / dt); a tau of at most dt, or none, does not exist."""
    with np.errstate(divide="ignore"):
        ratio = 1 / (1 - keep) if integrator == "euler" else -1 / np.log(keep)
    if np.any(keep <= 0) or np.any(keep >= 1) or np.any(ratio <= 1):
        worst = float(ratio[np.argmin(ratio)] if np.any(ratio <= 1) else ratio.max())
        raise UnsupportedError(
            f"no decay of {state} holds this time constant",
            got=f"tau / dt = {worst:.6g}",
            limit="tau > dt, and a leak",
            where=where,
            hint="a smaller dt" if worst <= 1 else "a leaky neuron (LIF, CubaLIF)",
            rule="quantize.decay",
        )
    low, high = arithmetic.decay_shifts
    shift = np.clip(np.rint(np.log2(ratio)), low, high).astype(np.int64)
    return DecayCode("shift-tail", shift, 1 - np.exp2(-shift.astype(np.float64)))


def choose_leak(
    arithmetic: ArithmeticSpec, keep: Floats, threshold: Ints, kind: Literal["subtract", "converge"]
) -> DecayCode:
    """Return the constant leak (LSB per step) that equals the fraction 1 - keep at threshold / 2.

    ``keep`` of the code is the fraction that stays of half the threshold.

    Raises
    ------
    UnsupportedError
        For membranes that forget everything in every step.
    """
    if np.any(keep == 0):
        raise UnsupportedError(
            "a constant leak cannot forget the whole membrane in a step",
            got="0 kept per step",
            limit=", ".join(arithmetic.decays),
            rule="quantize.decay",
        )
    half = np.maximum(threshold, 1) / 2
    top = (1 << arithmetic.leak_bits) - 1
    code = np.clip(np.rint((1 - keep) * half), 1, top).astype(np.int64)
    code = np.where(keep == 1, 0, code)
    return DecayCode(kind, code, np.maximum(1 - code / half, 0))


def _can_clear(arithmetic: ArithmeticSpec, state: str) -> bool:
    """Whether a state can forget all: without an offset a d-bit register ends at 1 - 2**-d."""
    if state == "u" and "mulshift" in arithmetic.decays and arithmetic.u_decay_offset:
        return True
    return "clear" in arithmetic.decays and not (state == "v" and arithmetic.u_decay_offset)
