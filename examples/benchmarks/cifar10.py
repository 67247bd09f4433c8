"""CIFAR-10 by direct coding: the first layer on the host, the rest on chips.

    python examples/benchmarks/cifar10.py --epochs 30 --train 50000 --steps 4

Data: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
https://www.cs.toronto.edu/~kriz/cifar.html, Python version; checksum as in torchvision 0.29.2.
"""

from __future__ import annotations

import argparse
import codecs
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from downloads import Archive, DamagedError, fetch, unpack
from torch import nn
from training import base_parser, print_table, run_recipe, train

import nmhw
from nmhw.torch import LIF, Sequential

ARCHIVE = Archive(
    "cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    "md5:c58f30108f718f92721af3b95e74349a", 1 << 28,
)  # fmt: skip
MADE = "cifar-10-batches-py"


class _Arrays(pickle.Unpickler):
    """Reads pickled dicts of arrays, lists and text, and nothing that could run."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what arrays are made of; refuse everything else."""
        if (module, name) == ("_codecs", "encode"):
            return codecs.encode
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and (
            name == "_reconstruct"
        ):
            return np._core.multiarray._reconstruct
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a batch")


def read_images(files: list[Path], n_samples: int) -> tuple[Any, Any]:
    """Return images (samples, 3, 32, 32) in [0, 1] and labels of some batches."""
    pixels: list[Any] = []
    labels: list[int] = []
    for file in files:
        if len(labels) >= n_samples:
            break
        try:
            with file.open("rb") as stream:
                batch = _Arrays(stream, encoding="bytes").load()
            pixels.append(np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32))
            labels += [int(k) for k in batch[b"labels"]]
        except (OSError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError) as e:
            raise DamagedError(f"{file.name} is not a batch of CIFAR-10 ({e})") from e
    images = np.concatenate(pixels)[:n_samples] / np.float32(255)
    return images, np.array(labels[:n_samples], np.int64)


def make_model() -> nn.Module:
    """Three convolutions with BatchNorm and pools, two dense layers."""
    neurons = {"dt_s": 1e-3, "tau_mem_s": 2e-3, "v_threshold": 0.5}
    return Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), LIF(**neurons),
        nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), LIF(**neurons),
        nn.AvgPool2d(2), nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32),
        LIF(**neurons), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(512, 64), LIF(**neurons),
        nn.Linear(64, 10), LIF(**neurons),
    )  # fmt: skip


def recipe(options: argparse.Namespace) -> None:
    """Train, cut behind the first layer, deploy the rest, print the table."""
    path = fetch(ARCHIVE, options.folder, offline=options.offline)
    folder = unpack(path, options.folder, MADE)
    batches = [folder / f"data_batch_{k}" for k in range(1, 6)]
    images, labels = read_images(batches, options.train)
    test_images, test_labels = read_images([folder / "test_batch"], options.test)
    torch.manual_seed(options.seed)
    model = make_model()

    def batch_of(rows: Any) -> tuple[Any, Any]:
        x = torch.from_numpy(images[rows]).unsqueeze(1).expand(-1, options.steps, -1, -1, -1)
        return x, torch.from_numpy(labels[rows])

    train(model, batch_of, len(labels), options)
    network = nmhw.from_torch(model, batch_of(np.arange(min(2, len(labels))))[0])
    stage = nmhw.host_stage(network)
    print(f"first layer on the host: {stage.macs_per_step:,} MACs per image, unpriced")
    spikes = stage.spikes(test_images, n_steps=options.steps)
    print_table(stage.rest, spikes, test_labels, options.chips.split(","))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    return base_parser(__doc__.splitlines()[0], steps=4, epochs=30).parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_recipe(recipe, parse(sys.argv[1:])))
