"""Rules that a NIR graph must keep, one small function each; what is merely odd is a Notice.

A rule that is broken raises ``NirError`` with the identifier given in the function's docstring.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import NirError
from nmhw.io.display import display
from nmhw.io.nir_nodes import NEURON_TYPES, NODE_FIELDS, RawGraph, RawNode, place
from nmhw.values.notice import Notice

_TAUS = ("tau", "tau_mem", "tau_syn")
_SLOW_S = 1.0
_FAST_S = 1e-5

Neighbors = Mapping[str, Sequence[str]]


# --- edges -----------------------------------------------------------------------------------


def check_edges(graph: RawGraph, path: str, file: str) -> None:
    """Check one level of a graph: ``nir.edge-unknown-node``, ``nir.edge-duplicate``."""
    where = place(file, path) if path else place(file)
    seen: set[tuple[str, str]] = set()
    for edge in graph.edges:
        for end in edge:
            if end not in graph.nodes:
                raise NirError(
                    f"the edge '{edge[0]}' -> '{edge[1]}' names a node that does not exist",
                    got=repr(end),
                    where=where,
                    hint=_suggest_node(end, graph.nodes),
                    rule="nir.edge-unknown-node",
                )
        if edge in seen:
            raise NirError(
                f"the edge '{edge[0]}' -> '{edge[1]}' occurs twice",
                where=where,
                hint="remove one; to count an input twice, double its weights",
                rule="nir.edge-duplicate",
            )
        seen.add(edge)


def _suggest_node(name: str, nodes: Collection[str]) -> str:
    inside = sorted(n for n in nodes if n.startswith(name + "."))
    if inside:
        listed = ", ".join(display(n, 40) for n in inside[:4])
        return f"join the edge to one of {listed}: the exporter laid '{name}' flat, not its edges"
    close = difflib.get_close_matches(name, nodes, 1)
    if close:
        return f"'{close[0]}' exists; correct the edge"
    return "nodes here are " + ", ".join(display(n, 40) for n in sorted(nodes)[:8])


# --- the graph as a whole --------------------------------------------------------------------


def check_version(file: str, version: str | None) -> list[Notice]:
    """Return a notice ``nir.version`` for a file of a later major version than 1."""
    major = (version or "").split(".", 1)[0]
    if major.isdecimal() and int(major) > 1:
        text = f"the file is of NIR version {display(version)}; read by the rules of version 1"
        return [Notice("nir.version", place(file), text)]
    return []


def check_connected(
    file: str,
    nodes: Mapping[str, RawNode],
    predecessors: Neighbors,
    successors: Neighbors,
    inputs: Collection[str],
    outputs: Collection[str],
) -> None:
    """Check that every node lies between an Input and an Output: ``nir.disconnected``."""
    fed = reach(inputs, successors)
    heard = reach(outputs, predecessors)
    for name in sorted(nodes):
        if name in fed and name in heard:
            continue
        if name not in inputs and not predecessors[name]:
            what, hint = "no edge leads to this node", "add the missing edge or remove the node"
        elif name not in outputs and not successors[name]:
            what, hint = "no edge leaves this node", "add an edge to an Output or remove the node"
        elif name not in fed:
            what, hint = "no Input reaches this node", "add the missing edge in front of it"
        else:
            what, hint = "nothing leads from this node to an Output", "add the missing edge"
        raise NirError(what, where=place(file, name), hint=hint, rule="nir.disconnected")


def reach(roots: Collection[str], neighbors: Neighbors) -> set[str]:
    """Return every node that can be reached from ``roots``, themselves included."""
    found = set(roots)
    waiting = list(roots)
    while waiting:
        for name in neighbors[waiting.pop()]:
            if name not in found:
                found.add(name)
                waiting.append(name)
    return found


def check_loops(file: str, nodes: Mapping[str, RawNode], successors: Neighbors) -> None:
    """Check that every cycle passes a neuron: ``nir.algebraic-loop``."""
    plain = {name for name, node in nodes.items() if node.type not in NEURON_TYPES}
    missing = dict.fromkeys(plain, 0)
    for name in plain:
        for target in successors[name]:
            if target in plain:
                missing[target] += 1
    ready = [name for name, n in missing.items() if n == 0]
    for name in ready:  # grows while it is read
        for target in successors[name]:
            if target in plain:
                missing[target] -= 1
                if missing[target] == 0:
                    ready.append(target)
    left = plain - set(ready)
    if left:
        loop = _one_cycle(min(left), left, successors)
        raise NirError(
            "a loop without a neuron in it has no defined value",
            got=" -> ".join(display(n, 40) for n in loop),
            where=place(file, loop[0]),
            hint="put a neuron node into the loop",
            rule="nir.algebraic-loop",
        )


def _one_cycle(start: str, left: Collection[str], successors: Neighbors) -> list[str]:
    # every node of `left` may merely follow a cycle; go against the edges to find one
    before: dict[str, list[str]] = {n: [] for n in left}
    for n in sorted(left):
        for target in successors[n]:
            if target in before:
                before[target].append(n)
    path = [start]
    while (previous := before[path[-1]][0]) not in path:
        path.append(previous)
    cycle = path[path.index(previous) :][::-1]
    return [*cycle, cycle[0]]


# --- values of one node ----------------------------------------------------------------------

Rule = Callable[[str, str, RawNode], Iterator[Notice]]


def check_values(file: str, name: str, node: RawNode) -> list[Notice]:
    """Apply every value rule to one node and return what was merely odd."""
    return [notice for rule in VALUE_RULES for notice in rule(file, name, node)]


def finite(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.finite``: no NaN and no infinity anywhere."""
    for field, array in _real_fields(node):
        bad = ~np.isfinite(array)
        if bad.any():
            first = np.argwhere(bad)[0].tolist()
            raise NirError(
                "the values must be finite",
                got=f"{int(bad.sum())} NaN or infinite, the first at {first}",
                where=place(file, name, field),
                hint="the training diverged, or the export broke: check the model's parameters",
                rule="nir.finite",
            )
    yield from ()


def not_empty(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.empty-field``: an array must hold at least one value."""
    for field, array in _real_fields(node):
        if array.size == 0:
            raise NirError(
                "the field holds no values",
                got=f"shape {array.shape}",
                where=place(file, name, field),
                rule="nir.empty-field",
            )
    yield from ()


def tau_positive(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.tau-positive``: time constants are above zero."""
    for field, array in _real_fields(node):
        if field in _TAUS and (array <= 0).any():
            raise NirError(
                "a time constant must be positive",
                got=float(array.min()),
                limit="> 0 s",
                where=place(file, name, field),
                hint="a neuron without leak is an IF, one without synapse an LIF",
                rule="nir.tau-positive",
            )
    yield from ()


def delay_not_negative(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.delay-negative``: delays are zero or more seconds."""
    if node.type == "Delay" and (node.real("delay") < 0).any():
        raise NirError(
            "a delay must not be negative",
            got=float(node.real("delay").min()),
            limit=">= 0 s",
            where=place(file, name, "delay"),
            rule="nir.delay-negative",
        )
    yield from ()


def tau_plausible(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.tau-in-steps``, ``nir.tau-microseconds``: likely faults of exporters."""
    for field, array in _real_fields(node):
        if field not in _TAUS:
            continue
        where = place(file, name, field)
        if float(array.max()) > _SLOW_S:
            text = f"{float(array.max()):.4g} s is very slow: probably written in time steps"
            hint = "multiply tau by the dt of training (sinabs exports steps)"
            yield Notice("nir.tau-in-steps", where, text, hint=hint, about=name)
        elif float(array.min()) <= _FAST_S:
            text = f"{float(array.min()):.4g} s is very fast: probably dt * tau was written"
            hint = "divide tau by the dt of training (Norse 1.1.0 multiplies by it)"
            yield Notice("nir.tau-microseconds", where, text, hint=hint, about=name)


def delay_plausible(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.delay-in-steps``: a delay beyond a second is probably in steps."""
    if node.type == "Delay" and float(node.real("delay").max()) > _SLOW_S:
        text = f"{float(node.real('delay').max()):.4g} s is very long: probably in time steps"
        hint = "multiply the delay by the dt of training"
        yield Notice("nir.delay-in-steps", place(file, name, "delay"), text, hint=hint)


def resistance_positive(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.gain-not-positive``: r or w_in of zero mutes a neuron, below zero inverts it."""
    for field, array in _real_fields(node):
        n = int((array <= 0).sum())
        if field in ("r", "w_in") and n:
            verb = "mutes" if float(array.min()) == 0 else "mutes or inverts"
            text = f"a value of {float(array.min()):.4g} {verb} the input of {n} of {array.size}"
            yield Notice("nir.gain-not-positive", place(file, name, field), text)


def threshold_above_rest(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.fires-at-rest``, ``nir.fires-after-reset``: spikes without any input."""
    if "v_threshold" not in node.fields:
        return
    threshold = node.real("v_threshold")
    where = place(file, name, "v_threshold")
    hint = "check the sign and the scale of the threshold"
    for field, rule, text in (
        ("v_leak", "nir.fires-at-rest", "not above v_leak: the neuron fires without input"),
        ("v_reset", "nir.fires-after-reset", "not above v_reset: the neuron fires in every step"),
    ):
        rest = node.real(field) if field in node.fields else np.zeros(())
        same = rest.shape == threshold.shape or 1 in (rest.size, threshold.size)
        if (field == "v_reset" or field in node.fields) and same and (threshold <= rest).any():
            yield Notice(rule, where, f"{float(threshold.min()):.4g} is {text}", hint=hint)


def weights_not_all_zero(file: str, name: str, node: RawNode) -> Iterator[Notice]:
    """``nir.zero-weights``: a layer that passes nothing."""
    if "weight" in node.fields and not node.real("weight").any():
        text = "all weights are zero: the layer passes nothing"
        yield Notice("nir.zero-weights", place(file, name, "weight"), text)


VALUE_RULES: tuple[Rule, ...] = (
    not_empty,
    finite,
    tau_positive,
    delay_not_negative,
    tau_plausible,
    delay_plausible,
    resistance_positive,
    threshold_above_rest,
    weights_not_all_zero,
)


def _real_fields(node: RawNode) -> Iterator[tuple[str, NDArray[Any]]]:
    for field, spec in NODE_FIELDS[node.type].items():
        if spec.kind == "real" and field in node.fields:
            yield field, node.real(field)
