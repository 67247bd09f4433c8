"""``nmhw run``: execute a network in a chip's integers and price it."""

from __future__ import annotations

from typing import Any

import click

from nmhw.cli.options import mapping_options, meaning_options, output_options
from nmhw.cli.output import emit_json, note, progress_bar


@click.command("run")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", help="Chip name or .toml file.")
@click.option("--input", "input_path", metavar="FILE", required=True, help=".npy, .npz or NIRData.")
@click.option("--labels", "labels_path", metavar="FILE", help="Class per sample (.npy).")
@click.option("--float", "float_only", is_flag=True, help="Run the float network, no chip.")
@click.option("--backend", default="numba", show_default=True, help="numba or reference.")
@click.option("--mapping", "mapping_path", metavar="FILE", help="Use a mapping written by 'map'.")
@click.option("--readout", metavar="RULE", help="count, first-spike, v-last, v-max, v-mean...")
@click.option("--pace", metavar="PACE", help="free, realtime or period=1ms.")
@click.option("--costs", metavar="TABLE", help="Cost table of the chip; none = unpriced.")
@click.option("--probe", "probes", multiple=True, metavar="POP:VAR[:every=K]")
@click.option("--encode", metavar="CODE", help="rate, latency, delta or accumulate.")
@click.option("--steps", "n_steps", type=int, metavar="T", help="Steps for --encode.")
@click.option("--layout", default="auto", show_default=True, help="auto, NT or TN.")
@click.option("--metric", default="accuracy", show_default=True)
@click.option("-o", "--output", metavar="DIR", help="Save the run here.")
@click.option("--keep-spikes", type=int, default=10**8, show_default=True, metavar="N")
@meaning_options
@mapping_options
@output_options
def command(
    model: str,
    chip_name: str | None,
    input_path: str,
    labels_path: str | None,
    float_only: bool,
    backend: str,
    mapping_path: str | None,
    readout: str | None,
    pace: str | None,
    costs: str | None,
    probes: tuple[str, ...],
    encode: str | None,
    n_steps: int | None,
    layout: str,
    metric: str,
    output: str | None,
    keep_spikes: int,
    profile: str | None,
    dt: str | None,
    settings: tuple[str, ...],
    calibration: str | None,
    allow: tuple[str, ...],
    seed: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Execute MODEL on a chip and report accuracy, energy and latency."""
    from nmhw.cli.prepare import deploy_model, load_events, load_labels, load_model
    from nmhw.errors import UsageError

    network = load_model(model, profile, dt, settings)
    data = load_events(input_path)
    labels = load_labels(labels_path)
    common: dict[str, Any] = {
        "readout": readout,
        "probes": probes,
        "layout": layout,
        "encode": encode,
        "n_steps": n_steps,
        "metric": metric,
    }
    if float_only:
        _run_float(network, data, labels, common, seed, as_json)
        return
    if chip_name is None:
        raise UsageError("run needs a chip", hint="--chip NAME (nmhw chips lists them) or --float")
    deployed = deploy_model(
        network, chip_name, calibration, allow, seed, quiet, mapping_path, encode
    )
    with progress_bar(f"running {backend}", quiet) as progress:
        run = deployed.run(
            data, labels, backend=backend, pace=pace, costs=costs, progress=progress, **common
        )
    if output is not None:
        run.save(output, keep_spikes=keep_spikes)
        note(f"saved to {output}", quiet)
    if as_json:
        emit_json(run.to_json())
    else:
        click.echo(run.report(), nl=False)


def _run_float(
    network: Any, data: Any, labels: Any, common: dict[str, Any], seed: int, as_json: bool
) -> None:
    from nmhw.api.float_run import run_float
    from nmhw.report.network_text import render_float_run

    outcome = run_float(network, data, labels, seed=seed, **common)
    if as_json:
        emit_json(outcome.summary())
    else:
        click.echo(render_float_run(outcome.summary()), nl=False)
