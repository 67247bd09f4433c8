"""Where output may go: a file that nmhw did not write is never replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nmhw.errors import NmhwError, UsageError

Kind = Literal["mapping", "HTML report", "chip file", "NIR file", "trace"]

#: Checksums of a saved run's files, beside them.
SUMS = "SHA256SUMS"

#: Folder of the finished pieces of a run that is not, inside its output folder.
UNFINISHED = ".unfinished"

#: Stands in the first kilobyte of every HTML report.
HTML_MARK = b'<meta name="generator" content="nmhw">'

# What a temporary name beside the target is longer by; the limit of common file systems.
_SUFFIX, _LONGEST_NAME = 16, 255


def check_file_target(
    path: str | Path, kind: Kind, inputs: Iterable[str | Path | None] = ()
) -> None:
    """Refuse a file that cannot be written, is an input, or is not of this kind by nmhw.

    Raises
    ------
    UsageError
        Before anything is touched.
    """
    target = Path(path)
    try:
        if target.is_dir():
            raise UsageError("cannot write the file", got="Is a directory", where=str(target))
        _check_inputs(target, inputs)
        if os.path.lexists(target) and not _is_ours(target, kind):
            raise UsageError(
                "the output is an existing file"
                + (f" that is no {kind} of nmhw" if kind != "chip file" else ""),
                got=str(target),
                hint="a new file name",
                rule="output.foreign-file",
            )
    except (OSError, ValueError) as error:
        _refuse(error, target)
    if kind == "mapping" and is_saved_run(target.parent):
        raise UsageError(
            "the folder holds a saved run, whose checksums another file would break",
            got=str(target),
            hint="another folder",
            rule="output.saved-run",
        )
    check_writable(target, target.parent)


def check_writable(target: Path, folder: Path) -> None:
    """Refuse a target whose folder cannot be made or written, without making it.

    Raises
    ------
    UsageError
        With the reason of the operating system.
    """
    try:
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in target.parts) or (
            folder != target and len(os.fsencode(target.name)) > _LONGEST_NAME - _SUFFIX
        ):
            raise OSError(36, "File name too long")
        existing = folder
        while not os.path.lexists(existing) and existing != existing.parent:
            existing = existing.parent
        if not existing.is_dir():
            raise NotADirectoryError(20, "Not a directory")
        if not os.access(existing, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except (OSError, ValueError) as error:
        _refuse(error, target)


def check_folder_inputs(folder: Path, inputs: Iterable[str | Path | None]) -> None:
    """Refuse a result folder that holds one of the command's inputs.

    Raises
    ------
    UsageError
        Naming the input.
    """
    try:
        for source in inputs:
            if source is not None and Path(source).resolve().parent == folder.resolve():
                raise UsageError(
                    "the output folder holds an input of this command",
                    got=str(source),
                    hint="an empty or new folder",
                    rule="output.is-input",
                )
    except (OSError, ValueError) as error:
        _refuse(error, folder)


def is_saved_run(folder: Path) -> bool:
    """Return whether the folder holds a run that nmhw saved."""
    try:
        facts = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(facts, dict) and "nmhw_version" in facts and (folder / SUMS).is_file()


def _check_inputs(target: Path, inputs: Iterable[str | Path | None]) -> None:
    for source in inputs:
        if source is None or not target.exists() or not Path(source).exists():
            continue
        if target.samefile(source):
            raise UsageError(
                "the output is an input of this command",
                got=str(target),
                hint="a new file name",
                rule="output.is-input",
            )


def _is_ours(path: Path, kind: Kind) -> bool:
    if not path.is_file() or kind == "chip file":  # people edit those: never replaced
        return False
    if kind == "HTML report":
        with path.open("rb") as file:
            return HTML_MARK in file.read(1024)
    if kind == "NIR file":
        from nmhw.io.nir_write import is_written_here

        return is_written_here(path)
    from nmhw.io.mapping_file import load_mapping
    from nmhw.io.trace_file import load_trace

    try:
        (load_trace if kind == "trace" else load_mapping)(path)
    except NmhwError:
        return False
    return True


def _refuse(error: Exception, target: Path) -> None:
    """Turn what the operating system says into the user's error."""
    if isinstance(error, NmhwError):
        raise error
    reason = getattr(error, "strerror", None) or str(error)
    name = str(target)
    where = name if len(name) <= 80 else f"{name[:77]}..."
    raise UsageError("cannot write here", got=reason, where=where) from error
