"""Samples as events: what the engine reads, without any array of steps x inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmhw.errors import InputError, UsageError
from nmhw.sim.learning.gradient_rule import GradientRule
from nmhw.values.events import SpikeEvents

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PackedEvents:
    """The events of many samples, one sample after another.

    Attributes
    ----------
    pointers : (n_samples + 1,) int64
        Where a sample's events begin and end.
    index : (n_events,) int32
        Input element.
    moment : (n_events,) int32 or float64
        Step, tick or time. Events are in order of step, then index; times in order of index.
    value : (n_events,) int32
        Spikes at once (1 for times).
    n_inputs : int
    n_steps : int or None
        None for times.
    """

    pointers: Ints
    index: NDArray[np.int32]
    moment: NDArray[Any]
    value: NDArray[np.int32]
    n_inputs: int
    n_steps: int | None

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return self.pointers.size - 1


def pack_times(times: ArrayLike, rule: GradientRule) -> PackedEvents:
    """Pack spike times, rounded up to ticks if the rule has ticks.

    Parameters
    ----------
    times : (n_samples, n_inputs)
        In units of the window; inf = silent.

    Raises
    ------
    InputError
        For times below 0, not a number, or above 1 if the threshold is a window.
    UsageError
        For a rule in steps.
    """
    if not rule.uses_times:
        raise UsageError(f"{rule.name} takes spikes per step", hint="pack_events")
    t = np.asarray(times, np.float64)
    if t.ndim != 2 or np.isnan(t).any() or (t < 0).any():
        raise InputError("times are (samples, inputs), 0 or later, inf = silent", got=t.shape)
    has_fired = np.isfinite(t)
    if rule.threshold == "window" and (t[has_fired] > 1).any():
        raise InputError("inputs of a window lie in 0..1", got=float(t[has_fired].max()), limit=1)
    sample, index = np.nonzero(has_fired)
    moment: NDArray[Any] = t[has_fired]
    if rule.time == "ticks":
        moment = np.ceil(moment * rule.n_steps - 1e-9).astype(np.int32)
    ones = np.ones(sample.size, np.int32)
    pointers = _pointers(sample, len(t))
    return PackedEvents(pointers, index.astype(np.int32), moment, ones, t.shape[1], None)


def pack_events(events: SpikeEvents) -> PackedEvents:
    """Pack spike events; events of the same element in the same step are one event of their sum.

    Raises
    ------
    InputError
        For spike counts below 0.
    """
    n_inputs = int(np.prod(events.shape))
    value = np.ones(events.index.size) if events.value is None else np.asarray(events.value)
    if (value < 0).any():
        raise InputError("spikes per step are whole numbers >= 0", got=value.min())
    place = (events.sample.astype(np.int64) * events.n_steps + events.step) * n_inputs
    order, inverse = np.unique(place + events.index, return_inverse=True)
    summed = np.bincount(inverse, value, minlength=order.size).astype(np.int32)
    order, summed = order[summed > 0], summed[summed > 0]
    cell, index = np.divmod(order, n_inputs)
    sample, step = np.divmod(cell, events.n_steps)
    return PackedEvents(
        _pointers(sample, events.n_samples),
        index.astype(np.int32),
        step.astype(np.int32),
        summed,
        n_inputs,
        events.n_steps,
    )


def _pointers(sample: Ints, n_samples: int) -> Ints:
    counts = np.bincount(sample, minlength=n_samples)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
