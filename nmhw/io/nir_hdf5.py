"""From a guarded HDF5 file to the graph it states; nothing is interpreted here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import NirError
from nmhw.io.display import display
from nmhw.io.hdf5_dataset import DatasetEntry, Hdf5Limits
from nmhw.io.hdf5_guard import Tree, open_guarded
from nmhw.io.nir_nodes import NODE_FIELDS, FieldValue, RawGraph, RawNode, parse_field, place

MAX_NESTING = 8

Load: TypeAlias = "Callable[[DatasetEntry], NDArray[Any]]"


def read_raw(path: str | Path, limits: Hdf5Limits | None = None) -> tuple[RawGraph, str]:
    """Read the graph and the file's SHA-256 as they are.

    Raises
    ------
    NirError
        ``hdf5.*`` from the guard; ``nir.root``, ``nir.type-missing``, ``nir.type-unknown``,
        ``nir.field-missing``, ``nir.field-extra``, ``nir.edges-missing``, ``nir.edges-form``,
        ``nir.nesting`` and those of ``parse_field``.
    """
    with open_guarded(path, limits, NirError) as guarded:
        reader = _Reader(Path(path).name, guarded.load)
        return reader.root(guarded.tree), guarded.sha256


@dataclass(frozen=True, slots=True)
class _Reader:
    file: str
    load: Load

    def root(self, tree: Tree) -> RawGraph:
        top = tree.get("node")
        if not isinstance(top, dict):
            raise NirError(
                "no NIR graph in this HDF5 file (no group /node)",
                got=display(sorted(tree)),
                where=place(self.file),
                hint="write it with nir.write",
                rule="nir.root",
            )
        kind = self.type_of(top, None)
        if kind != "NIRGraph":
            raise NirError(
                "the file holds a single node, not a graph",
                got=kind,
                where=place(self.file),
                hint="nir.NIRGraph.from_list(...) before nir.write",
                rule="nir.root",
            )
        version = tree.get("version")
        text = self.text(version) if isinstance(version, DatasetEntry) else None
        return self.graph(top, "", 0, text)

    def graph(self, tree: Tree, path: str, depth: int, version: str | None = None) -> RawGraph:
        where = place(self.file, path or None)
        if depth > MAX_NESTING:
            raise NirError(
                "graphs are nested too deeply", limit=MAX_NESTING, where=where, rule="nir.nesting"
            )
        for name in sorted(set(tree) - {"type", "nodes", "edges", "metadata"}):
            raise self.extra_field(path or None, name, "NIRGraph", ("nodes", "edges", "metadata"))
        nodes = tree.get("nodes")
        if not isinstance(nodes, dict) or not nodes:
            raise NirError("the graph has no nodes", where=where, rule="nir.nodes-missing")
        children = {}
        for name, child in nodes.items():
            full = f"{path}.{name}" if path else name
            if not isinstance(child, dict):
                raise NirError(
                    "a node must be a group", where=place(self.file, full), rule="nir.node-form"
                )
            children[name] = self.node(child, full, depth)
        edges = self.edges(tree.get("edges"), where)
        return RawGraph(children, edges, version, self.metadata(tree))

    def node(self, tree: Tree, path: str, depth: int) -> RawNode:
        kind = self.type_of(tree, path)
        if kind == "NIRGraph":
            return RawNode(kind, graph=self.graph(tree, path, depth + 1))
        known = NODE_FIELDS[kind]
        for name in sorted(set(tree) - set(known) - {"type", "metadata"}):
            raise self.extra_field(path, name, kind, tuple(known))
        fields: dict[str, FieldValue] = {}
        for name, spec in known.items():
            entry = tree.get(name)
            where = place(self.file, path, name)
            if isinstance(entry, DatasetEntry):
                fields[name] = parse_field(spec.kind, self.load(entry), where)
            elif entry is not None or spec.required:
                raise NirError(
                    f"{kind} needs this field" if entry is None else "the field must be data",
                    where=where,
                    hint=f"export the node again with all of {', '.join(known)}",
                    rule="nir.field-missing",
                )
        return RawNode(kind, fields)

    def type_of(self, tree: Tree, path: str | None) -> str:
        entry = tree.get("type")
        where = place(self.file, path, "type")
        if not isinstance(entry, DatasetEntry):
            nested = path is not None and any(
                isinstance(child, dict) and "type" in child for child in tree.values()
            )
            raise NirError(
                "the node has no type",
                where=where,
                hint="rename the node: HDF5 splits a name at '/'" if nested else "export it again",
                rule="nir.type-missing",
            )
        kind = self.text(entry)
        if kind not in NODE_FIELDS:
            close = difflib.get_close_matches(kind[:80], NODE_FIELDS, 1)
            raise NirError(
                "no such node type in NIR 1.0.8",
                got=repr(display(kind)),
                where=where,
                hint=close[0] if close else "one of " + ", ".join(NODE_FIELDS),
                rule="nir.type-unknown",
            )
        return kind

    def text(self, entry: DatasetEntry) -> str:
        value = self.load(entry) if entry.kind == "string" and entry.shape in ((), (1,)) else None
        return "" if value is None else str(value.ravel()[0])

    def edges(self, entry: object, where: str) -> tuple[tuple[str, str], ...]:
        if entry is None:
            raise NirError("the graph has no edges", where=where, rule="nir.edges-missing")
        if isinstance(entry, DatasetEntry) and 0 in entry.shape:
            return ()
        ok = isinstance(entry, DatasetEntry) and entry.kind == "string"
        if not isinstance(entry, DatasetEntry) or not ok or entry.shape[1:] != (2,):
            got = f"shape {entry.shape} of {entry.kind}s" if isinstance(entry, DatasetEntry) else ""
            raise NirError(
                "edges must be pairs of node names",
                got=got or "a group",
                where=where,
                rule="nir.edges-form",
            )
        pairs = self.load(entry)
        return tuple((display(a, 200), display(b, 200)) for a, b in pairs)

    def metadata(self, tree: Tree) -> Mapping[str, Any]:
        found = tree.get("metadata")
        if not isinstance(found, dict):
            return {}
        flat = {k: self.load(v) for k, v in found.items() if isinstance(v, DatasetEntry)}
        return {
            k: v.item() if isinstance(v, np.ndarray) and not v.ndim else v for k, v in flat.items()
        }

    def extra_field(
        self, path: str | None, name: str, kind: str, known: tuple[str, ...]
    ) -> NirError:
        close = difflib.get_close_matches(name, known, 1)
        return NirError(
            f"{kind} has no such field",
            where=place(self.file, path, name),
            hint=f"rename it to {close[0]}" if close else f"remove it; known: {', '.join(known)}",
            rule="nir.field-extra",
        )
