"""``nmhw lava``: make the environment that ``--backend lava`` runs in, and look at it."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.lava_rule import command as rule_command
from nmhw.cli.output import emit_json, emit_text, note


@click.group("lava")
def command() -> None:
    """Make and check the environment of the Lava backend (lava-nc 0.10.0, archived upstream)."""


@command.command("install")
@click.option("--python", metavar="FILE", help="Make it with this interpreter (3.10 to 3.13).")
@click.option("--folder", metavar="DIR", help="Make it here.  [default: the user's cache]")
@click.option(
    "--find-links", multiple=True, metavar="DIR",
    help="Take packages from this folder, none from the network. Repeatable.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Make it again where one is.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no talk on stderr.")
def install(**options: Any) -> None:
    """Install lava-nc 0.10.0 into an environment of its own."""
    from pathlib import Path

    from nmhw.sim.lava.install import install_lava
    from nmhw.sim.lava.place import VARIABLE

    folder = options["folder"]
    python = install_lava(
        None if folder is None else Path(folder),
        python=options["python"],
        find_links=options["find_links"],
        is_forced=options["force"],
        say=lambda text: note(text, options["quiet"]),
    )
    if folder is not None:
        note(f"say {VARIABLE}={python} to use it", options["quiet"])
    if options["as_json"]:
        emit_json({"python": str(python)})
    else:
        emit_text(f"Lava environment: {python}\n")


@command.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="No talk on stderr.")
def status(as_json: bool, quiet: bool) -> None:
    """Start the environment and print its versions."""
    from nmhw.sim.lava.child import read_versions
    from nmhw.sim.lava.place import lava_python

    python = lava_python()
    record = {"interpreter": str(python), **read_versions(python)}
    if as_json:
        emit_json(record)
    else:
        emit_text("".join(f"{key:12} {value}\n" for key, value in record.items()))


command.add_command(rule_command)
