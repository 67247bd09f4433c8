"""Run a layer with two destinations whose targets merge again in sinabs' quantized network.

Executed by the interpreter of the sinabs environment: JSON on stdin, JSON on stdout.
``{"seeds": [0, 1, ...]}`` answers one record per seed: ``input`` events (n_steps, c, h, w), the
float kernels and thresholds of the four layers (root, left, right, end), the pool in front of both
branches, and sinabs' integers, spikes and words of every layer.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from dynapcnn_layers import has_mapping, import_without_driver, run

N_STEPS = 12
NAMES = ("root", "left", "right", "end")


def draw(seed: int) -> dict[str, Any]:
    """Return the description of one network."""
    r = np.random.default_rng([seed, 0xB4])
    c, n, m = (int(k) for k in r.integers(1, 4, 3))
    kernels = {
        "root": (n, c, 3, 3),
        "left": (m, n, 3, 3),
        "right": (m, n, 1, 1),
        "end": (2, m, 3, 3),
    }
    record: dict[str, Any] = {"layers": {}, "pool": int(r.choice([1, 2]))}
    for name, shape in kernels.items():
        weight = r.normal(0.1, 0.6, shape).astype(np.float32)
        threshold = float(np.float32(r.uniform(0.5, 2.0)))
        record["layers"][name] = {"weight": weight.tolist(), "threshold": threshold}
    record["input"] = r.poisson(0.4, (N_STEPS, c, 8, 8)).tolist()
    return record


def build(record: dict[str, Any]) -> Any:
    """Return the discretized DynapcnnNetwork."""
    import torch
    from sinabs import layers as sl
    from sinabs.backend.dynapcnn import DynapcnnNetwork
    from torch import nn

    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name in NAMES:
                layer = record["layers"][name]
                weight = torch.tensor(layer["weight"])
                n_out, n_in, kernel, _ = weight.shape
                padding = (kernel - 1) // 2 if name != "end" else 0
                op = nn.Conv2d(n_in, n_out, kernel, padding=padding, bias=False)
                op.weight.data = weight
                threshold = torch.tensor(layer["threshold"])
                cell = sl.IAFSqueeze(
                    batch_size=1, spike_threshold=threshold, min_v_mem=-layer["threshold"]
                )
                setattr(self, name, op)
                setattr(self, f"{name}_cell", cell)
            self.pool_left = sl.SumPool2d(record["pool"])
            self.pool_right = sl.SumPool2d(record["pool"])
            self.merge = sl.Merge()

        def forward(self, x: Any) -> Any:
            root = self.root_cell(self.root(x))
            left = self.left_cell(self.left(self.pool_left(root)))
            right = self.right_cell(self.right(self.pool_right(root)))
            return self.end_cell(self.end(self.merge(left, right)))

    channels = len(record["input"][0])
    return DynapcnnNetwork(Branches(), input_shape=(channels, 8, 8), discretize=True)


def _names(network: Any) -> list[str]:
    """Return the names of sinabs' layers in the order of their numbers."""
    names = []
    for key in sorted(network.dynapcnn_layers):
        destinations = network.layer_destination_map[key]
        if len(destinations) == 2:
            names.append("root")
        elif destinations[0] < 0:
            names.append("end")
        else:
            is_right = network.dynapcnn_layers[key].conv.weight.shape[2] == 1
            names.append("right" if is_right else "left")
    return names


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_without_driver()
    records = []
    for seed in question["seeds"]:
        record = draw(seed)
        network = build(record)
        record["has_mapping"] = has_mapping(network)
        found = dict(zip(_names(network), run(network, np.array(record["input"])), strict=True))
        for name in NAMES:
            record["layers"][name]["found"] = {
                key: value.tolist() if isinstance(value, np.ndarray) else value
                for key, value in found[name].items()
            }
        records.append(record)
    print(json.dumps({"records": records}))


if __name__ == "__main__":
    main()
