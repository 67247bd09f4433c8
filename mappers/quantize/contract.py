"""What the profile asks of the chip: honoured, approximated and printed, or refused by name.

Must match: reset kind and time, several spikes per step, loop delays, the bias of recurrent
connections, lower bounds. Approximated and printed: decays, gains, > against >=, weights. A
refusal names the population, the field, both values and what to do; ``allow`` turns it into a
printed approximation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from nmhw.errors import UnsupportedError, UsageError
from nmhw.mappers.quantize.several_spikes import agree_on_spikes
from nmhw.values.chip import ArithmeticSpec, ChipSpec
from nmhw.values.discrete import FloatCell
from nmhw.values.network import Network, Population
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile
from nmhw.values.topology import closing_projections

Reset = Literal["zero", "value", "subtract", "none"]
Compare = Literal[">", ">="]

#: Fields that ``allow`` accepts, and what is done instead of refusing.
ALLOWABLE: dict[str, str] = {
    "reset": "the chip's own reset is used",
    "reset_delay": "the reset acts before the decay of the step that follows the spike",
    "multi_spike": "a neuron fires as often per step as the chip lets it",
    "overshoot_rule": "the comparison uses the membrane as it is",
    "reset_lag": "the threshold is subtracted in the step of the spike, before the decay",
    "lower_bound": "the membrane has no lower bound but the state's width",
    "hop_steps": "loops get longer: every hop takes the chip's step",
    "delay_steps": "delays are clipped to what the chip has",
    "recurrent_bias_from_step": "recurrent biases act from the first step on",
    "bias": "constant drive enters where the chip has a bias, at its steady-state value",
    "v0": "the membrane starts at 0",
    "current": "the synaptic current is left out: its charge arrives in one step",
    "no_current": "the input arrives through the shortest synaptic current, over several steps",
}


@dataclass(slots=True)
class Ledger:
    """Collects what is printed, and refuses what is neither honoured nor allowed."""

    chip: ChipSpec
    allow: frozenset[str]
    notices: list[Notice] = field(default_factory=list)

    def note(
        self,
        rule: str,
        where: str,
        text: str,
        kind: str = "approximation",
        hint: str | None = None,
    ) -> None:
        """Add a notice, once."""
        notice = Notice(f"quantize.{rule}", where, text, kind, hint)
        if notice not in self.notices:
            self.notices.append(notice)

    def refuse(
        self, name: str, where: str, what: str, *, wanted: object, offered: object, hint: str = ""
    ) -> None:
        """Raise UnsupportedError, or note the approximation when ``allow`` names the field."""
        if name in self.allow:
            text = f"{what} ({name} {wanted}; the chip has {offered}): {ALLOWABLE[name]}"
            self.note(f"allow-{name}", where, text)
            return
        raise UnsupportedError(
            f"{self.chip.name} {what}",
            got=f"{name} {wanted}",
            limit=offered,
            where=where,
            hint=(hint + ", or " if hint else "") + f"--allow {name} ({ALLOWABLE[name]})",
            rule=f"quantize.{name}",
        )


def check_allow(allow: Iterable[str]) -> frozenset[str]:
    """Return the set of fields, or refuse one that does not exist."""
    listed = [allow] if isinstance(allow, str) or not isinstance(allow, Iterable) else list(allow)
    fields = frozenset(str(name) for name in listed)
    for name in sorted(fields - ALLOWABLE.keys()):
        known = ", ".join(ALLOWABLE)
        raise UsageError("nothing of this name can be allowed", got=repr(name), hint=known)
    return fields


@dataclass(frozen=True, slots=True)
class CellForm:
    """Which forms of the chip's cell one population uses.

    ``shifts_reset``: v is counted from v_reset, so that the chip's reset to zero does. ``nudge``:
    LSBs by which the threshold moves because the chip compares the other way. ``is_late_reset``:
    two compartments subtract the threshold one step later (``late_reset.py``). ``integrator``: how
    the profile made decays of time constants.
    """

    reset: Reset
    compare: Compare
    nudge: Literal[-1, 0, 1]
    max_spikes: int
    shifts_reset: bool
    has_lower_bound: bool
    is_late_reset: bool = False
    integrator: Literal["euler", "exponential"] = "euler"


def agree_on_form(
    population: Population,
    cell: FloatCell,
    profile: Profile,
    ledger: Ledger,
    *,
    is_output: bool = False,
) -> CellForm:
    """Return the forms a population uses on the chip.

    ``is_output``: its spikes are the network's, which some chips limit further.

    Raises
    ------
    UnsupportedError
        For a reset, a reset time, multi-spike, the overshoot rule or a lower bound that the chip
        does not have and ``allow`` does not name.
    """
    arithmetic = ledger.chip.arithmetic
    compare, nudge = _compare(profile, arithmetic)
    if not cell.is_spiking:
        _refuse_silent(population, ledger)
        return CellForm("none", compare, 0, 1, False, _lower_bound(population, cell, ledger))
    is_late_reset = population.model.kind != "threshold" and _can_reset_late(
        cell, profile, arithmetic
    )
    if nudge:
        text = (
            f"the chip fires on v {compare} threshold, the profile on v {profile.compare} threshold"
        )
        moves = "the threshold moves by one LSB at most"
        if is_late_reset:  # what is compared is also what is subtracted
            moves, nudge = "they differ where both are equal", 0
        ledger.note("compare", population.name, f"{text}: {moves}")
    if population.model.kind == "threshold":
        return CellForm("none", compare, nudge, 1, False, False)
    reset: Reset | Literal["shifted"] = "none"
    if not is_late_reset:
        reset = _reset(population, cell, profile, ledger)
        _check_reset_time(population, cell, profile, ledger)
    if profile.overshoot_rule and profile.reset == "subtract":
        ledger.refuse(
            "overshoot_rule",
            population.name,
            "has no comparison that depends on the last step's spike",
            wanted="True",
            offered="a plain comparison",
        )
    if profile.reset_lag and profile.reset == "subtract":
        ledger.refuse(
            "reset_lag",
            population.name,
            "subtracts the threshold before the decay that follows the spike, not behind it",
            wanted="1",
            offered="0",
        )
    return CellForm(
        reset="zero" if reset == "shifted" else reset,
        compare=compare,
        nudge=nudge,
        max_spikes=agree_on_spikes(population, profile, ledger, is_output=is_output),
        shifts_reset=reset == "shifted",
        has_lower_bound=_lower_bound(population, cell, ledger),
        is_late_reset=is_late_reset,
        integrator=profile.integrator,
    )


def check_sources(network: Network, chip: ChipSpec) -> None:
    """Refuse projections that carry membrane values: chips send spikes.

    Raises
    ------
    UnsupportedError
        Naming the population without spikes and the projection.
    """
    silent = {p.name: p.model.kind for p in network.populations if not p.model.is_spiking}
    for p in network.projections:
        if p.source in silent:
            raise UnsupportedError(
                "a population without spikes sends its membrane value, which the chip cannot",
                got=f"{silent[p.source]} > {p.target} ({p.name})",
                limit=f"{chip.name} sends spikes",
                where=p.source,
                hint="end the network there, or put spiking neurons in its place",
                rule="quantize.graded-source",
            )


def check_recurrent_bias(
    network: Network, profile: Profile, ledger: Ledger, exempt: Collection[str] = ()
) -> None:
    """Refuse a profile whose recurrent biases start late, if the network has such biases.

    ``exempt``: populations that get theirs from a bias neuron, which can start late.
    """
    if profile.recurrent_bias_from_step == 0:
        return
    closing = closing_projections(network)
    for p in network.projections:
        is_exempt = p.name not in closing or p.target in exempt
        if not is_exempt and p.bias is not None and np.any(p.bias):
            ledger.refuse(
                "recurrent_bias_from_step",
                f"{p.target} ({p.name})",
                "adds every bias from the first step on",
                wanted=profile.recurrent_bias_from_step,
                offered=0,
                hint="recurrent_bias_from_step=0 in the profile",
            )


def _refuse_silent(population: Population, ledger: Ledger) -> None:
    if not ledger.chip.arithmetic.non_spiking:
        raise UnsupportedError(
            f"every neuron of {ledger.chip.name} fires when it reaches its threshold",
            got=f"a population without spikes ({population.model.kind})",
            limit="spiking neurons",
            where=population.name,
            hint="a spiking output layer (read out by spike counts)",
            rule="quantize.non-spiking",
        )


def _compare(profile: Profile, arithmetic: ArithmeticSpec) -> tuple[Compare, Literal[-1, 0, 1]]:
    if profile.compare in arithmetic.compares:
        return profile.compare, 0
    # v >= t and v > t - 1 are the same in integers
    return (">", -1) if profile.compare == ">=" else (">=", 1)


def _reset(
    population: Population, cell: FloatCell, profile: Profile, ledger: Ledger
) -> Literal["zero", "value", "subtract", "none", "shifted"]:
    has = ledger.chip.arithmetic.resets
    wanted: Reset = profile.reset
    if wanted in ("zero", "value"):
        wanted = "value" if np.any(cell.v_reset) else "zero"
    if wanted in has:
        return wanted
    if wanted == "zero" and "value" in has:
        return "value"
    if wanted == "value" and "zero" in has and not profile.multi_spike:
        text = (
            "v is counted from v_reset, so that the chip's reset to zero does; "
            "probes of v show v - v_reset"
        )
        ledger.note("reset-value", population.name, text, "assumption")
        return "shifted"
    names = {"zero": "hard reset to zero", "value": "reset to v_reset", "none": "no reset"}
    what = f"does not have the profile's {names.get(wanted, 'soft reset (by subtraction)')}"
    offered = ", ".join(has)
    hint = "a profile or chip whose resets agree"
    if wanted == "subtract" and ledger.chip.arithmetic.max_compartments > 1:
        if profile.reset_delay:
            what += " where there is a synaptic current (two compartments subtract without one)"
        else:
            what += " in the step of the spike"
            hint = "reset_delay=1 in the profile (one step later, by two compartments per neuron)"
    ledger.refuse("reset", population.name, what, wanted=wanted, offered=offered, hint=hint)
    return next(r for r in ("zero", "subtract", "value", "none") if r in has)  # type: ignore[return-value]


def _can_reset_late(cell: FloatCell, profile: Profile, arithmetic: ArithmeticSpec) -> bool:
    """Whether a compartment that the chip never resets loses its threshold a hop after its spike.

    The synapse subtracts behind the decay, and its charge must not linger in a current.
    """
    if profile.reset != "subtract" or not profile.reset_delay:
        return False
    if "subtract" in arithmetic.resets or arithmetic.max_compartments < 2:
        return False
    lingers = cell.has_current and bool(np.any(cell.u_keep) or np.any(cell.v_keep != 1))
    return arithmetic.hop_steps == 1 and arithmetic.state == "int" and not lingers


def _check_reset_time(
    population: Population, cell: FloatCell, profile: Profile, ledger: Ledger
) -> None:
    """A late reset equals a reset at once with a later spike, unless it comes behind a decay."""
    if not profile.reset_delay or profile.reset != "subtract" or cell.has_current:
        return
    if np.all(cell.v_keep == 1):
        return
    ledger.refuse(
        "reset_delay",
        population.name,
        "cannot subtract the threshold behind the decay of the next step",
        wanted=profile.reset_delay,
        offered="0",
        hint="reset_delay=0 in the profile",
    )


def _lower_bound(population: Population, cell: FloatCell, ledger: Ledger) -> bool:
    if ledger.chip.arithmetic.lowest_v is not None:
        return True  # the quantizer says what that changes
    if not np.any(np.isfinite(cell.v_min)):
        return False
    # no field of a chip file states a programmable bound; the reference chip has every feature
    if ledger.chip.arithmetic.family in ("generic", "speck"):
        return True
    if ledger.chip.arithmetic.negative_threshold == "saturate":
        return True
    if ledger.chip.arithmetic.negative_threshold == "reset" and not np.any(cell.v_min):
        return True  # a reset to 0 below 0 is a bound at 0
    ledger.refuse(
        "lower_bound",
        population.name,
        "has no programmable lower bound of the membrane",
        wanted=f"{float(cell.v_min.max()):.6g}",
        offered="none",
        hint="lower_bound=none in the profile",
    )
    return False
