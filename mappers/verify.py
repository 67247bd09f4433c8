"""Verify: recount a mapping from its synapses, independently of the mappers' own bookkeeping.

Shares with the mappers only ``nmhw.values.connectivity``: every projection is expanded to its
synapses and every core is counted again from them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.recount import Recount
from nmhw.mappers.rules import check_rules
from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What ``verify`` found, one sentence each; ``violations`` empty = the mapping is legal.

    ``broken_rules`` are those violations that come from the chip's rules, not from counts.
    """

    violations: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    broken_rules: tuple[str, ...] = ()

    @property
    def is_legal(self) -> bool:
        """Whether nothing is violated."""
        return not self.violations


def verify(quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping) -> Verdict:
    """Check that every neuron has one core, every core its budgets, and every rule is kept."""
    problems = [*_check_names(chip, mapping), *_check_slices(quantized, chip, mapping)]
    if problems:  # the rest cannot be counted on a mapping with holes
        return Verdict(tuple(problems))
    problems += _check_delays(quantized, chip)
    counts = Recount(quantized, chip, mapping)
    problems += counts.problems
    problems += _check_budgets(chip, mapping, counts)
    broken_rules, rule_warnings = check_rules(quantized, chip, mapping)
    warnings = _check_soft_budgets(chip, mapping, counts) + rule_warnings
    return Verdict((*problems, *broken_rules), tuple(warnings), tuple(broken_rules))


def _check_names(chip: ChipSpec, mapping: Mapping) -> list[str]:
    if mapping.chip_name != chip.name:
        return [f"the mapping was made for chip {mapping.chip_name!r}, not for {chip.name!r}"]
    return []


def _check_slices(quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping) -> list[str]:
    problems = []
    seen = {p.name: np.zeros(p.size, np.int64) for p in quantized.populations}
    for part in mapping.slices:
        where = f"slice of {part.population!r} on core {part.core}"
        if part.population not in seen:
            problems.append(f"{where}: the network has no such population")
            continue
        if not 0 <= part.core < chip.n_cores:
            problems.append(f"{where}: {chip.name} has cores 0 to {chip.n_cores - 1}")
        neurons, counts = part.neurons, seen[part.population]
        if neurons.size and (neurons.min() < 0 or neurons.max() >= counts.size):
            problems.append(f"{where}: neuron indices must lie in 0 to {counts.size - 1}")
            continue
        if (np.diff(neurons) <= 0).any():
            problems.append(f"{where}: neuron indices must ascend")
        np.add.at(counts, neurons, 1)
    for name, counts in seen.items():
        for label, wrong in (("on no core", counts == 0), ("mapped more than once", counts > 1)):
            if wrong.any():
                first = int(np.flatnonzero(wrong)[0])
                problems.append(
                    f"{name!r}: {wrong.sum()} of {counts.size} neurons {label} (first: {first})"
                )
    return problems


def _check_delays(quantized: QuantizedNetwork, chip: ChipSpec) -> list[str]:
    found, inputs = [], {port.name for port in quantized.inputs}
    for p in quantized.projections:
        least = chip.arithmetic.input_hop if p.source in inputs else chip.arithmetic.hop_steps
        most = least + chip.arithmetic.max_extra_delay_steps
        if not least <= p.delay_steps <= most:
            found.append(
                f"{p.name!r}: a delay of {p.delay_steps} steps, {chip.name} allows {least} to "
                f"{most}"
            )
    return found


def _check_budgets(chip: ChipSpec, mapping: Mapping, counts: Recount) -> list[str]:
    problems = []
    for core in mapping.cores:
        for resource, limit in chip.core_spec(core).budget.items():
            if resource not in counts.used:
                problems.append(f"core {core}: the budget {resource!r} cannot be checked")
            elif counts.used[resource][core] > limit:
                needed = int(counts.used[resource][core])
                problems.append(f"core {core}: {resource} {needed}, limit {limit} on {chip.name}")
    for entry in mapping.utilization:
        for resource, (used, _) in entry.resources.items():
            if not 0 <= entry.core < chip.n_cores or resource not in counts.used:
                problems.append(f"core {entry.core}: no such entry {resource!r} in a utilization")
            elif int(counts.used[resource][entry.core]) != used:
                problems.append(
                    f"core {entry.core}: the mapping states {resource} {used}, "
                    f"a recount gives {int(counts.used[resource][entry.core])}"
                )
    return problems


def _check_soft_budgets(chip: ChipSpec, mapping: Mapping, counts: Recount) -> list[str]:
    return [
        f"core {core}: {resource} {int(counts.used[resource][core])}, advised limit {limit}"
        for core in mapping.cores
        for resource, limit in chip.core_spec(core).soft_budget.items()
        if resource in counts.used and counts.used[resource][core] > limit
    ]
