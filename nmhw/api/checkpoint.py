"""Finished pieces of a long run, kept in its output folder until the whole run is saved there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nmhw
from nmhw.api.targets import UNFINISHED
from nmhw.errors import InputError, ResultFileError, UsageError
from nmhw.values.provenance import fingerprint
from nmhw.values.result import RunResult

#: Seconds of work after which finished pieces are written.
INTERVAL_S = 30.0
#: Seconds of work that are worth keeping when a run is interrupted.
WORTH_S = 5.0

_RUN = "run.json"


@dataclass(frozen=True, slots=True)
class Part:
    """What a piece of samples [first, end) gave: a result, or the float run's decisions."""

    first: int
    end: int
    inputs: str
    content: Any


@dataclass(slots=True, eq=False)
class Checkpoint:
    """The unfinished run of one folder.

    Attributes
    ----------
    folder : Path
        Where the run will be saved; parts lie in a folder inside.
    key : mapping of str to str
        What the parts depend on, besides the inputs, whose digest every part carries.
    is_eager : bool
        Write after every piece, not only after ``INTERVAL_S``.
    """

    folder: Path
    key: Mapping[str, str]
    is_eager: bool = False
    _pending: list[tuple[str, Part]] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    @property
    def place(self) -> Path:
        """Folder of the parts."""
        return self.folder / UNFINISHED

    def open(self, resume: bool) -> None:
        """Judge what an earlier run left.

        Raises
        ------
        UsageError
            For parts of another run, or parts without ``resume``.
        """
        if not has_parts(self.folder):
            shutil.rmtree(self.place, ignore_errors=True)
            return
        if not resume:
            raise UsageError(
                "the output folder holds an unfinished run", got=str(self.folder),
                hint=f"--resume, or remove {UNFINISHED} in it", rule="output.unfinished",
            )  # fmt: skip
        known = _read(self.place / _RUN) or {}
        changed = sorted(k for k in {*known, *self.key} if known.get(k) != self.key.get(k))
        if changed:
            raise UsageError(
                "the unfinished run differs from this one", got=", ".join(changed),
                where=str(self.folder), hint="the same command, or another output folder",
                rule="output.unfinished-differs",
            )  # fmt: skip

    def parts(self, kind: str) -> list[Part]:
        """Return the parts of a kind that follow each other from sample 0 on."""
        found: list[Part] = []
        for path in sorted(self.place.glob(f"{kind}-*.json")):
            part = _load(path)
            if part is None or part.first != (found[-1].end if found else 0):
                break  # damaged, or behind a gap: these samples run again
            found.append(part)
        return found

    def add(self, kind: str, part: Part) -> None:
        """Keep a finished piece, and write the pieces when it is time."""
        self._pending.append((kind, part))
        if self.is_eager or time.monotonic() - self._since >= INTERVAL_S:
            self.flush()

    def interrupt(self) -> None:
        """Write what is finished, if it was enough work."""
        if self._pending and time.monotonic() - self._since >= WORTH_S:
            self.flush()

    def flush(self) -> None:
        """Write all finished pieces."""
        from nmhw.io.atomic import write_text
        from nmhw.io.result_file import save_result

        for kind, part in self._pending:
            name = f"{kind}-{part.first:010d}-{part.end:010d}"
            if not (self.place / _RUN).exists():
                write_text(self.place / _RUN, json.dumps(dict(self.key), sort_keys=True))
            entry: dict[str, Any] = {"first": part.first, "end": part.end, "inputs": part.inputs}
            if isinstance(part.content, RunResult):
                save_result(part.content, self.place / f"{name}.h5", keep_spikes=2**62)
            else:
                entry["content"] = part.content
            write_text(self.place / f"{name}.json", json.dumps(entry))  # last: now it counts
        self._pending.clear()
        self._since = time.monotonic()


def check_same_inputs(part: Part, inputs: Mapping[str, Any], folder: Path) -> None:
    """Refuse a part whose samples are not the same spikes any more.

    Raises
    ------
    InputError
        Naming the samples.
    """
    if fingerprint(inputs) != part.inputs:
        raise InputError(
            "the inputs changed since the unfinished run", where=str(folder),
            got=f"samples {part.first} to {part.end - 1}", hint="another output folder",
            rule="output.unfinished-differs",
        )  # fmt: skip


def run_key(values: Mapping[str, Any]) -> dict[str, str]:
    """Return what parts depend on as text: short values as they are, others by their digest."""
    key = {"nmhw": nmhw.__version__}
    for name, value in values.items():
        plain = isinstance(value, str | int | float | bool | None)
        key[name] = str(value) if plain else fingerprint(value)
    return key


def has_parts(folder: Path) -> bool:
    """Whether an unfinished run lies in the folder."""
    return any((folder / UNFINISHED).glob("*-*.json"))


def _load(path: Path) -> Part | None:
    from nmhw.io.result_file import load_saved_result

    entry = _read(path)
    try:
        if entry is None:
            return None
        content = entry.get("content")
        if content is None:
            content = load_saved_result(path.with_suffix(".h5"))
        return Part(int(entry["first"]), int(entry["end"]), str(entry["inputs"]), content)
    except (ResultFileError, KeyError, TypeError, ValueError):
        return None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None
