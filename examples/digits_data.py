"""The handwritten digits of scikit-learn as spikes: fixed split, deterministic encoding, files.

The images are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, doi:10.24432/C50P49, CC BY 4.0): 1797 images of 8 x 8
pixels with values 0 to 16. Needs scikit-learn.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

N_STEPS = 16
SPLIT_SEED = 20
N_TEST_PER_CLASS = 40
N_CALIBRATION = 64
N_VALIDATION_PER_CLASS = 30


def load_split() -> dict[str, NDArray[np.int64]]:
    """Return the fixed split: ``train``, ``test``, ``calibration`` row numbers, pixels, labels.

    Each class is permuted with a fixed seed; its last 40 images are the test set (400 in all), the
    rest is for training. Calibration is the first 64 training images, classes in turn.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(SPLIT_SEED)
    by_class = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
    train = [rows[:-N_TEST_PER_CLASS] for rows in by_class]
    turns = [rows[turn] for turn in range(min(map(len, train))) for rows in train]
    return {
        "pixels": pixels.astype(np.int64),
        "labels": labels.astype(np.int64),
        "train": np.sort(np.concatenate(train)),
        "test": np.sort(np.concatenate([rows[-N_TEST_PER_CLASS:] for rows in by_class])),
        "calibration": np.sort(np.array(turns[:N_CALIBRATION])),
    }


def encode(pixels: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Turn integer pixels (samples, 64) of 0..16 into spikes (samples, steps, 64).

    Accumulate and fire: a pixel p adds p / 16 each step, spikes when the sum reaches 1 and keeps
    the rest, so that 16 steps hold exactly p spikes. No randomness.
    """
    level = pixels[:, np.newaxis, :].astype(np.int64) * np.arange(N_STEPS + 1)[:, np.newaxis] // 16
    return np.diff(level, axis=1) > 0


def write_events(path: Path, raster: NDArray[Any], labels: NDArray[np.int64]) -> None:
    """Write spikes (samples, steps, inputs) as sorted events, in the smallest integer types."""
    sample, step, index = np.nonzero(raster)
    np.savez_compressed(
        path,
        sample=sample.astype(np.uint16),
        step=step.astype(np.uint8),
        index=index.astype(np.uint8),
        n_steps=np.int64(raster.shape[1]),
        labels=labels.astype(np.uint8),
    )


def export_data(folder: Path) -> None:
    """Write the spikes and labels of the test and calibration images."""
    split = load_split()
    for name in ("test", "calibration"):
        rows = split[name]
        path = folder / f"digits_{name}.npz"
        write_events(path, encode(split["pixels"][rows]), split["labels"][rows])
        print(f"{path.name}: {len(rows)} images, {path.stat().st_size} bytes", file=sys.stderr)


def export_images(path: Path) -> None:
    """Write all images, labels and the split of learning experiments as one small file.

    Split codes: 0 train, 1 validation (of every class 30 training images), 2 test (the same 400
    images as ``digits_test.npz``).
    """
    split = load_split()
    part = np.zeros(split["labels"].size, np.uint8)
    part[split["test"]] = 2
    rng = np.random.default_rng(SPLIT_SEED)
    for digit in range(10):
        rows = rng.permutation(np.flatnonzero(split["labels"] == digit))
        part[rows[:-N_TEST_PER_CLASS][-N_VALIDATION_PER_CLASS:]] = 1
    np.savez_compressed(
        path,
        pixels=split["pixels"].astype(np.uint8),
        labels=split["labels"].astype(np.uint8),
        split=part,
    )
