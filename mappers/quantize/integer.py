"""Integer families (loihi, generic): one population on the chip's grids."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.quantize.axon_grids import pick_grids, pick_peaks
from nmhw.mappers.quantize.calibrate import worst_case
from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.explicit_population import explicit_registers
from nmhw.mappers.quantize.explicit_projection import explicit_weights
from nmhw.mappers.quantize.grid import (
    WeightGrid,
    pack_weights,
)
from nmhw.mappers.quantize.late_reset import (
    N_COMPARTMENTS,
    feedback_synapses,
    with_subtractable_thresholds,
)
from nmhw.mappers.quantize.loss import WeightError, layer_loss, leak_error, sum_error
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import (
    Part,
    QuantizedPart,
    build_projection,
    compact,
    profile_numbers,
)
from nmhw.mappers.quantize.registers import (
    Registers,
    constant_leak,
    nudge_threshold,
    registers_at_scale,
)
from nmhw.mappers.quantize.scales import (
    Bounds,
    Incoming,
    ScaleChoice,
    choose_scale,
    fit_exponents,
    overflow_ratios,
)
from nmhw.mappers.quantize.shared_pairs import share_channels, share_pairs
from nmhw.values.chip import ArithmeticSpec
from nmhw.values.quantized import CellSpec, LayerLoss, QuantizedPopulation, QuantizedProjection

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def quantize_integer(part: Part, ledger: Ledger) -> QuantizedPart:
    """Quantize one population and its projections for a chip with integer states."""
    arithmetic = ledger.chip.arithmetic
    part = share_pairs(part, ledger)
    lowest = lowest_membrane(part, arithmetic)
    if lowest == 0:
        part = replace(part, bounds=bounds_above_floor(part, arithmetic))
    gained = [p.with_gain(part.cell.gain) for p in part.incoming]
    grids = pick_grids(part, gained, ledger.chip)
    incoming = Incoming(
        pick_peaks(gained, grids, arithmetic),
        grids,
        share_channels(channels(gained, part.cell.size), ledger.chip),
        [p.is_bias for p in gained],
    )
    automatic, choice = automatic_registers(part, incoming, ledger)
    registers = explicit_registers(part, automatic, ledger.chip)
    exponents = tuple(
        part.exponents.get(p.name, e) for p, e in zip(gained, choice.exponents, strict=True)
    )
    if registers is not automatic:
        exponents = fit_exponents(registers.scale, incoming, 0, arithmetic)
    if arithmetic.weight_coding == "axons" and exponents:  # a neuron has one weight per axon type
        exponents = (max(exponents),) * len(exponents)
    projections, errors = [], []
    for k, projection in enumerate(gained):
        if part.is_literal or projection.name in part.explicit_weights:
            built = explicit_weights(part, part.incoming[k], part.delays[k], registers, ledger.chip)
            projections.append(built)
            continue
        built, error = quantize_weights(
            projection, grids[k], exponents[k], registers.scale, part, part.delays[k], arithmetic
        )
        note_zero_weights(projection, built, part, ledger)
        projections.append(built)
        errors.append(error)
    if lowest is not None:
        note_floor(part, lowest, ledger)
    population = build_population(part, registers, arithmetic)
    loss = None
    if registers is automatic and len(errors) == len(gained):
        loss = _loss(part, registers, errors)
        _note_losses(part, registers, loss.clipped_weights_fraction, ledger)
    drives = [*(p.weights for p in projections), part.cell.u_bias, part.cell.v_bias]
    is_silent = not any(np.any(d) for d in drives)  # nothing is left that could overflow it
    overflow = (0.0, 0.0) if loss is None or is_silent else choice.overflow
    if loss is not None and loss.clipped_weights_fraction and not is_silent:
        ends = zip(gained, projections, strict=True)
        rounded = [restored(p, q, registers.scale, arithmetic) for p, q in ends]
        overflow = _overflow_of_clipped(part, rounded, registers.scale, arithmetic)
    if part.cell.form.is_late_reset:
        projections += feedback_synapses(part, registers, ledger)
    return QuantizedPart(population, tuple(projections), loss, overflow)


def note_zero_weights(
    projection: LoweredProjection, built: QuantizedProjection, part: Part, ledger: Ledger
) -> None:
    """Warn where rounding left nothing of a projection."""
    if np.any(projection.weights) and not np.any(built.weights):
        text = (
            f"every weight of {projection.name} is rounded to 0 (the threshold is up to "
            f"{float(part.cell.threshold.max()):.3g}, the weights up to "
            f"{float(np.abs(projection.weights).max()):.3g} in its unit)"
        )
        ledger.note("all-zero-weights", part.name, text, "warning", "check threshold and gain")


def channels(projections: list[LoweredProjection], n: int) -> Ints:
    """Number the neurons (n,) that must share a scale: the channels of shared kernels."""
    runs = {p.n_positions for p in projections if p.storage == "conv"}
    if len(runs) > 1:  # kernels of different outlines: one scale serves all
        return np.zeros(n, np.int64)
    return np.arange(n, dtype=np.int64) // (runs.pop() if runs else 1)


def automatic_registers(
    part: Part, incoming: Incoming, ledger: Ledger
) -> tuple[Registers, ScaleChoice]:
    """Return the registers that the float network asks for, and the scale they are at."""
    cell, arithmetic = part.cell, ledger.chip.arithmetic
    choice = choose_scale(cell, incoming, part.bounds, ledger.chip)
    if cell.form.is_late_reset:
        choice = with_subtractable_thresholds(choice, incoming, arithmetic)
    registers = registers_at_scale(cell, choice.scale, choice.threshold, arithmetic, part.name)
    if registers.n_clipped_biases:
        ledger.note("bias", part.name, f"{registers.n_clipped_biases} biases were clipped")
    registers = nudge_threshold(registers, cell, arithmetic)
    if arithmetic.always_multi_spike:  # a threshold of 0 would be passed without end
        registers = replace(registers, threshold=np.maximum(registers.threshold, 1))
    return registers, choice


def quantize_weights(
    projection: LoweredProjection,
    grid: WeightGrid,
    exponent: int,
    scale: Floats,
    part: Part,
    delay_steps: int,
    arithmetic: ArithmeticSpec,
) -> tuple[QuantizedProjection, WeightError]:
    """Round one projection (weights in membrane units) to its grid."""
    unit = 2.0 ** (arithmetic.input_shift + exponent)
    wanted = projection.weights
    integers = np.empty_like(wanted, np.int32)
    difference = np.empty_like(wanted)
    n_clipped = 0
    for rows in projection.blocks():
        whole, clipped = grid.round(
            projection.multiply(scale / unit, rows), arithmetic.weight_rounding
        )
        integers[rows] = whole
        n_clipped += int(np.count_nonzero(clipped))
        back = projection.multiply(unit / scale, rows, whole.astype(np.float64))
        np.subtract(wanted[rows], back, out=difference[rows])
    error = sum_error(wanted, difference, n_clipped)
    del difference
    stored, packed = pack_weights(integers)
    per_unit = scale * part.cell.gain / unit / (1 << packed)
    built = build_projection(
        projection, stored, exponent + packed, delay_steps, grid, compact(per_unit)
    )
    return built, error


def restored(
    projection: LoweredProjection,
    built: QuantizedProjection,
    scale: Floats,
    arithmetic: ArithmeticSpec,
) -> LoweredProjection:
    """Return ``projection`` with what its stored integers amount to, in membrane units."""
    unit = 2.0 ** (arithmetic.input_shift + built.shift)
    values = built.weights.astype(np.float64)
    return replace(projection, weights=projection.multiply(unit / scale, values=values))


def _overflow_of_clipped(
    part: Part, rounded: list[LoweredProjection], scale: Floats, arithmetic: ArithmeticSpec
) -> tuple[float, float]:
    """Return how far the states reach with the weights that the clipping left."""
    worst = worst_case(part.cell, rounded, part.spikes)
    left = replace(
        part.bounds, u=np.minimum(part.bounds.u, worst.u), v=np.minimum(part.bounds.v, worst.v)
    )
    return overflow_ratios(scale, left, arithmetic)


def build_population(
    part: Part, registers: Registers, arithmetic: ArithmeticSpec
) -> QuantizedPopulation:
    """Return the population with its registers."""
    cell, form, r = part.cell, part.cell.form, registers
    spec = CellSpec(
        state="int",
        has_current=cell.has_current,
        is_spiking=cell.is_spiking,
        u_decay=r.u.kind,
        v_decay=r.v.kind,
        decay_bits=arithmetic.decay_bits,
        rounding=arithmetic.rounding,
        input_shift=arithmetic.input_shift,
        u_bits=arithmetic.u_bits,
        v_bits=arithmetic.v_bits,
        u_overflow=arithmetic.u_overflow,
        v_overflow=arithmetic.v_overflow,
        compare=form.compare,
        reset=form.reset,
        reset_delay=1 if part.reset_delay else 0,
        max_spikes_per_step=form.max_spikes,
        sum_bits=arithmetic.sum_bits if cell.is_spiking else 0,
        lower="reset" if arithmetic.negative_threshold == "reset" else "saturate",
        summation=arithmetic.summation,
    )
    return QuantizedPopulation(
        name=part.name,
        shape=part.population.shape,
        spec=spec,
        u_keep=r.u.code,
        v_keep=r.v.code,
        u_bias=r.u_bias,
        v_bias=r.v_bias,
        threshold=r.threshold,
        v_reset=r.v_reset,
        v0=r.v0,
        scale=r.scale,
        profile_index=profile_numbers(r.threshold, r.u.code, r.v.code, r.v_reset),
        depth=part.depth,
        v_min=r.v_min,
        refractory_steps=r.refractory_steps,
        u2_keep=None if r.u2 is None else r.u2.code,
        alias=r.alias,
        n_compartments=N_COMPARTMENTS if form.is_late_reset else 1,
    )


def lowest_membrane(part: Part, arithmetic: ArithmeticSpec) -> int | None:
    """Return where the chip ends the membrane on its own account, None if it does not."""
    if constant_leak(arithmetic, part.cell) == "constant":
        return 0
    return arithmetic.lowest_v


def bounds_above_floor(part: Part, arithmetic: ArithmeticSpec) -> Bounds:
    """Return the bounds of a membrane that the chip ends at 0: inhibition does not pile up.

    Such a membrane starts every step in 0..threshold where it is reset to zero. One that saturates
    may be cut above the threshold, it fires anyway; one that wraps needs room for one step's input.
    """
    cell, bounds = part.cell, part.bounds
    if cell.form.reset != "zero" or cell.form.max_spikes != 1:
        return bounds
    room = cell.threshold
    if arithmetic.v_overflow != "saturate":
        room = room + bounds.u + np.abs(cell.v_bias)
    return replace(bounds, v=np.minimum(bounds.v, room))


def note_floor(part: Part, lowest: int, ledger: Ledger) -> None:
    """Say where inhibition is forgotten because the chip's membrane ends above the network's."""
    drives = [*(p.weights for p in part.incoming), part.cell.u_bias, part.cell.v_bias]
    if np.all(part.cell.v_min >= lowest) or min_of(drives) >= 0:
        return
    text = f"the chip's membrane never goes below {lowest}: inhibition beyond that is forgotten"
    ledger.note("floor", part.name, text)


def min_of(arrays: list[Floats]) -> float:
    """Return the least value of all arrays (0 for none)."""
    return min((float(a.min(initial=0.0)) for a in arrays), default=0.0)


def _loss(part: Part, registers: Registers, errors: list[WeightError]) -> LayerLoss:
    cell = part.cell
    decays = [(cell.v_keep, registers.v.keep)]
    if cell.has_current:
        decays.append((cell.u_keep, registers.u.keep))
    realized = registers.threshold / registers.scale
    return layer_loss(part.name, errors, decays, (cell.threshold, realized))


def _note_losses(part: Part, registers: Registers, clipped: float, ledger: Ledger) -> None:
    arithmetic = ledger.chip.arithmetic
    for state, wanted, code in (
        ("v", part.cell.v_keep, registers.v),
        ("u", part.cell.u_keep, registers.u),
    ):
        error = leak_error(wanted, code.keep)
        if state == "v" and constant_leak(arithmetic, part.cell) is not None:
            text = (
                f"the chip subtracts a constant leak of {_span(code.code)} LSB per step: it "
                f"stands for the fraction {_span(1 - wanted)} at half the threshold alone (off by "
                f"{error:.2g} at most there); below it v leaks too fast, above it too slowly"
            )
            ledger.note("decay", part.name, text)
        elif error > 0 and (state == "v" or part.cell.has_current):
            text = (
                f"{state} keeps {_span(code.keep)} instead of {_span(wanted)} per step "
                f"({code.kind}; leak off by {error:.2g} at most)"
            )
            ledger.note("decay", part.name, text)
    if clipped:
        ledger.note("clipped", part.name, f"{clipped:.2%} of the weights were clipped")


def _span(values: NDArray[Any]) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"
