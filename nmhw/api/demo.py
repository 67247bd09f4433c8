"""The digits network, its calibration and test images, as they ship with nmhw."""

from __future__ import annotations

from importlib.resources import as_file, files

from nmhw.api.deploying import deploy
from nmhw.api.deployment import Deployment
from nmhw.api.inputs import PreparedInputs, prepare_inputs
from nmhw.api.reading import load
from nmhw.errors import UsageError
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network

#: The rule the network was trained with; see nmhw/data/ORIGIN.md.
DEMO_PROFILE = "snntorch"


def load_demo_network() -> Network:
    """Return the trained 64-128-64-10 network."""
    with as_file(files("nmhw.data") / "digits.nir") as path:
        return load(path, DEMO_PROFILE)


def load_demo_images(n_samples: int | None = None) -> PreparedInputs:
    """Return the unseen test images as spikes, with labels; only the first ``n_samples`` if given.

    Raises
    ------
    UsageError
        For a number of samples out of range.
    """
    from nmhw.io.input_source import hold_events

    images = _read("digits_test.npz")
    if n_samples is None:
        return images
    if not 1 <= n_samples <= images.n_samples:
        raise UsageError("--samples is out of range", got=n_samples, limit=f"1..{images.n_samples}")
    few = {name: e.samples(0, n_samples) for name, e in images.events.items()}
    return PreparedInputs(hold_events(few, load_demo_network().inputs), images.labels[:n_samples])


def deploy_demo(chip: ChipSpec | str) -> Deployment:
    """Quantize (with 64 training images as calibration) and map the digits network."""
    return deploy(load_demo_network(), chip, calibration=_read("digits_calibration.npz").events)


def _read(name: str) -> PreparedInputs:
    from nmhw.io.event_file import read_events

    with as_file(files("nmhw.data") / name) as path:
        return prepare_inputs(load_demo_network(), read_events(path))
