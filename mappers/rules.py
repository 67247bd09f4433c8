"""Rules: mapping constraints beyond budgets, one function per kind.

Each takes the network, the chip, the mapping and the rule's parameters, and returns one sentence
per violation. A kind without a function here is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.hidden_pool_rules import check_recurrent_pool, rule_layer_sizes
from nmhw.mappers.layer_rules import rule_graph, rule_layer_form, rule_layer_per_core
from nmhw.mappers.rule_counts import (
    count_axon_types,
    count_input_rows,
    list_destinations,
    list_stored,
    recount_words,
)
from nmhw.values.chip import ChipSpec, RuleSpec
from nmhw.values.connectivity import stored_synapses, synapse_counts
from nmhw.values.mapping import Mapping
from nmhw.values.quantized import QuantizedNetwork

Parameters = MappingOf[str, Any]
Rule = Callable[[QuantizedNetwork, ChipSpec, Mapping, Parameters], list[str]]
Ints = NDArray[np.int64]


def check_rules(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping
) -> tuple[list[str], list[str]]:
    """Return (violations, warnings) of all rules of ``chip``; unknown kinds are violations."""
    violations: list[str] = []
    warnings: list[str] = []
    for rule in chip.rules:
        if rule.kind not in RULES:
            known = ", ".join(sorted(RULES))
            violations.append(
                f"{chip.name} has a rule {rule.kind!r} that cannot be checked (known: {known})"
            )
            continue
        found = _apply(rule, quantized, chip, mapping)
        (warnings if rule.severity == "warning" else violations).extend(found)
    return violations, warnings


def _apply(
    rule: RuleSpec, quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping
) -> list[str]:
    check, keys = RULES[rule.kind]
    missing = [key for key in keys if key not in rule.parameters]
    if missing:
        return [f"rule {rule.kind!r} of {chip.name} lacks its parameter {missing[0]!r}"]
    found = check(quantized, chip, mapping, rule.parameters)
    return [f"{text} on {chip.name} (rule {rule.kind})" for text in found]


def rule_destinations(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Every neuron reaches at most ``max_destinations`` cores."""
    limit = int(parameters["max_destinations"])
    found = []
    for name, home, source, _ in list_destinations(quantized, chip, mapping):
        degree = np.bincount(source, minlength=home.size)
        if degree.max(initial=0) > limit:
            worst = int(degree.argmax())
            found.append(
                f"{name!r}: neuron {worst} reaches {int(degree[worst])} cores, limit {limit}"
            )
    return found


def rule_source_sign(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """All synapses of a source have one sign (of a pooled source: of its pooled element)."""
    found = []
    signs: dict[tuple[str, bool, int], Ints] = {}
    for projection in quantized.projections:
        matrix = stored_synapses(projection, quantized.sizes()[projection.target])
        positive = np.asarray((matrix > 0).sum(axis=1)).ravel() > 0
        negative = np.asarray((matrix < 0).sum(axis=1)).ravel() > 0
        mask = positive * np.int64(1) + negative * np.int64(2)
        key = (projection.source, bool(projection.pools), mask.size)
        signs[key] = signs[key] | mask if key in signs else mask
    for (name, _, _), mask in signs.items():
        mixed = np.flatnonzero(mask == 3)
        if mixed.size:
            found.append(
                f"{name!r}: {mixed.size} sources have synapses of both signs (first: {mixed[0]})"
            )
    return found


def rule_codebook(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Every neuron has at most ``values_per_neuron`` distinct weights.

    With ``shared_by_axon_type`` the axons of a core have as many types, and all axons of a type
    have the same weight at every neuron they reach; types are given out by smallest weight, first
    fit, so a mapping may be refused that a cleverer assignment would allow.
    """
    limit = int(parameters["values_per_neuron"])
    found = []
    for population in quantized.populations:
        neuron, _, weight = list_stored(quantized, population.name)
        pairs = np.unique(np.stack([neuron, weight]), axis=1)
        distinct = np.bincount(pairs[0], minlength=population.size)
        if distinct.max(initial=0) > limit:
            worst = int(distinct.argmax())
            found.append(
                f"{population.name!r}: neuron {worst} uses {int(distinct[worst])} distinct "
                f"weights, limit {limit}"
            )
    if parameters.get("shared_by_axon_type"):
        for core in mapping.cores:
            needed = count_axon_types(quantized, mapping, core)
            if needed > limit:
                found.append(f"core {core}: {needed} axon types, limit {limit}")
    return found


def rule_shared_pair(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Neighboring neurons of a core, ``group_size`` at a time, share ``fields``."""
    size = int(parameters["group_size"])
    found = []
    for part in mapping.slices:
        population = quantized.population(part.population)
        for field in parameters["fields"]:
            values = getattr(population, field, None)
            if not isinstance(values, np.ndarray):
                continue
            here = values[part.neurons]
            groups = [here[i : i + size] for i in range(0, here.size, size)]
            differing = sum(bool((group != group[0]).any()) for group in groups)
            if differing:
                found.append(
                    f"core {part.core}: {differing} groups of {size} neurons of "
                    f"{part.population!r} differ in {field}"
                )
    return found


def rule_pooled_fan_out(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """A neuron reaches at most ``max_fan_out`` targets; a core's neurons share a pool of
    ``average`` targets per neuron the core could hold. With ``recurrent_of`` (the chip's hidden
    neurons) only weights between hidden neurons count, and each synaptic current has its pool.
    """
    if "recurrent_of" in parameters:
        return check_recurrent_pool(quantized, parameters)
    sizes = quantized.sizes()
    fan_out = {p.name: np.zeros(p.size, np.int64) for p in quantized.populations}
    for projection in quantized.projections:
        if projection.source in fan_out:
            counts = synapse_counts(projection, sizes[projection.source], sizes[projection.target])
            fan_out[projection.source] += np.diff(counts.tocsr().indptr)
    found = []
    most = int(parameters["max_fan_out"])
    pooled: dict[int, tuple[int, int]] = {}
    for part in mapping.slices:
        here = fan_out[part.population][part.neurons]
        total, n = pooled.get(part.core, (0, 0))
        pooled[part.core] = (total + int(here.sum()), n + int(here.size))
        if here.max(initial=0) > most:
            worst = int(part.neurons[here.argmax()])
            found.append(
                f"{part.population!r}: neuron {worst} has {int(here.max())} targets, limit {most}"
            )
    for core, (total, n) in sorted(pooled.items()):
        limit = int(parameters["average"]) * chip.core_spec(core).budget.get("neurons", n)
        if total > limit:
            found.append(f"core {core}: {total} targets of its neurons, limit {limit}")
    return found


def rule_delay_slots(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Delays up to ``guaranteed_steps`` are there for every neuron of a full core."""
    limit = int(parameters["guaranteed_steps"])
    return [
        f"{p.name!r}: a delay of {p.delay_steps} steps, {limit} are guaranteed"
        for p in quantized.projections
        if p.delay_steps > limit
    ]


def rule_routing_entries(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """At most ``max_entries`` table entries per chip: one per slice, or input, that sends there."""
    limit = int(parameters["max_entries"])
    entries: dict[int, set[tuple[str, int]]] = {}
    for name, home, source, core in list_destinations(quantized, chip, mapping, inputs=True):
        start = home[source] if home.size else np.zeros(source.size, np.int64)
        for here, there in set(zip(start.tolist(), core.tolist(), strict=True)):
            for place in (here, there):
                entries.setdefault(place // chip.cores_per_chip, set()).add((name, here))
    return [
        f"chip {at}: {len(used)} routing entries, limit {limit}"
        for at, used in sorted(entries.items())
        if len(used) > limit
    ]


def rule_shared_rows(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """Neurons and inputs share the ``rows`` of a core's crossbar: neuron i owns row i."""
    limit = int(parameters["rows"])
    found = []
    inputs = [port.name for port in quantized.inputs]
    for core in mapping.cores:
        neurons = sum(part.neurons.size for part in mapping.slices if part.core == core)
        rows = sum(count_input_rows(quantized, mapping, core, name) for name in inputs)
        if neurons + rows > limit:
            found.append(
                f"core {core}: {neurons} neurons and {rows} input rows = {neurons + rows}, "
                f"limit {limit} rows"
            )
    return found


def rule_power_of_two_memory(
    quantized: QuantizedNetwork, chip: ChipSpec, mapping: Mapping, parameters: Parameters
) -> list[str]:
    """The word budgets in ``resources`` hold with every address field padded to whole bits."""
    found = []
    for core in mapping.cores:
        budget = chip.core_spec(core).budget
        words = recount_words(quantized, mapping, core, parameters["resources"])
        for resource in parameters["resources"]:
            limit = budget.get(resource)
            if limit is not None and words.get(resource, 0) > limit:
                found.append(f"core {core}: {resource} {words[resource]}, limit {limit}")
    return found


#: Kind -> (check, parameters it cannot do without).
RULES: dict[str, tuple[Rule, tuple[str, ...]]] = {
    "destinations": (rule_destinations, ("max_destinations",)),
    "source-sign": (rule_source_sign, ()),
    "codebook": (rule_codebook, ("values_per_neuron",)),
    "shared-pair": (rule_shared_pair, ("group_size", "fields")),
    "pooled-fan-out": (rule_pooled_fan_out, ("average", "max_fan_out")),
    "delay-slots": (rule_delay_slots, ("guaranteed_steps",)),
    "routing-entries": (rule_routing_entries, ("max_entries",)),
    "shared-rows": (rule_shared_rows, ("rows",)),
    "power-of-two-memory": (rule_power_of_two_memory, ("resources",)),
    "layer-sizes": (rule_layer_sizes, ("hidden", "outputs")),
    "layer-form": (rule_layer_form, ("layer", "kernels")),
    "graph": (rule_graph, ("checks",)),
    "layer-per-core": (rule_layer_per_core, ()),
}
