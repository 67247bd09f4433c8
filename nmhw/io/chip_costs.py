"""Rules of the cost tables: units, provenance, ranges, what may be added to what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nmhw.io.chip_problems import Problem, suggest
from nmhw.values.laws import LAWS

Table = Mapping[str, Any]
Key = tuple[str | int, ...]

#: Unit of the figures of each table, and what other units are worth in it.
UNITS: Mapping[str, tuple[str, Mapping[str, float]]] = {
    "energy_pj": ("pJ", {"fJ": 1e-3, "nJ": 1e3, "uJ": 1e6, "mJ": 1e9, "J": 1e12}),
    "latency_ns": ("ns", {"ps": 1e-3, "us": 1e3, "ms": 1e6, "s": 1e9}),
    "static_w": ("W", {"pW": 1e-12, "nW": 1e-9, "uW": 1e-6, "mW": 1e-3, "kW": 1e3}),
    "tick_s": ("s", {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}),
}


def check_costs(document: Table) -> Iterator[Problem]:
    """Yield every problem of the cost tables."""
    tables = _table(document.get("costs"))
    default = document.get("default_costs")
    if default is not None and default != "none" and default not in tables:
        hint = suggest(default, [*tables, "none"])
        yield Problem(("default_costs",), "no such cost table", default, hint, "chip.costs")
    imaginary = document.get("is_imaginary") is True
    if isinstance(document.get("tick_s"), dict):
        yield from check_figure(("tick_s",), "tick_s", document["tick_s"])
        yield from check_reality(("tick_s",), document["tick_s"], imaginary)
        if not document["tick_s"].get("value"):
            hint = "the length of a step"
            yield Problem(("tick_s", "value"), "must be positive", None, hint, "chip.range")
    for name in tables:
        costs = _table(tables[name])
        for key, section, figure in _figures(("costs", name), costs):
            yield from check_figure(key, section, figure)
            yield from check_reality(key, figure, imaginary)
        for section in ("energy_pj", "latency_ns"):
            yield from _check_inclusion(("costs", name, section), _table(costs.get(section)))
        yield from _check_all_in(("costs", name), costs)
        yield from _check_sync(("costs", name, "sync"), _table(costs.get("sync")))
        for law in _table(costs.get("laws")):
            key = ("costs", name, "laws", law)
            yield from _check_law(key, _table(_table(costs["laws"])[law]), imaginary)
    for name, figure in _table(document.get("published")).items():
        key = ("published", name)
        yield from check_figure(key, str(figure.get("unit")), figure)
        yield from check_reality(key, figure, imaginary)


def _figures(place: Key, costs: Table) -> Iterator[tuple[Key, str, Table]]:
    for section in ("energy_pj", "latency_ns", "static_w"):
        for kind, figure in _table(costs.get(section)).items():
            yield (*place, section, kind), section, figure
    sync = _table(costs.get("sync"))
    if "tick_s" in sync:
        yield (*place, "sync", "tick_s"), "tick_s", sync["tick_s"]
    for i, point in enumerate(sync.get("points", ())):
        yield (*place, "sync", "points", i), "latency_ns", point


def _check_law(place: Key, law: Table, imaginary: bool) -> Iterator[Problem]:
    """Refuse terms that the law's formula does not have, and missing ones."""
    form = LAWS.get(str(law.get("kind")))
    if form is None:
        return
    if law.get("source") is None:
        hint = f"here, or for the whole table in costs.{place[1]}.defaults"
        yield Problem((*place, "source"), "missing source", None, hint, "chip.missing-source")
    terms, known = _table(law.get("terms")), {**form.terms, **form.optional}
    for name in form.terms:
        if name not in terms:
            hint = f"a figure in {form.terms[name]}"
            yield Problem((*place, "terms", name), "missing key", None, hint, "chip.missing-key")
    for name, figure in terms.items():
        key = (*place, "terms", name)
        if name not in known:
            yield Problem(key, "unknown key", None, suggest(name, known), "chip.unknown-key")
            continue
        yield from check_figure(key, known[name], figure)
        yield from check_reality(key, figure, imaginary)
    points = law.get("points", ())
    if bool(points) != bool(form.point_unit) or bool(points) != bool(law.get("variable")):
        reason = "goes with a law of kind 'points', which has a variable and points"
        yield Problem((*place, "points"), reason, None, None, "chip.law")
        return
    for i, point in enumerate(points):
        yield from check_figure((*place, "points", i), form.point_unit, point)
        yield from check_reality((*place, "points", i), point, imaginary)
    positions = [point.get("at") for point in points]
    if sorted(set(positions)) != positions:
        reason = "must ascend in the variable without repeats"
        yield Problem((*place, "points"), reason, positions, None, "chip.order")


def check_figure(key: Key, section: str, figure: Table) -> Iterator[Problem]:
    """Yield what is wrong with unit, provenance, value and bounds of a figure of a section."""
    unit, others = UNITS.get(section, (section, {}))
    stated, value = figure.get("unit"), figure.get("value")
    if stated is not None and stated != unit:
        hint = f"the value in {unit}"
        if stated in others and value is not None:
            hint = f"value = {value * others[stated]:.12g}, unit = {unit!r}"
        yield Problem((*key, "unit"), f"wrong unit, {unit} expected", stated, hint, "chip.unit")
    for field in ("source", "grade", "basis"):
        if figure.get(field) is None:
            in_table = f", or for the whole table in costs.{key[1]}.defaults"
            hint = "here" + (in_table if key[0] == "costs" else "")
            yield Problem((*key, field), f"missing {field}", None, hint, f"chip.missing-{field}")
    if value is None and not figure.get("included_in") and not figure.get("note"):
        hint = "value = ..., or a note saying that nobody published it"
        yield Problem((*key, "value"), "missing value", None, hint, "chip.missing-value")
    if value is not None and figure.get("included_in"):
        reason = "a figure is either a value or included in another one"
        yield Problem((*key, "included_in"), reason, figure["included_in"], None, "chip.included")
    low, high = figure.get("low"), figure.get("high")
    ends = [n for n in (low, value, high) if n is not None]
    if ends != sorted(ends):
        reason = "low <= value <= high does not hold"
        yield Problem(key, reason, {"low": low, "value": value, "high": high}, rule="chip.range")


def check_reality(key: Key, figure: Table, imaginary: bool) -> Iterator[Problem]:
    """Keep invented numbers out of real chips, and measured ones out of the imaginary chip."""
    if figure.get("value") is None:
        return
    invented = figure.get("basis") == "imaginary" or figure.get("grade") == "illustrative"
    if invented and not imaginary:
        reason = "an invented number in a chip that is not marked is_imaginary"
        yield Problem(key, reason, figure["value"], "is_imaginary = true", "chip.imaginary")
    if imaginary and not (
        figure.get("basis") == "imaginary" and figure.get("grade") == "illustrative"
    ):
        reason = "an imaginary chip has only basis 'imaginary' and grade 'illustrative'"
        yield Problem(key, reason, figure["value"], None, "chip.imaginary")


def _check_inclusion(place: Key, figures: Table) -> Iterator[Problem]:
    for kind, figure in figures.items():
        holder = figure.get("included_in")
        if holder is not None and _table(figures.get(holder)).get("value") is None:
            priced = [k for k, f in figures.items() if _table(f).get("value") is not None]
            reason = "names a kind without a value in this table"
            hint = suggest(holder, priced)
            yield Problem((*place, kind, "included_in"), reason, holder, hint, "chip.included")


def _check_all_in(place: Key, costs: Table) -> Iterator[Problem]:
    """Refuse to add anything to a figure that already contains everything."""
    figures = {
        (section, kind): _table(figure)
        for section in ("energy_pj", "static_w")
        for kind, figure in _table(costs.get(section)).items()
    }
    whole = [k for k, f in figures.items() if f.get("scope") == "all-in"]
    for key, figure in figures.items():
        if whole and key not in whole and figure.get("value") is not None:
            reason = f"would be counted twice: {whole[0][1]} is all-in"
            hint = f"included_in = {whole[0][1]!r}"
            yield Problem((*place, *key), reason, figure["value"], hint, "chip.all-in")


def _check_sync(place: Key, sync: Table) -> Iterator[Problem]:
    kind, points = sync.get("kind"), sync.get("points", [])
    if kind == "table" and not points:
        hint = "points = [{ tiles = 1, value = ... }]"
        yield Problem((*place, "points"), "missing key", None, hint, "chip.missing-key")
    if kind == "tick" and sync.get("tick_s") is None:
        hint = "tick_s = { value = 1e-3 }"
        yield Problem((*place, "tick_s"), "missing key", None, hint, "chip.missing-key")
    if _table(sync.get("tick_s")).get("value") == 0:
        hint = "the length of a step in seconds, such as 1e-3"
        yield Problem((*place, "tick_s", "value"), "must be positive", 0, hint, "chip.tick")
    tiles = [point["tiles"] for point in points]
    if sorted(set(tiles)) != tiles:
        reason = "tiles must ascend without repeats"
        yield Problem((*place, "points"), reason, tiles, None, "chip.order")


def _table(node: Any) -> Table:
    return node if isinstance(node, Mapping) else {}
