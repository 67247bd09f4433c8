"""``nmhw check``: read, validate, show; fits or why not."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options, refuse_options
from nmhw.cli.output import emit_json, emit_text

_CHIP_ONLY = {"calibration": "--calibration", "allow": "--allow", "seed": "--seed"}


@click.command("check")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", help="Also map it: fits, or why not.")
@meaning_options
@mapping_options
@output_options
def command(**options: Any) -> None:
    """Read and validate MODEL (a .nir file); with --chip, say whether it fits."""
    from nmhw.api.describe import describe_network
    from nmhw.cli.prepare import deploy_model, load_model
    from nmhw.report.network_text import render_network

    if options["chip_name"] is None:
        refuse_options(_CHIP_ONLY, "without --chip", "--chip NAME (nmhw chips lists them)")
    network = load_model(options)
    summary: dict[str, Any] = describe_network(network)
    text = render_network(summary)
    if options["chip_name"] is not None:
        deployed = deploy_model(network, options)
        summary = {**summary, **deployed.summary()}
        text += "\n" + deployed.report()
    if options["as_json"]:
        emit_json(summary)
    else:
        emit_text(text)
