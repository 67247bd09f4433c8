"""Chip files: load, list, vary; the one door between TOML and ``ChipSpec``."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmhw.io.chip_build import build_chip
from nmhw.io.chip_checks import find_contradictions
from nmhw.io.chip_complaints import find_schema_problems
from nmhw.io.chip_document import Document, fill_defaults, packaged_files, read_document
from nmhw.io.chip_problems import ChipFileProblems, Problem
from nmhw.io.chip_schema import chip_json_schema
from nmhw.io.chip_vary import apply_changes
from nmhw.values.chip import ChipSpec


@dataclass(frozen=True, slots=True)
class ChipSummary:
    """One line of the list of chips.

    Attributes
    ----------
    n_cores : int
        Of the whole chip or board.
    max_neurons : int or None
        Sum of the cores' neuron budgets; None where the count is not limited.
    costs : tuple of str
        Names of the cost tables; ``default_costs`` is None where a run is unpriced by default.
    """

    name: str
    title: str
    describes: str
    family: str
    n_cores: int
    max_neurons: int | None
    costs: tuple[str, ...]
    default_costs: str | None
    is_executable: bool
    is_imaginary: bool


def load_chip(name_or_path: str | Path) -> ChipSpec:
    """Read and validate a chip file.

    Parameters
    ----------
    name_or_path : str or Path
        A bare name is a packaged chip ("loihi1-nahuku"); anything with a slash, ending in
        ``.toml`` or of type Path is a file.

    Raises
    ------
    ChipFileError
        With all problems of the file at once: key, value, reason, suggestion.
    """
    document, label = read_document(name_or_path)
    return _validate(document, label)


def restore_chip(document: Mapping[str, Any], label: str) -> ChipSpec:
    """Return the chip of a stored ``ChipSpec.document``, for example that of a variant.

    Raises
    ------
    ChipFileError
        When the document does not fit today's schema; ``label`` says where it came from.
    """
    return _validate(fill_defaults(document), label)


def list_chips() -> list[ChipSummary]:
    """Return one summary per packaged chip, by name."""
    return [summarize_chip(load_chip(name)) for name in packaged_files()]


def summarize_chip(chip: ChipSpec) -> ChipSummary:
    """Return the summary of a chip."""
    limits = [group.budget.get("neurons") for group in chip.cores]
    total = None
    if None not in limits:
        per_chip = (g.count * g.budget["neurons"] for g in chip.cores)
        total = sum(per_chip) * chip.board.n_chips
    return ChipSummary(
        name=chip.name,
        title=chip.title,
        describes=chip.describes,
        family=chip.arithmetic.family,
        n_cores=chip.n_cores,
        max_neurons=total,
        costs=tuple(chip.costs),
        default_costs=chip.default_costs,
        is_executable=chip.is_executable,
        is_imaginary=chip.is_imaginary,
    )


def vary_chip(chip: ChipSpec, changes: Mapping[str, Any]) -> ChipSpec:
    """Return a validated variant of ``chip``; what ``ChipSpec.with_`` calls.

    Parameters
    ----------
    changes : mapping
        ``mesh=(w, h)`` (tiles; the number of cores follows), ``cores=n`` (the mesh grows by rows
        or leaves positions unused), ``board=(w, h)``, ``budget={...}`` and ``soft_budget={...}``
        (of every core), any table of the file merged key by key, or dotted keys such as
        ``"arithmetic.v_bits"``.

    Returns
    -------
    ChipSpec
        Named after the change. Inherited prices whose memory, widths or mesh changed are unpriced,
        never scaled; state new ones under ``costs`` to price them.

    Raises
    ------
    ChipFileError
        For keys that do not exist and values that the schema refuses.
    """
    document = apply_changes(chip, changes)
    return replace(_validate(document, document["name"]), path=chip.path)


def write_chip_schema(path: str | Path | None = None) -> str:
    """Return the JSON schema of a chip file, and write it to ``path`` if one is given."""
    text = json.dumps(chip_json_schema(), indent=2, sort_keys=True) + "\n"
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _validate(document: Document, label: str) -> ChipSpec:
    problems = find_schema_problems(document)
    refused = [problem.key for problem in problems]
    for problem in find_contradictions(_without_keys(document, refused)):
        if not any(problem.key[: len(key)] == key for key in refused):
            problems.append(problem)
    if problems:
        raise ChipFileProblems(label, _without_repeats(document, problems))
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return build_chip(document, path=label, sha256=digest)


def _without_keys(document: Document, keys: list[tuple[str | int, ...]]) -> Document:
    """Return the document without what the schema refused: all that is left has its type."""
    sound: Document = copy.deepcopy(document)
    for key in keys:
        path = key[: next((i for i, part in enumerate(key) if isinstance(part, int)), len(key))]
        node: Any = sound
        for part in path[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(path[-1], None)
    return sound


def _without_repeats(document: Document, problems: list[Problem]) -> list[Problem]:
    """Drop repeated problems, and those of figures that only inherited a wrong default."""
    kept: dict[tuple[Any, ...], Problem] = {}
    defaults = {
        (p.key[1], p.key[-1]) for p in problems if p.key[:1] == ("costs",) and "defaults" in p.key
    }
    for problem in problems:
        is_costs = len(problem.key) > 4 and problem.key[0] == "costs"
        table = document["costs"][problem.key[1]] if is_costs else {}
        inherited = table.get("defaults", {}) if isinstance(table, dict) else {}
        field = problem.key[-1] if problem.key else None
        if (
            is_costs
            and (problem.key[1], field) in defaults
            and problem.value == inherited.get(field)
        ):
            continue
        kept.setdefault((problem.key, problem.reason.split(":")[0]), problem)
    return list(kept.values())
