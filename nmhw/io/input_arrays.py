"""From arrays, tensors, loaders and files to the SpikeEvents of a network's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.io.input_data import EventList, InputFile, plain_array
from nmhw.io.input_events import InputKind, refuse_non_finite
from nmhw.io.input_source import HeldInputs
from nmhw.io.loader import drain_loader, is_loader
from nmhw.io.recordings.event_input import EventInput
from nmhw.io.stored_array import StoredArray
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, Network

Array = NDArray[Any]

_MAX_EXTENT = 2**31 - 1  # events hold int32
LAYOUTS = ("auto", "NT", "TN")


def as_inputs(
    network: Network,
    x: Any,
    layout: str = "auto",
    *,
    labels: Any = None,
    kinds: Sequence[InputKind] = ("spikes", "counts"),
    dt_s: float | None = None,
) -> dict[str, SpikeEvents]:
    """Return the events of every input of a network.

    Parameters
    ----------
    x : array, torch tensor, DataLoader, SpikeEvents, EventList, EventInput, InputFile, or a dict
        Trailing axes equal the input's shape or its product; one more axis = steps (one sample),
        two = (samples, steps). Several inputs come as a dict by input name.
    layout : "auto" | "NT" | "TN"
        "TN" = time first. "auto" is samples first unless ``labels`` fit the second axis alone.
    labels : (samples,), optional
        Only its length is used, to tell samples from steps.
    kinds : sequence of InputKind
        What the receiver takes, see ``input_kind``.
    dt_s : float, optional
        Step for event times in seconds; default the network's profile's.

    Raises
    ------
    InputError
        For a wrong shape, an ambiguous layout, NaN or infinite values, kinds that are not taken.
    UsageError
        For an unknown layout.
    """
    return open_inputs(network, x, layout, labels=labels, kinds=kinds, dt_s=dt_s).take()


def open_inputs(
    network: Network,
    x: Any,
    layout: str = "auto",
    *,
    labels: Any = None,
    kinds: Sequence[InputKind] = ("spikes", "counts"),
    dt_s: float | None = None,
) -> HeldInputs:
    """Return the inputs as ``as_inputs`` makes them, to be taken some samples at a time.

    Names, shapes and layout are judged here; values when their samples are taken.
    """
    if layout not in LAYOUTS:
        raise UsageError("no such layout", got=repr(layout), hint="auto, NT or TN")
    if dt_s is None and network.profile is not None:
        dt_s = network.profile.dt_s
    streams = streams_by_name(network, x, dt_s)
    n_labels = None if labels is None else len(labels)
    arrays: dict[str, Any] = {}
    for port in network.inputs:
        value = streams[port.name]
        if isinstance(value, EventInput):
            value = value.events()
        if not isinstance(value, SpikeEvents | EventList | StoredArray):
            value = plain_array(value, port.name)
        if not isinstance(value, SpikeEvents | EventList):
            value = _samples_and_steps(value, port, layout, n_labels)
        arrays[port.name] = value
    n_samples, n_steps = _extents(arrays, dt_s, n_labels)
    for port in network.inputs:
        value = arrays[port.name]
        if isinstance(value, EventList):
            arrays[port.name] = value.to_events(port.shape, n_samples, n_steps, dt_s)
    return HeldInputs(tuple(network.inputs), arrays, n_samples, n_steps, tuple(kinds))


def labels_of(x: Any) -> Array | None:
    """Return the labels that a file or loader carries itself, if any."""
    if isinstance(x, InputFile):
        return x.labels
    if is_loader(x):
        return drain_loader(x)[1]
    return x.labels if isinstance(x, EventInput) else None


def analog_array(x: Any, where: str = "input") -> NDArray[np.float64]:
    """Return finite float64 values of an array, tensor, loader or file with one dense stream.

    Raises
    ------
    InputError
        For events, text, NaN and infinite values.
    """
    array = np.asarray(analog_values(x, where)[:])
    refuse_non_finite(array, where)
    return array.astype(np.float64)


def analog_values(x: Any, where: str = "input") -> Array | StoredArray:
    """Return the values of an array, tensor, loader or file with one dense stream as they are.

    Raises
    ------
    InputError
        For events and for what holds no numbers.
    """
    if isinstance(x, InputFile):
        x = _only_stream(x)
    if isinstance(x, SpikeEvents | EventList | EventInput):
        raise InputError("events are spikes already, an encoder takes analog values", where=where)
    if is_loader(x):
        x = drain_loader(x)[0]
    if isinstance(x, StoredArray):
        return x
    array = plain_array(x, where)
    if array.ndim == 0:
        raise InputError("one number is no input", where=where)
    return array


def streams_by_name(network: Network, x: Any, dt_s: float | None = None) -> dict[str, Any]:
    """Return what belongs to every input of the network, as it is.

    Raises
    ------
    InputError
        For missing or unknown names, or a file on another time grid.
    """
    names = [port.name for port in network.inputs]
    if isinstance(x, InputFile):
        _check_file_dt(x, dt_s)
        if len(x.streams) == 1 and len(names) == 1:
            return {names[0]: _only_stream(x)}
        missing = [n for n in names if n not in x.streams]
        if missing:
            raise InputError(
                "the file has no data for an input", got=", ".join(x.streams) or "one stream",
                limit=", ".join(missing), where=x.path,
            )  # fmt: skip
        return {n: x.streams[n] for n in names}
    if isinstance(x, Mapping):
        if set(x) != set(names):
            raise InputError("wrong input names", got=sorted(map(str, x)), limit=", ".join(names))
        return dict(x)
    if len(names) != 1:
        hint = "a dict by input name"
        raise InputError("the network has several inputs", got=", ".join(names), hint=hint)
    if is_loader(x):
        x = drain_loader(x)[0]
    return {names[0]: x}


def _only_stream(x: InputFile) -> Any:
    if len(x.streams) != 1:
        raise InputError("the file holds several inputs", got=", ".join(x.streams), where=x.path)
    return next(iter(x.streams.values()))


def _check_file_dt(x: InputFile, dt_s: float | None) -> None:
    if x.dt_s is not None and dt_s is not None and abs(x.dt_s / dt_s - 1) > 1e-6:
        raise InputError(
            "the file's step is not the network's", got=f"{x.dt_s:.6g} s", limit=f"{dt_s:.6g} s",
            where=x.path, hint=f"--dt {x.dt_s:.6g}, or data on the network's grid",
        )  # fmt: skip


def _extra_axes(array: Array | StoredArray, shape: tuple[int, ...]) -> set[int]:
    """Numbers of leading axes with which the trailing ones equal the shape or its product."""
    extra = set()
    for trailing in (shape, (int(np.prod(shape)),)):
        rest = array.ndim - len(trailing)
        if rest >= 0 and array.shape[rest:] == trailing:
            extra.add(rest)
    return extra


def _samples_and_steps(
    array: Array | StoredArray, port: InputPort, layout: str, n_labels: int | None
) -> Array | StoredArray:
    """Return a view (samples, steps, elements)."""
    extra = _extra_axes(array, port.shape)
    possible = extra & {1, 2}
    flat = " or ".join(dict.fromkeys((str(port.shape), f"({port.size},)")))
    if not possible:
        what = "the input has the wrong shape"
        hint = f"(samples, steps, ...) or (steps, ...) with trailing axes {flat}"
        if 0 in extra:
            what = "the input has no time axis"
            hint = "--repeat T, or --encode rate|latency|accumulate"
        raise InputError(what, got=array.shape, limit=flat, where=port.name, hint=hint)
    if len(possible) > 1:
        raise InputError(
            "the shape can be read in two ways", got=array.shape,
            limit=f"steps of {port.shape}, or samples and steps of ({port.size},)",
            where=port.name, hint="reshape to (samples, steps, ...)", rule="input.ambiguous",
        )  # fmt: skip
    if possible == {1}:
        return array.reshape(1, array.shape[0], port.size)
    pairs = array.reshape(*array.shape[:2], port.size)
    return pairs.swapaxes(0, 1) if _is_time_first(pairs, layout, n_labels, port) else pairs


def _is_time_first(
    array: Array | StoredArray, layout: str, n_labels: int | None, port: InputPort
) -> bool:
    if layout != "auto" or n_labels is None:
        return layout == "TN"
    fits = [array.shape[axis] == n_labels for axis in (0, 1)]
    if all(fits):
        raise InputError(
            "samples and steps cannot be told apart", got=array.shape, where=port.name,
            hint='layout="NT" (samples first) or "TN" (time first)', rule="input.ambiguous",
        )  # fmt: skip
    return fits[1]


def _extents(
    arrays: Mapping[str, Any], dt_s: float | None, n_labels: int | None
) -> tuple[int, int]:
    """Return (samples, steps) that all inputs share."""
    fixed: dict[str, tuple[int | None, int | None]] = {}
    least = [1, 1]
    empty = True
    for name, value in arrays.items():
        if isinstance(value, EventList):
            step, n_steps = value.steps(dt_s)
            fixed[name] = (value.n_samples, n_steps)
            sample = plain_array(value.sample, value.where)
            for k, column in enumerate((sample, step)):
                empty = empty and not column.size
                least[k] = max(least[k], int(column.max(initial=0)) + 1)
        elif isinstance(value, SpikeEvents):
            fixed[name] = (value.n_samples, value.n_steps)
        else:
            fixed[name] = value.shape[:2]
    result = []
    for axis, what in enumerate(("samples", "steps")):
        given = {pair[axis] for pair in fixed.values()} - {None}
        if len(given) > 1:
            by_name = {name: pair[axis] for name, pair in fixed.items()}
            raise InputError(f"the inputs differ in {what}", got=by_name)
        known = given.pop() if given else None
        if known is None and axis == 0 and n_labels is not None:
            known = n_labels
        if known is None and empty:
            raise InputError(
                f"an input without any event must say its number of {what}",
                where=", ".join(arrays), hint="n_samples and n_steps", rule="input.no-extent",
            )  # fmt: skip
        if known is None and least[axis] > _MAX_EXTENT:
            raise InputError(
                f"an event's {what[:-1]} is out of range", got=least[axis] - 1,
                limit=f"0 to {_MAX_EXTENT - 1}", where=", ".join(arrays), rule="input.range",
            )  # fmt: skip
        result.append(known or least[axis])
    if 0 in result or 0 in {n for pair in fixed.values() for n in pair}:
        raise InputError("the input holds no sample or no step", got=dict(fixed))
    return result[0], result[1]
