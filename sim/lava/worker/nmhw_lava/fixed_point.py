"""Fixed-point operations of integer learning, in NumPy: the specification of the Numba kernels'.

One source for two users, nmhw's integer specification and the learning processes of Lava, so it
imports NumPy alone. ``a`` has the fields of ``nmhw.sim.learning.kernels.layout.IntegerArithmetic``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: Fraction bits of errors and gradients, decay powers, slopes, and of the weights' unit.
ERROR_BITS, POWER_BITS, SLOPE_BITS, CARRY_BITS = 16, 15, 12, 20
#: Fraction bits of changes of a code, and of the words that round it.
FRACTION_BITS = 16
#: Bits of the upper and of the lower half of an exponent's fraction.
EXP_BITS = 6
#: Surrogate and reciprocal tables have 2**TABLE_BITS entries.
TABLE_BITS = 8


def half_up(x: Any, bits: int) -> Any:
    """Return x / 2**bits, rounded to the nearest whole number, halves upward."""
    return (x + ((1 << bits) >> 1)) >> bits


def slopes_at(excess: Ints, a: Any) -> Ints:
    """Return the surrogate derivative: the entry of the bin that v - theta lies in."""
    size = a.surrogate.size
    return a.surrogate[np.clip((excess >> a.surrogate_shift) + size // 2, 0, size - 1)]


def entering(slope: Ints, error: Ints) -> Ints:
    """Return slope * error as an error."""
    return half_up(slope * error, SLOPE_BITS)


def kept(error: Ints, n_steps: Ints, a: Any) -> Ints:
    """Return errors, each so many steps earlier: times a power of the decay."""
    return half_up(error * a.powers[n_steps], POWER_BITS)


def carried(total: Ints, a: Any) -> Ints:
    """Return sums of codes * errors as errors."""
    return half_up(total * a.carry_factor, CARRY_BITS)


def output_errors(scores: Ints, label: int, a: Any) -> tuple[Ints, Bools, int]:
    """Return softmax minus target, which outputs take an error, and the target's probability.

    exp(-x): x in 2**-EXPONENT_BITS, the product of a coarse and a fine table; 0 beyond the tables.
    A quotient is rounded down. Errors smaller than ``skip_error`` are 0 and count for nothing.
    """
    place = ((scores.max() - scores) * a.score_factor) >> a.score_shift
    coarse, fine = place >> EXP_BITS, place & (2**EXP_BITS - 1)
    is_inside = coarse < a.exp_coarse.size
    power = a.exp_coarse[np.where(is_inside, coarse, 0)] * a.exp_fine[fine]
    power = np.where(is_inside, half_up(power, ERROR_BITS), 0)
    error = (power << ERROR_BITS) // power.sum()
    p = int(error[label])
    error[label] -= 1 << ERROR_BITS
    on = np.abs(error) >= a.skip_error
    return np.where(on, error, 0), on, p


def inverse_slope(total: int, a: Any) -> int:
    """Return 1 / (sum of codes + slope) per unit of weight, at most ``slope_clip``.

    The divisor, shifted to TABLE_BITS + 1 bits, selects an entry of the reciprocals.
    """
    divisor = int(total) + a.slope_codes
    if divisor <= 0:
        return a.slope_clip
    bits = divisor.bit_length() - (TABLE_BITS + 1)
    place = divisor >> bits if bits >= 0 else divisor << -bits
    inverse = int(a.reciprocals[place - 2**TABLE_BITS]) >> (TABLE_BITS + bits)
    return min(inverse, a.slope_clip)


def code_changes(gradient: Ints, n: int, a: Any) -> Ints:
    """Return changes in 2**-16 codes from gradients summed over ``n`` samples."""
    return -half_up(gradient * a.factors[n], a.factor_shift)


def moved_thresholds(
    stored: Ints, law: str, gradient: Ints, n_spikes: Ints, n: int, a: Any
) -> Ints:
    """Return stored thresholds behind ``n`` samples."""
    if law == "homeostatic":
        change = (a.homeostasis_up * n_spikes - a.homeostasis_down * n) // n
        stored = stored + half_up(change, a.theta_bits)
    elif law == "learnable":
        stored = stored - half_up(gradient * a.theta_factor // n, ERROR_BITS)
    return np.maximum(stored, a.theta_floor)


def rewritten(codes: Any, change: Ints, words: Any) -> Ints:
    """Return floor(code + (change + word) / 2**16), not yet clipped to the grid."""
    return ((codes.astype(np.int64) << FRACTION_BITS) + change + words) >> FRACTION_BITS
