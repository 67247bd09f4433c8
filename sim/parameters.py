"""Neuron parameters of every population in the pools that its update form reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.bounds import CURRENT_BITS, INT32_MAX
from nmhw.sim.kernels import fields as f
from nmhw.sim.program import Program
from nmhw.values.quantized import QuantizedPopulation

Ints = NDArray[np.int64]

DECAY_CODES = {
    "none": f.DECAY_NONE,
    "clear": f.DECAY_CLEAR,
    "mulshift": f.DECAY_MULSHIFT,
    "shift": f.DECAY_SHIFT,
    "subtract": f.DECAY_SUBTRACT,
    "shift-tail": f.DECAY_SHIFT_TAIL,
    "converge": f.DECAY_CONVERGE,
}
OVERFLOW_CODES = {
    "saturate": f.OVERFLOW_SATURATE,
    "wrap": f.OVERFLOW_WRAP,
    "saturate-full": f.OVERFLOW_FULL,
}
RESET_CODES = {
    "zero": f.RESET_ZERO,
    "value": f.RESET_VALUE,
    "subtract": f.RESET_SUBTRACT,
    "none": f.RESET_NONE,
}
LANE_DECAYS = {
    "mulshift": f.V_FACTOR,
    "subtract": f.V_SUBTRACT,
    "converge": f.V_CONVERGE,
}
#: Forms with int64 states.
WIDE_FORMS = (f.UPDATE_GENERAL, f.UPDATE_SATURATING)

FLOAT_ROWS = {
    "u_keep": f.F_U_KEEP,
    "u_gain": f.F_U_GAIN,
    "v_keep": f.F_V_KEEP,
    "v_gain": f.F_V_GAIN,
    "drive": f.F_DRIVE,
    "threshold": f.F_THRESHOLD,
    "v_reset": f.F_V_RESET,
}


def fill_parameters(
    program: Program, populations: Sequence[QuantizedPopulation], pops: Ints, n_total: int
) -> tuple[tuple[NDArray[Any], ...], tuple[NDArray[Any], ...]]:
    """Fill the descriptor rows and allocate the parameter pools.

    Returns
    -------
    params : int32 (I_FIELDS, n), int64 (G_FIELDS, m), float32 (F_FIELDS, k)
    starts : v0 in the int32, int64 and float32 pools
    """
    forms = pops[:, f.P_UPDATE]
    sizes = pops[:, f.P_SIZE]
    is_wide = np.isin(forms, WIDE_FORMS)
    has_second = np.array([p.u2_keep is not None for p in populations], np.bool_)
    n_int = int(sizes[is_wide].sum() + sizes[is_wide & has_second].sum())
    n_float = int(sizes[np.isin(forms, (f.UPDATE_FLOAT_ROWS, f.UPDATE_FLOAT))].sum())
    narrow = np.zeros((f.I_FIELDS, n_total), np.int32)
    wide = np.zeros((f.G_FIELDS, max(n_int, 1)), np.int64)
    floats = np.zeros((f.F_FIELDS, max(n_float, 1)), np.float32)
    v0 = (np.zeros(n_total, np.int32), np.zeros_like(wide[0]), np.zeros_like(floats[0]))
    at_int = at_float = 0
    for pop, population in zip(pops, populations, strict=True):
        _describe(pop, population)
        order = program.orders[population.name]
        place: Any = slice(None) if order is None else order
        base, n = int(pop[f.P_BASE]), int(pop[f.P_SIZE])
        here = slice(base, base + n)
        if pop[f.P_UPDATE] in (f.UPDATE_FLOAT_ROWS, f.UPDATE_FLOAT):
            pop[f.P_STATE] = at_float
            there = slice(at_float, at_float + n)
            at_float += n
            _fill_float(population, place, floats[:, there], v0[2][there])
        elif pop[f.P_UPDATE] in WIDE_FORMS:
            pop[f.P_STATE] = at_int
            there = slice(at_int, at_int + n)
            at_int += n
            if population.u2_keep is not None:
                pop[f.P_SECOND] = at_int
                wide[f.G_U_KEEP, at_int : at_int + n] = population.u2_keep[place]
                at_int += n
            _fill_general(population, place, wide[:, there])
            v0[1][there] = population.v0[place]
        else:
            _fill_fast(pop, population, place, narrow[:, here])
            v0[0][here] = population.v0[place]
    return (narrow, wide, floats), v0


def place_currents(program: Program, pops: Ints, projections: Ints) -> None:
    """Point projections that add to a current itself to its place in the int64 states."""
    for row, q in zip(projections, program.projections, strict=True):
        if row[f.J_KIND] != f.KIND_IN_ORDER:
            continue
        pop = pops[program.populations.index(q.target)]
        row[f.J_ACC] = pop[f.P_SECOND if q.synapse else f.P_STATE]
        if row[f.J_ACC] < 0:
            raise UnsupportedError(
                "the population has no second synaptic current",
                got=f"synapse {q.synapse}",
                where=q.name,
                rule="sim.synapse",
            )


def _describe(pop: Ints, population: QuantizedPopulation) -> None:
    spec = population.spec
    pop[f.P_SECOND] = -1
    pop[f.P_HAS_CURRENT] = spec.has_current
    pop[f.P_IS_SPIKING] = spec.is_spiking
    pop[f.P_U_DECAY] = DECAY_CODES[spec.u_decay]
    pop[f.P_V_DECAY] = DECAY_CODES[spec.v_decay]
    pop[f.P_DECAY_BITS] = spec.decay_bits
    pop[f.P_FLOOR] = spec.rounding == "floor"
    pop[f.P_U_BITS], pop[f.P_V_BITS] = spec.u_bits, spec.v_bits
    pop[f.P_U_WRAP] = OVERFLOW_CODES[spec.u_overflow]
    pop[f.P_V_WRAP] = OVERFLOW_CODES[spec.v_overflow]
    pop[f.P_STRICT] = spec.compare == ">"
    pop[f.P_RESET] = RESET_CODES[spec.reset]
    pop[f.P_RESET_DELAY] = spec.reset_delay
    pop[f.P_MAX_SPIKES] = spec.max_spikes_per_step
    pop[f.P_SUM_BITS] = spec.sum_bits
    has_v_min = population.v_min is not None
    pop[f.P_HAS_V_MIN] = (2 if spec.lower == "reset" else 1) if has_v_min else 0


def _fill_float(
    population: QuantizedPopulation,
    place: Any,
    floats: NDArray[np.float32],
    v0: NDArray[np.float32],
) -> None:
    values = population.floats
    assert values is not None  # choose_update picked the float form
    for name, row in FLOAT_ROWS.items():
        floats[row] = values[name][place]
    if population.spec.reset == "zero":
        floats[f.F_V_RESET] = 0
    v0[:] = values["v0"][place]


def _fill_general(population: QuantizedPopulation, place: Any, wide: Ints) -> None:
    wide[f.G_U_KEEP] = population.u_keep[place]
    wide[f.G_V_KEEP] = population.v_keep[place]
    wide[f.G_U_BIAS] = population.u_bias[place]
    wide[f.G_V_BIAS] = population.v_bias[place]
    wide[f.G_THRESHOLD] = population.threshold[place]
    wide[f.G_V_RESET] = population.v_reset[place]
    wide[f.G_ALIAS] = -1 if population.alias is None else population.alias[place]
    if population.v_min is not None:
        wide[f.G_V_MIN] = population.v_min[place]


def _fill_fast(
    pop: Ints, population: QuantizedPopulation, place: Any, narrow: NDArray[np.int32]
) -> None:
    """Fill one population of an int32 form; ``bounds.py`` has proven that all of it fits."""
    spec = population.spec
    pop[f.P_V_BITS] = min(spec.v_bits, 32)
    survives = spec.reset in ("subtract", "none")
    pop[f.P_STATE_MASK] = -1 if survives else 0
    pop[f.P_DECAY_MASK] = -1 if spec.v_decay == "shift" else 0
    pop[f.P_CLEAR_MASK] = 0 if spec.v_decay == "clear" else -1
    pop[f.P_U_DECAY_MASK] = -1 if spec.u_decay == "shift" else 0
    pop[f.P_U_CLEAR_MASK] = 0 if spec.u_decay == "clear" else -1
    n = population.size
    fires_above = np.full(n, INT32_MAX)
    subtract = np.zeros(n, np.int64)
    if spec.is_spiking:
        fires_above = population.threshold - (spec.compare == ">=")
        if spec.reset == "subtract":
            subtract = population.threshold
        elif spec.reset == "value":
            subtract = -population.v_reset
    narrow[f.I_THRESHOLD] = fires_above[place]
    narrow[f.I_SUBTRACT] = subtract[place]
    if pop[f.P_UPDATE] == f.UPDATE_LANES:
        _fill_lanes(pop, population, place, narrow)
    elif pop[f.P_UPDATE] == f.UPDATE_CURRENT:
        narrow[f.I_BIAS] = population.v_bias[place]
        narrow[f.I_U_BIAS] = population.u_bias[place]
        narrow[f.I_KEEP] = _factors(spec.v_decay, population.v_keep, spec.decay_bits)[place]
        narrow[f.I_U_KEEP] = _factors(spec.u_decay, population.u_keep, spec.decay_bits)[place]
    else:
        narrow[f.I_BIAS] = (population.u_bias + population.v_bias)[place]
        narrow[f.I_KEEP] = np.clip(population.v_keep, 0, 31)[place]
    if n:
        pop[f.P_THRESHOLD], pop[f.P_SUBTRACT] = narrow[f.I_THRESHOLD, 0], narrow[f.I_SUBTRACT, 0]
        pop[f.P_KEEP] = narrow[f.I_KEEP, 0]


def lane_variant(population: QuantizedPopulation) -> int:
    """Return which variant of the vector form (``V_*``) a population needs."""
    spec, rests = population.spec, population.refractory_steps
    kinds = {spec.v_decay, spec.u_decay} if spec.has_current else {spec.v_decay}
    decay = next((code for name, code in LANE_DECAYS.items() if name in kinds), f.V_SHIFT)
    return (
        decay
        + f.V_CURRENT * spec.has_current
        + f.V_LATE * (spec.is_spiking and spec.reset_delay == 1)
        + f.V_RESTS * (rests is not None and bool(rests.any()))
    )


def _fill_lanes(
    pop: Ints, population: QuantizedPopulation, place: Any, narrow: NDArray[np.int32]
) -> None:
    """Fill what a variant of the vector form reads beside the rest."""
    spec, variant = population.spec, lane_variant(population)
    decay = variant % f.V_DECAYS
    pop[f.P_VARIANT] = variant
    pop[f.P_SUM_BITS] = min(spec.sum_bits, 32)
    pop[f.P_U_WRAP] &= spec.u_bits <= CURRENT_BITS  # wider ones were proven not to overflow
    pop[f.P_U_BITS] = min(spec.u_bits, 32)
    narrow[f.I_V_MIN] = -(2**31) if population.v_min is None else population.v_min[place]
    keeps = [(f.I_KEEP, spec.v_decay, population.v_keep)]
    keeps += [(f.I_U_KEEP, spec.u_decay, population.u_keep)] if spec.has_current else []
    for row, kind, keep in keeps:
        if decay == f.V_FACTOR:
            keep = _factors(kind, keep, spec.decay_bits)
        narrow[row] = (np.clip(keep, 0, 31) if decay == f.V_SHIFT else keep)[place]
    if spec.has_current:
        narrow[f.I_BIAS], narrow[f.I_U_BIAS] = population.v_bias[place], population.u_bias[place]
    else:
        narrow[f.I_BIAS] = (population.u_bias + population.v_bias)[place]


def _factors(kind: str, keep: Ints, bits: int) -> Ints:
    """Return factors out of 2**bits that do what ``kind`` does."""
    if kind == "none":
        return np.full_like(keep, 2**bits)
    return np.zeros_like(keep) if kind == "clear" else keep
