"""A population's step equations in the membrane's own unit, as the chip's cell can hold them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.mappers.quantize.contract import CellForm, Ledger
from nmhw.mappers.quantize.grid import choose_decay
from nmhw.values.discrete import FloatCell
from nmhw.values.network import Network, Population
from nmhw.values.profile import Profile

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class MembraneCell:
    """u = u_keep u + gain * (weights times events) + u_bias; v = v_keep v + u + v_bias.

    u and v are both in the author's unit of v (counted from v_reset where the form says so); all
    arrays (n,). ``gain`` is what one unit of weight adds to v.
    """

    has_current: bool
    is_spiking: bool
    u_keep: Floats
    v_keep: Floats
    gain: Floats
    u_bias: Floats
    v_bias: Floats
    threshold: Floats
    v_reset: Floats
    v0: Floats
    v_min: Floats
    form: CellForm

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(self.gain.size)


def summed_bias(network: Network, population: Population) -> Floats:
    """Return the constant input (n,) of all projections together."""
    total = np.zeros(population.size)
    for projection in network.incoming(population.name):
        if projection.bias is not None:
            total += projection.bias
    return total


def shift_to_reset(cell: FloatCell, form: CellForm) -> FloatCell:
    """Count v from v_reset, where the form asks for it.

    With v = v' + R the membrane equation gains the constant drive -(1 - v_keep) R; threshold, v0
    and the lower bound move by R.
    """
    if not form.shifts_reset:
        return cell
    r = cell.v_reset
    return replace(
        cell,
        drive=cell.drive - (1 - cell.v_keep) * r,
        threshold=cell.threshold - r,
        v_reset=np.zeros_like(r),
        v0=cell.v0 - r,
        v_min=cell.v_min - r,
    )


def membrane_cell(
    population: Population,
    cell: FloatCell,
    bias: Floats,
    form: CellForm,
    profile: Profile,
    ledger: Ledger,
) -> MembraneCell:
    """Fold gains, update order, biases and reset value into the chip's cell.

    Raises
    ------
    UnsupportedError
        For a synaptic current, an initial v, or a bias at a place that the chip does not have,
        and for thresholds that are not positive.
    """
    arithmetic = ledger.chip.arithmetic
    cell = shift_to_reset(cell, form)
    gain = cell.u_gain * cell.v_gain
    has_current = cell.has_current and bool(np.any(cell.u_keep))
    if has_current and profile.synapse_order == "add-decay":
        gain = gain * cell.u_keep  # u = a (u + g x) = a u + (a g) x
    elif cell.has_current and profile.synapse_order == "add-decay":
        gain = np.zeros_like(gain)
    u_keep = cell.u_keep if has_current else np.zeros_like(gain)
    if has_current and not arithmetic.has_current:
        ledger.refuse(
            "current",
            population.name,
            "has no synaptic current",
            wanted=population.model.kind,
            offered="no current",
        )
        gain, has_current, u_keep = gain / (1 - u_keep), False, np.zeros_like(gain)
    if arithmetic.summation == "saturating":
        if not has_current:
            ledger.refuse(
                "no_current",
                population.name,
                "passes every input through a synaptic current that lasts",
                wanted=f"{population.model.kind} without one",
                offered="a current with tau_syn > dt",
                hint="a CubaLIF with tau_syn of a few dt",
            )
            has_current, u_keep = True, np.full_like(gain, 0.5)
            gain = gain * (1 - u_keep)  # the same charge in all
        code = choose_decay(arithmetic, u_keep, "u", form.integrator, population.name)
        gain = gain / code.keep  # the chip adds before the decay: a (u + w x) = a u + (a w) x
    u_bias, v_bias = place_bias(population, gain * bias, cell.drive, u_keep, has_current, ledger)
    if cell.is_spiking and np.any(cell.threshold < 0):
        raise UnsupportedError(
            "a threshold below the reset value fires in every step and fits no chip",
            got=f"{float(cell.threshold.min()):.6g}",
            limit=0,
            where=population.name,
            rule="quantize.threshold",
        )
    return MembraneCell(
        has_current=has_current,
        is_spiking=cell.is_spiking,
        u_keep=u_keep,
        v_keep=cell.v_keep,
        gain=gain,
        u_bias=u_bias,
        v_bias=v_bias,
        threshold=cell.threshold,
        v_reset=cell.v_reset,
        v0=initial_v(population, cell.v0, ledger),
        v_min=cell.v_min if form.has_lower_bound else np.full_like(cell.v_min, -np.inf),
        form=form,
    )


def initial_v(population: Population, v0: Floats, ledger: Ledger) -> Floats:
    """Return v0 if the chip can start there, else refuse (or start at 0)."""
    if not np.any(v0) or ledger.chip.arithmetic.initial_v:
        return v0
    ledger.refuse(
        "v0",
        population.name,
        "starts every membrane at 0",
        wanted=f"{float(v0[np.argmax(np.abs(v0))]):.6g} (counted from the reset value)",
        offered="0",
    )
    return np.zeros_like(v0)


def place_bias(
    population: Population,
    current: Floats,
    drive: Floats,
    u_keep: Floats,
    has_current: bool,
    ledger: Ledger,
) -> tuple[Floats, Floats]:
    """Return (u_bias, v_bias) for a constant input ``current`` and a constant ``drive`` of v."""
    places = ledger.chip.arithmetic.bias_on
    none = np.zeros_like(drive)
    if not has_current:
        current, drive = none, drive + current
    if not np.any(current) and (not np.any(drive) or "membrane" in places):
        return none, drive
    if ledger.chip.arithmetic.constant_input and not has_current and "bias" not in ledger.allow:
        return none, drive
    if "current" in places and ("membrane" in places or not has_current):
        return (current, drive) if "membrane" in places else (drive, none)
    if "current" in places and not np.any(drive):
        return current, none
    what = "has no bias where this population needs one"
    wanted = "on the synaptic current" if np.any(current) else "on the membrane"
    offered = "on the " + " and ".join(places) if places else "nowhere"
    ledger.refuse("bias", population.name, what, wanted=wanted, offered=offered)
    if "membrane" in places:
        return none, drive + current / (1 - u_keep)
    if "current" in places:
        return current + drive * (1 - u_keep), none
    return none, none
