"""Learning data made on the spot: shifted and corrupted images, and a small event camera.

Every sample has its own random stream: sample k does not depend on how many are made.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from nmhw.values.events import SpikeEvents
from nmhw.values.rng import stream

Floats = NDArray[np.float64]
Grid = NDArray[np.float64]

#: Classes of ``make_gestures``, in the order of their labels.
GESTURES = ("right", "left", "down", "up", "turn", "turn back", "grow", "shrink")


def shift_images(images: Floats, size: int, copies: int, seed: int, first: int = 0) -> Floats:
    """Place every image at a random position of a larger, empty canvas.

    Parameters
    ----------
    images : (n, height, width)
    size : int
        Side of the canvas.
    copies : int
        Copies per image, one after another.
    first : int
        Number of the first image: names its random stream.

    Returns
    -------
    (n * copies, size, size) float64
    """
    n, height, width = images.shape
    out = np.zeros((n * copies, size, size))
    for k in range(n):
        rng = stream(seed, "data.shift", first + k)
        for copy in range(copies):
            row, column = rng.integers(size - height + 1), rng.integers(size - width + 1)
            out[k * copies + copy, row : row + height, column : column + width] = images[k]
    return out


def corrupt_images(images: Floats, seed: int, noise: float = 0.15, shift: int = 1) -> Floats:
    """Move images ``shift`` pixels to the right and add noise to every pixel.

    The column that leaves is lost, the one that enters is empty; noise is the absolute value of a
    normal number times ``noise``; values are clipped to [0, 1]. Stands for a sensor that was
    moved and aged after training.
    """
    out = np.zeros_like(images)
    out[:, :, shift:] = images[:, :, : images.shape[2] - shift]
    for k in range(len(images)):
        out[k] += np.abs(stream(seed, "data.noise", k).normal(0.0, noise, images.shape[1:]))
    return np.clip(out, 0.0, 1.0)


def make_gestures(
    n_samples: int,
    seed: int,
    size: int = 12,
    n_steps: int = 24,
    keep: float = 0.8,
    noise: float = 0.003,
) -> tuple[SpikeEvents, NDArray[np.int64]]:
    """Make events of moving bars, a turning bar and a ring, as a small event camera sees them.

    Sample k shows gesture k modulo 8 (``GESTURES``) at its own speed, start and thickness. In
    every step the pixels that the shape has newly covered since the step before send an event,
    each with probability ``keep``; every pixel also sends a noise event with probability
    ``noise``. The sum of events over time is nearly the same for a gesture and its reverse: the
    order in time is what tells them apart.

    Returns
    -------
    events : SpikeEvents of shape (size, size)
    labels : (n_samples,) int64
    """
    raster = np.zeros((n_samples, n_steps, size, size), bool)
    labels = np.arange(n_samples, dtype=np.int64) % len(GESTURES)
    for k in range(n_samples):
        rng = stream(seed, "data.gestures", k)
        covered = _movie(int(labels[k]), rng, size, n_steps + 1)
        entered = covered[1:] & ~covered[:-1]
        raster[k] = entered & (rng.random(entered.shape) < keep)
        raster[k] |= rng.random(entered.shape) < noise
    return SpikeEvents.from_dense(raster, (size, size)), labels


def _movie(label: int, rng: np.random.Generator, size: int, n_frames: int) -> NDArray[np.bool_]:
    """Return (n_frames, size, size) the pixels that the shape covers."""
    phase = np.arange(n_frames) / (n_frames - 1)
    progress = rng.uniform(-0.15, 0.1) + rng.uniform(0.9, 1.3) * phase
    forward = label % 2 == 0
    shape: Callable[..., NDArray[np.bool_]] = (_bar, _bar, _turning, _ring)[label // 2]
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    if label // 2 == 1:
        rows, columns = columns, rows
    thickness = rng.uniform(1.0, 2.0)
    middle = (size - 1) / 2 + rng.uniform(-1.0, 1.0, 2)
    where = progress if forward else 1.0 - progress
    return np.stack([shape(rows, columns, p, thickness, middle, size) for p in where])


def _bar(
    rows: Grid, columns: Grid, where: float, thickness: float, middle: Floats, size: int
) -> NDArray[np.bool_]:
    near = np.abs(columns - where * (size - 1)) <= thickness / 2
    return near & (np.abs(rows - middle[0]) <= size / 3)


def _turning(
    rows: Grid, columns: Grid, where: float, thickness: float, middle: Floats, size: int
) -> NDArray[np.bool_]:
    angle = np.pi * where
    across = (rows - middle[0]) * np.cos(angle) - (columns - middle[1]) * np.sin(angle)
    return np.abs(across) <= thickness / 2


def _ring(
    rows: Grid, columns: Grid, where: float, thickness: float, middle: Floats, size: int
) -> NDArray[np.bool_]:
    radius = np.hypot(rows - middle[0], columns - middle[1])
    return np.abs(radius - where * size / 2) <= thickness / 2
