"""The integer (and float32) cell of every chip family, written once in NumPy.

This file is the specification: mappers, quantization-aware training and ``sim/reference.py`` call
it; the Numba kernels are its independent twin. One step of a population, all arithmetic in int64:

1.  ``x = (summed input) << input_shift`` (the caller has applied each projection's own shift).
2.  current: ``u = decay(u) + x + u_bias``; ``u_decay == "clear"`` forgets the old u. Then u
    overflows at ``u_bits``: "saturate" to +-(2^(b-1) - 1); "wrap" as lava-nc's fixed_pt model:
    u > 2^(b-1) loses 2^b, u <= -2^(b-1) gains 2^b, once.
3.  ``reset_delay == 1``: the spikes of this step are those of the old v, and the reset is applied
    to the old v before step 4.
4.  membrane: ``v = decay(v) + u + v_bias`` ("converge": v + u + v_bias first, then
    ``v - sign(v) keep``, which may cross 0), then lower bound ``v_min``, then overflow at
    ``v_bits`` (``sum_bits``, where the sum of a step is wider than the state): "saturate" to
    +-(2^(b-1) - 1), "wrap" as above.
5.  ``reset_delay == 0``: n = 1 where v > threshold (or >=), 0 where refractory; with
    ``max_spikes_per_step`` m > 1: n = number of thresholds v passes, at most m (">":
    ceil(v / threshold) - 1; ">=": floor(v / threshold)).
6.  reset where n > 0: "zero": 0, "value": v_reset, "subtract": v - n * threshold, "none": v.
    With ``sum_bits``, v is then at most 2^(v_bits-1) - 1 (downwards ``v_min`` bounds it).
    ``lower == "reset"``: v_min bounds nothing; where v < v_min and n = 0, "zero": 0, "value":
    -v_reset, "subtract": v - v_min, "none": v.
7.  refractory: after a spike, ``refractory_steps`` steps in which v stays at its reset value (no
    decay, no input) and nothing fires; u runs on.

``decay``: "none" x; "clear" 0; "mulshift" x * keep / 2^decay_bits rounded toward zero or floored;
"shift" x - (x >> keep), floor; "subtract" x moves by ``keep`` toward 0 and stops there;
"shift-tail" as "shift", but a positive x loses at least 1 (so both signs reach 0).
Overflow "saturate-full" keeps -2^(b-1) too.

``summation == "saturating"`` (Xylo) replaces rules 1 to 6, with d the change of v:

a.  every source that fired adds count * weight << shift to u (or to u2, where its projection names
    synapse 1), inputs first, then populations, in the network's order, projection by projection,
    indices ascending; each addition overflows at ``u_bits`` before the next (``add_in_order``).
b.  ``u = decay(u)``, ``u2 = decay2(u2)``: after the input, not before.
c.  ``d = decay(v) - v + u + u2``, then d overflows at ``v_bits``; ``d + v_bias`` overflows again;
    so does ``v + d``.
d.  neurons in ascending order: n = as many thresholds as v passes, at most ``max_spikes_per_step``
    less the spikes that aliases brought; reset by n; the neuron sends n plus what aliases brought;
    its own alias (a neuron of its population) sends all of these too, up to the maximum: in its
    own turn if that is still to come, else behind it. Aliased spikes reset nothing.

float32 cells (SpiNNaker2): u = u_keep u + u_gain x,
v = v_keep v + v_gain u + drive, each operation rounded to float32 in exactly that order
((keep * state) first, then (gain * input), then the sum, then + drive).

References
----------
lava-nc 0.10.0, ``proc/lif`` and ``proc/dense`` (BSD-3-Clause): rules 1, 2, 4-6 for Loihi.
xylosim 0.1.3 (SynSense, module v2): "shift-tail", "saturate-full" and rules a to d for Xylo.
Davies et al., "Loihi", IEEE Micro 38(1), 2018, doi:10.1109/MM.2018.112130359.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.values.quantized import CellSpec, QuantizedPopulation

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class CellState:
    """State of one population between two steps; u and v are int64, or float32 in float cells.

    ``u2`` is the second synaptic current, None where there is none.
    """

    u: NDArray[np.generic]
    v: NDArray[np.generic]
    refractory: Ints
    u2: Ints | None = None


@dataclass(frozen=True, slots=True, eq=False)
class CellStep:
    """What one step did: the new state, spikes per neuron, and masks for the counters."""

    state: CellState
    n_spikes: Ints
    is_active: Bools
    is_saturated: Bools


def initial_state(population: QuantizedPopulation) -> CellState:
    """Return the state before the first step (u = 0, v = v0)."""
    refractory = np.zeros(population.size, np.int64)
    if population.floats is not None:
        v0 = population.floats["v0"].astype(np.float32)
        return CellState(np.zeros(population.size, np.float32), v0, refractory)
    u2 = None if population.u2_keep is None else np.zeros(population.size, np.int64)
    return CellState(np.zeros(population.size, np.int64), population.v0.copy(), refractory, u2)


def decay(x: Ints, keep: Ints, kind: str, bits: int, rounding: str) -> Ints:
    """Apply one decay; see the module's ``decay`` rule. All arguments int64 of shape (n,)."""
    if kind in ("none", "converge"):  # the latter acts behind the input
        return x
    if kind == "clear":
        return np.zeros_like(x)
    if kind == "shift":
        return x - (x >> keep)
    if kind == "subtract":
        return np.sign(x) * np.maximum(np.abs(x) - keep, 0)
    if kind == "shift-tail":
        return x - np.where(x > 0, np.maximum(x >> keep, 1), x >> keep)
    product = x * keep
    if rounding == "floor":
        return product >> bits
    return np.sign(product) * (np.abs(product) >> bits)


def overflow(x: Ints, bits: int, mode: str) -> tuple[Ints, Bools]:
    """Return x brought back into ``bits`` bits, and where that changed it."""
    half = np.int64(1) << (bits - 1)
    if mode != "wrap":
        inside = np.clip(x, -half if mode == "saturate-full" else 1 - half, half - 1)
    else:
        inside = np.where(x > half, x - 2 * half, np.where(x <= -half, x + 2 * half, x))
    return inside, inside != x


def count_thresholds(v: Any, threshold: Any, spec: CellSpec) -> Ints:
    """Return how many spikes each membrane value makes (0, 1, or up to the cell's maximum)."""
    fires = v > threshold if spec.compare == ">" else v >= threshold
    if spec.max_spikes_per_step == 1:
        return fires.astype(np.int64)
    passed = -(-v // threshold) - 1 if spec.compare == ">" else v // threshold
    return np.where(fires, np.clip(passed, 1, spec.max_spikes_per_step), 0).astype(np.int64)


def reset_membrane(v: Any, n: Ints, threshold: Any, v_reset: Any, kind: str) -> Any:
    """Return v after ``n`` spikes per neuron."""
    if kind == "none":
        return v
    if kind == "subtract":
        return v - n.astype(v.dtype) * threshold
    value = np.zeros_like(v) if kind == "zero" else v_reset
    return np.where(n > 0, value, v)


def step_cell(population: QuantizedPopulation, state: CellState, summed: Ints) -> CellStep:
    """Run one step.

    Parameters
    ----------
    summed : (n,) int64
        Sum of all projections' inputs of this step, each already shifted by its own shift.

    Returns
    -------
    CellStep
        State after the reset, spikes, activity (state, input or bias not zero before the step)
        and saturation masks.
    """
    if population.floats is not None:
        return _step_float(population, state, summed)
    if population.spec.summation == "saturating":
        return _step_saturating(population, state, summed)
    spec = population.spec
    x = summed << spec.input_shift
    u_before, v_before = np.asarray(state.u, np.int64), np.asarray(state.v, np.int64)
    u = decay(u_before, population.u_keep, spec.u_decay, spec.decay_bits, spec.rounding)
    u, u_clipped = overflow(u + x + population.u_bias, spec.u_bits, spec.u_overflow)
    resting = state.refractory > 0
    threshold, v_reset = population.threshold, population.v_reset
    n = np.zeros(population.size, np.int64)
    v = v_before
    if spec.is_spiking and spec.reset_delay:
        n = np.where(resting, 0, count_thresholds(v, threshold, spec))
        v = reset_membrane(v, n, threshold, v_reset, spec.reset)
    held = v
    v = decay(v, population.v_keep, spec.v_decay, spec.decay_bits, spec.rounding)
    v = v + u + population.v_bias
    if spec.v_decay == "converge":
        v = np.asarray(v - np.sign(v) * population.v_keep, np.int64)
    below = np.zeros(population.size, np.bool_)
    if population.v_min is not None and spec.lower == "reset":
        below = v < population.v_min
    elif population.v_min is not None:
        v = np.maximum(v, population.v_min)
    v, v_clipped = overflow(v, spec.sum_bits or spec.v_bits, spec.v_overflow)
    v = np.where(resting, held, v)
    if spec.is_spiking and not spec.reset_delay:
        n = np.where(resting, 0, count_thresholds(v, threshold, spec))
        v = reset_membrane(v, n, threshold, v_reset, spec.reset)
    if spec.sum_bits:
        top = (np.int64(1) << (spec.v_bits - 1)) - 1
        v, v_clipped = np.where(resting, v, np.minimum(v, top)), v_clipped | (v > top)
    if below.any() and population.v_min is not None:
        low = reset_membrane(v, below.astype(np.int64), population.v_min, -v_reset, spec.reset)
        v = np.where(below & (n == 0) & ~resting, low, v)
    is_active = (v_before != 0) | (x != 0) | (population.v_bias != 0) | (population.u_bias != 0)
    if spec.has_current:
        is_active |= u_before != 0
    after = CellState(u if spec.has_current else u_before, v, _count_down(population, state, n))
    return CellStep(after, n, is_active, u_clipped | (v_clipped & ~resting))


def add_in_order(
    population: QuantizedPopulation, state: CellState, arrivals: Iterable[tuple[int, Ints]]
) -> tuple[CellState, Bools]:
    """Add what single sources bring to the synaptic currents, one after the other.

    Parameters
    ----------
    arrivals : pairs of the synapse (0, 1) and (n,) int64 = count * weight << shift

    Returns
    -------
    state with the currents before their decay, and where an addition overflowed
    """
    spec = population.spec
    u, u2 = np.asarray(state.u, np.int64), state.u2
    clipped = np.zeros(population.size, np.bool_)
    for synapse, added in arrivals:
        if synapse == 0:
            u, hit = overflow(u + added, spec.u_bits, spec.u_overflow)
        elif u2 is not None:
            u2, hit = overflow(u2 + added, spec.u_bits, spec.u_overflow)
        else:
            raise UnsupportedError(
                "the population has no second synaptic current",
                got=f"synapse {synapse}",
                where=population.name,
                rule="sim.synapse",
            )
        clipped |= hit
    return replace(state, u=u, u2=u2), clipped


def _step_saturating(population: QuantizedPopulation, state: CellState, summed: Ints) -> CellStep:
    spec = population.spec
    state, clipped = add_in_order(population, state, [(0, summed << spec.input_shift)])
    u_before, v_before = np.asarray(state.u, np.int64), np.asarray(state.v, np.int64)
    is_active = (v_before != 0) | (u_before != 0) | (population.v_bias != 0)
    u = decay(u_before, population.u_keep, spec.u_decay, spec.decay_bits, spec.rounding)
    total, u2 = u, state.u2
    if u2 is not None and population.u2_keep is not None:
        is_active |= u2 != 0
        u2 = decay(u2, population.u2_keep, spec.u_decay, spec.decay_bits, spec.rounding)
        total = u + u2
    v = decay(v_before, population.v_keep, spec.v_decay, spec.decay_bits, spec.rounding)
    change = v - v_before + total
    for further in (population.v_bias, v_before):
        change, hit = overflow(change, spec.v_bits, spec.v_overflow)
        clipped = clipped | hit
        change = change + further
    v, hit = overflow(change, spec.v_bits, spec.v_overflow)
    own = sent = np.zeros(population.size, np.int64)
    if spec.is_spiking:
        own = sent = count_thresholds(v, population.threshold, spec)
        if population.alias is not None:
            own, sent = _pass_to_aliases(own, population.alias, spec.max_spikes_per_step)
        v = reset_membrane(v, own, population.threshold, population.v_reset, spec.reset)
    after = CellState(u if spec.has_current else np.zeros_like(u), v, state.refractory, u2)
    return CellStep(after, sent, is_active, clipped | hit)


def _pass_to_aliases(passed: Ints, alias: Ints, most: int) -> tuple[Ints, Ints]:
    """Return (spikes that reset the membrane, spikes that are sent), both (n,)."""
    own, sent = passed.copy(), np.zeros_like(passed)
    for k, to in enumerate(alias.tolist()):
        own[k] = min(own[k], most - sent[k])
        sent[k] += own[k]
        if to >= 0:
            sent[to] = min(sent[to] + sent[k], most)
    return own, sent


def _step_float(population: QuantizedPopulation, state: CellState, summed: Ints) -> CellStep:
    spec, f = population.spec, population.floats
    if f is None:  # pragma: no cover - the caller checked
        raise TypeError("not a float cell")
    x = summed.astype(np.float32)
    u_before, v_before = state.u.astype(np.float32), state.v.astype(np.float32)
    u = f["u_keep"] * u_before + f["u_gain"] * x if spec.has_current else f["u_gain"] * x
    resting = state.refractory > 0
    n = np.zeros(population.size, np.int64)
    v = v_before
    if spec.is_spiking and spec.reset_delay:
        n = np.where(resting, 0, count_thresholds(v, f["threshold"], spec))
        v = reset_membrane(v, n, f["threshold"], f["v_reset"], spec.reset)
    held = v
    v = f["v_keep"] * v + f["v_gain"] * u + f["drive"]
    v = np.where(resting, held, v)
    if spec.is_spiking and not spec.reset_delay:
        n = np.where(resting, 0, count_thresholds(v, f["threshold"], spec))
        v = reset_membrane(v, n, f["threshold"], f["v_reset"], spec.reset)
    is_active = (v_before != 0) | (x != 0) | (f["drive"] != 0)
    if spec.has_current:
        is_active |= u_before != 0
    after = CellState(u if spec.has_current else u_before, v, _count_down(population, state, n))
    return CellStep(after, n, is_active, np.zeros(population.size, np.bool_))


def _count_down(population: QuantizedPopulation, state: CellState, n: Ints) -> Ints:
    left = np.maximum(state.refractory - 1, 0)
    if population.refractory_steps is None:
        return left
    return np.where(n > 0, population.refractory_steps, left)
