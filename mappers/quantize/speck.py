"""Speck: one scale per layer, chosen as sinabs discretizes its DYNAP-CNN layers.

The scale is the largest at which the weights and the biases of a layer fit 8 bits, and its two
thresholds (and initial states) 16 bits; each range uses -2^(b-1) where a negative value decides.
Everything is multiplied by it and rounded to the nearest integer, ties to the even one. sinabs
computes in float32, and so does this.

One difference: without a lower threshold sinabs scales -2^15 as if the author had asked for it,
which holds every scale below 1 and turns small weights into 0. Here the bound is then the state's
own -2^15, whatever the scale.

References
----------
sinabs 3.1.3, backend/dynapcnn/discretize.py, https://github.com/synsense/sinabs (behavior
compared bit for bit in tests/live).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.grid import DecayCode, pack_weights, weight_grid
from nmhw.mappers.quantize.integer import build_population, note_zero_weights, quantize_integer
from nmhw.mappers.quantize.loss import layer_loss, weight_error
from nmhw.mappers.quantize.part import Part, QuantizedPart, build_projection
from nmhw.mappers.quantize.registers import Registers

Singles = NDArray[np.float32]


def quantize_layer(part: Part, ledger: Ledger) -> QuantizedPart:
    """Quantize one population and its projections; given integers go the common way.

    Raises
    ------
    UnsupportedError
        For a leak, neurons of one layer with different thresholds, and thresholds that become 0.
    """
    _check_layer(part)
    if part.explicit or part.explicit_weights or part.is_literal:
        return quantize_integer(part, ledger)
    arithmetic = ledger.chip.arithmetic
    gained = [p.with_gain(part.cell.gain) for p in part.incoming]
    scale, limit = _choose_scale(part, [p.weights for p in gained], max(arithmetic.weight_bits))
    registers = _registers(part, scale, 1 << (arithmetic.v_bits - 1))
    grid = weight_grid(arithmetic)
    projections, errors = [], []
    for projection, delay in zip(gained, part.delays, strict=True):
        integers = np.rint(projection.weights.astype(np.float32) * scale).astype(np.int64)
        stored, shift = pack_weights(integers)
        per_unit = np.full(1, float(scale) / (1 << shift))
        built = build_projection(
            replace(projection, weights=integers), stored, shift, delay, grid, per_unit
        )
        note_zero_weights(projection, built, part, ledger)
        projections.append(built)
        none = np.zeros(integers.shape, np.bool_)
        errors.append(weight_error(projection.weights, integers / float(scale), none))
    text = f"{float(scale):.6g} LSB per unit for the whole layer; the {limit} set it"
    ledger.note("layer-scale", part.name, text, "assumption")
    realized = registers.threshold / registers.scale
    decays = [(part.cell.v_keep, registers.v.keep)]
    loss = layer_loss(part.name, errors, decays, (part.cell.threshold, realized))
    return QuantizedPart(build_population(part, registers, arithmetic), tuple(projections), loss)


def largest_scale(values: Singles, bits: int) -> np.float32:
    """Return the largest factor at which ``values`` fit ``bits`` bits (inf for zeros alone)."""
    if not values.size:
        return np.float32(np.inf)
    half = 2 ** (bits - 1)
    smallest, largest = np.float32(values.min()), np.float32(values.max())
    with np.errstate(divide="ignore"):
        if np.abs(smallest) <= np.abs(largest) * np.float32(half / (half - 1)):
            return np.float32(np.abs(np.float32(half - 1) / largest))
        return np.float32(np.abs(np.float32(half) / smallest))


def _check_layer(part: Part) -> None:
    cell = part.cell
    if np.any(cell.v_keep != 1):
        raise UnsupportedError(
            "the chip's neurons have no leak",
            got=f"{float(cell.v_keep.min()):.6g} of v kept per step",
            limit=1,
            where=part.name,
            hint="integrate-and-fire neurons (IF)",
            rule="quantize.decay",
        )
    for what, values in (("threshold", cell.threshold), ("lower bound", cell.v_min)):
        if np.any(values != values[0]):
            raise UnsupportedError(
                f"the chip has one {what} per layer, these neurons have several",
                got=f"{float(values.min()):.6g} to {float(values.max()):.6g}",
                limit=1,
                where=part.name,
                rule="quantize.threshold-scope",
            )


def _choose_scale(
    part: Part, weights: list[NDArray[np.float64]], weight_bits: int
) -> tuple[np.float32, str]:
    cell = part.cell
    bounds = np.array([cell.threshold[0]] if cell.is_spiking else [], np.float32)
    if np.isfinite(cell.v_min[0]):
        bounds = np.append(bounds, np.float32(cell.v_min[0]))
    stacked = np.concatenate([np.zeros(0), *(w.ravel() for w in weights)])
    ranges = {
        "weights": (stacked, weight_bits),
        "biases": (cell.v_bias, weight_bits),
        "thresholds": (bounds, 16),
        "initial states": (cell.v0, 16),
    }
    found = {
        name: largest_scale(np.asarray(of, np.float32), bits) for name, (of, bits) in ranges.items()
    }
    limit = min(found, key=lambda name: found[name])
    return (found[limit], limit) if np.isfinite(found[limit]) else (np.float32(1), "zeros")


def _registers(part: Part, scale: np.float32, half: int) -> Registers:
    cell = part.cell

    def rounded(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint(values.astype(np.float32) * scale).astype(np.int64)

    threshold = np.full(cell.size, half - 1, np.int64)
    if cell.is_spiking:
        threshold = rounded(cell.threshold)
        if threshold[0] < 1:
            raise UnsupportedError(
                "the threshold becomes 0: the layer's weights or biases are too large for it",
                got=f"threshold {float(cell.threshold[0]):.6g} x scale {float(scale):.6g}",
                limit="at least 0.5",
                where=part.name,
                rule="quantize.threshold",
            )
    has_bound = bool(np.isfinite(cell.v_min[0]))
    v_min = rounded(cell.v_min) if has_bound else np.full(cell.size, -half, np.int64)
    zeros = np.zeros(cell.size, np.int64)
    return Registers(
        u=DecayCode("clear", zeros, np.zeros(cell.size)),
        v=DecayCode("none", zeros, np.ones(cell.size)),
        scale=np.full(cell.size, float(scale)),
        # a membrane at the top of its register still reaches it
        threshold=np.clip(threshold + cell.form.nudge, 0, half - 1),
        u_bias=zeros,
        v_bias=rounded(cell.v_bias),
        v_reset=zeros,
        v0=rounded(cell.v0),
        v_min=np.maximum(v_min, -half),
    )
