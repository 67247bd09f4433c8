"""Which inherited prices a changed chip still deserves: a stale figure becomes unpriced.

A unit cost belongs to the memory, the widths and the mesh it was measured on. Where a variant
changes one of these, the inherited figures of the kinds that depend on it are not scaled: they
lose their value and say why. An all-in figure holds shares of everything, so any change of the
hardware makes it stale. Figures that the variant states itself are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Document = dict[str, Any]

_SYNAPSES = ("synop", "weight")
_NEURONS = ("neuron",)
_WHOLE_CHIP = ("static", "reset", "load")
_EVERYTHING = (*_SYNAPSES, *_NEURONS, "axon", "hop", "link", "timestep", "host", *_WHOLE_CHIP)

#: Changed budget of a core -> event kinds (or "static") whose price depends on that memory.
BUDGET_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "neurons": (*_NEURONS, *_WHOLE_CHIP),
    "neuron_words": (*_NEURONS, *_WHOLE_CHIP),
    "synapses": (*_SYNAPSES, *_WHOLE_CHIP),
    "synapse_bits": (*_SYNAPSES, *_WHOLE_CHIP),
    "kernel_words": (*_SYNAPSES, *_WHOLE_CHIP),
    "bias_words": (*_NEURONS, *_WHOLE_CHIP),
    "memory_bits": (*_SYNAPSES, *_NEURONS, *_WHOLE_CHIP),
    "in_axons": ("axon.in", *_WHOLE_CHIP),
    "out_axons": ("axon.out", *_WHOLE_CHIP),
}

#: Changed field of the arithmetic -> event kinds.
ARITHMETIC_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "family": (*_SYNAPSES, *_NEURONS),
    "state": (*_SYNAPSES, *_NEURONS),
    "weight_bits": _SYNAPSES,
    "weight_min": _SYNAPSES,
    "weight_max": _SYNAPSES,
    "u_bits": _NEURONS,
    "v_bits": _NEURONS,
    "decay_bits": _NEURONS,
    "threshold_bits": _NEURONS,
    "bias_bits": _NEURONS,
    "has_current": _NEURONS,
    "n_currents": _NEURONS,
    "leak_bits": _NEURONS,
    "sum_bits": _NEURONS,
    "max_compartments": _NEURONS,
}

#: Changed parameters of a rule of this kind -> event kinds; of other kinds the whole chip's.
RULE_EFFECTS: Mapping[str, tuple[str, ...]] = {
    "layer-sizes": (*_NEURONS, *_WHOLE_CHIP),
    "pooled-fan-out": (*_SYNAPSES, *_WHOLE_CHIP),
    "codebook": (*_SYNAPSES, *_WHOLE_CHIP),
    "shared-pair": (*_NEURONS, *_WHOLE_CHIP),
}

#: Keys of these tables that describe no hardware.
_WORDS = ("claim", "citations", "source", "note", "title", "severity", "soft_budget")


def drop_stale_prices(
    parent: Mapping[str, Any], merged: Document, changes: Mapping[str, Any]
) -> Document:
    """Remove the value of every inherited figure that ``changes`` made stale, in place.

    Parameters
    ----------
    parent, merged : mappings
        The document before and after the changes.
    changes : mapping
        What was changed; a figure found here is the variant's own.
    """
    effects = list(_effects(parent, merged))
    whole = effects[0][1] if effects else _changed_hardware(parent, merged)
    tables = merged.get("costs")
    if not isinstance(tables, dict):
        return merged
    own_tables = changes.get("costs", {})
    stale: list[str] = []
    for name, table in tables.items():
        own = own_tables.get(name, {}) if isinstance(own_tables, Mapping) else {}
        if isinstance(table, dict) and name in (parent.get("costs") or {}):
            stale += _mark_table(name, table, own, effects, whole)
            _mark_sync(parent, merged, table, own)
    if stale:
        text = "unpriced here, because the hardware they were determined on has been changed: "
        merged["notes"] = [*merged.get("notes", []), text + ", ".join(stale)]
    return merged


def _effects(parent: Mapping[str, Any], merged: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (affected kind, reason) for every change of the hardware."""
    for field, kinds in ARITHMETIC_EFFECTS.items():
        before, after = _get(parent, "arithmetic", field), _get(merged, "arithmetic", field)
        if before != after:
            yield from _each(kinds, f"arithmetic.{field}", before, after)
    for group in {**_table(parent, "cores"), **_table(merged, "cores")}:
        for resource, kinds in BUDGET_EFFECTS.items():
            before = _get(parent, "cores", group, "budget", resource)
            after = _get(merged, "cores", group, "budget", resource)
            if before != after:
                yield from _each(kinds, f"{resource} of {group}", before, after)
        before, after = _get(parent, "cores", group, "count"), _get(merged, "cores", group, "count")
        if before != after:
            yield from _each(_WHOLE_CHIP, f"number of {group}s", before, after)
    yield from _rule_effects(_table(parent, "rules"), _table(merged, "rules"))
    before, after = parent.get("node_nm"), merged.get("node_nm")
    if before != after:
        yield from _each(_EVERYTHING, "node_nm", before, after)
    before, after = _table(parent, "memory"), _table(merged, "memory")
    if before != after:
        yield from _each((*_SYNAPSES, *_NEURONS, *_WHOLE_CHIP), "memory", before, after)
    before, after = (_get(d, "mesh", "cores_per_tile") for d in (parent, merged))
    if before != after:
        yield from _each(("hop",), "mesh.cores_per_tile", before, after)


def _rule_effects(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what changed limits beyond budgets affect; a warning is no limit of the hardware."""
    for name in {**before, **after}:
        kind = _get(after, name, "kind") or _get(before, name, "kind")
        if "warning" in (_get(before, name, "severity"), _get(after, name, "severity")):
            continue
        kinds = RULE_EFFECTS.get(str(kind), _WHOLE_CHIP)
        old, new = _table(_get(before, name), "parameters"), _table(_get(after, name), "parameters")
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                where = f"rules.{name}.{key}"
                yield from _each(kinds, where, old.get(key), new.get(key))


def _changed_hardware(parent: Mapping[str, Any], merged: Mapping[str, Any]) -> str | None:
    """Name the first part of the chip that differs, None where all are equal."""
    for part in ("arithmetic", "cores", "mesh", "encodings", "rules"):
        before, after = _table(parent, part), _table(merged, part)
        for key in {**before, **after}:
            if key not in _WORDS and _hardware(before.get(key)) != _hardware(after.get(key)):
                return f"{part}.{key} changed"
    return None


def _hardware(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    return {k: _hardware(v) for k, v in node.items() if k not in _WORDS}


def _each(kinds: tuple[str, ...], what: str, before: Any, after: Any) -> Iterator[tuple[str, str]]:
    for kind in kinds:
        yield kind, f"{what} changed from {before} to {after}"


def _mark_table(
    name: str,
    table: Document,
    own: Mapping[str, Any],
    effects: list[tuple[str, str]],
    whole: str | None,
) -> list[str]:
    stale = []
    for section in ("energy_pj", "latency_ns", "static_w"):
        figures = table.get(section)
        if not isinstance(figures, dict):
            continue
        stated = own.get(section, {}) if isinstance(own, Mapping) else {}
        for kind, figure in figures.items():
            if kind in stated or not isinstance(figure, dict):
                continue
            is_all_in = figure.get("scope") == "all-in" and "included_in" not in figure
            reason = whole if is_all_in else _reason(section, kind, effects)
            if not reason:
                continue
            if figure.get("value") is not None or figure.get("included_in"):
                stale.append(f"{name}.{section}.{kind}")
                figures[kind] = without_value(figure, reason)
        _unprice_included(figures, stated)
    return stale + (_mark_laws(name, table, own, whole) if effects and whole else [])


def _mark_laws(name: str, table: Document, own: Mapping[str, Any], reason: str) -> list[str]:
    """Unprice every inherited law: a formula belongs to the whole hardware it was found on."""
    laws = table.get("laws")
    stated = own.get("laws") if isinstance(own, Mapping) else None
    stale = []
    for law, spec in laws.items() if isinstance(laws, dict) else ():
        if not isinstance(spec, dict) or law in (stated if isinstance(stated, Mapping) else ()):
            continue
        stale.append(f"{name}.laws.{law}")
        if isinstance(spec.get("terms"), dict):
            spec["terms"] = {k: without_value(f, reason) for k, f in spec["terms"].items()}
        if isinstance(spec.get("points"), list):
            spec["points"] = [without_value(p, reason) for p in spec["points"]]
    return stale


def _reason(section: str, kind: str, effects: list[tuple[str, str]]) -> str | None:
    for affected, reason in effects:
        if section == "static_w":
            if affected == "static":
                return reason
        elif kind == affected or kind.startswith(affected + ".") or affected.startswith(kind + "."):
            return reason
    return None


def _unprice_included(figures: Document, stated: Mapping[str, Any]) -> None:
    """Unprice what was contained in a figure that has just lost its value."""
    for kind, figure in figures.items():
        if not isinstance(figure, dict) or kind in stated:
            continue
        holder = figures.get(str(figure.get("included_in")))
        if isinstance(holder, dict) and holder.get("value") is None and "note" in holder:
            figures[kind] = without_value(figure, f"was included in {figure['included_in']}")


def without_value(figure: Mapping[str, Any], reason: str) -> Document:
    """Return an inherited figure as unpriced, with the reason and its old value as a note."""
    kept = {
        k: v for k, v in figure.items() if k not in ("value", "low", "high", "included_in", "note")
    }
    old = figure.get("value")
    was = f" (was {old})" if old is not None else ""
    return {**kept, "note": f"stale: {reason}{was}"}


def _mark_sync(
    parent: Mapping[str, Any], merged: Mapping[str, Any], table: Document, own: Mapping[str, Any]
) -> None:
    """Leave barriers unpriced above the number of tiles that the parent's mesh had."""
    sync = table.get("sync")
    if not isinstance(sync, dict) or not isinstance(sync.get("points"), list) or "sync" in own:
        return
    points = [p for p in sync["points"] if isinstance(p, dict) and isinstance(p.get("tiles"), int)]
    if not points:
        return
    for path in (("mesh", "cores_per_tile"), ("node_nm",)):
        if _get(parent, *path) != _get(merged, *path):
            reason = f"{'.'.join(path)} changed"
            sync["points"] = [without_value(p, reason) for p in points]
            return
    had, has = _n_tiles(parent), _n_tiles(merged)
    if had is not None and has is not None and has > had:
        reason = f"the barrier was measured on at most {had} tiles"
        inside = [p for p in points if p["tiles"] <= had]
        if inside and inside[-1].get("value") is not None:
            sync["points"] = [*inside, {**without_value(inside[-1], reason), "tiles": had + 1}]


def _n_tiles(document: Mapping[str, Any]) -> int | None:
    sizes = [_get(document, "mesh", side) for side in ("width", "height")]
    sides = [s for s in sizes if isinstance(s, int)]
    return sides[0] * sides[1] if len(sides) == 2 else None


def _get(document: Any, *path: str) -> Any:
    for part in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(part)
    return document


def _table(document: Any, name: str) -> Mapping[str, Any]:
    found = _get(document, name)
    return found if isinstance(found, Mapping) else {}
