"""SpiNNaker2: 8-bit weights with one scale per population, states and coefficients in float32.

s = 127 / max|w| over all weights into the population, w := trunc(s w), threshold := s threshold,
Euler coefficients as they are, u before v, one step per hop. This rule is reported to reproduce
the published SpiNNaker2 spikes of the NIR paper's Braille network without biases (Pedersen, Abreu
et al., Nature Communications 2024, doi:10.1038/s41467-024-52259-9); tests compare it with a script.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.grid import WeightGrid, pack_weights, weight_grid
from nmhw.mappers.quantize.loss import layer_loss, weight_error
from nmhw.mappers.quantize.part import Part, QuantizedPart, build_projection, profile_numbers
from nmhw.values.profile import Profile
from nmhw.values.quantized import CellSpec, QuantizedPopulation, QuantizedProjection

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

# 127 / w * w may fall an ulp short of 127, which truncation would turn into 126
_SNAP = 1e-9


def quantize_float32(part: Part, profile: Profile, ledger: Ledger) -> QuantizedPart:
    """Quantize one population and its projections for a chip with float32 states.

    Raises
    ------
    UnsupportedError
        For given integers: the chip's states are floats.
    """
    if part.explicit or part.explicit_weights or part.is_literal:
        raise UnsupportedError(
            "given integers need a chip with integer states", got=ledger.chip.name,
            where=part.name, rule="quantize.explicit",
        )  # fmt: skip
    arithmetic = ledger.chip.arithmetic
    grid = weight_grid(arithmetic)
    peak = max((float(np.abs(p.weights).max(initial=0.0)) for p in part.incoming), default=0.0)
    scale = grid.largest / peak if peak > 0 else 1.0
    projections, errors = [], []
    for projection, delay in zip(part.incoming, part.delays, strict=True):
        integers, clipped = _round(projection.weights * scale, grid, arithmetic.weight_rounding)
        errors.append(weight_error(projection.weights, integers / scale, clipped))
        stored, shift = pack_weights(integers)
        built: QuantizedProjection = build_projection(
            projection, stored, shift, delay, grid, np.full(1, scale / (1 << shift))
        )
        projections.append(built)
    population = _population(part, profile, scale)
    assert population.floats is not None
    realized = population.floats["threshold"].astype(np.float64) / scale
    cell = part.cell
    wanted = np.where(cell.is_spiking, cell.threshold, np.inf)
    decays = [
        (getattr(cell, key), population.floats[key].astype(np.float64))
        for key in ("u_keep", "v_keep")
    ]
    return QuantizedPart(
        population, tuple(projections), layer_loss(part.name, errors, decays, (wanted, realized))
    )


def _round(x: Floats, grid: WeightGrid, rounding: str) -> tuple[NDArray[np.int64], Any]:
    near = np.rint(x)
    return grid.round(np.where(np.abs(x - near) <= _SNAP * np.abs(near), near, x), rounding)


def _population(part: Part, profile: Profile, scale: float) -> QuantizedPopulation:
    cell, form, source = part.cell, part.cell.form, part.source
    u_gain, v_gain = source.u_gain, source.v_gain
    if not cell.has_current:
        u_gain, v_gain = np.ones(cell.size), cell.gain
    elif profile.synapse_order == "add-decay":
        u_gain = u_gain * source.u_keep
    if np.any(cell.u_bias):
        raise UnsupportedError(
            "a float32 cell has no bias on its current", where=part.name, rule="quantize.bias"
        )
    threshold = (cell.threshold * scale).astype(np.float32)
    if form.nudge:  # v >= t is v > t' with t' the next number below t
        side = np.float32(np.inf if form.nudge > 0 else -np.inf)
        threshold = np.nextafter(threshold, side)
    values: dict[str, Floats | Singles] = {
        "u_keep": cell.u_keep,
        "u_gain": u_gain,
        "v_keep": cell.v_keep,
        "v_gain": v_gain,
        "drive": cell.v_bias * scale,
        "threshold": threshold,
        "v_reset": cell.v_reset * scale,
        "v0": cell.v0 * scale,
    }
    floats = {key: np.asarray(value, np.float32) for key, value in values.items()}
    spec = CellSpec(
        state="float32",
        has_current=cell.has_current,
        is_spiking=cell.is_spiking,
        compare=form.compare,
        reset=form.reset,
        reset_delay=1 if part.reset_delay else 0,
        max_spikes_per_step=form.max_spikes,
    )
    zeros = np.zeros(cell.size, np.int64)
    columns = (floats[key] for key in ("threshold", "u_keep", "u_gain", "v_keep", "v_gain"))
    return QuantizedPopulation(
        name=part.name,
        shape=part.population.shape,
        spec=spec,
        u_keep=zeros,
        v_keep=zeros,
        u_bias=zeros,
        v_bias=zeros,
        threshold=zeros,
        v_reset=zeros,
        v0=zeros,
        scale=np.full(cell.size, scale),
        profile_index=profile_numbers(*(np.nan_to_num(c, posinf=0.0) for c in columns)),
        depth=part.depth,
        floats=floats,
    )
