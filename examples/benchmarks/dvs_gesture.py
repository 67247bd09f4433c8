"""DVS128 Gesture: a convolutional network trained here, on chips.

    python examples/benchmarks/dvs_gesture.py --epochs 20 --train 1077 --test 264

Data: Amir et al. 2017, doi:10.1109/CVPR.2017.781, as the cut samples that tonic 1.7.0 fetches
(figshare 38022171 and 38020584: one .npy per gesture with columns x, y, polarity and milliseconds),
about 3 GB; checksums as there. The first 1.5 s of a gesture are used.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from downloads import Archive, DamagedError, fetch, unpack
from torch import nn
from training import base_parser, event_batches, print_table, run_recipe, step_length_s, train

import nmhw
from nmhw.torch import LIF, Sequential

_FILES = "https://figshare.com/ndownloader/files/"
ARCHIVES = {
    "Train": Archive(
        "ibmGestureTrain.tar.gz", _FILES + "38022171", "md5:3a8f0d4120a166bac7591f77409cb105",
        4 << 30,
    ),
    "Test": Archive(
        "ibmGestureTest.tar.gz", _FILES + "38020584", "md5:56070e45dadaa85fff82e0fbfbc06de5",
        2 << 30,
    ),
}  # fmt: skip
LENGTH_S = 1.5


def read_gesture(path: Path) -> Any:
    """Return the first events of one gesture as a structured array, times in microseconds."""
    table = np.load(path, allow_pickle=False)
    if table.ndim != 2 or table.shape[1] != 4:
        raise DamagedError(f"{path.name} holds no columns x, y, polarity, time")
    x, y, p, ms = table.T
    t = np.round(ms.astype(np.float64) * 1000).astype(np.int64)
    kept = t < t.min(initial=0) + int(LENGTH_S * 1e6)
    events = np.zeros(int(kept.sum()), [("x", "i4"), ("y", "i4"), ("t", "i8"), ("p", "i1")])
    for name, column in (("x", x), ("y", y), ("t", t), ("p", p)):
        events[name] = column[kept]
    return events[np.argsort(events["t"], kind="stable")]


def load(part: str, n_samples: int, options: argparse.Namespace) -> Any:
    """Return the events of a part, gestures of all users in turn."""
    path = fetch(ARCHIVES[part], options.folder, offline=options.offline)
    folder = unpack(path, options.folder, f"ibmGesture{part}")
    files = sorted(folder.glob("*/*.npy"), key=lambda f: (int(f.stem), f.parent.name))
    by_class: dict[int, list[Path]] = {}
    for file in files:
        by_class.setdefault(int(file.stem), []).append(file)
    longest = max(map(len, by_class.values()), default=0)
    turns = [c[k] for k in range(longest) for c in by_class.values() if k < len(c)][:n_samples]
    return nmhw.load_events(
        [read_gesture(f) for f in turns], dt=step_length_s(LENGTH_S, options.steps), bin="binary",
        sensor=(128, 128), n_steps=options.steps, labels=[int(f.stem) for f in turns],
    )  # fmt: skip


def make_model(n_steps: int) -> nn.Module:
    """A pool to 32 x 32, two convolutions, two dense layers."""
    dt_s = step_length_s(LENGTH_S, n_steps)
    neurons = {"dt_s": dt_s, "tau_mem_s": 4 * dt_s, "v_threshold": 0.5}
    return Sequential(
        nn.AvgPool2d(4), nn.Conv2d(2, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8),
        LIF(**neurons), nn.AvgPool2d(2), nn.Conv2d(8, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16), LIF(**neurons), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(16 * 8 * 8, 64), LIF(**neurons), nn.Linear(64, 11), LIF(**neurons),
    )  # fmt: skip


def recipe(options: argparse.Namespace) -> None:
    """Train, deploy, print the table."""
    test = load("Test", options.test, options)
    training = load("Train", options.train, options)
    events = training.events()
    torch.manual_seed(options.seed)
    model = make_model(options.steps)
    train(model, lambda rows: event_batches(events, training.labels, rows), events.n_samples,
          options)  # fmt: skip
    sample, _ = event_batches(events, training.labels, range(min(2, events.n_samples)))
    network = nmhw.from_torch(model, sample)
    print_table(network, test, test.labels, options.chips.split(","))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    return base_parser(__doc__.splitlines()[0], steps=30, epochs=20).parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_recipe(recipe, parse(sys.argv[1:])))
