"""Labeled data as the events that a rule takes: spike times, or spikes per step."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.io.encode import encode, encode_levels, encode_rate, encode_times, first_times
from nmhw.values.dataset import LabeledData
from nmhw.values.events import SpikeEvents
from nmhw.values.learning_settings import MAX_RATE, LearningSettings
from nmhw.values.rng import stream

if TYPE_CHECKING:
    from nmhw.sim.learning.gradient_rule import GradientRule

#: Root seed of the spikes of validation and test images: every training is judged on the same.
_JUDGED_SEED = 20


def content_digest(data: LabeledData, rule: str) -> str:
    """Return a digest of the data's bytes and, of a rule from a file, its source."""
    found = hashlib.sha256()
    arrays: list[NDArray[Any]] = [data.labels, data.split]
    if data.images is not None:
        arrays.append(data.images)
    if data.events is not None:
        arrays += [data.events.sample, data.events.step, data.events.index]
        arrays += [] if data.events.value is None else [data.events.value]
    for array in arrays:
        found.update(f"{array.dtype}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    source = Path(rule.rpartition(":")[0])
    if source.suffix == ".py" and source.is_file():
        found.update(source.read_bytes())
    return found.hexdigest()[:16]


def check_code(settings: LearningSettings, data: LabeledData, is_given: bool) -> None:
    """Raise UsageError for a code that the data or the rule do not take.

    Spike-time rules take one time per pixel, the latency code; events have no code.
    """
    if data.images is None:
        if is_given:
            raise UsageError(
                "the data are events: no code applies", got=settings.code, where=data.name,
                hint="no --code", rule="learn.code",
            )  # fmt: skip
    elif settings.rule == "std-ed" and settings.code != "latency":
        raise UsageError(
            "std-ed learns spike times: images are latency-coded", got=settings.code,
            limit="latency", hint="--code latency, or --rule mpd-ed",
        )  # fmt: skip


def is_redrawn(data: LabeledData, settings: LearningSettings, rule: GradientRule) -> bool:
    """Return whether every epoch sees new spikes of the same images (rate code)."""
    return data.images is not None and settings.code == "rate" and not rule.uses_times


def encode_times_of(
    data: LabeledData, rows: NDArray[np.int64], rule: GradientRule
) -> NDArray[np.float64]:
    """Return (rows, inputs) spike times for a spike-time rule; inf = silent."""
    ticks = rule.n_steps if rule.time == "ticks" else None
    if data.images is not None:
        return encode_times(data.images[rows], ticks)
    times = first_times(_take(data.events, rows))
    return times if ticks is None else np.ceil(times * ticks - 1e-9) / ticks


def encode_steps_of(
    data: LabeledData,
    rows: NDArray[np.int64],
    settings: LearningSettings,
    seed: int | None = None,
    epoch: int = 0,
) -> SpikeEvents:
    """Return the spikes per step of some samples.

    Parameters
    ----------
    seed, epoch : int
        Of the training whose rate-coded spikes are drawn; without a seed those of validation and
        test, the same for every training.

    Raises
    ------
    UsageError
        When event data have more steps than the settings.
    """
    if data.images is None:
        return _with_steps(_take(data.events, rows), settings.n_steps, data.name)
    images = data.images[rows]
    if settings.code == "direct":
        return encode_levels(images, settings.n_steps)
    if settings.code != "rate":
        return encode(images, settings.code, settings.n_steps)
    root = _JUDGED_SEED
    if seed is not None:
        root = int(stream(seed, "learning.rate", epoch).integers(2**31))
    return encode_rate(MAX_RATE * images, settings.n_steps, root)


def _with_steps(events: SpikeEvents, n_steps: int, name: str) -> SpikeEvents:
    if events.n_steps > n_steps:
        raise UsageError(
            "the data have more steps than the training", got=events.n_steps, limit=n_steps,
            where=name, hint=f"--steps {events.n_steps}",
        )  # fmt: skip
    return replace(events, n_steps=n_steps)


def _take(events: SpikeEvents | None, rows: NDArray[np.int64]) -> SpikeEvents:
    """Return the events of some samples, renumbered in the order of ``rows`` (ascending)."""
    assert events is not None
    position = np.full(events.n_samples, -1, np.int64)
    position[rows] = np.arange(rows.size)
    kept = position[events.sample] >= 0
    sample, step, index = position[events.sample][kept], events.step[kept], events.index[kept]
    value = None if events.value is None else events.value[kept]
    return SpikeEvents.from_arrays(
        sample, step, index, rows.size, events.n_steps, events.shape, value
    )
