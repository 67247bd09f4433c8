"""``nmhw check``: read, validate, show; fits or why not."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options
from nmhw.cli.output import emit_json


@click.command("check")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", help="Also map it: fits, or why not.")
@meaning_options
@mapping_options
@output_options
def command(
    model: str,
    chip_name: str | None,
    profile: str | None,
    dt: str | None,
    settings: tuple[str, ...],
    calibration: str | None,
    allow: tuple[str, ...],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Read and validate MODEL (a .nir file); with --chip, say whether it fits."""
    from nmhw.api.describe import describe_network
    from nmhw.cli.prepare import deploy_model, load_model

    network = load_model(model, profile, dt, settings)
    summary: dict[str, Any] = describe_network(network)
    deployed = None
    if chip_name is not None:
        deployed = deploy_model(network, chip_name, calibration, allow, seed, quiet)
        summary = {**summary, **deployed.summary()}
    if as_json:
        emit_json(summary)
        return
    from nmhw.report.network_text import render_network

    click.echo(render_network(summary), nl=False)
    if deployed is not None:
        click.echo(deployed.report(), nl=False)
