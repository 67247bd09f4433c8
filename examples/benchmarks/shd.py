"""Spiking Heidelberg Digits: a dense network trained here, on chips.

    python examples/benchmarks/shd.py --epochs 20
    python examples/benchmarks/shd.py --learn-file shd.npz --steps 50
    nmhw learn shd.npz --rule mpd-ed --net 700-r128-20 --mode float --epochs 20

Data: Cramer et al. 2022, doi:10.1109/TNNLS.2020.3044364, https://zenkelab.org/datasets (CC BY 4.0),
about 0.4 GB unpacked; checksums as in tonic 1.7.0.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from downloads import Archive, fetch, unpack
from torch import nn
from training import (
    base_parser,
    event_batches,
    print_table,
    run_recipe,
    step_length_s,
    train,
    write_learn_file,
)

import nmhw
from nmhw.torch import LIF, Sequential

_FILES = "https://zenkelab.org/datasets/"
ARCHIVES = {
    "train": Archive(
        "shd_train.h5.zip", _FILES + "shd_train.h5.zip", "md5:f3252aeb598ac776c1b526422d90eecb",
        1 << 30,
    ),
    "test": Archive(
        "shd_test.h5.zip", _FILES + "shd_test.h5.zip", "md5:1503a5064faa34311c398fb0a1ed0a6f",
        1 << 30,
    ),
}  # fmt: skip
LENGTH_S = 1.0


def load(part: str, n_samples: int, options: argparse.Namespace) -> Any:
    """Return the events of a part."""
    path = fetch(ARCHIVES[part], options.folder, offline=options.offline)
    file = unpack(path, options.folder, f"shd_{part}.h5")
    return nmhw.load_events(
        file, dt=step_length_s(LENGTH_S, options.steps), bin="binary", n_steps=options.steps,
        n_samples=n_samples,
    )  # fmt: skip


def make_model(n_steps: int) -> nn.Module:
    """700-128-128-20 leaky neurons."""
    dt_s = step_length_s(LENGTH_S, n_steps)
    neurons = {"dt_s": dt_s, "tau_mem_s": 8 * dt_s, "v_threshold": 0.25}
    return Sequential(
        nn.Flatten(), nn.Linear(700, 128), LIF(**neurons), nn.Linear(128, 128), LIF(**neurons),
        nn.Linear(128, 20), LIF(**neurons),
    )  # fmt: skip


def recipe(options: argparse.Namespace) -> None:
    """Train, deploy, print the table."""
    test, training = (load(p, getattr(options, p), options) for p in ("test", "train"))
    events = training.events()
    if options.learn_file is not None:
        write_learn_file(
            options.learn_file, [(events, training.labels), (test.events(), test.labels)]
        )
        print(f"{options.learn_file}: {events.n_samples + test.n_samples} samples")
        return
    torch.manual_seed(options.seed)
    model = make_model(options.steps)
    train(model, lambda rows: event_batches(events, training.labels, rows), events.n_samples,
          options)  # fmt: skip
    sample, _ = event_batches(events, training.labels, range(min(4, events.n_samples)))
    network = nmhw.from_torch(model, sample)
    print_table(network, test, test.labels, options.chips.split(","))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = base_parser(__doc__.splitlines()[0], steps=50, epochs=20)
    parser.add_argument("--learn-file", type=Path, help="write a file for nmhw learn, and stop")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_recipe(recipe, parse(sys.argv[1:])))
