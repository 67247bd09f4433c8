"""``nmhw demo``: a trained network, a chip, real test images; no PyTorch needed."""

from __future__ import annotations

import click

from nmhw.cli.options import output_options
from nmhw.cli.output import emit_json, note, progress_bar


@click.command("demo")
@click.option("--samples", "n_samples", type=int, metavar="N", help="Use only the first N images.")
@click.option("--chip", "chip_name", default="loihi1-nahuku", show_default=True)
@click.option("--backend", default="numba", show_default=True)
@click.option("--costs", metavar="TABLE", help="Cost table of the chip.")
@click.option("-o", "--output", metavar="DIR", help="Save the run here.")
@output_options
def command(
    n_samples: int | None,
    chip_name: str,
    backend: str,
    costs: str | None,
    output: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Map the digits network that ships with nmhw, run unseen images, report."""
    from nmhw.api.demo import deploy_demo, load_demo_images

    note("handwritten digits (UCI), 64 pixels as spikes; see nmhw/data/ORIGIN.md", quiet)
    images = load_demo_images(n_samples)
    note(f"quantizing and mapping to {chip_name}", quiet)
    deployed = deploy_demo(chip_name)
    with progress_bar(f"running {backend} (first run compiles)", quiet) as progress:
        run = deployed.run(
            images.events, images.labels, backend=backend, costs=costs, progress=progress
        )
    if output is not None:
        run.save(output)
        note(f"saved to {output}", quiet)
    if as_json:
        emit_json(run.to_json())
    else:
        click.echo(run.report(), nl=False)
