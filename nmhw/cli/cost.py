"""``nmhw cost``: a recorded program on a chip, without simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from nmhw.cli.options import output_options, price_options
from nmhw.cli.output import emit_json, emit_text, note


@click.command("cost")
@click.argument("trace", metavar="TRACE")
@click.option("--chip", "chip_name", metavar="C", required=True, help="Chip name or file.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    metavar="N",
    help="Seed of the mapper.  [default: 0]",
)
@price_options
@click.option("-o", "--output", metavar="DIR", help="Save the result; nmhw report opens it.")
@output_options
def command(**options: Any) -> None:
    """Map, count and price the recorded spikes of TRACE (from nmhw.record and nmhw.save_trace).

    Nothing is executed: spikes as given, float, not chip integers. What no core can hold is
    listed as operations of the host, unpriced.
    """  # fmt: skip
    from nmhw.api.costing import cost, load_trace
    from nmhw.api.saved_run import check_target
    from nmhw.api.targets import check_folder_inputs

    if options["output"] is not None:
        folder = Path(options["output"])
        check_folder_inputs(folder, (options["trace"],))
        check_target(folder)
    trace = load_trace(options["trace"])
    run = cost(
        trace, options["chip_name"], costs=options["costs"], pace=options["pace"],
        seed=options["seed"],
    )  # fmt: skip
    if options["output"] is not None:
        note(f"wrote {run.save(options['output'])}", options["quiet"])
    if options["as_json"]:
        emit_json(run.to_json())
    else:
        emit_text(run.report())
