"""From a validated chip document to ``ChipSpec``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nmhw.values.chip import (
    ArithmeticSpec,
    BoardSpec,
    ChipSpec,
    CoreSpec,
    CostTable,
    EncodingSpec,
    Figure,
    LawSpec,
    MemorySpec,
    MeshSpec,
    NocSpec,
    RuleSpec,
    SyncSpec,
)
from nmhw.values.laws import LAWS

Table = Mapping[str, Any]

_UNIT = {"energy_pj": "pJ", "latency_ns": "ns", "static_w": "W"}


def build_chip(document: Table, *, path: str | None, sha256: str | None) -> ChipSpec:
    """Return the ChipSpec of a document without problems (see ``nmhw.io.chip_checks``)."""
    default = document["default_costs"]
    mesh = {k: v for k, v in document["mesh"].items() if k != "unused_cores"}
    memory = document.get("memory")
    return ChipSpec(
        name=document["name"],
        title=document["title"],
        describes=document["describes"],
        arithmetic=_spec(ArithmeticSpec, document["arithmetic"]),
        mesh=_spec(MeshSpec, mesh),
        cores=tuple(
            _spec(CoreSpec, {"name": name, "budget": {}, **group})
            for name, group in document["cores"].items()
        ),
        encodings=tuple(_spec(EncodingSpec, e) for e in document.get("encodings", {}).values()),
        costs={name: _costs(name, table) for name, table in document.get("costs", {}).items()},
        default_costs=None if default == "none" else default,
        pace=document["pace"],
        sources=dict(document["sources"]),
        tick_s=_figure(document["tick_s"], "s") if document.get("tick_s") else None,
        noc=_noc(document.get("noc")),
        memory=None if memory is None else _spec(MemorySpec, memory),
        board=_spec(BoardSpec, document.get("board", {})),
        rules=tuple(_spec(RuleSpec, rule) for rule in document.get("rules", {}).values()),
        published={k: _figure(f, f["unit"]) for k, f in document.get("published", {}).items()},
        learning_native=tuple(document.get("learning_native", ())),
        learning_port=document.get("learning_port"),
        learning_word_bits=document.get("learning_word_bits"),
        is_executable=document.get("is_executable", True),
        not_executable_because=document.get("not_executable_because", ""),
        is_imaginary=document.get("is_imaginary", False),
        node_nm=document.get("node_nm"),
        notes=tuple(document.get("notes", ())),
        path=path,
        sha256=sha256,
        document=document,
    )


def _spec(kind: Any, table: Table) -> Any:
    """Build a frozen spec from its table; arrays become tuples, all else keeps its default."""
    known = {f.name for f in fields(kind)}
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items() if k in known}
    return kind(**plain)


def _noc(table: Table | None) -> NocSpec | None:
    if table is None:
        return None
    units = {"link_ns": "ns", "link_buffer": "messages", "receiver_queue": "messages"}
    return NocSpec(**{name: _figure(table[name], unit) for name, unit in units.items()})


def _costs(name: str, table: Table) -> CostTable:
    sections = {
        section: {k: _figure(f, unit) for k, f in table.get(section, {}).items()}
        for section, unit in _UNIT.items()
    }
    return CostTable(
        name=name,
        title=table["title"],
        energy_pj=sections["energy_pj"],
        latency_ns=sections["latency_ns"],
        static_w=sections["static_w"],
        sync=_sync(table.get("sync", {"kind": "none"})),
        notes=tuple(table.get("notes", ())),
        laws={name: _law(law) for name, law in table.get("laws", {}).items()},
    )


def _law(table: Table) -> LawSpec:
    form = LAWS[table["kind"]]
    units = {**form.terms, **form.optional}
    return LawSpec(
        kind=table["kind"],
        source=table["source"],
        terms={name: _figure(f, units[name]) for name, f in table.get("terms", {}).items()},
        variable=table.get("variable", ""),
        points=tuple((p["at"], _figure(p, form.point_unit)) for p in table.get("points", ())),
        note=table.get("note", ""),
    )


def _sync(table: Table) -> SyncSpec:
    points = tuple((p["tiles"], _figure(p, "ns")) for p in table.get("points", ()))
    tick = table.get("tick_s")
    return SyncSpec(table["kind"], points, None if tick is None else _figure(tick, "s"))


def _figure(table: Table, unit: str) -> Figure:
    names = {f.name for f in fields(Figure)}
    given = {k: v for k, v in table.items() if k in names}
    return Figure(**{"value": None, "unit": unit, **given})
