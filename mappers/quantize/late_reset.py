"""Soft reset one step later, as two compartments per neuron, on chips that only reset to zero.

One compartment integrates and is never reset; the other takes its membrane in the same step, fires
above the threshold, and sends its spike back over an inhibitory synapse that weighs exactly the
threshold. It arrives a hop (one step) later: v[t+1] = decay(v[t]) + input[t+1] - threshold * z[t],
the profile's "subtract, one step later", integer by integer. In the QuantizedNetwork the pair is
one neuron of two compartments with reset "none" and that synapse onto itself.

Rueckauer et al. (NxTF, ACM JETC 18(3), 2022, arXiv:2101.04261) map soft reset to Loihi with twice
the compartments too.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.mappers.quantize.contract import Ledger
from nmhw.mappers.quantize.grid import SignMode, WeightGrid, pack_weights, weight_grid
from nmhw.mappers.quantize.part import Part
from nmhw.mappers.quantize.registers import Registers
from nmhw.mappers.quantize.scales import Incoming, ScaleChoice, fit_exponents
from nmhw.values.chip import ArithmeticSpec
from nmhw.values.quantized import QuantizedProjection

Ints = NDArray[np.int64]

#: Compartments per neuron: one integrates, one fires.
N_COMPARTMENTS = 2


def with_subtractable_thresholds(
    choice: ScaleChoice, incoming: Incoming, arithmetic: ArithmeticSpec
) -> ScaleChoice:
    """Return the choice with every threshold moved down to one that a single synapse weighs.

    The scale follows, so that the threshold stays the author's; weights only get smaller.
    """
    weight, exponent = _as_synapse(choice.threshold, arithmetic)
    threshold = weight << (exponent + arithmetic.input_shift)
    scale = choice.scale * (threshold / choice.threshold)
    exponents = fit_exponents(scale, incoming, min(choice.exponents, default=0), arithmetic)
    ratio = float(np.max(scale / choice.scale, initial=0.0))
    u, v = choice.overflow
    return ScaleChoice(scale, threshold, exponents, (u * ratio, v * ratio))


def feedback_synapses(
    part: Part, registers: Registers, ledger: Ledger
) -> tuple[QuantizedProjection, ...]:
    """Return one inhibitory synapse per neuron onto itself, a projection per weight exponent.

    Raises
    ------
    UsageError
        For a given threshold that no synapse weighs exactly.
    """
    arithmetic = ledger.chip.arithmetic
    weight, exponent = _as_synapse(registers.threshold, arithmetic)
    exact = weight << (exponent + arithmetic.input_shift)
    if np.any(exact != registers.threshold):
        k = int(np.argmax(exact != registers.threshold))
        raise UsageError(
            "no synapse weighs this threshold, so that a spike could subtract it",
            got=int(registers.threshold[k]),
            where=f"{part.name}: threshold of neuron {k}",
            hint=f"{int(exact[k])}, the next one below",
            rule="quantize.late-reset",
        )
    grid = _grid(arithmetic)
    projections: list[QuantizedProjection] = []
    names = set(part.taken_names)
    for e in np.unique(exponent).tolist():
        members = np.flatnonzero(exponent == e).astype(np.int64)
        stored, packed = pack_weights(-weight[members])
        name = _free_name(f"{part.name}>{part.name} (reset)", names)
        names.add(name)
        pointers = np.zeros(part.cell.size + 1, np.int64)
        pointers[members + 1] = 1
        projections.append(
            QuantizedProjection(
                name=name,
                source=part.name,
                target=part.name,
                storage="sparse",
                weights=stored,
                delay_steps=1,
                shift=e + packed,
                indptr=np.cumsum(pointers),
                indices=members,
                weight_bits=grid.bits,
                sign_mode=grid.sign_mode,
            )
        )
    _note(part, ledger)
    return tuple(projections)


def _as_synapse(threshold: Ints, arithmetic: ArithmeticSpec) -> tuple[Ints, Ints]:
    """Return weight magnitude and exponent (n,) of the largest synapses at or below thresholds."""
    grid, shift = _grid(arithmetic), arithmetic.input_shift
    top = -grid.minimum
    low, high = max(0, arithmetic.weight_exponent[0]), arithmetic.weight_exponent[1]
    exponent = np.full(threshold.shape, low, np.int64)
    for e in range(low, high):
        exponent[threshold > top << (e + shift)] = e + 1
    steps = threshold >> (exponent + shift)
    return np.clip(steps // grid.step * grid.step, grid.step, top), exponent


def _grid(arithmetic: ArithmeticSpec) -> WeightGrid:
    modes = arithmetic.sign_modes
    mode: SignMode = "inhibitory" if "inhibitory" in modes else "mixed"
    return weight_grid(arithmetic, sign_mode=mode)


def _note(part: Part, ledger: Ledger) -> None:
    n = part.cell.size
    text = (
        f"the chip only resets to zero: {n:,} neurons take {N_COMPARTMENTS * n:,} compartments and "
        f"{n:,} more synapses, over which every spike subtracts its threshold one step later "
        f"(exact in the chip's integers); this costs twice the neuron updates, and per spike 1 "
        "synapse and 1 packet to its own core"
    )
    ledger.note("late-reset", part.name, text, "assumption")


def _free_name(wanted: str, taken: Collection[str]) -> str:
    name, k = wanted, 2
    while name in taken:
        name, k = f"{wanted} {k}", k + 1
    return name
