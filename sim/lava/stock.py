"""Which parts of a network lava-nc's own fixed_pt processes compute exactly, and their parameters.

Checked against what the stock models do: LIF with 12-bit decay registers, u of 24 bits that wraps,
v of 24 bits that saturates, threshold and input shifted left by 6, reset to 0, biases as mantissa
(13 bits) and exponent (0 to 7), sums in 32 bits; Dense and Sparse with 8-bit weights whose grid is
2 where both signs occur. Whatever they would clip or truncate goes to nmhw's own processes.

References
----------
lava-nc 0.10.0, ``proc/lif/models.py``, ``proc/dense/models.py``, ``proc/sparse/models.py``,
``utils/weightutils.py`` (BSD-3-Clause), https://github.com/lava-nc/lava.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.values.quantized import CellSpec, QuantizedPopulation, QuantizedProjection

Arrays = dict[str, NDArray[Any]]

LIF = CellSpec(
    u_decay="mulshift",
    v_decay="mulshift",
    decay_bits=12,
    rounding="toward-zero",
    input_shift=6,
    u_bits=24,
    v_bits=24,
    u_overflow="wrap",
    v_overflow="saturate",
    compare=">",
    reset="zero",
)

UNITY = 1 << LIF.decay_bits
MAX_MANTISSA, MAX_EXPONENT, MAX_THRESHOLD = 4095, 7, 131071

#: Larger delays than this make the stock DelayDense, which multiplies a matrix per delay, slow.
MAX_STOCK_DELAY = 4


def lif_parameters(population: QuantizedPopulation, input_bound: int) -> Arrays | None:
    """Return the parameters of Lava's LIF, None where it cannot do what the population does.

    Parameters
    ----------
    input_bound : int
        Largest |summed input| of one step, before the shift by 6.
    """
    spec = population.spec
    ours = {**asdict(spec), "has_current": False}
    same = set(ours) - {"u_decay", "v_decay", "decay_bits", "rounding"}
    wanted = asdict(LIF)
    u_keep = _keep(population.u_keep, spec.u_decay, spec)
    v_keep = _keep(population.v_keep, spec.v_decay, spec)
    bias = _mantissas(population.v_bias)
    if any(ours[key] != wanted[key] for key in same) or u_keep is None or v_keep is None:
        return None
    is_plain = population.v_min is None and population.refractory_steps is None
    vth, rest = np.divmod(population.threshold, 1 << LIF.input_shift)
    in_range = (
        (u_keep.min(initial=0) >= 0 and u_keep.max(initial=0) < UNITY)
        and (v_keep.min(initial=UNITY) > 0 and v_keep.max(initial=0) <= UNITY)
        and not rest.any()
        and (vth.min(initial=0) >= 0 and vth.max(initial=0) <= MAX_THRESHOLD)
        and not population.u_bias.any()
        and np.abs(population.v0).max(initial=0) < 1 << (LIF.v_bits - 1)
        and _fits_int32(input_bound << LIF.input_shift, int(u_keep.max(initial=0)))
    )
    if not (is_plain and in_range) or bias is None:
        return None
    return {
        "du": (UNITY - 1 - u_keep).astype(np.int64),
        "dv": (UNITY - v_keep).astype(np.int64),
        "vth": vth,
        "bias_mant": bias[0],
        "bias_exp": bias[1],
        "v0": population.v0,
    }


def _fits_int32(drive: int, keep: int) -> bool:
    """Whether Lava's u, an int32 that wraps at 24 bits once per step, holds what this drive makes.

    One wrap brings back what a drive of up to 2**24 adds; what is above piles up until the decay
    takes as much.
    """
    piled = max(0, drive - (1 << LIF.u_bits)) * UNITY // max(UNITY - keep, 1)
    return (1 << LIF.u_bits) + piled + drive < 2**31


def _keep(keep: NDArray[np.int64], kind: str, spec: CellSpec) -> NDArray[np.int64] | None:
    """Return what stays of 4096, None for decays of another kind."""
    if kind == "mulshift" and (spec.decay_bits, spec.rounding) == (LIF.decay_bits, LIF.rounding):
        return keep
    fixed = {"clear": 0, "none": UNITY}.get(kind)
    return None if fixed is None else np.full_like(keep, fixed)


def _mantissas(bias: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Split biases into mantissas and exponents; None where one cannot be."""
    mantissa, exponent = bias.copy(), np.zeros_like(bias)
    for _ in range(MAX_EXPONENT):
        large = np.abs(mantissa) > MAX_MANTISSA
        if (mantissa[large] & 1).any():
            return None
        mantissa = np.where(large, mantissa >> 1, mantissa)
        exponent += large
    return None if (np.abs(mantissa) > MAX_MANTISSA).any() else (mantissa, exponent)


def stock_grid(weights: NDArray[Any]) -> tuple[str, int] | None:
    """Return the sign mode in which the stock models keep these weights, and a left shift.

    With both signs the stock models clear the lowest bit: the weights go in shifted by it, and
    their projection's shift is less by as much. None where no mode keeps them.
    """
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    if low >= 0:
        return ("EXCITATORY", 0) if high <= 255 else None
    if high <= 0:
        return ("INHIBITORY", 0) if low >= -255 else None
    left = int((weights.astype(np.int64) & 1).any())
    return ("MIXED", left) if low << left >= -256 and high << left <= 254 else None


def connection_kind(projection: QuantizedProjection, sum_bound: int) -> str | None:
    """Return the stock process that serves a projection, None where nmhw's own has to.

    Parameters
    ----------
    sum_bound : int
        Largest |sum| of one step on the way, shifts included.
    """
    q = projection
    is_foreign = q.pools or stock_grid(q.weights) is None or abs(q.shift) > 24
    if is_foreign or sum_bound >= 2**31 or not q.weights.size:
        return None
    if q.delay_steps == 1:
        return "CountedDense" if q.storage == "dense" else "CountedSparse"
    if q.storage == "dense" and 1 < q.delay_steps <= MAX_STOCK_DELAY:
        return "CountedDelayDense"
    return None
