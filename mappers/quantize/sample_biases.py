"""Biases per sample: the drive of a layer that the host computed, on the chip's bias grid."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.as_convolution import stores_kernels_alone
from nmhw.mappers.quantize.cells import MembraneCell, membrane_cell
from nmhw.mappers.quantize.contract import Ledger, agree_on_form, check_allow
from nmhw.mappers.quantize.grid import largest_bias, legal_biases
from nmhw.mappers.quantize.registers import constant_leak
from nmhw.values.chip import ArithmeticSpec, ChipSpec
from nmhw.values.discretize import discretize
from nmhw.values.network import Network, Population
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedPopulation

Floats = NDArray[np.float64]

#: What every refusal recommends.
REMEDY = "--input-stage host"


@dataclass(frozen=True, slots=True, eq=False)
class BiasRegisters:
    """What a population's bias registers make of a drive.

    Attributes
    ----------
    cell : MembraneCell
        Of the population, without any bias but its own.
    arithmetic : ArithmeticSpec
    """

    cell: MembraneCell
    arithmetic: ArithmeticSpec

    @property
    def largest(self) -> int:
        """Largest bias in LSBs."""
        return largest_bias(self.arithmetic)

    def write(
        self, population: QuantizedPopulation, drive: Floats
    ) -> tuple[QuantizedPopulation, int]:
        """Return the population with the bias for a drive (n,), and how many were clipped.

        ``drive`` is in the author's units, W x + b; the population keeps its scale.
        """
        cell, scale = self.cell, population.scale
        current = cell.gain * drive
        v_bias = cell.v_bias if cell.has_current else cell.v_bias + current
        if population.floats is not None:
            value = np.asarray(v_bias * scale, np.float32)
            return replace(population, floats={**population.floats, "drive": value}), 0
        v, clipped = legal_biases(self.arithmetic, scale * v_bias)
        written, n_clipped = replace(population, v_bias=v), int(clipped.sum())
        if cell.has_current:
            u, clipped = legal_biases(self.arithmetic, scale * current)
            written, n_clipped = replace(written, u_bias=u), n_clipped + int(clipped.sum())
        return written, n_clipped


def bias_registers(
    network: Network, chip: ChipSpec, profile: Profile, name: str, allow: Iterable[str] = ()
) -> BiasRegisters:
    """Return the bias registers of a population, whose drive is written per sample.

    Raises
    ------
    UnsupportedError
        For a chip without a bias per neuron where this population needs it.
    """
    arithmetic = chip.arithmetic
    population = network.population(name)
    ledger = Ledger(chip, check_allow(allow))
    float_cell = discretize(network, profile)[name]
    place = "current" if float_cell.has_current and np.any(float_cell.u_keep) else "membrane"
    if not arithmetic.bias_on:
        raise refuse(chip, population, "the chip has no biases", "none")
    if stores_kernels_alone(chip):
        what = "the chip has a bias per channel, not per neuron"
        raise refuse(chip, population, what, "shared kernels alone")
    if place not in arithmetic.bias_on or (arithmetic.state == "float32" and place == "current"):
        what = f"the chip has no bias on the {place}, where this layer's input arrives"
        raise refuse(chip, population, what, "on the " + " and ".join(arithmetic.bias_on))
    is_output = any(name in port.sources for port in network.outputs)
    form = agree_on_form(population, float_cell, profile, ledger, is_output=is_output)
    zero = np.zeros(population.size)
    cell = membrane_cell(population, float_cell, zero, form, profile, ledger)
    if constant_leak(arithmetic, cell) is not None:
        what = "the chip's leak is a constant drive, which shares its place with the bias"
        raise refuse(chip, population, what, ", ".join(arithmetic.decays))
    return BiasRegisters(cell, arithmetic)


def refuse(chip: ChipSpec, population: Population, what: str, got: Any) -> UnsupportedError:
    """Return the error for a chip that cannot take a drive as biases."""
    return UnsupportedError(
        f"input stage bias: {what}", got=f"{chip.name}: {got}", where=population.name,
        hint=REMEDY, rule="input-stage.bias",
    )  # fmt: skip
