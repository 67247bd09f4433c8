"""Chip files as plain documents: reading TOML, ``extends``, and prices that no longer apply."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from nmhw.errors import ChipFileError
from nmhw.io.chip_problems import ChipFileProblems, Problem, suggest
from nmhw.io.chip_stale import drop_stale_prices

Document = dict[str, Any]

#: Folder that packaged files are labeled with; a label loads as the name does.
PACKAGED = "nmhw/hwconfigs/"

#: Tables of a cost table whose entries are figures: replaced as a whole, never mixed field by
#: field, because value and provenance belong together.
FIGURE_TABLES = ("energy_pj", "latency_ns", "static_w")
_DEFAULTED = ("source", "grade", "basis", "scope", "voltage_v", "node_nm")
_PLACE = re.compile(r"\s*\(at line (\d+), column (\d+)\)|\s*\(at end of document\)")


def packaged_files() -> dict[str, Traversable]:
    """Return the packaged chip files by name, sorted."""
    folder = resources.files("nmhw.hwconfigs")
    files = {f.name.removesuffix(".toml"): f for f in folder.iterdir() if f.name.endswith(".toml")}
    return dict(sorted(files.items()))


def locate(name_or_path: str | Path, beside: Path | None = None) -> tuple[Traversable | Path, str]:
    """Return (file, label): a packaged chip for a bare name, else a path.

    Parameters
    ----------
    beside : Path, optional
        Folder that relative paths start from (of the file whose ``extends`` is resolved).
    """
    text = str(name_or_path)
    if text.startswith(PACKAGED) and not Path(text).exists():
        text = name_or_path = text.removeprefix(PACKAGED).removesuffix(".toml")
    is_path = isinstance(name_or_path, Path) or "/" in text or "\\" in text
    if not is_path and not text.endswith(".toml"):
        known = packaged_files()
        if text not in known:
            raise ChipFileError(
                "no such chip", got=repr(text), hint=suggest(text, known), rule="chip.unknown"
            )
        return known[text], f"{PACKAGED}{text}.toml"
    path = Path(text) if beside is None else beside / text
    if not path.is_file():
        near = suggest(path.stem, packaged_files())
        hint = f"a packaged chip ({near})" if near else None
        reason = "is a folder, not a chip file" if path.is_dir() else "no such chip file"
        raise ChipFileError(reason, where=str(path), hint=hint, rule="chip.file")
    return path, str(path)


def read_document(name_or_path: str | Path) -> tuple[Document, str]:
    """Read a chip file and its parents.

    Returns
    -------
    document : dict
        Merged, with the defaults of each cost table written into its figures.
    label : str
        What errors and reports call the file.
    """
    file, label = locate(name_or_path)
    return _resolve(file, label, ()), label


def _resolve(file: Traversable | Path, label: str, seen: tuple[str, ...]) -> Document:
    identity = str(file.resolve()) if isinstance(file, Path) else label
    if identity in seen:
        chain = " -> ".join(Path(s).name for s in (*seen[seen.index(identity) :], identity))
        raise ChipFileProblems(
            label, [Problem(("extends",), f"cycle: {chain}", rule="chip.extends-cycle")]
        )
    document = fill_defaults(_parse(file, label))
    parent_name, dropped = document.pop("extends", None), document.pop("drop", [])
    if parent_name is None:
        if dropped:
            problem = Problem(("drop",), "needs 'extends'", dropped, rule="chip.extends")
            raise ChipFileProblems(label, [problem])
        return document
    if not isinstance(parent_name, str):
        problem = Problem(("extends",), "must be a name or a path", parent_name, rule="chip.type")
        raise ChipFileProblems(label, [problem])
    beside = file.parent if isinstance(file, Path) else None
    try:
        parent_file, parent_label = locate(parent_name, beside)
    except ChipFileError as error:
        where = f"{label}: extends"
        raise ChipFileError(
            f"parent not found ({error.what})", got=parent_name, where=where, hint=error.hint
        ) from None
    parent = _resolve(parent_file, parent_label, (*seen, identity))
    return inherit(remove_keys(parent, dropped, label), document)


def _parse(file: Traversable | Path, label: str) -> Document:
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ChipFileError(
            f"not UTF-8 text (byte {error.start})", where=label, rule="chip.toml"
        ) from None
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
        raise ChipFileError(reason, where=label, rule="chip.file") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _PLACE.search(str(error))
        line = int(found[1]) if found and found[1] else text.count("\n") + 1
        reason = _PLACE.sub("", str(error)).strip().lower()
        lines = text.splitlines()
        got = repr(lines[line - 1].strip()) if line <= len(lines) else None
        where = f"{label}, line {line}"
        raise ChipFileError(
            f"not valid TOML: {reason}", got=got, where=where, rule="chip.toml"
        ) from None


def inherit(parent: Document, changes: Mapping[str, Any]) -> Document:
    """Return ``parent`` with ``changes`` merged in; inherited prices that no longer apply go.

    Tables are merged key by key, arrays and figures are replaced as a whole, and a limit that is
    changed without a citation of its own loses the parent's.
    """
    merged = merge(parent, fill_defaults(changes))
    _drop_old_citations(parent, merged, changes)
    return drop_stale_prices(parent, merged, changes)


def merge(below: Mapping[str, Any], above: Mapping[str, Any], depth: int = 0) -> Document:
    """Return a deep merge in which ``above`` wins; see ``inherit``."""
    merged: Document = dict(copy.deepcopy(dict(below)))
    for key, value in above.items():
        old = merged.get(key)
        if isinstance(old, dict) and isinstance(value, Mapping) and not _is_figure(value, old):
            merged[key] = merge(old, value, depth + 1)
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _is_figure(*tables: Mapping[str, Any]) -> bool:
    marks = {"value", "included_in", "grade", "basis"}
    return any(marks & set(table) for table in tables)


def fill_defaults(document: Mapping[str, Any]) -> Document:
    """Return the document with each cost table's defaults written into its own figures.

    A figure that names a source of its own takes none of them: voltage, grade and basis belong to
    the source they were stated for.
    """
    filled: Document = copy.deepcopy(dict(document))
    for table in _tables(filled.get("costs")):
        defaults = table.get("defaults")
        if not isinstance(defaults, dict):
            continue
        known = {k: v for k, v in defaults.items() if k in _DEFAULTED}
        for figures in _figure_lists(table):
            for name, figure in figures.items():
                figures[name] = _with_defaults(figure, known)
        sync = table.get("sync")
        if isinstance(sync, dict) and "tick_s" in sync:
            sync["tick_s"] = _with_defaults(sync["tick_s"], known)
        for holder in (sync, *_tables(table.get("laws"))):
            if isinstance(holder, dict) and isinstance(holder.get("points"), list):
                holder["points"] = [_with_defaults(point, known) for point in holder["points"]]
        for law in _tables(table.get("laws")):
            if "source" in known:
                law.setdefault("source", known["source"])
    return filled


def _with_defaults(figure: Any, known: Mapping[str, Any]) -> Any:
    if not isinstance(figure, dict) or "source" in figure:
        return figure
    return {**known, **figure}


def _tables(node: Any) -> Iterator[Document]:
    if isinstance(node, dict):
        yield from (t for t in node.values() if isinstance(t, dict))


def _figure_lists(table: Document) -> Iterator[Document]:
    yield from (table[k] for k in FIGURE_TABLES if isinstance(table.get(k), dict))
    for law in _tables(table.get("laws")):
        if isinstance(law.get("terms"), dict):
            yield law["terms"]


def split_key(document: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """Return the path of a dotted key; keys that contain dots ("hop.x") are recognized.

    Where nothing matches, the rest is split at every dot.
    """
    path: list[str] = []
    node: Any = document
    words = key.split(".")
    while words:
        for n in range(len(words), 0, -1):
            name = ".".join(words[:n])
            if isinstance(node, Mapping) and name in node:
                break
        else:
            return (*path, *words)
        path.append(name)
        node, words = node[name], words[n:]
    return tuple(path)


def remove_keys(document: Document, dropped: Any, label: str) -> Document:
    """Return the document without the dotted keys ``dropped``."""
    rest = copy.deepcopy(document)
    if not isinstance(dropped, list):
        problem = Problem(("drop",), "must be a list of dotted keys", dropped, rule="chip.type")
        raise ChipFileProblems(label, [problem])
    for key in dropped:
        path = split_key(rest, str(key))
        node: Any = rest
        for part in path[:-1]:
            node = node.get(part) if isinstance(node, dict) else None
        if not isinstance(node, dict) or path[-1] not in node:
            hint = suggest(path[-1], node) if isinstance(node, dict) else None
            problem = Problem(("drop",), "the parent has no such key", key, hint, "chip.extends")
            raise ChipFileProblems(label, [problem])
        del node[path[-1]]
    return rest


def _drop_old_citations(parent: Any, merged: Any, changes: Any) -> None:
    if not isinstance(merged, dict) or not isinstance(parent, dict):
        return
    citations, stated = merged.get("citations"), changes.get("citations", {})
    if isinstance(citations, dict):
        for holder in ("budget", "soft_budget", None):
            new = changes if holder is None else changes.get(holder)
            for name, value in new.items() if isinstance(new, Mapping) else ():
                old = parent if holder is None else parent.get(holder, {})
                if name in citations and name not in stated and old.get(name) != value:
                    del citations[name]
    for key, value in changes.items():
        if isinstance(value, Mapping):
            _drop_old_citations(parent.get(key), merged.get(key), value)
