"""``nmhw map``: quantize and map, write the mapping."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.event_options import event_options
from nmhw.cli.options import mapping_options, meaning_options, output_options
from nmhw.cli.output import emit_json, emit_text, note


@click.command("map")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", required=True, help="Chip name or .toml file.")
@click.option("-o", "--output", metavar="FILE", help="Write the mapping (HDF5) here.")
@meaning_options
@mapping_options
@event_options
@output_options
def command(**options: Any) -> None:
    """Quantize and map MODEL; print layer and core tables.

    'nmhw run --mapping FILE' uses the mapping again; give it the same --calibration, --profile
    and --allow, because they decide the integers.
    """
    from nmhw.api.targets import check_file_target
    from nmhw.cli.prepare import deploy_model, load_model

    if options["output"] is not None:
        inputs = (options["model"], options["calibration"], options["chip_name"])
        check_file_target(options["output"], "mapping", inputs)
    deployed = deploy_model(load_model(options), options)
    if options["output"] is not None:
        deployed.save(options["output"])
        note(f"wrote {options['output']}", options["quiet"])
    if options["as_json"]:
        emit_json(deployed.summary())
    else:
        emit_text(deployed.report())
