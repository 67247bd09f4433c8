"""Building blocks of every text report: 100 columns, plain tables, hanging indents."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

WIDTH = 100

#: Counts above this one are rounded in tables.
LONGEST_COUNT = 999_999

_KINDS = {"warning": "Warnings", "approximation": "Approximations", "assumption": "Assumptions"}


def render(parts: Iterable[RenderableType], *, color: bool = False) -> str:
    """Render rich objects to text without trailing blanks; names are never read as markup."""
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=WIDTH,
        force_terminal=color,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    for part in parts:
        if isinstance(part, Table) and part.title:
            console.print(Text(str(part.title), style="bold"))
            part.title = None
        console.print(part)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def new_table(title: str, columns: Sequence[str], left: int = 1) -> Table:
    """Return an empty table whose first ``left`` columns are left-aligned and may fold.

    ``render`` prints the title on a line of its own, so that a narrow table does not wrap it.
    """
    table = Table(title=title, box=None, pad_edge=False)
    for index, column in enumerate(columns):
        if index < left:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", overflow="fold", no_wrap=left == 1)
    return table


def indented(text: str, indent: int = 2) -> str:
    """Wrap one sentence to the width of the report, continuation lines two columns deeper."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2),
        break_on_hyphens=False,
    )


def notice_texts(notices: Iterable[dict[str, Any]]) -> list[RenderableType]:
    """Return warnings, approximations and assumptions as one block each."""
    known = list(notices)
    parts: list[RenderableType] = []
    for kind, title in _KINDS.items():
        lines = [indented(_notice_line(n)) for n in known if n["kind"] == kind]
        if lines:
            parts.append(Text("\n".join(["", title, *lines])))
    return parts


def _notice_line(notice: dict[str, Any]) -> str:
    hint = f" (try: {notice['hint']})" if notice.get("hint") else ""
    return f"{notice['where']}: {notice['text']}{hint} [{notice['rule']}]"
