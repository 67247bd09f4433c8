"""Which form of the neuron update is exact for a population: bounds on its sums and states.

The fast forms compute in int32. They are chosen only where no sum, bias or state can leave int32
and where an overflow at the chip's width is either impossible or handled by that form.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.kernels import fields as f
from nmhw.values.quantized import CellSpec, QuantizedPopulation

Ints = NDArray[np.int64]

INT32_MAX = 2**31 - 1

#: Widest state of the form with current; sums of three such values stay within int32.
CURRENT_BITS = 30


def largest(values: Ints) -> int:
    """Return max |values| as a Python integer (0 for none)."""
    if not values.size:
        return 0
    return max(abs(int(values.min())), abs(int(values.max())))


def is_uniform(values: Ints) -> bool:
    """Whether all values are the same."""
    return bool(values.size == 0 or (values == values[0]).all())


def state_bound(kind: str, keep: Ints, bits: int, start: int, drive: int, n_steps: int) -> int:
    """Return a bound of |x| over ``n_steps`` steps of ``x = decay(x) + d`` with |d| <= drive.

    ``start`` bounds the values at which x begins or is reset. Rounding adds at most 1 per step.
    """
    if kind == "clear":
        return max(start, drive)
    growing = start + n_steps * (drive + 1)
    if kind == "shift" and keep.size:
        return min(growing, max(start, (drive + 1) << min(int(keep.max()), 62)))
    if kind == "mulshift" and keep.size and int(keep.max()) < 2**bits:
        lost = 2**bits - int(keep.max())
        return min(growing, max(start, -(-(drive + 1) * 2**bits // lost)))
    return growing


def most_spikes(population: QuantizedPopulation, input_bound: int) -> int:
    """Return the most spikes that one neuron can make in one step.

    Below the cell's own maximum where what a reset leaves behind is below the threshold: then a
    step's spikes are bounded by that and the step's largest input.

    Parameters
    ----------
    input_bound : int
        Largest |x| of one step, all shifts applied.
    """
    spec, threshold = population.spec, population.threshold
    if not spec.is_spiking or spec.max_spikes_per_step == 1:
        return 1
    follows = (
        spec.summation == "exact"
        and spec.state == "int"
        and not spec.has_current
        and not spec.reset_delay
    )
    follows &= spec.reset in ("zero", "subtract") and spec.v_overflow == "saturate"
    follows &= spec.u_overflow == "saturate" and bool(threshold.size)
    follows &= spec.lower == "saturate" and _leads_to_zero(population)
    if not follows or threshold.min() <= 0:
        return spec.max_spikes_per_step
    start = np.maximum(threshold, population.v0)
    if population.v_min is not None:
        start = np.maximum(start, population.v_min)
    reached = start + np.maximum(population.u_bias + population.v_bias, 0) + min(input_bound, 2**60)
    return max(1, min(spec.max_spikes_per_step, int((reached // threshold).max())))


def _leads_to_zero(population: QuantizedPopulation) -> bool:
    """Whether the decay of v never leads away from 0 ("converge" may)."""
    kind, keep = population.spec.v_decay, population.v_keep
    if kind in ("none", "clear"):
        return True
    if kind == "mulshift":
        return bool((keep >= 0).all() and (keep <= 2**population.spec.decay_bits).all())
    return kind in ("shift", "shift-tail", "subtract") and bool((keep >= 0).all())


def choose_update(population: QuantizedPopulation, input_bound: int, n_steps: int) -> int:
    """Return the UPDATE_* code of the fastest exact form.

    Parameters
    ----------
    input_bound : int
        Largest |x| of one step, all shifts applied (float32 cells have no input shift).
    n_steps : int
        Steps without a reset of the state.
    """
    spec = population.spec
    simple = (
        (not spec.is_spiking or (spec.reset_delay == 0 and spec.max_spikes_per_step == 1))
        and population.v_min is None
        and not spec.sum_bits
        and (population.refractory_steps is None or not population.refractory_steps.any())
    )
    if spec.summation == "saturating":
        _check_saturating(population, simple=simple)
        return f.UPDATE_SATURATING
    if spec.state == "float32":
        return f.UPDATE_FLOAT_ROWS if simple and input_bound <= INT32_MAX else f.UPDATE_FLOAT
    unusual = "saturate-full" in (spec.u_overflow, spec.v_overflow)
    unusual |= "shift-tail" in (spec.u_decay, spec.v_decay)
    if unusual or not _resets_stay_small(population):
        return f.UPDATE_GENERAL
    form = f.UPDATE_GENERAL
    if simple and not spec.has_current and spec.v_decay != "mulshift":
        form = _choose_without_current(population, input_bound, n_steps)
    elif simple and _current_fits(population, input_bound):
        form = f.UPDATE_CURRENT
    if form == f.UPDATE_GENERAL and fits_lanes(population, input_bound, n_steps):
        return f.UPDATE_LANES
    return form


def _check_saturating(population: QuantizedPopulation, *, simple: bool) -> None:
    """Refuse what the saturating summation has no rule for."""
    spec = population.spec
    several = spec.max_spikes_per_step > 1 and spec.reset_delay == 0 and population.v_min is None
    rests = population.refractory_steps is not None and bool(population.refractory_steps.any())
    is_biased = bool(np.any(population.u_bias))
    is_wrapping = "wrap" in (spec.u_overflow, spec.v_overflow)
    if is_wrapping or spec.state != "int" or is_biased or rests or not (simple or several):
        raise UnsupportedError(
            "saturating sums go with integer states that saturate, a reset at once, and neither a "
            "lower bound, refractory time nor bias on the current",
            where=population.name,
            rule="sim.cell-form",
        )


def _resets_stay_small(population: QuantizedPopulation) -> bool:
    """Whether starting, resetting and subtracting keep v within int32."""
    values = (population.v0, population.v_reset, population.threshold)
    if not population.spec.is_spiking:
        return largest(population.v0) <= INT32_MAX
    if population.spec.reset == "subtract" and population.threshold.min(initial=0) < 0:
        return False
    return all(largest(v) <= INT32_MAX - 1 for v in values)


def _choose_without_current(population: QuantizedPopulation, x: int, n_steps: int) -> int:
    spec = population.spec
    has_constant_leak = spec.v_decay in ("subtract", "converge")
    if has_constant_leak or x + largest(population.u_bias) >= 2 ** (spec.u_bits - 1):
        return f.UPDATE_GENERAL
    bias = population.u_bias + population.v_bias
    if ((bias == 0) & (population.u_bias != 0)).any():
        return f.UPDATE_GENERAL  # no bias in sum, yet the neuron counts as active
    drive = x + largest(bias)
    keeps_ok = spec.v_decay != "shift" or population.v_keep.min(initial=0) >= 0
    if drive > INT32_MAX or not keeps_ok:
        return f.UPDATE_GENERAL
    start = max(largest(population.v0), largest(population.v_reset))
    bound = state_bound(spec.v_decay, population.v_keep, 0, start, drive, n_steps)
    proven = bound < 2 ** (min(spec.v_bits, 32) - 1)
    if not proven and (spec.v_overflow != "saturate" or spec.v_bits > 32):
        return f.UPDATE_GENERAL
    varying = [population.v_keep] if spec.v_decay == "shift" else []
    if spec.is_spiking:
        varying += [population.threshold]
        varying += [population.v_reset] if spec.reset == "value" else []
    if not all(is_uniform(values) for values in varying):
        return f.UPDATE_ARRAYS
    return f.UPDATE_UNIFORM if proven else f.UPDATE_UNIFORM_CLAMP


def _current_fits(population: QuantizedPopulation, x: int) -> bool:
    spec = population.spec
    for kind, keep in ((spec.u_decay, population.u_keep), (spec.v_decay, population.v_keep)):
        if kind in ("shift", "subtract", "converge"):
            return False
        if kind == "mulshift" and not 0 <= int(keep.min(initial=0)) <= int(keep.max(initial=0)):
            return False
        if kind == "mulshift" and int(keep.max(initial=0)) > 2**spec.decay_bits:
            return False
    if spec.decay_bits > 15 or max(spec.u_bits, spec.v_bits) > CURRENT_BITS:
        return False
    u_drive = x + largest(population.u_bias)
    v_drive = 2 ** (spec.u_bits - 1) + largest(population.v_bias)
    most = 2**CURRENT_BITS
    if u_drive > (2**spec.u_bits if spec.u_overflow == "wrap" else most):
        return False
    if v_drive > (2**spec.v_bits if spec.v_overflow == "wrap" else most):
        return False
    resets = (population.v0, population.v_reset) if spec.is_spiking else (population.v0,)
    return all(largest(v) <= 2 ** (spec.v_bits - 1) for v in resets)


def fits_lanes(population: QuantizedPopulation, x: int, n_steps: int) -> bool:
    """Whether a variant of the vector form computes the cell exactly.

    Parameters
    ----------
    x : int
        Largest |x| of one step, all shifts applied.
    n_steps : int
        Steps without a reset of the state.
    """
    spec = population.spec
    several = spec.is_spiking and spec.max_spikes_per_step > 1
    late = spec.is_spiking and spec.reset_delay == 1
    if several and (late or int(population.threshold.min(initial=1)) <= 0):
        return False
    v_min = population.v_min
    if v_min is not None and (spec.lower == "reset" or largest(v_min) > INT32_MAX):
        return False
    if not all(_keeps_fit(spec, *pair) for pair in _decays(population)):
        return False
    drive = _drive(population, x, n_steps)
    return drive is not None and drive <= INT32_MAX and _sums_fit(population, drive, n_steps)


def _decays(population: QuantizedPopulation) -> list[tuple[str, Ints]]:
    """Return kind and constants of the decays that the cell has."""
    spec = population.spec
    decays: list[tuple[str, Ints]] = [(spec.v_decay, population.v_keep)]
    if spec.has_current:
        decays.append((spec.u_decay, population.u_keep))
    return decays


def _keeps_fit(spec: CellSpec, kind: str, keep: Ints) -> bool:
    low, high = int(keep.min(initial=0)), int(keep.max(initial=0))
    if kind == "mulshift":
        return low >= 0 and high <= 2**spec.decay_bits and spec.decay_bits <= 15
    if kind == "converge":
        return largest(keep) < 2**CURRENT_BITS
    return low >= 0 and (kind != "subtract" or high < 2**CURRENT_BITS)


def _drive(population: QuantizedPopulation, x: int, n_steps: int) -> int | None:
    """Return a bound of what one step adds to v; None where the current has no exact lanes."""
    spec = population.spec
    added = x + largest(population.u_bias)
    if not spec.has_current:
        cancels = ((population.u_bias + population.v_bias == 0) & (population.u_bias != 0)).any()
        if cancels or added >= 2 ** (spec.u_bits - 1):
            return None  # no bias in sum, yet the neuron counts as active; or the input saturates
        return x + largest(population.u_bias + population.v_bias)
    kinds = {spec.u_decay, spec.v_decay} - {"none", "clear"}
    if len(kinds) > 1 or not kinds <= {"shift", "mulshift"}:
        return None
    reached = state_bound(spec.u_decay, population.u_keep, spec.decay_bits, 0, added, n_steps)
    half = 2 ** (spec.u_bits - 1)
    if reached >= half:
        reached = half
        if spec.u_bits > CURRENT_BITS or (spec.u_overflow == "wrap" and added > 2 * half):
            return None
    if reached + added > INT32_MAX:
        return None
    return reached + largest(population.v_bias)


def _sums_fit(population: QuantizedPopulation, drive: int, n_steps: int) -> bool:
    """Whether the sums of v are exact: proven not to overflow, or saturated by the form."""
    spec = population.spec
    start = max(largest(population.v0), largest(population.v_reset))
    if population.v_min is not None:
        start = max(start, largest(population.v_min))
    if spec.v_decay == "converge":
        drive += largest(population.v_keep)  # may lead away from 0
    keep, half = population.v_keep, 2 ** (spec.v_bits - 1)
    bound = state_bound(spec.v_decay, keep, spec.decay_bits, start, drive, n_steps)
    if spec.sum_bits:
        held = max(half, start if population.v_min is not None else bound)
        return held + drive < 2 ** (min(spec.sum_bits, 32) - 1)
    if spec.v_decay == "converge" and max(start, min(bound, half)) + drive > INT32_MAX:
        return False
    proven = bound < 2 ** (min(spec.v_bits, 32) - 1)
    return proven or (spec.v_overflow == "saturate" and spec.v_bits <= 32)
