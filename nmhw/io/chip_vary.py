"""Variants of a chip: changes in the user's short form applied to the chip's document."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from nmhw.errors import ChipFileError
from nmhw.io.chip_document import Document, inherit, split_key
from nmhw.values.chip import ChipSpec

_SHORT = ("mesh", "cores", "board", "budget", "soft_budget")


def apply_changes(chip: ChipSpec, changes: Mapping[str, Any]) -> Document:
    """Return the document of the variant: renamed, stale prices dropped, not yet validated."""
    if not chip.document:
        raise ChipFileError("has no file behind it, so it cannot be varied", where=chip.name)
    base: Document = copy.deepcopy(dict(chip.document))
    plain = {name: _plain(value) for name, value in changes.items()}
    nested: Document = {}
    for name, value in plain.items():
        if name not in _SHORT:
            _put(nested, split_key(base, name), value)
    _apply_budgets(base, nested, plain)
    _apply_geometry(chip, base, nested, plain)
    variant = inherit(base, nested)
    variant["name"] = _name(chip.name, plain)
    return variant


def _plain(value: Any) -> Any:
    """Return tuples as lists and NumPy numbers as Python's, as TOML would give them."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _put(document: Document, path: tuple[str, ...], value: Any) -> None:
    node = document
    for part in path[:-1]:
        node = node.setdefault(part, {})
    old = node.get(path[-1])
    if isinstance(old, dict) and isinstance(value, dict):
        old.update(value)
    else:
        node[path[-1]] = value


def _apply_budgets(base: Document, nested: Document, plain: Mapping[str, Any]) -> None:
    for name in ("budget", "soft_budget"):
        if name in plain:
            for group in base["cores"]:
                _put(nested, ("cores", group, name), copy.deepcopy(plain[name]))


def _apply_geometry(
    chip: ChipSpec, base: Document, nested: Document, plain: Mapping[str, Any]
) -> None:
    mesh, cores, board = (plain.get(name) for name in ("mesh", "cores", "board"))
    if isinstance(mesh, dict):
        _put(nested, ("mesh",), mesh)
    elif mesh is not None:
        width, height = _two(chip, "mesh", mesh)
        _put(nested, ("mesh",), {"width": width, "height": height})
    if isinstance(cores, dict):
        _put(nested, ("cores",), cores)
    elif mesh is not None or cores is not None:
        _count_cores(chip, base, nested, cores, mesh is not None)
    if isinstance(board, dict):
        _put(nested, ("board",), board)
    elif board is not None:
        width, height = _two(chip, "board", board)
        _put(nested, ("board",), {"width": width, "height": height})
        nested["describes"] = "board" if width * height > 1 else base["describes"]


def _count_cores(
    chip: ChipSpec, base: Document, nested: Document, cores: int | None, is_mesh_given: bool
) -> None:
    """Make the number of cores and the mesh agree; only chips with one kind of core."""
    if cores is not None and (not isinstance(cores, int) or isinstance(cores, bool) or cores < 1):
        raise ChipFileError("cores must be a positive number", got=cores, where=chip.name)
    if len(base["cores"]) != 1:
        groups = ", ".join(base["cores"])
        raise ChipFileError(
            "this chip has several kinds of cores: say which",
            got=f"{cores} cores" if cores else "a mesh alone",
            where=chip.name,
            hint=f"cores={{'NAME': {{'count': n}}}} with {groups}",
        )
    mesh = {**base["mesh"], **nested.get("mesh", {})}
    sides = [mesh["width"], mesh["height"], mesh.get("cores_per_tile", 1)]
    unused = nested.get("mesh", {}).get("unused_cores", 0)
    if not all(type(n) is int and n > 0 for n in sides) or type(unused) is not int:
        return  # the schema says what is wrong with the mesh
    width, height, per_tile = sides
    if cores is None:
        cores = width * height * per_tile - unused
    elif not is_mesh_given:
        height = max(height, -(-cores // (width * per_tile)))
        _put(nested, ("mesh",), {"height": height})
    unused = max(width * height * per_tile - cores, 0)
    _put(nested, ("mesh",), {"unused_cores": unused})
    _put(nested, ("cores", next(iter(base["cores"]))), {"count": cores})


def _two(chip: ChipSpec, name: str, value: Any) -> tuple[int, int]:
    if not (isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value)):
        raise ChipFileError(
            f"{name} must be (width, height)", got=value, where=chip.name, hint=f"{name}=(8, 8)"
        )
    if min(value) < 1:
        raise ChipFileError(f"{name} must be positive", got=tuple(value), where=chip.name)
    return value[0], value[1]


def _name(name: str, plain: Mapping[str, Any]) -> str:
    said = [_say(key, value) for key, value in plain.items()]
    if not said:
        return name
    base, _, old = name.rstrip("]").partition("[")
    return f"{base}[{','.join(filter(None, [old, *said]))}]"


def _say(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(_say(f"{key}.{k}", v) for k, v in value.items())
    if isinstance(value, list):
        value = "x".join(str(v) for v in value)
    return f"{key}={value}"
