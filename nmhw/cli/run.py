"""``nmhw run``: execute a network in a chip's integers and price it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click

from nmhw.cli.event_options import event_options
from nmhw.cli.options import (
    input_options,
    latency_options,
    mapping_options,
    meaning_options,
    output_options,
    price_options,
    refuse_options,
    thread_option,
)
from nmhw.cli.output import emit_json, emit_text, progress_bar
from nmhw.errors import UsageError

_CHIP_ONLY = {
    "chip_name": "--chip",
    "mapping_path": "--mapping",
    "backend": "--backend",
    "pace": "--pace",
    "costs": "--costs",
    "calibration": "--calibration",
    "allow": "--allow",
    "output": "--output",
    "keep_spikes": "--keep-spikes",
    "threads": "--threads",
    "chunk": "--chunk",
    "resume": "--resume",
    "readout_on_host": "--readout-on-host",
    "timing": "--timing",
    "latency": "--latency",
    "noc_steps": "--noc-steps",
    "input_stage": "--input-stage",
    "compare_float": "--no-float",
}
_PASSED_ON = ("readout", "probes", "layout", "encode", "n_steps", "repeat", "metric", "continuous")
_CHIP_PASSED_ON = (
    "pace", "costs", "keep_spikes", "threads", "readout_on_host", "compare_float", "timing",
    "chunk", "resume", "latency", "noc_steps",
)  # fmt: skip


@click.command("run")
@click.argument("model")
@click.option("--chip", "chip_name", metavar="CHIP", help="Chip name or .toml file.")
@click.option("--float", "float_only", is_flag=True, help="Run the float network, no chip.")
@input_options
@event_options
@meaning_options
@click.option("--mapping", "mapping_path", metavar="FILE", help="Use a mapping of 'nmhw map -o'.")
@mapping_options
@price_options
@click.option(
    "--probe", "probes", multiple=True, metavar="POP:VAR[:every=K]",
    help="Record v (or u) of a population. Repeatable.",
)  # fmt: skip
@click.option(
    "--backend", default="numba", metavar="B", help="numba, reference or lava.  [default: numba]"
)
@click.option(
    "--input-stage", "input_stage", type=click.Choice(["host", "bias"]),
    help="Analog input: host = first layer off the chip; bias = its drive as biases (--repeat T).",
)  # fmt: skip
@click.option(
    "--timing", default="steps", metavar="T",
    help="steps, or events: one by one, on chips without steps.  [default: steps]",
)  # fmt: skip
@latency_options
@click.option("--continuous", is_flag=True, help="Keep state from sample to sample.")
@click.option("--readout-on-host", is_flag=True, help="Allow v-* where the chip cannot read v out.")
@click.option(
    "--no-float", "compare_float", is_flag=True, default=True, flag_value=False,
    help="Do not run the float network for comparison.",
)  # fmt: skip
@click.option("-o", "--output", metavar="DIR", help="Save the run here.")
@click.option(
    "--keep-spikes", type=click.IntRange(0), default=10**8, metavar="N",
    help="Beyond N spikes keep only those of the outputs.  [default: 1e8]",
)  # fmt: skip
@click.option(
    "--chunk", type=click.IntRange(1), metavar="N",
    help="Samples per piece; results do not depend on it.  [default: by memory and time]",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the unfinished run in -o DIR.")
@thread_option
@output_options
def command(**options: Any) -> None:
    """Execute MODEL on a chip and report accuracy, energy and latency."""
    from nmhw.cli.prepare import (
        check_run_target,
        deploy_model,
        finish,
        load_data,
        load_model,
        run_with_progress,
        steps_to_make,
    )

    if options["float_only"]:
        refuse_options(_CHIP_ONLY, "with --float", "leave it out, or leave --float out")
    elif options["chip_name"] is None and options["mapping_path"] is None:
        raise UsageError("run needs a chip", hint="--chip NAME (nmhw chips lists them) or --float")
    check_run_target(options)
    started = time.perf_counter()
    network = load_model(options)
    data, labels = load_data(options, network)
    passed_on = {key: options[key] for key in _PASSED_ON}
    passed_on["n_steps"] = steps_to_make(data, options)
    if options["float_only"]:
        _run_float(network, data, labels, passed_on, options)
        return
    stage = None
    _check_stage(options)
    if options["input_stage"] == "host":
        stage, network, data, labels = _on_host(network, data, labels, options)
        passed_on |= {"n_steps": None, "repeat": None, "layout": "auto"}
    deployed = deploy_model(network, options, stage)
    passed_on |= {key: options[key] for key in _CHIP_PASSED_ON}
    passed_on["checkpoint"] = options["output"]
    finish(run_with_progress(deployed, data, labels, options, started, **passed_on), options)


def _check_stage(options: dict[str, Any]) -> None:
    if options["input_stage"] is not None and options["encode"] is not None:
        what = "either an encoder or an input stage makes the spikes"
        raise UsageError(what, got=f"--encode {options['encode']}", hint="leave one out")


def _on_host(network: Any, data: Any, labels: Any, options: dict[str, Any]) -> tuple[Any, ...]:
    """Return the input stage, the rest of the network, its input spikes and the labels."""
    from nmhw.api.input_stage import host_stage
    from nmhw.api.inputs import input_notices
    from nmhw.cli.prepare import stage_spikes
    from nmhw.io.input_arrays import labels_of

    stage = host_stage(network)
    spikes = stage_spikes(stage, options["input_path"], options)
    # what the host did to the input stands in the report of the rest
    rest = replace(stage.rest, notices=(*stage.rest.notices, *input_notices(network, data)))
    return stage, rest, spikes, labels if labels is not None else labels_of(data)


def _run_float(
    network: Any, data: Any, labels: Any, passed_on: dict[str, Any], options: dict[str, Any]
) -> None:
    from nmhw.api.float_run import run_float

    with progress_bar("running in float", options["quiet"]):
        outcome = run_float(network, data, labels, seed=options["seed"], **passed_on)
    if options["as_json"]:
        emit_json(outcome.to_json())
    else:
        emit_text(outcome.report())
