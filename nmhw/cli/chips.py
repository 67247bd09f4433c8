"""``nmhw chips``: list chips, show one with every source, start and validate one's own."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from nmhw.cli.options import output_options
from nmhw.cli.output import emit_json, emit_text, note

_SHOW = "(show)"


class ChipsGroup(click.Group):
    """``chips new`` and ``chips check``; any other word is the name of a chip to show."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the subcommand first: flags may stand before it."""
        words = [a for a in args if not a.startswith("-")]
        if words and words[0] in self.commands:
            first = args.index(words[0])
            args = [words[0], *args[:first], *args[first + 1 :]]
        elif words or not {"-h", "--help"} & set(args):
            args = [_SHOW, *args]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the words behind ``chips``."""
        return ["[NAME | new NAME | check FILE]"]


@click.group("chips", cls=ChipsGroup)
@output_options
def command(as_json: bool, quiet: bool) -> None:  # the subcommands take the flags
    """List the chips, or show the whole sheet of NAME (or of a .toml file)."""


@command.command(_SHOW, hidden=True)
@click.argument("name", required=False)
@output_options
def show(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the chips, or show the whole sheet of NAME (or of a .toml file)."""
    from nmhw.io.chip_file import list_chips, load_chip
    from nmhw.report.chip_text import render_chip, render_chip_list

    if name is None:
        rows = [dataclasses.asdict(entry) for entry in list_chips()]
        if as_json:
            emit_json(rows)
        else:
            emit_text(render_chip_list(rows))
        return
    chip = load_chip(name)
    if as_json:
        record = _as_dict(chip)
        if not chip.is_executable:  # what the file leaves unsaid is unknown, not a default
            stated = chip.document["arithmetic"]
            record["arithmetic"] = {k: v for k, v in record["arithmetic"].items() if k in stated}
        emit_json(record)
    else:
        emit_text(render_chip(chip))


@command.command("new")
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="Write here.  [default: print it]")
@output_options
def new(name: str, output: str | None, as_json: bool, quiet: bool) -> None:
    """Start a chip file: complete, valid and commented, with invented numbers."""
    from nmhw.api.targets import check_file_target
    from nmhw.io.atomic import write_text
    from nmhw.io.chip_template import write_template

    text = write_template(name)
    if output is not None:
        check_file_target(output, "chip file")
        write_text(output, text)
        note(f"written to {output}; next: nmhw chips check {output}", quiet)
    if as_json:
        emit_json({"name": name, "path": output, "text": text})
    elif output is None:
        emit_text(text)


@command.command("check")
@click.argument("file")
@output_options
def check(file: str, as_json: bool, quiet: bool) -> None:
    """Validate a chip file: a summary, or all problems at once (exit code 2)."""
    from nmhw.io.chip_file import load_chip, summarize_chip
    from nmhw.report.chip_text import render_chip_check

    chip = load_chip(file)
    if as_json:
        emit_json({"valid": True, "file": chip.path, **dataclasses.asdict(summarize_chip(chip))})
    else:
        emit_text(render_chip_check(chip))


def _as_dict(value: Any) -> Any:
    """Turn nested frozen records and mappings into JSON values."""
    if dataclasses.is_dataclass(value):
        names = (f.name for f in dataclasses.fields(value) if f.name != "document")
        return {name: _as_dict(getattr(value, name)) for name in names}
    if isinstance(value, list | tuple):
        return [_as_dict(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): _as_dict(item) for key, item in value.items()}
    return value
