"""``nmhw compare``: one network on several chips."""

from __future__ import annotations

import click

from nmhw.cli.options import meaning_options, output_options
from nmhw.cli.output import emit_json, note


@click.command("compare")
@click.argument("model")
@click.option("--chips", "names", required=True, metavar="A,B,...", help="Chip names or files.")
@click.option("--input", "input_path", metavar="FILE", required=True, help=".npy, .npz or NIRData.")
@click.option("--labels", "labels_path", metavar="FILE", help="Class per sample (.npy).")
@click.option("--readout", metavar="RULE")
@click.option("--encode", metavar="CODE")
@click.option("--steps", "n_steps", type=int, metavar="T")
@meaning_options
@output_options
def command(
    model: str,
    names: str,
    input_path: str,
    labels_path: str | None,
    readout: str | None,
    encode: str | None,
    n_steps: int | None,
    profile: str | None,
    dt: str | None,
    settings: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Run MODEL on every chip of a comma-separated list and print one table."""
    from nmhw.api.comparison import compare
    from nmhw.cli.prepare import load_events, load_labels, load_model
    from nmhw.report.compare_text import render_comparison

    network = load_model(model, profile, dt, settings)
    rows = compare(
        network,
        [name.strip() for name in names.split(",") if name.strip()],
        load_events(input_path),
        load_labels(labels_path),
        readout=readout,
        encode=encode,
        n_steps=n_steps,
        progress=lambda name: note(f"{network.name} on {name} ...", quiet),
    )
    if as_json:
        emit_json(rows)
    else:
        click.echo(render_comparison(model, rows), nl=False)
