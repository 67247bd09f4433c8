"""Inputs of a run that come as a stream: event recordings, and the batches of a DataLoader."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.input_arrays import as_inputs
from nmhw.io.input_data import plain_array
from nmhw.io.input_events import InputKind, check_input
from nmhw.io.loader import loader_batches
from nmhw.io.recordings.event_input import EventInput
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, Network

#: Working memory per spike and per step of a sample while it is run, roughly; and what is held.
_BYTES_PER_SPIKE, _BYTES_PER_STEP = 256, 64
_HELD_BYTES = 256 << 20

_ROW = np.dtype([("step", "<i4"), ("index", "<i4"), ("value", "<f8")])


@dataclass(eq=False)
class RecordedInputs:
    """Event recordings, read again whenever samples are taken (an ``InputSource``)."""

    x: EventInput
    port: InputPort
    kinds: tuple[InputKind, ...]
    _open: Iterator[SpikeEvents] | None = field(default=None, init=False, repr=False)
    _at: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if int(np.prod(self.x.shape)) != self.port.size:
            raise InputError(
                "the input has the wrong shape", got=self.x.shape, limit=self.port.shape,
                where=self.port.name, hint="another --sensor or --polarity", rule="events.shape",
            )  # fmt: skip

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.x.n_samples

    @property
    def n_steps(self) -> int:
        """Steps of every sample."""
        return self.x.n_steps

    @property
    def bytes_per_sample(self) -> int:
        """Working memory of a sample of mean activity."""
        spikes = self.x.account.n_sent // self.n_samples
        return _BYTES_PER_SPIKE * spikes + _BYTES_PER_STEP * self.n_steps

    @property
    def is_held(self) -> bool:
        """Whether all spikes are few enough to keep them."""
        return self.bytes_per_sample * self.n_samples <= _HELD_BYTES

    def take(self, first: int = 0, end: int | None = None) -> dict[str, SpikeEvents]:
        """Return the events of samples [first, end); those behind the last ones cost no search."""
        end = self.n_samples if end is None else end
        if self._open is None or self._at != first:
            self._open, self._at = self.x.samples(first), first
        parts = []
        for sample in self._open:
            parts.append(sample)
            self._at += 1
            if self._at == end:
                break
        found = replace(_joined(parts, self.n_steps), shape=self.port.shape)
        check_input(found, self.port, (end - first, self.n_steps), self.kinds, first)
        return {self.port.name: found}

    def check(self, first: int, end: int) -> None:
        """Judge the values of samples [first, end) as ``take`` would."""
        self.take(first, end)


@dataclass(frozen=True, eq=False)
class SpooledInputs:
    """The events of a DataLoader, kept as rows in memory or in a file (an ``InputSource``).

    Attributes
    ----------
    bounds : (n_samples + 1,) int64
        First row of every sample.
    """

    port: InputPort
    bounds: NDArray[np.int64]
    n_steps: int
    has_values: bool
    rows: IO[bytes] = field(repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, self.rows.close)

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.bounds.size - 1

    @property
    def bytes_per_sample(self) -> int:
        """Working memory of a sample of mean activity."""
        spikes = int(self.bounds[-1]) // self.n_samples
        return _BYTES_PER_SPIKE * spikes + _BYTES_PER_STEP * self.n_steps

    @property
    def is_held(self) -> bool:
        """Whether all spikes are few enough to keep them."""
        return self.bytes_per_sample * self.n_samples <= _HELD_BYTES

    def take(self, first: int = 0, end: int | None = None) -> dict[str, SpikeEvents]:
        """Return the events of samples [first, end)."""
        end = self.n_samples if end is None else end
        start, stop = int(self.bounds[first]), int(self.bounds[end])
        self.rows.seek(start * _ROW.itemsize)
        rows = np.frombuffer(self.rows.read((stop - start) * _ROW.itemsize), _ROW)
        counts = np.diff(self.bounds[first : end + 1])
        sample = np.repeat(np.arange(end - first, dtype=np.int32), counts)
        value = np.array(rows["value"]) if self.has_values else None
        columns = (np.ascontiguousarray(rows[name]) for name in ("step", "index"))
        step, index = columns
        events = SpikeEvents(sample, step, index, end - first, self.n_steps, self.port.shape, value)
        return {self.port.name: events}

    def check(self, first: int, end: int) -> None:
        """Do nothing: every batch was judged when it was read."""


def spool_loader(
    network: Network, loader: Any, layout: str, labels: Any, kinds: Sequence[InputKind]
) -> tuple[SpooledInputs, NDArray[Any] | None]:
    """Read a DataLoader once; return its events and its labels (``labels``, if given).

    The first batch with labels decides for all which axis is that of the samples, where it can.

    Raises
    ------
    InputError
        As ``as_inputs`` for every batch; for batches of different length in time, and labels that
        are not one per sample.
    """
    if len(network.inputs) != 1:
        names = ", ".join(port.name for port in network.inputs)
        raise InputError("the network has several inputs", got=names, hint="a dict by input name")
    rows: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_HELD_BYTES)  # noqa: SIM115
    try:
        inputs, own = _spool(network, loader_batches(loader), layout, kinds, rows)
    except BaseException:
        rows.close()
        raise
    return inputs, own if labels is None else plain_array(labels, "labels")


def _spool(
    network: Network,
    batches: Iterator[tuple[NDArray[Any], NDArray[Any] | None]],
    layout: str,
    kinds: Sequence[InputKind],
    rows: IO[bytes],
) -> tuple[SpooledInputs, NDArray[Any] | None]:
    port = network.inputs[0]
    counts: list[NDArray[np.int64]] = []
    found: list[NDArray[Any]] = []
    n_steps, has_values = None, False
    for x, y in batches:
        if layout == "auto" and y is not None:
            layout = _layout(x, y)
        events = as_inputs(network, x, layout, labels=y, kinds=kinds)[port.name]
        if n_steps not in (None, events.n_steps):
            raise InputError(
                "batches have different numbers of steps", got=events.n_steps, limit=n_steps,
                where=f"DataLoader, sample {sum(c.size for c in counts)}",
                hint="pad all samples to one length", rule="input.batch-steps",
            )  # fmt: skip
        n_steps = events.n_steps
        has_values |= events.value is not None
        rows.write(_packed(events).tobytes())
        counts.append(np.bincount(events.sample, minlength=events.n_samples))
        if y is not None:
            if y.ndim == 0 or len(y) != events.n_samples:
                raise InputError("one label per sample is needed", got=y.shape,
                                 limit=events.n_samples, where="DataLoader labels")  # fmt: skip
            found.append(y)
    bounds = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    own = np.concatenate(found) if found else None
    return SpooledInputs(port, bounds, n_steps or 1, has_values, rows), own


def _packed(events: SpikeEvents) -> NDArray[Any]:
    packed = np.zeros(len(events), _ROW)
    packed["step"], packed["index"] = events.step, events.index
    packed["value"] = 1.0 if events.value is None else events.value
    return packed


def _layout(x: NDArray[Any], labels: NDArray[Any]) -> str:
    """Return which of the first two axes the labels fit, "auto" where both or neither do."""
    fits = tuple(size == labels.size for size in x.shape[:2])
    return {(True, False): "NT", (False, True): "TN"}.get(fits, "auto")  # type: ignore[call-overload, no-any-return]


def _joined(parts: Sequence[SpikeEvents], n_steps: int) -> SpikeEvents:
    """Join single samples."""
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [len(p) for p in parts])
    step, index = (np.concatenate([getattr(p, k) for p in parts]) for k in ("step", "index"))
    return SpikeEvents(numbers, step, index, len(parts), n_steps, parts[0].shape)
