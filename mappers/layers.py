"""Layers on cores of their own: chips whose sheet says that a layer cannot be cut."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.core_assignment import assign_layers, match_cores
from nmhw.mappers.explain import refuse
from nmhw.mappers.footprint import CoreLoad, demand_of, load_slice
from nmhw.mappers.layer_rules import rule_graph, rule_layer_form
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec

#: Rules that look at layers alone, so that they can be checked before there is a mapping.
_LAYER_RULES = {"layer-form": rule_layer_form, "graph": rule_graph}


def place_layers(wiring: Wiring, chip: ChipSpec) -> tuple[list[CoreLoad], NDArray[np.int64]]:
    """Return the load of every population, whole, and its core.

    Raises
    ------
    DoesNotFitError
        With one sentence per layer that breaks a rule or fits no core; where cores are short, the
        layers that compete for too few.
    """
    sentences = [
        f"{text} on {chip.name} (rule {rule.kind})"
        for rule in chip.rules
        if rule.kind in _LAYER_RULES and rule.severity == "error"
        for text in _LAYER_RULES[rule.kind](wiring.network, chip, None, rule.parameters)
    ]
    loads, needs = [], {}
    for population in wiring.network.populations:
        load = load_slice(wiring, population.name, np.arange(population.size, dtype=np.int64))
        demand = demand_of(wiring, chip, load, 0)
        assert demand is not None  # formats were checked before
        loads.append(load)
        needs[population.name] = demand
    sentences += assign_layers(chip, needs)
    if sentences:
        raise refuse(wiring, chip, sentences)
    cores = match_cores(chip, needs)
    return loads, np.array([cores[name] for name in needs], np.int64)
