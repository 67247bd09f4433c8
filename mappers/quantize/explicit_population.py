"""Given registers of a population, checked against the chip's grid (fields: see ``explicit``)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.mappers.quantize.explicit import whole_numbers
from nmhw.mappers.quantize.explicit_projection import as_stored
from nmhw.mappers.quantize.grid import DecayCode, legal_thresholds
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.quantize.part import Part
from nmhw.mappers.quantize.registers import Registers, nudge_threshold, registers_at_scale
from nmhw.values.chip import ArithmeticSpec, ChipSpec

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def explicit_registers(part: Part, automatic: Registers, chip: ChipSpec) -> Registers:
    """Return the registers with given integers in place (``automatic`` itself if there are none).

    Raises
    ------
    UsageError
        For values off the chip's grid, naming population, field, value and grid.
    """
    given, arithmetic, n = part.explicit, chip.arithmetic, part.cell.size
    weights = [p for p in part.incoming if "weight" in part.explicit_weights.get(p.name, {})]
    if not (given or weights or part.is_literal):
        return automatic
    threshold = None
    if "threshold" in given:
        top = (1 << arithmetic.threshold_bits) - 1
        least = int(arithmetic.always_multi_spike)
        mantissa = whole_numbers(part.name, "threshold", given["threshold"], n, least, top)
        threshold = mantissa << arithmetic.threshold_shift
    elif part.is_literal and part.cell.is_spiking:
        threshold = _on_lattice(part, part.cell.threshold, arithmetic)
    scale = _scale(part, threshold, automatic, weights, arithmetic)
    wanted = (
        legal_thresholds(arithmetic, scale * part.cell.threshold)
        if threshold is None
        else threshold
    )
    registers = registers_at_scale(part.cell, scale, wanted, arithmetic, part.name)
    if "threshold" not in given and part.cell.is_spiking:
        registers = nudge_threshold(registers, part.cell, arithmetic)
    if part.is_literal:
        _require_exact(part, registers)
    return _replace(part, registers, arithmetic)


def _scale(
    part: Part,
    threshold: Ints | None,
    automatic: Registers,
    weights: list[LoweredProjection],
    arithmetic: ArithmeticSpec,
) -> Floats:
    """LSBs per unit: as given, else what the given threshold or weights amount to."""
    n = part.cell.size
    if "scale" in part.explicit:
        scale = np.broadcast_to(np.asarray(part.explicit["scale"], np.float64), (n,)).copy()
        if not np.all(np.isfinite(scale) & (scale > 0)):
            raise UsageError("scale must be positive", where=f"{part.name}: scale")
        return scale
    if part.is_literal:
        return np.ones(n)
    theta = part.cell.threshold
    if (
        threshold is not None
        and np.all(np.isfinite(theta))
        and np.all((theta > 0) & (threshold > 0))
    ):
        return threshold / theta
    up, down = 0.0, 0.0
    for p in weights:  # least squares of integers against floats
        entry = part.explicit_weights[p.name]
        unit = 2.0 ** (arithmetic.input_shift + int(entry.get("exponent", 0)))
        integers = as_stored(p, entry["weight"]) * unit
        floats = (
            p.multiply(part.cell.gain) if p.storage != "conv" else p.weights * part.cell.gain[0]
        )
        up, down = up + float(np.sum(integers * floats)), down + float(np.sum(floats * floats))
    return np.full(n, up / down) if up > 0 and down > 0 else automatic.scale


def _on_lattice(part: Part, threshold: Floats, arithmetic: ArithmeticSpec) -> Ints:
    step, top = 1 << arithmetic.threshold_shift, (1 << arithmetic.threshold_bits) - 1
    mantissa = whole_numbers(
        part.name, f"v_threshold / {step}", threshold / step, part.cell.size, 0, top
    )
    return mantissa << arithmetic.threshold_shift


def _require_exact(part: Part, registers: Registers) -> None:
    """The network's own numbers are the integers, so nothing may be rounded."""
    cell, given = part.cell, part.explicit
    pairs = [("bias", cell.v_bias, registers.v_bias, "bias_mantissa")]
    pairs += [("bias", cell.u_bias, registers.u_bias, "current_bias_mantissa")]
    pairs += [(k, getattr(cell, k), getattr(registers, k), k) for k in ("v_reset", "v0")]
    for field, wanted, real, key in pairs:
        if key not in given and np.any(wanted != real):
            raise UsageError(
                "not a whole number on the chip's grid",
                got=f"{float(wanted[np.argmax(np.abs(wanted - real))]):.6g}",
                where=f"{part.name}: {field}",
            )


def _replace(part: Part, registers: Registers, arithmetic: ArithmeticSpec) -> Registers:
    given, n = part.explicit, part.cell.size
    top = (1 << (arithmetic.v_bits - 1)) - 1
    changes: dict[str, Any] = {}
    for state in ("v", "u"):
        code = _decay(part, state, arithmetic)  # type: ignore[arg-type]
        if code is not None:
            changes[state] = code
    for prefix, register in (("", "v_bias"), ("current_", "u_bias")):
        bias = _bias(part, prefix, arithmetic)
        if bias is not None:
            changes[register] = bias
    for field in ("v_reset", "v0"):
        if field in given:
            changes[field] = whole_numbers(part.name, field, given[field], n, -top, top)
    if np.any(changes.get("v_reset", 0)) and part.cell.form.reset != "value":
        raise UsageError(
            "v_reset needs the reset to a value", got=f"reset {part.cell.form.reset}",
            where=f"{part.name}: v_reset",
        )  # fmt: skip
    if np.any(changes.get("v0", 0)) and not arithmetic.initial_v:
        raise UsageError("the chip starts every membrane at 0", where=f"{part.name}: v0")
    if "v_min" in given:
        if arithmetic.negative_threshold == "none":
            raise UsageError("the chip has no negative threshold", where=f"{part.name}: v_min")
        changes["v_min"] = whole_numbers(part.name, "v_min", given["v_min"], n, -top, 0)
    if "alias" in given:
        changes["alias"] = _alias(part, arithmetic)
    if "u2_shift" in given:
        changes["u2"] = _second_decay(part, arithmetic)
    if "refractory_steps" in given:
        most = arithmetic.refractory_max_steps
        steps = whole_numbers(part.name, "refractory_steps", given["refractory_steps"], n, 0, most)
        changes["refractory_steps"] = steps
    changed = replace(registers, **changes)
    if changed.v.kind == "converge" and np.any(changed.v_bias):
        raise UsageError(
            "leak and bias share a register: a neuron leaks toward 0 or has a bias",
            where=f"{part.name}: v_leak", rule="quantize.explicit",
        )  # fmt: skip
    return changed


def _alias(part: Part, arithmetic: ArithmeticSpec) -> Ints:
    if not arithmetic.has_aliases:
        raise UsageError("the chip has no aliases", where=f"{part.name}: alias")
    where, n = f"{part.name}: alias", part.cell.size
    if part.is_output:
        raise UsageError("an output neuron has no alias, hidden ones have", where=where)
    shape = np.shape(part.explicit["alias"])
    if shape != (n,):
        raise UsageError(
            "aliases are a list with one entry per neuron", got=f"shape {shape}", limit=f"({n},)",
            where=where, hint="-1 where a neuron has none",
        )  # fmt: skip
    return whole_numbers(part.name, "alias", part.explicit["alias"], n, -1, n - 1)


def _second_decay(part: Part, arithmetic: ArithmeticSpec) -> DecayCode:
    if arithmetic.n_currents < 2:
        raise UsageError("the chip has one synaptic current", where=f"{part.name}: u2_shift")
    if part.is_output:
        raise UsageError("an output has one synaptic current", where=f"{part.name}: u2_shift")
    low, high = arithmetic.decay_shifts
    code = whole_numbers(
        part.name, "u2_shift", part.explicit["u2_shift"], part.cell.size, low, high
    )
    return DecayCode("shift-tail", code, 1 - np.exp2(-code.astype(np.float64)))


def _decay(part: Part, state: Literal["u", "v"], arithmetic: ArithmeticSpec) -> DecayCode | None:
    given, n, bits = part.explicit, part.cell.size, arithmetic.decay_bits
    fields = [f"{state}_{f}" for f in ("decay", "keep", "shift", "leak")]
    fields = [f for f in fields if f in given]
    if not fields:
        return None
    field = fields[0]
    where = f"{part.name}: {field}"
    if len(fields) > 1:
        raise UsageError("give one of them", got=" and ".join(fields), where=part.name)
    kind: Literal["mulshift", "shift", "shift-tail", "subtract", "converge"] = "mulshift"
    if field.endswith("shift"):
        kind = "shift-tail" if "shift-tail" in arithmetic.decays else "shift"
    elif field.endswith("leak"):
        kind = "converge" if "converge" in arithmetic.decays else "subtract"
    if kind not in arithmetic.decays:
        raise UsageError(
            f"the chip has no {kind} decay", limit=", ".join(arithmetic.decays), where=where
        )
    if kind in ("shift", "shift-tail"):
        code = whole_numbers(part.name, field, given[field], n, *arithmetic.decay_shifts)
        keep = 1 - np.exp2(-code.astype(np.float64))
    elif kind in ("subtract", "converge"):
        code = whole_numbers(part.name, field, given[field], n, 0, (1 << arithmetic.leak_bits) - 1)
        keep = np.ones(n)
    else:
        top, offset = 1 << bits, arithmetic.u_decay_offset if state == "u" else 0
        if field.endswith("decay"):
            code = top - offset - whole_numbers(part.name, field, given[field], n, 0, top - 1)
        else:
            code = whole_numbers(part.name, field, given[field], n, 1 - offset, top - offset)
        keep = code / top
    if state == "u" and not part.cell.has_current:
        if np.any(keep):
            raise UsageError(
                "the population has no synaptic current", got=given[field], where=where
            )
        return None
    return DecayCode(kind, code, keep)


def _bias(part: Part, prefix: str, arithmetic: ArithmeticSpec) -> Ints | None:
    given, n = part.explicit, part.cell.size
    mantissa_field, exponent_field = f"{prefix}bias_mantissa", f"{prefix}bias_exponent"
    if mantissa_field not in given:
        if exponent_field in given:
            raise UsageError(f"{exponent_field} needs {mantissa_field}", where=part.name)
        return None
    place = "current" if prefix else "membrane"
    if place not in arithmetic.bias_on:
        raise UsageError(
            f"the chip has no bias on the {place}", where=f"{part.name}: {mantissa_field}"
        )
    half = 1 << (arithmetic.bias_bits - 1)
    mantissa = whole_numbers(part.name, mantissa_field, given[mantissa_field], n, -half, half - 1)
    low, high = arithmetic.bias_exponent
    e = whole_numbers(
        part.name, exponent_field, given.get(exponent_field, max(0, low)), n, low, high
    )
    return np.where(e >= 0, mantissa << np.maximum(e, 0), mantissa >> -np.minimum(e, 0))
