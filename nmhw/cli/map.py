"""``nmhw map``: quantize and map, write the mapping."""

from __future__ import annotations

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options
from nmhw.cli.output import emit_json, note


@click.command("map")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", required=True, help="Chip name or .toml file.")
@click.option("-o", "--output", metavar="FILE", help="Write the mapping (HDF5) here.")
@meaning_options
@mapping_options
@output_options
def command(
    model: str,
    chip_name: str,
    output: str | None,
    profile: str | None,
    dt: str | None,
    settings: tuple[str, ...],
    calibration: str | None,
    allow: tuple[str, ...],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Quantize and map MODEL; print layer and core tables."""
    from nmhw.cli.prepare import deploy_model, load_model

    network = load_model(model, profile, dt, settings)
    deployed = deploy_model(network, chip_name, calibration, allow, seed, quiet)
    if output is not None:
        from nmhw.io.mapping_file import save_mapping

        save_mapping(deployed.mapping, output)
        note(f"wrote {output}", quiet)
    if as_json:
        emit_json(deployed.summary())
    else:
        click.echo(deployed.report(), nl=False)
