"""``nmhw compare``: one network on several chips."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import (
    input_options,
    mapping_options,
    meaning_options,
    output_options,
)
from nmhw.cli.output import emit_json, emit_text, note

_PASSED_ON = ("readout", "layout", "encode", "n_steps", "metric", "pace", "backend")


@click.command("compare")
@click.argument("model")
@click.option("--chips", "names", required=True, metavar="A,B,...", help="Chip names or files.")
@input_options
@meaning_options
@mapping_options
@click.option(
    "--pace", metavar="PACE", help="free, realtime or period=1ms.  [default: each chip's]"
)
@click.option(
    "--backend", default="numba", metavar="B", help="numba or reference.  [default: numba]"
)
@output_options
def command(**options: Any) -> None:
    """Run MODEL on every chip of a comma-separated list and print one table."""
    from nmhw.api.comparison import compare
    from nmhw.cli.prepare import load_calibration, load_data, load_model
    from nmhw.report.compare_text import render_comparison

    network = load_model(options)
    data, labels = load_data(options)
    rows = compare(
        network,
        [name.strip() for name in options["names"].split(",") if name.strip()],
        data,
        labels,
        calibration=load_calibration(network, options),
        allow=options["allow"],
        seed=options["seed"],
        progress=lambda name: note(f"{network.name} on {name} ...", options["quiet"]),
        **{key: options[key] for key in _PASSED_ON},
    )
    if options["as_json"]:
        emit_json(rows)
    else:
        emit_text(render_comparison(options["model"], rows))
