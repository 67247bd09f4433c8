"""``nmhw compare``: one network on several chips."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from nmhw.cli.event_options import event_options
from nmhw.cli.options import (
    input_options,
    mapping_options,
    meaning_options,
    output_options,
    refuse_options,
)
from nmhw.cli.output import emit_json, emit_text, note

_PASSED_ON = ("readout", "layout", "encode", "n_steps", "repeat", "metric", "pace", "backend")

#: Options of a run, which is what --input asks for (the encoder also makes calibration spikes).
_RUN_ONLY = {
    "labels_path": "--labels", "readout": "--readout", "metric": "--metric", "pace": "--pace",
    "backend": "--backend",
}  # fmt: skip


@click.command("compare")
@click.argument("model")
@click.option("--chips", "names", required=True, metavar="A,B,...",
              help="Chip names or files; all = every packaged chip.")  # fmt: skip
@partial(input_options, required=False)
@event_options
@meaning_options
@mapping_options
@click.option(
    "--pace", metavar="PACE", help="free, realtime or period=1ms.  [default: each chip's]"
)
@click.option(
    "--backend", default="numba", metavar="B", help="numba, reference or lava.  [default: numba]"
)
@output_options
def command(**options: Any) -> None:
    """Run MODEL on every chip of a comma-separated list and print one table.

    Without --input the chips are checked: fits or why not, cores and utilization.
    """
    from nmhw.api.comparison import ALL_CHIPS, compare
    from nmhw.cli.prepare import load_calibration, load_data, load_model, steps_to_make
    from nmhw.report.compare_text import render_comparison

    is_run = options["input_path"] is not None
    if not is_run:
        refuse_options(_RUN_ONLY, "without --input", "--input FILE")
    network = load_model(options)
    data, labels = load_data(options, network) if is_run else (None, None)
    passed_on = {key: options[key] for key in _PASSED_ON}
    passed_on["n_steps"] = steps_to_make(data, options)
    names = [name.strip() for name in options["names"].split(",") if name.strip()]
    rows = compare(
        network,
        ALL_CHIPS if names == [ALL_CHIPS] else names,
        data,
        labels,
        calibration=load_calibration(network, options),
        allow=options["allow"],
        seed=options["seed"],
        progress=lambda name: note(f"{network.name} on {name} ...", options["quiet"]),
        **passed_on,
    )
    if options["as_json"]:
        emit_json(rows)
    else:
        emit_text(render_comparison(options["model"], rows, is_run=is_run))
