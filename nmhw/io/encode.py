"""Encoders: from analog values to spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, UsageError
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.rng import stream

Floats = NDArray[np.float64]

ENCODERS = ("rate", "latency", "delta", "accumulate")


def encode(
    x: NDArray[Any],
    method: str,
    n_steps: int | None = None,
    seed: int = 0,
    threshold: float = 0.1,
    first: int = 0,
) -> SpikeEvents:
    """Encode by name; see the function ``encode_<method>``.

    Parameters
    ----------
    x : (samples, ...) in [0, 1]; for ``delta`` (samples, steps, ...)
    n_steps : int
        Needed by all but ``delta``.
    first : int
        Number of the first sample, which chooses the random stream of ``rate``.

    Raises
    ------
    UsageError
        For an unknown encoder or a missing number of steps.
    InputError
        For values out of range.
    """
    if method not in ENCODERS:
        raise UsageError("no such encoder", got=repr(method), hint=", ".join(ENCODERS))
    if method == "delta":
        return encode_delta(x, threshold)
    if n_steps is None:
        raise UsageError(f"encoding by {method} needs a number of steps", hint="--steps T")
    if method == "rate":
        return encode_rate(x, n_steps, seed, first)
    return encode_latency(x, n_steps) if method == "latency" else encode_accumulate(x, n_steps)


def encode_inputs(
    network: Network, x: Any, method: str, n_steps: int | None = None, seed: int = 0
) -> dict[str, SpikeEvents]:
    """Encode analog data for every input of a network; see ``encode`` and ``open_analog``."""
    from nmhw.io.analog_source import open_analog

    return open_analog(network, x, method, n_steps, seed).take()


def encode_rate(x: NDArray[Any], n_steps: int, seed: int = 0, first: int = 0) -> SpikeEvents:
    """Spike in every step with probability x (Bernoulli).

    Every sample has its own stream, so the spikes of sample k do not depend on the others.

    Parameters
    ----------
    x : (samples, ...) in [0, 1]
    n_steps : int
    seed : int
        Root seed.
    first : int
        Number of the first sample.
    """
    values = check_analog(x, n_steps)
    flat = values.reshape(len(values), -1)

    def fire(sample: int) -> NDArray[np.bool_]:
        draws = stream(seed, "encode.rate", first + sample).random((n_steps, flat.shape[1]))
        return draws < flat[sample]

    return _collect(fire, values.shape, n_steps)


def encode_latency(x: NDArray[Any], n_steps: int) -> SpikeEvents:
    """One spike per element, the earlier the larger x: step round((1 - x)(n_steps - 1)).

    Elements that are 0 never spike.
    """
    values = check_analog(x, n_steps)
    flat = values.reshape(len(values), -1)
    sample, index = np.nonzero(flat)
    step = np.floor((1 - flat[sample, index]) * (n_steps - 1) + 0.5)
    return SpikeEvents.from_arrays(sample, step, index, len(values), n_steps, values.shape[1:])


def encode_times(x: NDArray[Any], n_ticks: int | None = None) -> Floats:
    """One spike time per element, t = 1 - x in [0, 1]; elements that are 0 are silent (inf).

    Parameters
    ----------
    x : (samples, ...) in [0, 1]
    n_ticks : int, optional
        Round up to whole ticks of 1 / n_ticks.

    Returns
    -------
    (samples, elements) float64
    """
    values = check_analog(x, 1)
    flat = values.reshape(len(values), -1)
    times = np.where(flat > 0, 1.0 - flat, np.inf)
    return times if n_ticks is None else np.ceil(times * n_ticks - 1e-9) / n_ticks


def first_times(events: SpikeEvents) -> Floats:
    """Return the first event of every sample and address as a time in [0, 1); inf = silent.

    Returns
    -------
    (samples, elements) float64, step / n_steps
    """
    times = np.full((events.n_samples, events.n_neurons), np.inf)
    np.minimum.at(times, (events.sample, events.index), events.step / events.n_steps)
    return times


def encode_accumulate(x: NDArray[Any], n_steps: int) -> SpikeEvents:
    """Add x in every step, spike when the sum reaches 1 and keep the rest; no randomness.

    After k steps exactly floor(k x) spikes have been sent.
    """
    values = check_analog(x, n_steps)
    flat = values.reshape(len(values), -1)
    # k x is computed at once: adding 0.1 ten times would miss 1
    k = np.arange(n_steps + 1)[:, None]

    def fire(sample: int) -> NDArray[np.bool_]:
        return np.diff(np.floor(flat[sample] * k + 1e-9), axis=0) > 0

    return _collect(fire, values.shape, n_steps)


def encode_levels(x: NDArray[Any], n_steps: int, n_levels: int = 4) -> SpikeEvents:
    """Present the same values in every step: round(n_levels x) spikes at once per element and step.

    Parameters
    ----------
    x : (samples, ...) in [0, 1]
    n_steps : int
    n_levels : int
        Spikes of a value of 1.

    Returns
    -------
    SpikeEvents
        With ``value``, the spikes of an element in a step.

    Raises
    ------
    UsageError
        Without a level.
    """
    if n_levels < 1:
        raise UsageError("levels start at 1", got=n_levels)
    values = check_analog(x, n_steps)
    levels = np.floor(values.reshape(len(values), -1) * n_levels + 0.5)
    sample, index = np.nonzero(levels)
    step = np.tile(np.arange(n_steps), sample.size)
    sample, index = np.repeat(sample, n_steps), np.repeat(index, n_steps)
    return SpikeEvents.from_arrays(
        sample, step, index, len(values), n_steps, values.shape[1:], levels[sample, index]
    )


def encode_delta(
    x: NDArray[Any], threshold: float = 0.1, *, off_channel: bool = True
) -> SpikeEvents:
    """Send on delta: a spike whenever x has moved by ``threshold`` since the last one.

    The reference starts at the first step's value and follows by one threshold per spike, so at
    most one spike per element, direction and step is sent.

    Parameters
    ----------
    x : (samples, steps, ...) float
    threshold : float
    off_channel : bool
        Also send downward steps: the shape gets a leading axis (2, ...) = (up, down).

    Returns
    -------
    SpikeEvents
        Of shape (2, ...) or (...).
    """
    values = _finite(x)
    if values.ndim < 3 or values.size == 0:
        raise InputError("delta takes (samples, steps, ...)", got=values.shape)
    if not threshold > 0:
        raise UsageError("the threshold must be positive", got=threshold)
    n_samples, n_steps = values.shape[:2]
    flat = values.reshape(n_samples, n_steps, -1)
    reference = flat[:, 0].copy()
    raster = np.zeros((n_samples, n_steps, 2, flat.shape[2]), bool)
    for step in range(1, n_steps):
        change = flat[:, step] - reference
        up, down = change >= threshold, change <= -threshold
        reference += threshold * (up.astype(np.float64) - down)
        raster[:, step, 0], raster[:, step, 1] = up, down
    shape = values.shape[2:]
    if off_channel:
        return SpikeEvents.from_dense(raster, (2, *shape))
    return SpikeEvents.from_dense(raster[:, :, 0], shape)


def _finite(x: NDArray[Any]) -> Floats:
    values = np.asarray(x, np.float64)
    if not np.isfinite(values).all():
        raise InputError("values to encode must be finite", rule="input.finite")
    return values


def check_analog(x: NDArray[Any], n_steps: int) -> Floats:
    """Return (samples, ...) float64 in [0, 1].

    Raises
    ------
    InputError
        For values out of range or not finite, and for arrays without samples.
    """
    if n_steps < 1:
        raise UsageError("encoding needs at least one step", got=n_steps)
    values = _finite(x)
    if values.ndim < 2 or values.size == 0:
        raise InputError("an encoder takes (samples, ...)", got=values.shape)
    if values.min() < 0 or values.max() > 1:
        raise InputError(
            "values to encode must lie in [0, 1]",
            got=f"{values.min():.6g} to {values.max():.6g}",
            hint="divide by the largest value",
        )
    return values


def _collect(
    fire: Callable[[int], NDArray[np.bool_]], shape: tuple[int, ...], n_steps: int
) -> SpikeEvents:
    """Join (steps, elements) rasters of single samples."""
    steps, indices, samples = [], [], []
    for sample in range(shape[0]):
        step, index = np.nonzero(fire(sample))
        steps.append(step)
        indices.append(index)
        samples.append(np.full(step.size, sample))
    columns = (np.concatenate(c).astype(np.int32) for c in (samples, steps, indices))
    sample_column, step_column, index_column = columns
    return SpikeEvents(sample_column, step_column, index_column, shape[0], n_steps, shape[1:])
