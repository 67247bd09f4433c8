"""``nmhw chips``: list chips, or show one with every source."""

from __future__ import annotations

import dataclasses
from typing import Any

import click

from nmhw.cli.options import output_options
from nmhw.cli.output import emit_json


@click.command("chips")
@click.argument("name", required=False)
@output_options
def command(name: str | None, as_json: bool, quiet: bool) -> None:
    """List the chips, or show the whole sheet of NAME (or of a .toml file)."""
    from nmhw.io.chip_file import list_chips, load_chip
    from nmhw.report.chip_text import render_chip, render_chip_list

    if name is None:
        rows = [dataclasses.asdict(entry) for entry in list_chips()]
        if as_json:
            emit_json(rows)
        else:
            click.echo(render_chip_list(rows), nl=False)
        return
    chip = load_chip(name)
    if as_json:
        record = _as_dict(chip)
        if not chip.is_executable:  # what the file leaves unsaid is unknown, not a default
            stated = chip.document["arithmetic"]
            record["arithmetic"] = {k: v for k, v in record["arithmetic"].items() if k in stated}
        emit_json(record)
    else:
        click.echo(render_chip(chip), nl=False)


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
