"""Recipes: N-MNIST and SHD as files for ``nmhw learn``. NOT RUN by the people who wrote them.

    pip install tonic
    python examples/event_datasets.py nmnist --steps 20 -o nmnist.npz     # downloads about 1 GB
    python examples/event_datasets.py shd --steps 50 -o shd.npz           # downloads about 0.4 GB
    nmhw learn nmnist.npz --rule mpd-ed --net 2x34x34-c8k5-p2-c16k5-p2-10 --mode float --epochs 5
    nmhw learn shd.npz --rule mpd-ed --net 700-r128-20 --mode float --epochs 20

Both data sets are fetched by tonic (https://github.com/neuromorphs/tonic) onto your machine:
N-MNIST, Orchard et al. 2015, doi:10.3389/fnins.2015.00437; SHD, Cramer et al. 2022,
doi:10.1109/TNNLS.2020.3044364. Events of a sample are counted into equal steps, at most one per
address and step. The conversion is tested on invented events; the downloads, the training times and
the accuracies are not known here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Shape of one step, and length of a sample in microseconds.
SHAPES = {"nmnist": (2, 34, 34), "shd": (700,)}
LENGTHS_US = {"nmnist": 300_000, "shd": 1_000_000}
VALIDATION_SHARE = 10


def bin_events(
    events: NDArray[Any], shape: tuple[int, ...], n_steps: int, length_us: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (step, address) of one sample's events, at most one per address and step.

    Parameters
    ----------
    events : structured array
        Fields ``t`` (microseconds), ``x`` and, for cameras, ``y`` and ``p``.
    """
    step = np.minimum(events["t"].astype(np.int64) * n_steps // length_us, n_steps - 1)
    index = events["x"].astype(np.int64)
    if len(shape) == 3:
        polarity = events["p"].astype(np.int64)
        index = (polarity * shape[1] + events["y"].astype(np.int64)) * shape[2] + index
    kept = (events["t"] >= 0) & (events["t"] < length_us)
    cells = np.unique(step[kept] * int(np.prod(shape)) + index[kept])
    return np.divmod(cells, int(np.prod(shape)))


def write_samples(
    path: Path, samples: Iterable[tuple[Any, int, int]], shape: tuple[int, ...], n_steps: int,
    length_us: int,
) -> int:  # fmt: skip
    """Write (events, label, split code) triples as one ``.npz``; return how many there are."""
    columns: dict[str, list[Any]] = {"sample": [], "step": [], "index": []}
    labels, split = [], []
    for events, label, code in samples:
        step, index = bin_events(events, shape, n_steps, length_us)
        columns["sample"].append(np.full(step.size, len(labels)))
        columns["step"].append(step)
        columns["index"].append(index)
        labels.append(label)
        split.append(code)
    arrays = {name: np.concatenate(parts).astype(np.int32) for name, parts in columns.items()}
    np.savez_compressed(
        path, **arrays, n_steps=np.int64(n_steps), labels=np.array(labels),
        split=np.array(split), shape=np.array(shape),
    )  # fmt: skip
    return len(labels)


def download(name: str, folder: Path) -> Iterable[tuple[Any, int, int]]:
    """Yield the samples of a data set; every tenth training sample is for validation."""
    import tonic

    kind = tonic.datasets.NMNIST if name == "nmnist" else tonic.datasets.SHD
    for is_train in (True, False):
        for k, (events, label) in enumerate(kind(save_to=str(folder), train=is_train)):
            code = 2 if not is_train else int(k % VALIDATION_SHARE == 0)
            yield events, int(label), code


def main() -> None:
    """Download, convert, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(SHAPES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--folder", type=Path, default=Path("data"), help="of the download")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    n = write_samples(
        options.output, download(options.name, options.folder), SHAPES[options.name],
        options.steps, LENGTHS_US[options.name],
    )  # fmt: skip
    print(f"{options.output}: {n} samples")


if __name__ == "__main__":
    main()
