"""What one node sends during a float run: spikes as flat arrays, or dense values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ProfileError
from nmhw.values.events import SpikeEvents

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Rockpool's own limit of spikes per step; only a loop that feeds itself gets there.
_MAX_SPIKES = 65536


class SpikeSignal:
    """Spikes of one node for one chunk of samples, growing with time."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._parts: list[tuple[Ints, Ints, Ints, Floats]] = []

    def append(self, step: int, spikes: Floats) -> None:
        """Add the spikes (n_samples, n) of one step."""
        where = np.flatnonzero(spikes)
        if where.size:
            count = spikes.ravel()[where]
            if count.max() > _MAX_SPIKES:
                raise ProfileError(
                    "a neuron spikes without bound",
                    got=f"{count.max():.6g} spikes in step {step}",
                    limit=_MAX_SPIKES,
                    where=self._name,
                    hint="multi_spike=False",
                    rule="run.runaway",
                )
            sample, index = np.divmod(where, self._size)
            steps = np.full(where.size, step, np.int64)
            self._parts.append((steps, sample, index, count))

    def extend(self, step: Ints, sample: Ints, index: Ints, value: Floats) -> None:
        """Add events at once."""
        self._parts.append((step, sample, index, value))

    def arrays(self) -> tuple[Ints, Ints, Ints, Floats]:
        """Return (step, sample, index, value) of all events, steps ascending."""
        if len(self._parts) != 1:
            empty = (np.zeros(0, np.int64),) * 3 + (np.zeros(0),)
            columns = zip(*(self._parts or [empty]), strict=True)
            self._parts = [tuple(np.concatenate(c) for c in columns)]  # type: ignore[list-item]
        return self._parts[0]

    def rows(self, start: int, stop: int, n_samples: int) -> Any:
        """Return steps [start, stop) as CSR rows ``(step - start) * n_samples + sample``."""
        from scipy.sparse import coo_array

        step, sample, index, value = self.arrays()
        first, last = np.searchsorted(step, (start, stop))
        row = (step[first:last] - start) * n_samples + sample[first:last]
        shape = ((stop - start) * n_samples, self._size)
        return coo_array((value[first:last], (row, index[first:last])), shape=shape).tocsr()


class DenseSignal:
    """Values of one node for one chunk, ``values`` of shape (steps, samples, n)."""

    def __init__(self, values: Floats) -> None:
        self.values = values

    def append(self, step: int, values: Floats) -> None:
        """Set the values of one step."""
        self.values[step] = values

    def rows(self, start: int, stop: int, n_samples: int) -> Floats:
        """Return steps [start, stop) as rows; steps outside the record are 0."""
        n_steps, _, size = self.values.shape
        out = np.zeros((stop - start, n_samples, size))
        first, last = max(start, 0), min(stop, n_steps)
        if last > first:
            out[first - start : last - start] = self.values[first:last]
        return out.reshape(-1, size)


Signal = SpikeSignal | DenseSignal


def signal_of_events(
    events: SpikeEvents, first: int, last: int, n_executed: int, *, continuous: bool
) -> SpikeSignal:
    """Return the events of samples [first, last) as a signal.

    In one continuous stream sample k starts at step ``k * n_executed`` and there is one row.
    """
    begin, end = np.searchsorted(events.sample, (first, last))
    sample = events.sample[begin:end].astype(np.int64) - first
    step = events.step[begin:end].astype(np.int64)
    index = events.index[begin:end].astype(np.int64)
    value = np.ones(index.size) if events.value is None else events.value[begin:end]
    if continuous:
        step, sample = step + sample * n_executed, np.zeros_like(sample)
    order = np.argsort(step, kind="stable")
    signal = SpikeSignal(events.n_neurons, "input")
    signal.extend(step[order], sample[order], index[order], value[order].astype(np.float64))
    return signal


def signal_of_values(
    values: NDArray[Any], first: int, last: int, n_executed: int, *, continuous: bool
) -> DenseSignal:
    """Return dense inputs (samples, steps, ...) as a signal; see ``signal_of_events``."""
    n_steps = values.shape[1]
    flat = np.asarray(values[first:last], np.float64).reshape(last - first, n_steps, -1)
    if not continuous:
        return DenseSignal(flat.transpose(1, 0, 2))
    padded = np.zeros((last - first, n_executed, flat.shape[2]))
    padded[:, :n_steps] = flat
    return DenseSignal(padded.reshape(-1, 1, flat.shape[2]))
