"""Options for event recordings, and how they are read with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nmhw.cli.options import F, apply_options, refuse_options
from nmhw.cli.output import progress_bar
from nmhw.errors import UsageError
from nmhw.values.network import Network

_NAMES = {
    "bin_dt": "--bin-dt", "bin_kind": "--bin", "sensor": "--sensor", "polarity": "--polarity",
    "window": "--window", "origin": "--origin", "outside": "--outside", "file_kind": "--format",
    "n_recordings": "--recordings",
}  # fmt: skip


def event_options(function: F) -> F:
    """Add the options of event recordings: bins, sensor, polarity, windows."""
    return apply_options(
        function,
        [
            click.option("--bin-dt", metavar="TIME",
                         help="Event files: time per step.  [default: --dt, the network's]"),
            click.option("--bin", "bin_kind", default="count", metavar="KIND",
                         help="Event files: count, binary or clip(N) per step.  [default: count]"),
            click.option("--sensor", metavar="WxH",
                         help="Event files: width x height, e.g. 34x34.  [default: the file's]"),
            click.option("--polarity", default="split", metavar="P",
                         help="Event files: split (OFF, ON), merge or on.  [default: split]"),
            click.option("--window", metavar="TIME",
                         help="Event files: cut recordings into samples this long."),
            click.option("--origin", default="auto", metavar="O",
                         help="Event files: time 0 is the first event or zero.  [default: auto]"),
            click.option("--outside", default="refuse", metavar="O",
                         help="Event files: refuse or drop what lies off the sensor."),
            click.option("--recordings", "n_recordings", type=click.IntRange(1), metavar="N",
                         help="Event files: the first N alone (of classes in turn)."),
            click.option("--format", "file_kind", default="auto", metavar="F",
                         help="Event files: auto or spike-camera.  [default: auto]"),
        ],
    )  # fmt: skip


def read_data(path: str, network: Network, options: Mapping[str, Any]) -> Any:
    """Read an input file as it is, or a recording (a folder of them) with the event options.

    Raises
    ------
    UsageError
        For event options beside a file that is no recording, or an unknown time per step.
    """
    from nmhw.io.event_file import read_events

    if options.get("file_kind", "auto") == "auto" and not _is_recording(path):
        refuse_options(_NAMES, "here: the input is no event recording", "leave it out, or --format")
        return read_events(path)
    from nmhw.api.events import load_events

    with progress_bar("reading events", options["quiet"], "records") as progress:
        return load_events(
            path,
            dt=_step(network, options),
            bin=options.get("bin_kind", "count"),
            sensor=options.get("sensor"),
            polarity=options.get("polarity", "split"),
            n_steps=options.get("n_steps"),
            window=options.get("window"),
            origin=options.get("origin", "auto"),
            outside=options.get("outside", "refuse"),
            n_samples=options.get("n_recordings"),
            format=options.get("file_kind", "auto"),
            default_sensor=_sensor(network),
            progress=progress,
        )


def _is_recording(path: str) -> bool:
    from nmhw.io.recordings.sources import is_recording

    return is_recording(Path(path))


def _step(network: Network, options: Mapping[str, Any]) -> str | float:
    """Return --bin-dt, else microseconds for native time stamps, else the network's step."""
    if options.get("bin_dt") is not None:
        return str(options["bin_dt"])
    if options.get("timing") == "events":
        return 1e-6
    step_s = None if network.profile is None else network.profile.step_s
    if step_s is None:
        raise UsageError(
            "event times need a step length", where=network.name, hint="--bin-dt 1ms",
            rule="events.dt",
        )  # fmt: skip
    return step_s


def _sensor(network: Network) -> tuple[int, int] | None:
    """Return (width, height) of the network's only input, where its shape tells."""
    shape = network.inputs[0].shape if len(network.inputs) == 1 else ()
    if len(shape) == 1:
        return shape[0], 1
    return (shape[-1], shape[-2]) if len(shape) in (2, 3) else None
