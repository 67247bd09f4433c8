"""From command-line words to a network, inputs and a deployment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nmhw.api.deployment import Deployment, deploy
from nmhw.api.reading import load
from nmhw.cli.options import parse_dt, parse_settings
from nmhw.cli.output import note
from nmhw.values.network import Network


def load_model(
    model: str, profile: str | None, dt: str | None, settings: tuple[str, ...]
) -> Network:
    """Read MODEL with the meaning options of the command line."""
    return load(model, profile, dt_s=parse_dt(dt), **parse_settings(settings))


def load_events(path: str) -> Any:
    """Read an input file (.npy, .npz, NIRData)."""
    from nmhw.io.event_file import read_events

    return read_events(path)


def load_labels(path: str | None) -> Any:
    """Read a label file; None when there is none (an .npz input may carry its own)."""
    if path is None:
        return None
    from nmhw.io.event_file import read_labels

    return read_labels(path)


def deploy_model(
    network: Network,
    chip_name: str,
    calibration: str | None,
    allow: tuple[str, ...],
    seed: int,
    quiet: bool,
    mapping_path: str | Path | None = None,
    encode: str | None = None,
) -> Deployment:
    """Quantize and map with the mapping options of the command line."""
    from nmhw.api.reading import chip as load_chip

    spec = load_chip(chip_name)
    samples = None
    if calibration is not None:
        from nmhw.api.inputs import prepare_inputs

        data = load_events(calibration)
        samples = prepare_inputs(network, data, encode=encode, seed=seed).events
    mapping = None
    if mapping_path is not None:
        from nmhw.io.mapping_file import load_mapping

        mapping = load_mapping(mapping_path)
    note(f"mapping {network.name} to {spec.name}", quiet)
    return deploy(network, spec, calibration=samples, allow=allow, seed=seed, mapping=mapping)
