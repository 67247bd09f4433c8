"""Nested graphs laid flat: names joined by dots, inner Input and Output nodes as plain wires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nmhw.errors import NirError
from nmhw.io.nir_exporters import straighten_loop
from nmhw.io.nir_nodes import RawGraph, RawNode, place
from nmhw.io.nir_rules import check_edges
from nmhw.values.notice import Notice

MAX_NODES = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class FlatGraph:
    """A graph without nesting.

    Attributes
    ----------
    file : str
        For messages.
    nodes : mapping
        By full name; Input and Output nodes that are not in ``inputs`` or ``outputs`` are wires.
    edges : tuple of (source, target)
    inputs, outputs : tuple of str
        The ports of the whole network, in the order of their names.
    """

    file: str
    nodes: Mapping[str, RawNode]
    edges: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def predecessors(self) -> dict[str, list[str]]:
        """Sources of every node, in the order of their names."""
        return {n: sorted(a for a in found) for n, found in self._neighbors(1).items()}

    def successors(self) -> dict[str, list[str]]:
        """Targets of every node, in the order of their names."""
        return {n: sorted(a for a in found) for n, found in self._neighbors(0).items()}

    def _neighbors(self, own: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in self.nodes}
        for edge in self.edges:
            found[edge[own]].append(edge[1 - own])
        return found


def flatten(graph: RawGraph, file: str) -> tuple[FlatGraph, list[Notice]]:
    """Return the flat graph of a nested one.

    Raises
    ------
    NirError
        ``nir.edge-*`` for bad edges at any level, ``nir.subgraph-ports``, ``nir.duplicate-name``,
        ``nir.no-input``, ``nir.no-output``.
    """
    nodes: dict[str, RawNode] = {}
    edges: list[tuple[str, str]] = []
    notices: list[Notice] = []
    _lay(graph, "", file, nodes, edges, notices)
    entered, left = {b for _, b in edges}, {a for a, _ in edges}
    ports: dict[str, list[str]] = {"Input": [], "Output": []}
    for name in sorted(graph.nodes):
        kind = graph.nodes[name].type
        if kind not in ports:
            continue
        inner = name in (entered if kind == "Input" else left)
        if inner:
            text = f"this {kind} node lies inside of the graph and is read as a plain wire"
            notices.append(Notice("nir.inner-port", place(file, name), text))
        else:
            ports[kind].append(name)
    for kind, found in ports.items():
        if not found:
            raise NirError(
                f"the graph has no {kind} node",
                where=place(file),
                hint=f"add nir.{kind} and an edge to it",
                rule=f"nir.no-{kind.lower()}",
            )
    flat = FlatGraph(file, nodes, tuple(edges), tuple(ports["Input"]), tuple(ports["Output"]))
    return flat, notices


def _lay(
    graph: RawGraph,
    path: str,
    file: str,
    nodes: dict[str, RawNode],
    edges: list[tuple[str, str]],
    notices: list[Notice],
) -> None:
    """Add one level; nesting is bounded by the reader."""
    check_edges(graph, path, file)
    prefix = f"{path}." if path else ""
    for name, node in graph.nodes.items():
        full = prefix + name
        if node.graph is not None:
            inner, found = straighten_loop(node.graph, file, full)
            notices += found
            _lay(inner, full, file, nodes, edges, notices)
            continue
        if full in nodes:
            raise NirError(
                "two nodes have the same name once the graph is laid flat",
                where=place(file, full),
                hint="rename one of them",
                rule="nir.duplicate-name",
            )
        nodes[full] = node
        if len(nodes) > MAX_NODES:
            raise NirError(
                "too many nodes", limit=MAX_NODES, where=place(file), rule="nir.too-many-nodes"
            )
    for source, target in graph.edges:
        start = _port(graph.nodes[source], "Output", prefix + source, file)
        end = _port(graph.nodes[target], "Input", prefix + target, file)
        edges.append((start, end))


def _port(node: RawNode, kind: str, full: str, file: str) -> str:
    """Return the node an edge really touches: a subgraph's only Input or Output."""
    if node.graph is None:
        return full
    found = [name for name, inner in node.graph.nodes.items() if inner.type == kind]
    if len(found) != 1:
        raise NirError(
            f"an edge leads to a subgraph that needs exactly one {kind} node",
            got=f"{len(found)} {kind} nodes",
            where=place(file, full),
            hint="lay the graph flat before exporting",
            rule="nir.subgraph-ports",
        )
    inner_node = node.graph.nodes[found[0]]
    return _port(inner_node, kind, f"{full}.{found[0]}", file)
