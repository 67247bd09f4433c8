"""Analog data of a network's inputs, encoded some samples at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.encode import ENCODERS, check_analog, encode, encode_delta
from nmhw.io.input_arrays import analog_values, streams_by_name
from nmhw.io.input_events import refuse_non_finite
from nmhw.io.input_source import is_on_disk
from nmhw.io.stored_array import StoredArray
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, Network

Values = NDArray[Any] | StoredArray

#: Elements x steps x samples beyond which not all spikes are made at once.
HELD_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class AnalogInputs:
    """Values of every input and the code that makes spikes of them (an ``InputSource``)."""

    ports: tuple[InputPort, ...]
    values: dict[str, Values]
    method: str
    n_samples: int
    n_steps: int
    seed: int

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample's spikes as the encoder makes them, one per element and step."""
        size = sum(int(np.prod(value.shape[1:])) for value in self.values.values())
        return size * (1 if self.method == "delta" else self.n_steps)

    @property
    def is_held(self) -> bool:
        """Whether no value lies in a file, and the spikes of all samples fit the memory."""
        large = self.bytes_per_sample * self.n_samples > HELD_BYTES
        return not large and not any(is_on_disk(value) for value in self.values.values())

    def take(self, first: int = 0, end: int | None = None) -> dict[str, SpikeEvents]:
        """Return the spikes of samples [first, end)."""
        end = self.n_samples if end is None else end
        found = {}
        for port in self.ports:
            flat, both = self._flat(port, first, end)
            if self.method == "delta":
                events = encode_delta(flat, off_channel=both)
            else:
                events = encode(flat, self.method, self.n_steps, self.seed, first=first)
            found[port.name] = replace(events, shape=port.shape)
        return found

    def check(self, first: int, end: int) -> None:
        """Judge the values of samples [first, end) without encoding them."""
        for port in self.ports:
            flat, _ = self._flat(port, first, end)
            if self.method != "delta":
                check_analog(flat, self.n_steps)

    def _flat(self, port: InputPort, first: int, end: int) -> tuple[NDArray[Any], bool]:
        """Return (samples, [steps,] elements) float64, and whether both directions are sent."""
        array = np.asarray(self.values[port.name][first:end])
        refuse_non_finite(array, port.name, first)
        lead = 2 if self.method == "delta" else 1
        size = int(np.prod(array.shape[lead:]))
        both = self.method == "delta" and 2 * size == port.size
        return array.astype(np.float64).reshape(*array.shape[:lead], size), both


def open_analog(
    network: Network, x: Any, method: str, n_steps: int | None = None, seed: int = 0
) -> AnalogInputs:
    """Return analog data for every input of a network, to be encoded when it is taken.

    Parameters
    ----------
    x : array, tensor, DataLoader, InputFile, or dict of them by input name
        (samples, ...) with trailing axes equal to the input's shape or its product; for ``delta``
        (samples, steps, ...). When the input has twice as many elements as the data, ``delta``
        sends upward steps to its first half and downward steps to its second, else upward steps
        alone.

    Raises
    ------
    InputError
        For a wrong shape, and for inputs that differ in samples or steps.
    UsageError
        See ``encode``.
    """
    values: dict[str, Values] = {}
    extents = {}
    for name, value in streams_by_name(network, x).items():
        port = next(p for p in network.inputs if p.name == name)
        array = analog_values(value, name)
        lead = 2 if method == "delta" else 1
        size = int(np.prod(array.shape[lead:]))
        both = method == "delta" and 2 * size == port.size
        if array.ndim <= lead or (size != port.size and not both):
            axes = ("samples", "steps") if lead == 2 else ("samples",)
            raise InputError(
                f"{method} encoding takes ({', '.join(axes)}, ...)",
                got=array.shape,
                limit=(*axes, *port.shape),
                where=name,
            )
        values[name] = array
        extents[name] = tuple(int(n) for n in array.shape[:lead])
        if method not in ENCODERS or (method != "delta" and n_steps is None) or 0 in array.shape:
            encode(np.asarray(array[:1], np.float64), method, n_steps, seed)  # says what is wrong
    if len(set(extents.values())) > 1:
        raise InputError("the inputs differ in samples or steps", got=extents)
    extent = next(iter(extents.values()))
    steps = extent[1] if method == "delta" else int(n_steps or 0)
    return AnalogInputs(tuple(network.inputs), values, method, extent[0], steps, seed)
