"""Talk to people: progress bars and notes on stderr, data on stdout."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

Progress = Callable[[int, int | None], None]
Phases = Callable[[str], None]

#: Work that takes no longer than this shows no line.
_PATIENCE_S = 2.0


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


@contextmanager
def phase_line(label: str, quiet: bool = False) -> Iterator[Phases | None]:
    """Yield a callable(phase) for a line on stderr that names it; None off a terminal.

    The line shows the elapsed time; it appears after two seconds and vanishes at the end.
    """
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    )  # fmt: skip
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(label, total=None)
    timer = threading.Timer(_PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda phase: bar.update(task, description=f"{label}: {phase}")
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
