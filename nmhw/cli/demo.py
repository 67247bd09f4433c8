"""``nmhw demo``: a trained network, a chip, real test images; no PyTorch needed."""

from __future__ import annotations

import time
from typing import Any

import click

from nmhw.cli.options import latency_options, output_options, price_options, thread_option
from nmhw.cli.output import note


@click.command("demo")
@click.option(
    "--samples", "n_samples", type=int, metavar="N",
    help="Use only the first N of the 400 test images.",
)  # fmt: skip
@click.option(
    "--chip", "chip_name", default="loihi1-nahuku", metavar="CHIP",
    help="Chip name or .toml file.  [default: loihi1-nahuku]",
)  # fmt: skip
@click.option(
    "--backend", default="numba", metavar="B", help="numba, reference or lava.  [default: numba]"
)
@thread_option
@price_options
@latency_options
@click.option("-o", "--output", metavar="DIR", help="Save the run here.")
@output_options
def command(**options: Any) -> None:
    """Map the digits network that ships with nmhw, run unseen images, report."""
    from nmhw.api.demo import deploy_demo, load_demo_images
    from nmhw.cli.prepare import check_run_target, finish, run_with_progress

    check_run_target(options)
    started, quiet = time.perf_counter(), options["quiet"]
    note("handwritten digits (UCI), 64 pixels as spikes; see nmhw/data/ORIGIN.md", quiet)
    images = load_demo_images(options["n_samples"])
    note(f"quantizing and mapping to {options['chip_name']}", quiet)
    deployed = deploy_demo(options["chip_name"])
    given = {key: options[key] for key in ("pace", "costs", "threads", "latency", "noc_steps")}
    run = run_with_progress(deployed, images.events, images.labels, options, started, **given)
    finish(run, options)
