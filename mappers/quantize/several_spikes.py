"""How many spikes a neuron makes in one step: what the profile says, and what the chip does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmhw.values.network import Population
from nmhw.values.profile import Profile

if TYPE_CHECKING:
    from nmhw.mappers.quantize.contract import Ledger


def agree_on_spikes(
    population: Population, profile: Profile, ledger: Ledger, *, is_output: bool
) -> int:
    """Return the most spikes per neuron and step of a population on the chip.

    Raises
    ------
    UnsupportedError
        Where profile and chip disagree between one spike and several, and ``allow`` does not name
        ``multi_spike``.
    """
    arithmetic = ledger.chip.arithmetic
    limit = arithmetic.max_spikes_per_step
    if is_output and arithmetic.max_output_spikes_per_step is not None:
        limit = arithmetic.max_output_spikes_per_step
        if profile.multi_spike and profile.reset == "subtract":
            text = (
                f"output neurons make at most {limit} spike per step; what is above the threshold "
                "stays in the membrane for the next steps (the profile knows no limit)"
            )
            ledger.note("multi-spike", population.name, text)
            return limit
    if not profile.multi_spike:
        if not arithmetic.always_multi_spike or limit == 1:
            return 1
        ledger.refuse(
            "multi_spike",
            population.name,
            "fires once for every threshold that the membrane has passed",
            wanted="False",
            offered=f"up to {limit} spikes per step",
            hint="multi_spike=True in the profile",
        )
        return limit
    if limit == 1:
        ledger.refuse(
            "multi_spike",
            population.name,
            "makes at most one spike per neuron and step",
            wanted="True",
            offered="1 spike",
            hint="multi_spike=False in the profile",
        )
        return 1
    text = f"at most {limit} spikes per neuron and step (the profile knows no limit)"
    ledger.note("multi-spike", population.name, text)
    return limit
