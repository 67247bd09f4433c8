"""Talk to people: progress bars and notes on stderr, data on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

Progress = Callable[[int, int | None], None]


def emit_json(data: Any) -> None:
    """Print JSON on stdout."""
    click.echo(json.dumps(data, indent=1, allow_nan=False))


def emit_text(text: str) -> None:
    """Print a report on stdout."""
    click.echo(text, nl=False)


def note(text: str, quiet: bool = False) -> None:
    """Print one line on stderr."""
    if not quiet:
        click.echo(text, err=True)


@contextmanager
def progress_bar(
    label: str, quiet: bool = False, unit: str = "samples"
) -> Iterator[Progress | None]:
    """Yield a callable(done, in all) that moves a bar on stderr; None off a terminal.

    The bar shows samples (or another unit), elapsed and remaining time.
    """
    if quiet or not sys.stderr.isatty():
        note(label + " ...", quiet)
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=None)

        at = 0

        def advance(done: int, total: int | None) -> None:
            nonlocal task, at
            if done < at:  # from 0 again: the float run that the chip run is compared with
                task = bar.add_task("running float, to compare", total=None)
            at = done
            bar.update(task, completed=done, total=total)

        yield advance
