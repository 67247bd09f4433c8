"""The operations in which float and integer learning differ; the walks are written once.

Each takes the arithmetic as its last argument, whose type chooses the form when a kernel is
compiled. The integer forms are specified in ``nmhw.sim.learning.integer_form``.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from nmhw.sim.kernels.compiled import CHECK_BOUNDS, inlined, kernel
from nmhw.sim.learning.kernels.layout import (
    LAW_HOMEOSTATIC,
    LAW_LEARNABLE,
    FloatArithmetic,
)

#: Fraction bits of errors and gradients, powers of the decay, slopes, and of the weights' unit.
ERROR_BITS, POWER_BITS, SLOPE_BITS, CARRY_BITS = 16, 15, 12, 20
#: Fraction bits of code changes and rounding words.
FRACTION_BITS = 16
#: exp of an exponent of 2 * EXP_BITS bits is the product of two tables of 2**EXP_BITS entries.
EXP_BITS = 6


def by_arithmetic(stub: Any, in_floats: Any, in_integers: Any, is_inlined: bool = True) -> None:
    """Give a function without a body its two forms.

    Small ones are compiled into their callers: an arithmetic is some 70 words on the stack.
    """
    options: Any = {"error_model": "numpy", "boundscheck": CHECK_BOUNDS, "nogil": True}
    options["forceinline"] = is_inlined

    @overload(stub, strict=False, jit_options=options)
    def choose(*kinds):
        return in_floats if kinds[-1].instance_class is FloatArithmetic else in_integers


@inlined
def half_up(x, bits):
    """Return x / 2**bits, rounded; halves upward."""
    return (x + ((np.int64(1) << bits) >> 1)) >> bits


@inlined
def next_word(registers, k, byte_table):
    """Advance a layer's register by 16 steps; return its lower half."""
    state = registers[k]
    state = (state >> np.uint32(8)) ^ byte_table[state & np.uint32(255)]
    state = (state >> np.uint32(8)) ^ byte_table[state & np.uint32(255)]
    registers[k] = state
    return np.int64(state & np.uint32(0xFFFF))


def driven(v, x, a):
    """Return the membrane after its decay and this step's summed input."""


def _driven_float(v, x, a):
    return a.decay * v + x


def _driven_integer(v, x, a):
    product = v * a.keep
    if product < 0 and not a.floors:
        v = -((-product) >> a.decay_bits)
    else:
        v = product >> a.decay_bits
    most = (np.int64(1) << 31) - 1
    drive = min(max(x << a.input_shift, -most), most)
    return min(max(v + drive, -a.v_max), a.v_max)


def threshold_of(stored, a):
    """Return a stored threshold as the membrane is compared with it."""


def fires(excess, a):
    """Return whether a neuron with this v - theta spikes."""


def is_near(excess, a):
    """Return whether v - theta lies in the band of the mask."""


def slope_at(excess, a):
    """Return the surrogate derivative."""


def _slope_float(excess, a):
    if a.is_triangle:
        return max(0.0, 1.0 - abs(excess) / a.width) / a.width
    return a.width / 2.0 / (1.0 + (np.pi / 2.0 * a.width * excess) ** 2)


def _slope_integer(excess, a):
    n = a.surrogate.size
    place = (excess >> a.surrogate_shift) + (n >> 1)
    return a.surrogate[min(max(place, 0), n - 1)]


def entering(slope, error, a):
    """Return slope * error."""


def kept(error, n_steps, a):
    """Return an error ``n_steps`` steps earlier."""


def carried(total, a):
    """Return a sum of weights * errors as an error."""


def _no_change_float(x, a):
    return x


by_arithmetic(driven, _driven_float, _driven_integer)
by_arithmetic(threshold_of, _no_change_float, lambda stored, a: stored >> a.theta_bits)
by_arithmetic(
    fires,
    lambda excess, a: excess >= 0.0,
    lambda excess, a: excess > 0 or (excess == 0 and not a.is_strict),
)
by_arithmetic(
    is_near, lambda excess, a: abs(excess) < a.band, lambda excess, a: abs(excess) < a.band
)
by_arithmetic(slope_at, _slope_float, _slope_integer)
by_arithmetic(
    entering,
    lambda slope, error, a: slope * error,
    lambda slope, error, a: half_up(slope * error, SLOPE_BITS),
)
by_arithmetic(
    kept,
    lambda error, n_steps, a: error * a.powers[n_steps],
    lambda error, n_steps, a: half_up(error * a.powers[n_steps], POWER_BITS),
)
by_arithmetic(
    carried, _no_change_float, lambda total, a: half_up(total * a.carry_factor, CARRY_BITS)
)


def output_errors(scores, label, error, on, a):
    """Fill in softmax minus target; return (probability of the target, outputs with an error)."""


def _errors_float(scores, label, error, on, a):
    highest = scores.max()
    total = 0.0
    for j in range(scores.size):
        error[j] = np.exp((scores[j] - highest) * a.score_gain)
        total += error[j]
    n_on = 0
    p = error[label] / total
    for j in range(scores.size):
        error[j] = error[j] / total - (1.0 if j == label else 0.0)
        on[j] = not abs(error[j]) < a.skip_error
        if on[j]:
            n_on += 1
        else:
            error[j] = 0.0
    return p, n_on


def _errors_integer(scores, label, error, on, a):
    highest = scores.max()
    total = np.int64(0)
    for j in range(scores.size):
        place = ((highest - scores[j]) * a.score_factor) >> a.score_shift
        coarse, fine = place >> EXP_BITS, place & ((1 << EXP_BITS) - 1)
        error[j] = 0
        if coarse < a.exp_coarse.size:
            error[j] = half_up(a.exp_coarse[coarse] * a.exp_fine[fine], ERROR_BITS)
        total += error[j]
    n_on = 0
    p = (error[label] << ERROR_BITS) // total
    for j in range(scores.size):
        error[j] = (error[j] << ERROR_BITS) // total
        if j == label:
            error[j] -= np.int64(1) << ERROR_BITS
        on[j] = abs(error[j]) >= a.skip_error
        if on[j]:
            n_on += 1
        else:
            error[j] = 0
    return p, n_on


by_arithmetic(output_errors, _errors_float, _errors_integer, is_inlined=False)


@kernel
def _write(store, k, w, code):
    code = min(max(code, -store.max_code), store.max_code)
    if code != store.codes[w]:
        store.codes[w] = code
        store.values[w] = code * store.scale
        store.tally[k, 1] += 1


def rewrite(store, k, w, gradient, n, a):
    """Read, change and write back one weight; ``gradient`` is a sum over ``n`` samples."""


def _rewrite_float(store, k, w, gradient, n, a):
    store.tally[k, 0] += 1
    g = gradient * a.factors[n]
    change = -a.lr * g
    if a.first_moment.size:
        a.first_moment[w] = 0.9 * a.first_moment[w] + 0.1 * g
        a.second_moment[w] = 0.999 * a.second_moment[w] + 0.001 * g * g
        m = a.first_moment[w] / (1.0 - 0.9 ** a.n_moments[0])
        s = a.second_moment[w] / (1.0 - 0.999 ** a.n_moments[0])
        change = -a.lr * (m / (np.sqrt(s) + 1e-8))
    if store.max_code == 0:
        new = store.values[w] + change
        if new != store.values[w]:
            store.tally[k, 1] += 1
        store.values[w] = new
        return
    word = np.int64(1) << (FRACTION_BITS - 1)
    if store.is_stochastic:
        word = next_word(store.registers, k, store.byte_table)
    exact = store.codes[w] + change / store.scale + word / 65536.0
    most = float(store.max_code)
    _write(store, k, w, np.int64(np.floor(min(max(exact, -most), most))))


def _rewrite_integer(store, k, w, gradient, n, a):
    store.tally[k, 0] += 1
    word = np.int64(1) << (FRACTION_BITS - 1)
    if store.is_stochastic:
        word = next_word(store.registers, k, store.byte_table)
    change = -half_up(gradient * a.factors[n], a.factor_shift)
    exact = (np.int64(store.codes[w]) << FRACTION_BITS) + change
    _write(store, k, w, (exact + word) >> FRACTION_BITS)


by_arithmetic(rewrite, _rewrite_float, _rewrite_integer)


def moved_threshold(stored, law, gradient, n_spikes, n, n_steps, a):
    """Return a threshold behind ``n`` samples with ``n_spikes`` spikes and summed ``gradient``."""


def _moved_float(stored, law, gradient, n_spikes, n, n_steps, a):
    if law == LAW_HOMEOSTATIC:
        stored += a.homeostasis_rate * (n_spikes / (n * n_steps) - a.target_rate)
    elif law == LAW_LEARNABLE:
        stored -= a.lr * gradient / n
    return max(a.theta_floor, stored)


def _moved_integer(stored, law, gradient, n_spikes, n, n_steps, a):
    if law == LAW_HOMEOSTATIC:
        change = (a.homeostasis_up * n_spikes - a.homeostasis_down * n) // n
        stored += half_up(change, a.theta_bits)
    elif law == LAW_LEARNABLE:
        stored -= half_up(gradient * a.theta_factor // n, ERROR_BITS)
    return max(a.theta_floor, stored)


by_arithmetic(moved_threshold, _moved_float, _moved_integer, is_inlined=False)
