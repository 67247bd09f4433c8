"""``nmhw check``: read, validate, show; fits or why not."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options, refuse_options
from nmhw.cli.output import emit_json, emit_text, note

_CHIP_ONLY = {"calibration": "--calibration", "allow": "--allow", "seed": "--seed"}


@click.command("check")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP",
              help="Also map it: fits, or why not. all = every packaged chip, as a table.",
              )  # fmt: skip
@meaning_options
@mapping_options
@output_options
def command(**options: Any) -> None:
    """Read and validate MODEL (a .nir file); with --chip, say whether it fits."""
    from nmhw.api.comparison import ALL_CHIPS, compare
    from nmhw.api.describe import describe_network
    from nmhw.cli.prepare import deploy_model, load_calibration, load_model
    from nmhw.report.compare_text import render_comparison
    from nmhw.report.network_text import render_network

    if options["chip_name"] is None:
        refuse_options(_CHIP_ONLY, "without --chip", "--chip NAME (nmhw chips lists them)")
    network = load_model(options)
    summary: dict[str, Any] = describe_network(network)
    text = render_network(summary)
    if options["chip_name"] == ALL_CHIPS:
        rows = compare(
            network,
            ALL_CHIPS,
            calibration=load_calibration(network, options),
            allow=options["allow"],
            seed=options["seed"],
            progress=lambda name: note(f"{network.name} on {name} ...", options["quiet"]),
        )
        summary["chips"] = rows
        text += "\n" + render_comparison(summary["model"], rows, is_run=False)
    elif options["chip_name"] is not None:
        deployed = deploy_model(network, options)
        summary = {**summary, **deployed.summary()}
        text += "\n" + deployed.report()
    if options["as_json"]:
        emit_json(summary)
    else:
        emit_text(text)
