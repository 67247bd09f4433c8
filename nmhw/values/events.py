"""SpikeEvents: spikes as four flat arrays, sorted by sample, then step, then index."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError

# Every count becomes that many events; more would only exhaust the memory.
_MAX_COUNTED_EVENTS = 200_000_000


@dataclass(frozen=True, slots=True, eq=False)
class SpikeEvents:
    """Events of one input or population.

    Attributes
    ----------
    sample, step, index : (n_events,) int32
        ``index`` follows C order over ``shape``; several spikes of one neuron in one step are
        several events when ``value`` is None.
    value : (n_events,) float64 or None
        Payload of graded events; None = 1.
    n_samples, n_steps : int
    shape : tuple of int
        The author's shape of the population.
    """

    sample: NDArray[np.int32]
    step: NDArray[np.int32]
    index: NDArray[np.int32]
    n_samples: int
    n_steps: int
    shape: tuple[int, ...]
    value: NDArray[np.float64] | None = None

    @property
    def n_neurons(self) -> int:
        """Number of addresses."""
        return int(np.prod(self.shape, dtype=np.int64))

    def __len__(self) -> int:
        return int(self.index.size)

    def dense(self) -> NDArray[np.float32]:
        """Return counts (or summed values) as (samples, steps, neurons) float32."""
        out = np.zeros((self.n_samples, self.n_steps, self.n_neurons), np.float32)
        np.add.at(
            out, (self.sample, self.step, self.index), 1.0 if self.value is None else self.value
        )
        return out

    def counts(self) -> NDArray[np.float64]:
        """Return the number of spikes (or sum of values) per sample and neuron."""
        flat = self.sample.astype(np.int64) * self.n_neurons + self.index
        total = np.bincount(flat, self.value, self.n_samples * self.n_neurons)
        return total.reshape(self.n_samples, self.n_neurons).astype(np.float64)

    def largest_count(self) -> int:
        """Return the most events of one element in one step of one sample."""
        if not len(self):
            return 0
        columns = (self.sample, self.step, self.index)
        changes = np.any([np.diff(column) != 0 for column in columns], axis=0)
        edges = np.flatnonzero(np.r_[True, changes, True])
        return int(np.diff(edges).max())

    def pointers(self) -> NDArray[np.int64]:
        """Return (n_samples * n_steps + 1,) offsets of each step's first event."""
        flat = self.sample.astype(np.int64) * self.n_steps + self.step
        bounds = np.arange(self.n_samples * self.n_steps + 1, dtype=np.int64)
        return np.searchsorted(flat, bounds).astype(np.int64)

    def window(self, start: int, n_steps: int) -> SpikeEvents:
        """Return the events of steps [start, start + n_steps), with steps counted from start."""
        inside = (self.step >= start) & (self.step < start + n_steps)
        value = None if self.value is None else self.value[inside]
        step = self.step[inside] - np.int32(start)
        return SpikeEvents(
            self.sample[inside],
            step,
            self.index[inside],
            self.n_samples,
            n_steps,
            self.shape,
            value,
        )

    def samples(self, first: int, end: int) -> SpikeEvents:
        """Return the events of samples [first, end), numbered from 0."""
        if first == 0 and end == self.n_samples:
            return self
        sample = self.sample
        here: slice | NDArray[np.bool_] = (sample >= first) & (sample < end)
        if bool((sample[1:] >= sample[:-1]).all()):  # views, no copies
            here = slice(*np.searchsorted(sample, (first, end)).tolist())
        return replace(
            self,
            sample=sample[here] - np.int32(first),
            step=self.step[here],
            index=self.index[here],
            value=None if self.value is None else self.value[here],
            n_samples=end - first,
        )

    @staticmethod
    def from_dense(
        raster: NDArray[np.generic], shape: tuple[int, ...] | None = None
    ) -> SpikeEvents:
        """Make events of a (samples, steps, ...) array of non-negative integer counts.

        Raises
        ------
        InputError
            For negative, fractional or non-finite numbers, and for counts whose sum is too large.
        """
        check_counts(raster)
        n_samples, n_steps = raster.shape[:2]
        trailing = tuple(int(n) for n in raster.shape[2:]) if shape is None else shape
        flat = raster.reshape(n_samples, n_steps, -1)
        sample, step, index = np.nonzero(flat)
        times = flat[sample, step, index].astype(np.int64)
        s, t, i = (np.repeat(a, times).astype(np.int32) for a in (sample, step, index))
        return SpikeEvents(s, t, i, n_samples, n_steps, trailing)

    @staticmethod
    def from_arrays(
        sample: NDArray[np.generic],
        step: NDArray[np.generic],
        index: NDArray[np.generic],
        n_samples: int,
        n_steps: int,
        shape: tuple[int, ...],
        value: NDArray[np.float64] | None = None,
    ) -> SpikeEvents:
        """Sort unsorted events into the canonical order."""
        order = np.lexsort((index, step, sample))
        s, t, i = (
            np.ascontiguousarray(np.asarray(a)[order], np.int32) for a in (sample, step, index)
        )
        sorted_value = None if value is None else value[order]
        return SpikeEvents(s, t, i, n_samples, n_steps, shape, sorted_value)


def check_counts(raster: NDArray[np.generic], where: str | None = None) -> None:
    """Refuse what cannot become repeated events, before anything is expanded.

    Raises
    ------
    InputError
        For negative, fractional or non-finite numbers, and for counts (some above 1) that add up
        to more than 2e8 events.
    """
    if raster.size == 0 or raster.dtype.kind == "b":
        return
    low, high = float(np.min(raster)), float(np.max(raster))  # type: ignore[arg-type]
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("counts must be finite", got=f"{low} to {high}", where=where)
    is_whole = raster.dtype.kind != "f" or bool((np.floor(raster) == raster).all())  # type: ignore[call-overload]
    if low < 0 or not is_whole:
        raise InputError(
            "counts must be whole numbers, 0 or more", got=f"{low:.6g} to {high:.6g}", where=where
        )
    if high <= 1:
        return
    # a single count near 1e308 would overflow the sum
    total = high if high > _MAX_COUNTED_EVENTS else float(np.sum(raster, dtype=np.float64))  # type: ignore[arg-type]
    if total > _MAX_COUNTED_EVENTS:
        raise InputError(
            "too many spikes for an array of counts", got=f"{total:.6g}, {high:.6g} at one place",
            limit=f"{_MAX_COUNTED_EVENTS:.0e}", where=where, rule="input.too-many-spikes",
            hint="scale analog values to [0, 1], then --encode",
        )  # fmt: skip
