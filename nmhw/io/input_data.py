"""Inputs as files hold them, before a network gives them shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, ProfileError
from nmhw.values.events import SpikeEvents

Array = NDArray[Any]

# Expanding counts beyond this would only exhaust the memory.
_MAX_EVENTS = 2_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class EventList:
    """Events in any order.

    Attributes
    ----------
    sample, index : (n_events,) integers; ``index`` in C order over the input's shape
    step : (n_events,) integers, or None when ``time_s`` is given
    value : (n_events,), optional
        Counts or graded values.
    n_samples, n_steps : int, optional
        Default: the largest number that occurs, plus one.
    time_s, duration_s : (n_events,) float, float
        Seconds since the start of the sample.
    where : str
        File and arrays, for messages.
    """

    sample: Array
    index: Array
    step: Array | None = None
    value: Array | None = None
    n_samples: int | None = None
    n_steps: int | None = None
    time_s: Array | None = None
    duration_s: float | None = None
    where: str = "events"

    def steps(self, dt_s: float | None) -> tuple[Array, int | None]:
        """Return (step of every event, number of steps if known).

        Raises
        ------
        ProfileError
            For times without dt.
        """
        if self.step is not None:
            return whole_numbers(self.step, f"{self.where}: step"), self.n_steps
        if dt_s is None or self.time_s is None or self.duration_s is None:
            raise ProfileError(
                "event times in seconds need a step length", where=self.where, hint="--dt SECONDS"
            )
        # an event written as k dt may come back as k - 1e-9 steps
        step = np.floor(self.time_s / dt_s + 1e-6).astype(np.int64)
        return step, int(np.floor(self.duration_s / dt_s + 1e-6))

    def to_events(
        self, shape: tuple[int, ...], n_samples: int, n_steps: int, dt_s: float | None
    ) -> SpikeEvents:
        """Check ranges and values and return sorted SpikeEvents.

        Whole positive values become repeated events; other values stay graded.

        Raises
        ------
        InputError
            For a sample, step or index out of range, or a value that is NaN or infinite.
        """
        sample = whole_numbers(self.sample, f"{self.where}: sample")
        index = whole_numbers(self.index, f"{self.where}: index")
        step, _ = self.steps(dt_s)
        sizes = {"sample": n_samples, "step": n_steps, "index": int(np.prod(shape))}
        for (name, size), column in zip(sizes.items(), (sample, step, index), strict=True):
            if column.ndim != 1:
                raise InputError(
                    "event arrays have one axis", got=column.shape, limit="(n_events,)",
                    where=f"{self.where}: {name}",
                )  # fmt: skip
            if column.shape != sample.shape:
                raise InputError(
                    "the event arrays differ in length", got=column.shape, limit=sample.shape,
                    where=f"{self.where}: {name}",
                )  # fmt: skip
            if column.size and (column.min() < 0 or column.max() >= size):
                bad = int(column.min() if column.min() < 0 else column.max())
                raise InputError(
                    f"an event's {name} is out of range", got=bad, limit=f"0 to {size - 1}",
                    where=f"{self.where}: {name}", rule="input.range",
                )  # fmt: skip
        value = self._checked_value(sample.shape)
        if value is not None and (value >= 0).all() and (value == np.floor(value)).all():
            if value.sum() > _MAX_EVENTS:
                raise InputError("too many spikes", got=value.sum(), limit=_MAX_EVENTS)
            repeats = value.astype(np.int64)
            sample, step, index = (np.repeat(c, repeats) for c in (sample, step, index))
            value = None
        elif value is not None:
            keep = value != 0
            sample, step, index, value = (c[keep] for c in (sample, step, index, value))
        return SpikeEvents.from_arrays(sample, step, index, n_samples, n_steps, shape, value)

    def _checked_value(self, length: tuple[int, ...]) -> NDArray[np.float64] | None:
        if self.value is None:
            return None
        value = plain_array(self.value, f"{self.where}: value").astype(np.float64)
        if value.shape != length:
            raise InputError(
                "the event arrays differ in length", got=value.shape, limit=length,
                where=f"{self.where}: value",
            )  # fmt: skip
        if not np.isfinite(value).all():
            bad = int(np.flatnonzero(~np.isfinite(value))[0])
            raise InputError(
                "an event's value is not finite", got=f"{value[bad]} at event {bad}",
                where=f"{self.where}: value", rule="input.finite",
            )  # fmt: skip
        return value


@dataclass(frozen=True, slots=True, eq=False)
class InputFile:
    """What an input file holds.

    Attributes
    ----------
    path : str
    streams : mapping of input name to EventList or array
        The key ``""`` stands for the only input.
    labels : array or None
    dt_s : float or None
        Step of gridded NIRData.
    """

    path: str
    streams: Mapping[str, EventList | Array]
    labels: Array | None = None
    dt_s: float | None = None


def plain_array(value: Any, where: str) -> Array:
    """Return a numeric NumPy array of anything array-like (torch tensors included).

    Raises
    ------
    InputError
        For ragged lists, text, objects and complex numbers.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if "bfloat16" in str(getattr(value, "dtype", "")):
            value = value.float()
        value = value.numpy()
    try:
        array = np.asarray(value)
    except ValueError as failure:
        raise InputError(
            "not a rectangular array", where=where, got=type(value).__name__
        ) from failure
    if array.dtype.kind not in "biuf":
        raise InputError("not an array of numbers", got=f"dtype {array.dtype}", where=where)
    return array


def whole_numbers(value: Any, where: str) -> NDArray[np.int64]:
    """Return int64; floats only where every number is whole.

    Raises
    ------
    InputError
        For anything else.
    """
    array = plain_array(value, where)
    if array.dtype.kind == "f":
        bad = ~(np.isfinite(array) & (array == np.floor(array)))
        if bad.any():
            raise InputError("must be whole numbers", got=array[bad].flat[0], where=where)
    return array.astype(np.int64)
