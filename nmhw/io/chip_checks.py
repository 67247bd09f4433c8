"""Rules of a chip file that need two keys at once: geometry, memory, arithmetic, constraints.

The checks run on what the schema has left of the document: every key that is there has its type,
but any key may be missing. One look shows everything that is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from nmhw.io.chip_costs import check_costs
from nmhw.io.chip_noc import check_network
from nmhw.io.chip_problems import Problem, suggest
from nmhw.values.chip import ArithmeticSpec
from nmhw.values.graph_checks import GRAPH_CHECKS

Table = Mapping[str, Any]
Key = tuple[str | int, ...]

#: Parameters of each rule kind: name -> type. Every one is required.
RULE_PARAMETERS: Mapping[str, Mapping[str, type]] = {
    "power-of-two-memory": {"resources": list},
    "destinations": {"max_destinations": int},
    "source-sign": {},
    "codebook": {"values_per_neuron": int, "shared_by_axon_type": bool},
    "shared-pair": {"group_size": int, "fields": list},
    "pooled-fan-out": {"average": int, "max_fan_out": int},
    "layer-sizes": {"hidden": int, "outputs": int},
    "layer-form": {"layer": str, "kernels": list},
    "graph": {"checks": list},
    "delay-slots": {"guaranteed_steps": int},
    "routing-entries": {"max_entries": int},
    "core-order": {},
    "shared-rows": {"rows": int},
    "layer-per-core": {},
}

#: Parameters that a rule of a kind may state on top.
OPTIONAL_PARAMETERS: Mapping[str, Mapping[str, type]] = {
    "layer-sizes": {"inputs": int, "input_targets": int, "output_sources": int},
    "pooled-fan-out": {"recurrent_of": int},
    "layer-form": {
        "strides": list,
        "pools": list,
        "weight_bits": list,
        "input_channels": list,
        "max_padding": int,
        "min_input_size": int,
        "max_input_size": int,
        "max_output_size": int,
        "max_channels": int,
        "max_input_elements": int,
        "is_plain": bool,
    },
}

_TYPE_NAMES = {
    int: "a positive integer",
    list: "a list",
    bool: "true or false",
    str: "a text",
}

#: What a chip that runs networks must say about its arithmetic instead of inheriting a default.
STATED_ARITHMETIC = (
    "state",
    "decays",
    "compares",
    "resets",
    "weight_bits",
    "weight_min",
    "weight_max",
    "threshold_scope",
    "bias_on",
    "hop_steps",
)


#: Words of the command line in the place of a chip's name.
_RESERVED_NAMES = ("all", "new", "check")


def find_contradictions(document: Table) -> list[Problem]:
    """Return every problem of the document that the schema alone cannot see."""
    return [
        *_check_name(document),
        *_check_sources(document),
        *_check_cores(document),
        *_check_memory(document),
        *_check_arithmetic(document),
        *_check_encodings(document),
        *_check_rules(document),
        *_check_kind(document),
        *_check_learning_port(document),
        *check_network(document),
        *check_costs(document),
    ]


def table(node: Any, *path: str) -> Table:
    """Return the table at ``path``, or an empty one where there is none."""
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node if isinstance(node, Mapping) else {}


def _check_name(document: Table) -> Iterator[Problem]:
    if document.get("name") in _RESERVED_NAMES:
        reason = "is a word of the command line (nmhw chips new, chips check, --chip all)"
        yield Problem(("name",), reason, document["name"], "another name", "chip.name")


def _check_sources(document: Table) -> Iterator[Problem]:
    """Yield every citation that is not a key of ``[sources]``."""
    known = table(document, "sources")
    for key, cited in _citations(document, ()):
        if isinstance(cited, str) and cited not in known:
            hint = suggest(cited, known) or "add it to [sources]"
            yield Problem(key, "is not a key of [sources]", cited, hint, "chip.unknown-source")


def _citations(node: Any, path: Key) -> Iterator[tuple[Key, Any]]:
    if isinstance(node, list):
        for i, item in enumerate(node):
            yield from _citations(item, (*path, i))
    if not isinstance(node, Mapping):
        return
    for name, value in node.items():
        here = (*path, name)
        if here == ("sources",):
            continue
        if name == "source":
            yield here, value
        elif name == "citations" and isinstance(value, Mapping):
            yield from (((*here, k), v) for k, v in value.items())
        else:
            yield from _citations(value, here)


def _check_cores(document: Table) -> Iterator[Problem]:
    groups = table(document, "cores")
    for name in groups:
        group = table(groups, name)
        budget, soft = table(group, "budget"), table(group, "soft_budget")
        for resource, limit in soft.items():
            hard = budget.get(resource)
            if hard is not None and limit > hard:
                key = ("cores", name, "soft_budget", resource)
                yield Problem(
                    key, f"is above the budget of {hard}", limit, None, "chip.soft-budget"
                )
        for resource in table(group, "citations"):
            if resource not in budget and resource not in soft:
                key = ("cores", name, "citations", resource)
                yield Problem(key, "cites a budget that is not there", rule="chip.citation")
    yield from _check_mesh(document, groups)


def _check_mesh(document: Table, groups: Table) -> Iterator[Problem]:
    mesh = table(document, "mesh")
    sizes: list[Any] = [mesh.get("width"), mesh.get("height"), mesh.get("cores_per_tile", 1)]
    counts: list[Any] = [table(groups, name).get("count") for name in groups]
    unused: Any = mesh.get("unused_cores", 0)
    if None in (*sizes, *counts):
        return
    width, height, per_tile = sizes
    positions, n_cores = width * height * per_tile, sum(counts)
    if counts and n_cores + unused != positions:
        reason = (
            f"{n_cores} cores do not fill {width} x {height} tiles of {per_tile} "
            f"= {positions} positions"
        )
        left = positions - n_cores
        hint = f"mesh.unused_cores = {left}" if left > 0 else "a larger mesh or fewer cores"
        yield Problem(("mesh",), reason, n_cores + unused, hint, "chip.cores-mesh")
    port = mesh.get("port", [0, 0])
    if not (port[0] < width and port[1] < height):
        reason = f"is outside the {width} x {height} mesh"
        yield Problem(("mesh", "port"), reason, port, None, "chip.port")


def _check_memory(document: Table) -> Iterator[Problem]:
    if not table(document, "memory"):
        return
    groups = table(document, "cores")
    for name in groups:
        if "memory_bits" not in table(groups, name, "budget"):
            key = ("cores", name, "budget", "memory_bits")
            hint = "the size of the SRAM that [memory] describes"
            yield Problem(key, "missing key", None, hint, "chip.missing-key")


def _check_learning_port(document: Table) -> Iterator[Problem]:
    if document.get("learning_port") == "row" and "learning_word_bits" not in document:
        hint = "the width of the words that a read by target takes"
        yield Problem(("learning_word_bits",), "missing key", None, hint, "chip.missing-key")


def _check_arithmetic(document: Table) -> Iterator[Problem]:
    spec = table(document, "arithmetic")
    if not spec:
        return
    low, high = spec.get("weight_min", -127), spec.get("weight_max", 127)
    if not low <= 0 <= high or low == high:
        reason = f"weight_min {low} and weight_max {high} must enclose 0"
        yield Problem(("arithmetic", "weight_min"), reason, low, None, "chip.weight-range")
    elif "weight_min" in spec and "weight_max" in spec:
        yield from _check_weight_range(document, low, high)
    for name, least in (("has_aliases", False), ("n_currents", 1)):
        if spec.get(name, least) != least and spec.get("summation", "exact") == "exact":
            reason = "needs summation 'saturating': an exact sum has neither alias nor 2nd current"
            hint = f"{name} = {str(least).lower()}"
            yield Problem(("arithmetic", name), reason, spec[name], hint, "chip.summation")
    for name in ("weight_exponent", "bias_exponent", "decay_shifts"):
        pair = spec.get(name)
        if pair is not None and pair[0] > pair[1]:
            reason = "must be [smallest, largest]"
            yield Problem(("arithmetic", name), reason, pair, None, "chip.order")
    state, decays = spec.get("state", "int"), spec.get("decays", [])
    for kind in decays:
        if (kind == "float") != (state == "float32") and kind in (
            "float",
            "mulshift",
            "shift",
            "shift-tail",
            "subtract",
        ):
            reason = f"a decay that {state} states do not have"
            yield Problem(("arithmetic", "decays"), reason, kind, None, "chip.decay")
    names = [f.name for f in fields(ArithmeticSpec)]
    for name in table(spec, "citations"):
        if name not in names:
            key = ("arithmetic", "citations", name)
            yield Problem(key, "unknown key", None, suggest(name, names), "chip.unknown-key")
    if document.get("is_executable", True):
        for name in STATED_ARITHMETIC:
            if name not in spec:
                hint = "state it, or is_executable = false for a sheet of limits"
                yield Problem(("arithmetic", name), "missing key", None, hint, "chip.missing-key")


def _check_weight_range(document: Table, low: int, high: int) -> Iterator[Problem]:
    """Refuse weights that the widest synapse cannot hold.

    A width holds two's complement, or one sign only; where the source stores the sign (rule
    ``source-sign``) all of it is magnitude. Weights made of axons have no such range.
    """
    spec, rules = table(document, "arithmetic"), table(document, "rules")
    if spec.get("weight_coding") == "axons" or not spec.get("weight_bits"):
        return
    bits, step = max(spec["weight_bits"]), spec.get("weight_step", 1)
    top = ((1 << bits) - 1) * step
    lowest, highest = -(1 << bits - 1) * step, ((1 << bits - 1) - 1) * step
    if any(rules_kind(rules, name) == "source-sign" for name in rules):
        lowest, highest = -top, top
    elif low == 0:
        highest = top
    elif high == 0:
        lowest = -top
    for name, value in (("weight_min", low), ("weight_max", high)):
        if not lowest <= value <= highest:
            reason = f"does not go into {bits} bits in steps of {step}"
            hint = f"{lowest} to {highest}, or more weight_bits"
            yield Problem(("arithmetic", name), reason, value, hint, "chip.weight-range")


def _check_encodings(document: Table) -> Iterator[Problem]:
    encodings = table(document, "encodings")
    if not encodings and document.get("is_executable", True):
        reason = "a chip that runs networks must say how it stores synapses"
        yield Problem(("encodings",), reason, None, "[encodings.dense]", "chip.missing-key")
    for name in encodings:
        encoding = table(encodings, name)
        for field in ("weight_bits", "index_bits"):
            widths = encoding.get(field)
            if widths is not None and sorted(set(widths)) != widths:
                key = ("encodings", name, field)
                yield Problem(key, "must ascend without repeats", widths, None, "chip.order")
        if encoding.get("kind") == "sparse" and encoding.get("index_bits", [0]) == [0]:
            key = ("encodings", name, "index_bits")
            yield Problem(key, "a sparse encoding needs an index", None, "[8, 16]", "chip.encoding")


def _check_rules(document: Table) -> Iterator[Problem]:
    rules = table(document, "rules")
    for name in rules:
        kind, given = rules_kind(rules, name), table(rules, name, "parameters")
        required = RULE_PARAMETERS.get(kind)
        if required is None:
            continue
        expected = {**required, **OPTIONAL_PARAMETERS.get(kind, {})}
        place = ("rules", name, "parameters")
        for parameter, wanted in expected.items():
            value = given.get(parameter)
            if value is None and parameter not in required:
                continue
            if value is None:
                hint = _TYPE_NAMES[wanted]
                yield Problem((*place, parameter), "missing key", None, hint, "chip.missing-key")
            elif type(value) is not wanted or (type(value) is int and value < 1):
                reason = f"must be {_TYPE_NAMES[wanted]}"
                yield Problem((*place, parameter), reason, value, None, "chip.type")
        checks = given.get("checks") if kind == "graph" else None
        for i, check in enumerate(checks if isinstance(checks, list) else ()):
            if check not in GRAPH_CHECKS:
                near = suggest(check, GRAPH_CHECKS)
                key = (*place, "checks", i)
                yield Problem(key, "no such check of a graph", check, near, "chip.graph-check")
        for parameter in given:
            if parameter not in expected:
                near = suggest(parameter, expected)
                yield Problem((*place, parameter), "unknown key", None, near, "chip.unknown-key")


def rules_kind(rules: Table, name: str) -> str:
    """Return the kind of a rule, "" where it is missing."""
    kind = table(rules, name).get("kind")
    return kind if isinstance(kind, str) else ""


def _check_kind(document: Table) -> Iterator[Problem]:
    executable = document.get("is_executable", True)
    if executable is False and not document.get("not_executable_because"):
        hint = "say why in one sentence"
        key: Key = ("not_executable_because",)
        yield Problem(key, "missing key", None, hint, "chip.missing-key")
    if table(document, "arithmetic").get("family") == "none" and executable:
        hint = "is_executable = false"
        key = ("arithmetic", "family")
        yield Problem(key, "an executable chip needs a family", "none", hint, "chip.choice")
    board = table(document, "board")
    n_chips = board.get("width", 1) * board.get("height", 1)
    if document.get("describes") == "chip" and n_chips > 1:
        reason = f"is one chip, but [board] has {n_chips}"
        yield Problem(("describes",), reason, "chip", "describes = 'board'", "chip.board")
