"""The numbers that the kernels compute with: float parameters, integer formats and tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.sim.lava.worker.nmhw_lava.fixed_point import (
    CARRY_BITS,
    ERROR_BITS,
    EXP_BITS,
    FRACTION_BITS,
    POWER_BITS,
    SLOPE_BITS,
    TABLE_BITS,
)
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.sim.learning.head import read_time
from nmhw.sim.learning.kernels import layout as at
from nmhw.sim.learning.thresholds import surrogate

Ints = NDArray[np.int64]

#: Fraction bits of the factor that makes changes of a code from gradients.
FACTOR_BITS = 16
#: Fraction bits of exponents (EXP_BITS of them in the fine table); of the score factor.
EXPONENT_BITS, SCORE_BITS = 8, 20
#: Fraction bits of stored thresholds.
THETA_BITS = 8


@dataclass(frozen=True, slots=True)
class IntegerFormat:
    """The membrane of the integer mode: the chip's cell for LIF with reset to zero.

    ``v <- fit(decay(v) + (sum of codes << input_shift))`` as ``nmhw.values.arithmetic`` does it.

    Attributes
    ----------
    decay_bits : int
        The decay is ``v * keep / 2**decay_bits``.
    rounding : "toward-zero" | "floor"
    input_shift : int
        Fraction bits of the membrane, in units of a weight code.
    v_bits : int
        Signed width; saturates.
    compare : ">=" | ">"
    """

    decay_bits: int = 12
    rounding: str = "toward-zero"
    input_shift: int = 6
    v_bits: int = 24
    compare: str = ">="

    def __post_init__(self) -> None:
        bounds = {"decay_bits": (1, 16), "input_shift": (0, 12), "v_bits": (8, 32)}
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                limit = f"{low} to {high}"
                raise UsageError(f"{name} out of range", got=getattr(self, name), limit=limit)
        if self.rounding not in ("toward-zero", "floor") or self.compare not in (">", ">="):
            raise UsageError("no such rounding or comparison", got=(self.rounding, self.compare))


def float_arithmetic(
    rule: GradientRule,
    lr: float,
    batch: int,
    skip: tuple[float, float],
    moments: tuple[NDArray[np.float64], NDArray[np.float64], Ints],
) -> at.FloatArithmetic:
    """Return the parameters of float learning.

    Parameters
    ----------
    skip : (confidence, error)
    moments : first, second, number of updates; empty arrays without Adam
    """
    scale = float(rule.n_steps) if rule.time == "ticks" else 1.0
    is_window = rule.threshold == "window"
    opens = scale if is_window else 0.0
    length = float(round(rule.t_end * rule.n_steps)) if rule.time == "ticks" else rule.t_end
    samples = np.maximum(np.arange(batch + 1), 1)
    gain = rule.timing_gain if rule.head == "spiking" and rule.uses_times else 1.0
    return at.FloatArithmetic(
        decay=rule.decay,
        powers=rule.decay ** np.arange(rule.n_steps + 1, dtype=np.float64),
        is_triangle=rule.surrogate == "triangle",
        width=rule.width,
        band=rule.band,
        theta_floor=rule.theta_floor,
        homeostasis_rate=rule.homeostasis_rate,
        target_rate=rule.target_rate,
        skip_confidence=skip[0],
        skip_error=skip[1],
        score_gain=gain / scale,
        factors=1.0 / (samples * scale),
        lr=lr,
        first_moment=moments[0],
        second_moment=moments[1],
        n_moments=moments[2],
        moments_all=moments[0].size > 0,
        is_ticks=rule.time == "ticks",
        is_window=is_window,
        theta0=rule.theta0 * scale,
        slope=rule.slope,
        opens=opens,
        last=opens + length,
        reads_at=read_time(rule) * scale,
        slope_clip=rule.slope_clip,
        timing_gain=rule.timing_gain,
    )


def exponential_tables() -> tuple[Ints, Ints]:
    """Return exp(-n) for the upper and the lower half of an exponent, in 2**-ERROR_BITS."""
    steps = np.arange(2**EXP_BITS)
    coarse = np.exp(-steps * 2.0 ** (EXP_BITS - EXPONENT_BITS))
    fine = np.exp(-steps * 2.0**-EXPONENT_BITS)
    one = 2**ERROR_BITS
    return np.rint(coarse * one).astype(np.int64), np.rint(fine * one).astype(np.int64)


def surrogate_table(rule: GradientRule, unit: float) -> tuple[Ints, int]:
    """Return the surrogate at the middle of every bin, and the bits of a bin.

    Bin ``(excess >> bits) + half`` of the table, clipped to its ends, covers +-4 theta0 or more.

    Parameters
    ----------
    unit : float
        Membrane's least significant bits per unit of the threshold.
    """
    half = 2 ** (TABLE_BITS - 1)
    bits = max(0, int(np.ceil(np.log2(4 * rule.theta0 * unit / half))))
    middle = (np.arange(-half, half) + 0.5) * 2.0**bits / unit
    slopes = surrogate(rule, middle)
    return np.rint(slopes * 2**SLOPE_BITS).astype(np.int64), bits


def integer_arithmetic(
    rule: GradientRule,
    lr: float,
    batch: int,
    skip: tuple[float, float],
    scale: float,
    form: IntegerFormat,
    n_moments: Ints,
) -> at.IntegerArithmetic:
    """Return the formats and tables of integer learning; see docs/learning.md.

    Parameters
    ----------
    scale : float
        Weight of one code.
    """
    ticks = rule.n_steps if rule.time == "ticks" else 1
    unit = 2**form.input_shift / scale
    table, bits = surrogate_table(rule, unit)
    coarse, fine = exponential_tables()
    opens = ticks if rule.threshold == "window" else 0
    last = opens + round(rule.t_end * ticks)
    falling = np.arange(last + 1) - opens
    theta_of_tick = np.rint((rule.theta0 * ticks - rule.slope * falling) / scale).astype(np.int64)
    size = 2**TABLE_BITS
    divisors = np.arange(size, 2 * size)
    samples = np.maximum(np.arange(batch + 1), 1)
    is_timing = rule.head == "spiking" and rule.uses_times
    score_unit = rule.timing_gain / ticks if is_timing else scale / ticks
    if rule.head == "spiking" and not rule.uses_times:
        score_unit = 1.0
    stored = unit * 2**THETA_BITS
    return at.IntegerArithmetic(
        keep=round(rule.decay * 2**form.decay_bits),
        decay_bits=form.decay_bits,
        floors=form.rounding == "floor",
        is_strict=form.compare == ">",
        input_shift=form.input_shift,
        v_max=2 ** (form.v_bits - 1) - 1,
        powers=_fixed(rule.decay ** np.arange(rule.n_steps + 1.0), POWER_BITS),
        surrogate=table,
        surrogate_shift=bits,
        band=round(rule.band * unit),
        theta_bits=THETA_BITS,
        theta_floor=round(rule.theta_floor * stored),
        homeostasis_up=round(rule.homeostasis_rate / rule.n_steps * stored * 2**THETA_BITS),
        homeostasis_down=round(rule.homeostasis_rate * rule.target_rate * stored * 2**THETA_BITS),
        theta_factor=round(lr * stored),
        skip_confidence=round(skip[0] * 2**ERROR_BITS),
        skip_error=round(skip[1] * 2**ERROR_BITS),
        score_factor=round(score_unit * 2 ** (EXPONENT_BITS + SCORE_BITS)),
        score_shift=SCORE_BITS,
        exp_coarse=coarse,
        exp_fine=fine,
        factors=_fixed(lr / (scale * ticks * samples), FACTOR_BITS),
        factor_shift=FACTOR_BITS + ERROR_BITS - FRACTION_BITS,
        n_moments=n_moments,
        moments_all=False,
        carry_factor=round(scale * 2**CARRY_BITS),
        is_window=rule.threshold == "window",
        theta_of_tick=theta_of_tick,
        slope_codes=round(rule.slope / scale),
        opens=opens,
        last=last,
        reads_at=round(read_time(rule) * ticks),
        reciprocals=_fixed(1.0 / (scale * divisors), SLOPE_BITS + TABLE_BITS),
        slope_clip=round(rule.slope_clip * 2**SLOPE_BITS),
        timing_gain=round(rule.timing_gain * 2**SLOPE_BITS),
    )


def _fixed(x: NDArray[np.float64], bits: int) -> Ints:
    return np.rint(x * 2.0**bits).astype(np.int64)
