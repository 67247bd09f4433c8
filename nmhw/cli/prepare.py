"""From command-line words to a network, inputs, a deployment and a run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from nmhw.api.deploying import deploy
from nmhw.api.deployment import Deployment
from nmhw.api.input_stage import HostStage
from nmhw.api.reading import chip as load_chip
from nmhw.api.reading import load
from nmhw.api.run import Run
from nmhw.cli.event_options import read_data
from nmhw.cli.options import parse_dt, parse_settings
from nmhw.cli.output import emit_json, emit_text, note, phase_line, progress_bar
from nmhw.errors import UsageError
from nmhw.io.input_events import KINDS
from nmhw.values.network import Network

Options = Mapping[str, Any]

#: Options that name a file which the command reads.
_INPUTS = ("model", "input_path", "labels_path", "calibration", "mapping_path", "chip_name")


def load_model(options: Options) -> Network:
    """Read MODEL with --profile, --dt and --set."""
    settings = parse_settings(options["settings"])
    return load(options["model"], options["profile"], dt_s=parse_dt(options["dt"]), **settings)


def load_data(options: Options, network: Network) -> tuple[Any, Any]:
    """Read --input and --labels; an input may carry its own labels."""
    from nmhw.io.event_file import read_labels

    path = options["labels_path"]
    labels = None if path is None else read_labels(path)
    return read_data(options["input_path"], network, options), labels


def steps_to_make(data: Any, options: Options) -> int | None:
    """Return --steps where an encoder needs it; those of recordings are made already."""
    return None if hasattr(data, "recordings") else options["n_steps"]


def deploy_model(network: Network, options: Options, stage: HostStage | None = None) -> Deployment:
    """Quantize and map with --chip, --mapping, --calibration, --allow and --seed.

    ``stage`` makes spikes of the calibration samples; ``network`` is then what it leaves.
    """
    mapping, chip_name = options.get("mapping_path"), options["chip_name"]
    if mapping is not None:
        from nmhw.io.mapping_file import load_mapping

        mapping = load_mapping(mapping)
        chip_name = chip_name or mapping.chip_name
    spec = load_chip(chip_name)
    samples = load_calibration(network, options, stage)
    verb = "mapping" if mapping is None else "using the mapping of"
    note(f"{verb} {network.name} to {spec.name}", options["quiet"])
    with phase_line(f"{network.name} to {spec.name}", options["quiet"]) as progress:
        return deploy(
            network,
            spec,
            calibration=samples,
            allow=options["allow"],
            seed=options["seed"],
            mapping=mapping,
            input_stage=stage_of_chip(options),
            progress=progress,
        )


def load_calibration(network: Network, options: Options, stage: HostStage | None = None) -> Any:
    """Read --calibration as the input is read, encoder and input stage included."""
    if options["calibration"] is None:
        return None
    if stage is not None:
        return stage_spikes(stage, options["calibration"], options)
    from nmhw.api.inputs import prepare_inputs

    data = read_data(options["calibration"], network, options)
    return prepare_inputs(
        network,
        data,
        layout=options.get("layout", "auto"),
        encode=options.get("encode"),
        n_steps=None if hasattr(data, "recordings") else options.get("n_steps"),
        seed=options["seed"],
        repeat=options.get("repeat"),
        kinds=("spikes", "counts") if stage_of_chip(options) is None else KINDS,
    ).events


def stage_of_chip(options: Options) -> str | None:
    """Return the input stage that is part of the deployment."""
    stage = options.get("input_stage")
    return None if stage == "host" else stage


def stage_spikes(stage: HostStage, path: str, options: Options) -> Any:
    """Read a file and let the host's first layer make spikes of it."""
    data = read_data(path, stage.network, options)
    n_steps, repeat = steps_to_make(data, options), options.get("repeat")
    if repeat is not None and options["n_steps"] is not None:
        got = f"--steps {options['n_steps']} --repeat {repeat}"
        raise UsageError("both say how long a frame is held", got=got, hint="leave one out")
    n_steps = n_steps if repeat is None else repeat
    return stage.spikes(data, n_steps=n_steps, layout=options["layout"])


def run_with_progress(
    deployed: Deployment, data: Any, labels: Any, options: Options, started: float, **more: Any
) -> Run:
    """Execute with a progress bar; ``started`` = when the command began to read its files."""
    from nmhw.sim.backends import will_compile

    backend, quiet = options["backend"], options["quiet"]
    loaded = time.perf_counter() - started - sum(deployed.wall_s.values())
    timing = " and timing messages" if more.get("latency") == "noc" else ""
    if will_compile(backend, more.get("latency", "analytic")):
        note("compiling kernels, once; they are cached afterwards", quiet)
    with warnings.catch_warnings(), progress_bar(f"running {backend}{timing}", quiet) as progress:
        warnings.showwarning = lambda message, *_: note(f"warning: {message}", quiet)
        run = deployed.run(data, labels, backend=backend, progress=progress, **more)
    run.wall_s["load"] = max(loaded, 0.0)
    return run


def check_run_target(options: Options) -> None:
    """Refuse -o before the run starts when the run could not be saved there."""
    from pathlib import Path

    from nmhw.api.saved_run import check_target
    from nmhw.api.targets import check_folder_inputs

    if options["output"] is not None:
        folder = Path(options["output"])
        check_target(folder)
        check_folder_inputs(folder, [options.get(key) for key in _INPUTS])


def finish(run: Run, options: Options) -> None:
    """Save with -o, then print the report or its JSON."""
    if options["output"] is not None:
        run.save(options["output"])
        note(f"saved to {options['output']}", options["quiet"])
    if options["as_json"]:
        emit_json(run.to_json())
    else:
        emit_text(run.report())
