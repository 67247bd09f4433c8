"""Static samples without a step axis, presented in every step of a run."""

from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.errors import InputError, UsageError
from nmhw.io.input_arrays import analog_values, labels_of, streams_by_name
from nmhw.io.input_data import EventList, InputFile
from nmhw.io.loader import drain_loader, is_loader
from nmhw.io.recordings.event_input import EventInput
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, Network

MAX_STEPS = 1_000_000


def repeat_frames(network: Network, x: Any, n_steps: int, labels: Any = None) -> tuple[Any, Any]:
    """Return (samples, steps, ...) views of samples without steps, by input name, and the labels.

    Parameters
    ----------
    x : array, tensor, DataLoader, InputFile, or dict of them by input name
        (samples, ...) with trailing axes equal to the input's shape or its product.
    n_steps : int
        Every sample is presented in so many steps.
    labels : optional
        Default: those that a file or loader carries.

    Raises
    ------
    UsageError
        For steps out of range.
    InputError
        For events, data that have steps already, and other wrong shapes.
    """
    if isinstance(n_steps, bool) or not isinstance(n_steps, int | np.integer):
        raise UsageError("a sample is repeated a whole number of times", got=repr(n_steps))
    if not 1 <= n_steps <= MAX_STEPS:
        raise UsageError("repetitions are out of range", got=n_steps, limit=f"1 to {MAX_STEPS}")
    if is_loader(x):  # once: a loader may shuffle
        x, own = drain_loader(x)
        labels = own if labels is None else labels
    elif labels is None and isinstance(x, InputFile):
        labels = labels_of(x)
    dt_s = None if network.profile is None else network.profile.dt_s
    streams = streams_by_name(network, x, dt_s)
    ports = {port.name: port for port in network.inputs}
    return {name: _held(streams[name], ports[name], n_steps) for name in streams}, labels


def _held(x: Any, port: InputPort, n_steps: int) -> Any:
    if isinstance(x, SpikeEvents | EventList | EventInput):
        raise InputError(
            "events have steps already", where=port.name, hint="leave --repeat out",
            rule="input.repeat",
        )  # fmt: skip
    frames = np.asarray(analog_values(x, port.name)[:])
    if frames.shape[1:] not in (port.shape, (port.size,)):
        what = "a repeated sample has no steps: one axis of samples, then the input's"
        is_timed = frames.ndim >= 2 and frames.shape[2:] in (port.shape, (port.size,))
        raise InputError(
            what, got=frames.shape, limit=("samples", *port.shape), where=port.name,
            hint="leave --repeat out for data with steps" if is_timed else "reshape the data",
            rule="input.repeat",
        )  # fmt: skip
    frames = frames.reshape(len(frames), 1, *port.shape)
    return np.broadcast_to(frames, (len(frames), n_steps, *port.shape))
