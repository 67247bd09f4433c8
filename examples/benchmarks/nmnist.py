"""N-MNIST: the published NIR network, or a small one trained here, on chips.

    python examples/benchmarks/nmnist.py --published          # 98.47 % in sinabs (Pedersen 2024)
    python examples/benchmarks/nmnist.py --epochs 3           # trains; minutes to hours on a CPU
    python examples/benchmarks/nmnist.py --learn-file nmnist.npz --steps 20
    nmhw learn nmnist.npz --rule mpd-ed --net 2x34x34-c8k5-p2-c16k5-p2-10 --mode float --epochs 5

Data: Orchard et al. 2015, doi:10.3389/fnins.2015.00437 (Mendeley Data 468j46mzdv, CC BY 4.0), about
1.2 GB unpacked; checksums as in tonic 1.7.0. Network: github.com/neuromorphs/NIR, paper/02_cnn,
BSD-3-Clause; Pedersen et al. 2024, doi:10.1038/s41467-024-52259-9.
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

_FILES = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files/"
ARCHIVES = {
    "Train": Archive(
        "nmnist_train.zip", _FILES + "39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded",
        "md5:20959b8e626244a1b502305a9e6e2031", 2 << 30,
    ),
    "Test": Archive(
        "nmnist_test.zip", _FILES + "05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded",
        "md5:69ca8762b2fe404d9b9bad1103e97832", 1 << 30,
    ),
}  # fmt: skip
PUBLISHED = Archive(
    "cnn_sinabs.nir",
    "https://raw.githubusercontent.com/neuromorphs/NIR/main/paper/02_cnn/cnn_sinabs.nir",
    "sha256:e2fa55bda7aab5a772485e1b690358bcb825b303eca7dc426e3973937fcb5bcb", 1 << 20, 273_552,
)  # fmt: skip
#: Meaning that each chip's arithmetic has; the network has integrate-and-fire neurons alone.
PROFILES = {"spinnaker2": "spinnaker2", "speck2e": "sinabs", "speck2f": "sinabs"}
LENGTH_S = 0.3


def load(part: str, n_samples: int, n_steps: int, options: argparse.Namespace, bin: str) -> Any:
    """Return the events of a part, classes in turn."""
    path = fetch(ARCHIVES[part], options.folder, offline=options.offline)
    folder = unpack(path, options.folder, part)
    return nmhw.load_events(
        folder, dt=step_length_s(LENGTH_S, n_steps), bin=bin, sensor=(34, 34), n_steps=n_steps,
        n_samples=n_samples, origin="zero",
    )  # fmt: skip


def make_model(n_steps: int) -> nn.Module:
    """Two convolutions and two dense layers, about 30,000 weights."""
    dt_s = step_length_s(LENGTH_S, n_steps)
    neurons = {"dt_s": dt_s, "tau_mem_s": 4 * dt_s, "surrogate_width": 2.0, "v_threshold": 0.5}
    return Sequential(
        nn.Conv2d(2, 8, 5, bias=False), nn.BatchNorm2d(8), LIF(**neurons), nn.AvgPool2d(2),
        nn.Conv2d(8, 16, 5, bias=False), nn.BatchNorm2d(16), LIF(**neurons), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(16 * 5 * 5, 64), LIF(**neurons), nn.Linear(64, 10),
        LIF(**neurons),
    )  # fmt: skip


def recipe(options: argparse.Namespace) -> None:
    """Load or train, deploy, print the table."""
    chips = options.chips.split(",")
    if options.published:
        model = fetch(PUBLISHED, options.folder, offline=options.offline)
        for chip in chips:
            # frames of 1 ms with as many spikes as events, where a chip takes several per step
            bin = "count" if "counts" in nmhw.chip(chip).arithmetic.inputs else "binary"
            test = load("Test", options.test, options.published_steps, options, bin)
            network = nmhw.load(model, profile=PROFILES.get(chip, "lava"))
            print_table(network, test, test.labels, [chip])
        return
    test = load("Test", options.test, options.steps, options, "binary")
    training = load("Train", options.train, options.steps, options, "binary")
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
    print_table(nmhw.from_torch(model, sample), test, test.labels, chips)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the options."""
    parser = base_parser(__doc__.splitlines()[0], steps=20, epochs=3)
    parser.add_argument("--published", action="store_true", help="the NIR network, no training")
    parser.add_argument("--published-steps", type=int, default=300, help="1 ms each")
    parser.add_argument("--learn-file", type=Path, help="write a file for nmhw learn, and stop")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(run_recipe(recipe, parse(sys.argv[1:])))
