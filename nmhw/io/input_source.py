"""Inputs of a run, taken some samples at a time: from memory, from a mapped file, or encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmhw.io.input_events import InputKind, check_input, events_of_array
from nmhw.io.stored_array import StoredArray
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort


class InputSource(Protocol):
    """What a run takes its inputs from.

    Attributes
    ----------
    n_samples, n_steps : int
    bytes_per_sample : int
        Of the values that ``take`` reads, before they become events.
    is_held : bool
        Whether all values lie in memory anyway.
    """

    @property
    def n_samples(self) -> int: ...

    @property
    def n_steps(self) -> int: ...

    @property
    def bytes_per_sample(self) -> int: ...

    @property
    def is_held(self) -> bool: ...

    def take(self, first: int = 0, end: int | None = None) -> dict[str, SpikeEvents]:
        """Return the events of samples [first, end) by input name, numbered from 0."""
        ...

    def check(self, first: int, end: int) -> None:
        """Judge the values of samples [first, end) as ``take`` would."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class HeldInputs:
    """Events, or (samples, steps, elements) arrays in memory or on disk.

    Attributes
    ----------
    values : mapping of input name to SpikeEvents, array or StoredArray
    kinds : tuple of InputKind
        What the receiver takes.
    """

    ports: tuple[InputPort, ...]
    values: Mapping[str, Any]
    n_samples: int
    n_steps: int
    kinds: tuple[InputKind, ...]

    @property
    def bytes_per_sample(self) -> int:
        """Bytes of one sample of every array (0 for events)."""
        return sum(
            int(np.prod(value.shape[1:])) * value.dtype.itemsize
            for value in self.values.values()
            if not isinstance(value, SpikeEvents)
        )

    @property
    def is_held(self) -> bool:
        """Whether no value lies in a file."""
        return not any(is_on_disk(value) for value in self.values.values())

    def take(self, first: int = 0, end: int | None = None) -> dict[str, SpikeEvents]:
        """Return the events of samples [first, end).

        Raises
        ------
        InputError
            For values that are not finite, out of range, or of a kind that is not taken.
        """
        end = self.n_samples if end is None else end
        events = {}
        for port in self.ports:
            value = self.values[port.name]
            if isinstance(value, SpikeEvents):
                found = value if is_out_of_range(value) else value.samples(first, end)
            else:
                found = events_of_array(np.asarray(value[first:end]), port, first)
            check_input(found, port, (end - first, self.n_steps), self.kinds, first)
            same = found.shape == port.shape
            events[port.name] = found if same else replace(found, shape=port.shape)
        return events

    def check(self, first: int, end: int) -> None:
        """Judge the values of samples [first, end) as ``take`` would."""
        self.take(first, end)


def hold_events(events: Mapping[str, SpikeEvents], ports: tuple[InputPort, ...]) -> HeldInputs:
    """Return events that are checked already as a source."""
    first = next(iter(events.values()))
    kinds: tuple[InputKind, ...] = ("spikes", "counts", "graded", "current")
    return HeldInputs(ports, dict(events), first.n_samples, first.n_steps, kinds)


def is_on_disk(value: Any) -> bool:
    """Whether an array's values lie in a file until they are taken."""
    if isinstance(value, StoredArray):
        return True
    base: NDArray[Any] | None = value if isinstance(value, np.ndarray) else None
    while base is not None:
        if isinstance(base, np.memmap):
            return True
        base = base.base if isinstance(base.base, np.ndarray) else None
    return False


def is_out_of_range(events: SpikeEvents) -> bool:
    """Whether a sample number lies outside of [0, n_samples)."""
    sample = events.sample
    return bool(sample.size and (sample.min() < 0 or sample.max() >= events.n_samples))
