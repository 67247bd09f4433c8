"""What is wrong with a chip file: every problem with its key, value, reason and suggestion."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from nmhw.errors import ChipFileError

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule of a chip file.

    Attributes
    ----------
    key : tuple of str or int
        Path from the top of the document.
    reason : str
        The rule, as a statement.
    value : object
        What the file says; None where the key is missing.
    hint : str or None
    rule : str
        Stable identifier, e.g. ``"chip.negative"``.
    """

    key: tuple[str | int, ...]
    reason: str
    value: object = None
    hint: str | None = None
    rule: str = "chip.schema"

    def __str__(self) -> str:
        text = f"{dotted(self.key)}: {self.reason}" if self.key else self.reason
        if self.value is not None:
            text += f": got {shorten(self.value)}"
        if self.hint:
            text += f"; try: {self.hint}"
        return f"{text} [{self.rule}]"


class ChipFileProblems(ChipFileError):
    """A chip file with one or several problems, all of them listed.

    Attributes
    ----------
    problems : tuple of Problem
    """

    def __init__(self, where: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            only = self.problems[0]
            place = f"{where}: {dotted(only.key)}" if only.key else where
            got = None if only.value is None else shorten(only.value)
            super().__init__(only.reason, got=got, where=place, hint=only.hint, rule=only.rule)
        else:
            lines = "".join(f"\n  - {problem}" for problem in self.problems)
            super().__init__(f"{len(self.problems)} problems in the chip file{lines}", where=where)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values, with every problem on its own."""
        listed = [
            {
                "key": dotted(p.key),
                "value": None if p.value is None else shorten(p.value),
                "reason": p.reason,
                "hint": p.hint,
                "rule": p.rule,
            }
            for p in self.problems
        ]
        return {**super().to_dict(), "error": "ChipFileError", "problems": listed}


def dotted(key: Iterable[str | int]) -> str:
    """Return a key path as TOML would write it: ``costs.d18.energy_pj."hop.x"``."""
    parts: list[str] = []
    for part in key:
        if isinstance(part, int):
            parts[-1:] = [f"{parts[-1] if parts else ''}[{part}]"]
        else:
            parts.append(part if _BARE_KEY.fullmatch(part) else f'"{part}"')
    return ".".join(parts)


def shorten(value: object, limit: int = 60) -> str:
    """Return ``repr(value)``, cut to ``limit`` characters."""
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def suggest(word: object, known: Iterable[str]) -> str | None:
    """Return "did you mean ..." for the closest known words, else the list of known ones."""
    choices = list(known)
    close = difflib.get_close_matches(str(word), choices, n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    if not choices:
        return None
    return "one of " + ", ".join(choices)
