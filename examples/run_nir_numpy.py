"""Run a NIR chain of Linear and LIF nodes in plain NumPy: an independent check of the digits files.

    python examples/run_nir_numpy.py nmhw/data/digits.nir nmhw/data/digits_test.npz

Needs nir and numpy alone: neither torch nor nmhw. One spike reaches the next layer within the same
step, integration is Euler, and reset goes to ``v_reset`` in the step of the spike.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

Raster = NDArray[np.bool_]


def read_events(path: Path, n_inputs: int = 64) -> tuple[Raster, NDArray[np.int64]]:
    """Return the dense raster (samples, steps, inputs) and the labels (samples,) of an event file.

    The file holds one ``sample, step, index`` triple per spike, ``n_steps`` and one label per
    sample.
    """
    with np.load(path) as data:
        raster = np.zeros((len(data["labels"]), int(data["n_steps"]), n_inputs), dtype=np.bool_)
        raster[data["sample"], data["step"], data["index"]] = True
        return raster, data["labels"].astype(np.int64)


def simulate_nir(path: Path, raster: NDArray[Any]) -> dict[str, Raster]:
    """Run the network in float64 and return its spikes (samples, steps, neurons) by LIF node.

    Parameters
    ----------
    path : Path
        A NIR file whose nodes form one chain from ``input`` to ``output``.
    raster : array, shape (samples, steps, inputs)

    Raises
    ------
    TypeError
        If the chain holds a node that is neither Linear nor LIF.
    """
    graph = nir.read(path)
    following = dict(graph.edges)
    spikes: dict[str, Raster] = {}
    signal = raster.astype(np.float64)
    name = following["input"]
    while name != "output":
        node = graph.nodes[name]
        if isinstance(node, nir.Linear):
            signal = signal @ node.weight.astype(np.float64).T
        elif isinstance(node, nir.LIF):
            spikes[name] = _run_lif(node, signal)
            signal = spikes[name].astype(np.float64)
        else:
            raise TypeError(f"{path}: node {name}: expected Linear or LIF, got {type(node)}")
        name = following[name]
    return spikes


def _run_lif(node: nir.LIF, current: NDArray[np.float64]) -> Raster:
    dt_s = node.tau / node.r  # the tool that wrote the file chose r = tau / dt
    v = np.zeros_like(current[:, 0])
    spikes = np.zeros(current.shape, dtype=np.bool_)
    for step in range(current.shape[1]):
        drive = node.v_leak + node.r * current[:, step]
        v = v + dt_s / node.tau * (drive - v)
        spikes[:, step] = v > node.v_threshold
        v = np.where(spikes[:, step], node.v_reset, v)
    return spikes


def predict(output: Raster) -> NDArray[np.int64]:
    """Return the class that spiked most (samples,); the lowest class wins a tie."""
    return output.sum(axis=1).argmax(axis=1)


def describe(spikes: dict[str, Raster]) -> str:
    """Return spikes per neuron and sample, silent and saturated neurons, layer by layer."""
    parts = []
    for name, raster in spikes.items():
        rate = raster.mean(axis=(0, 1))
        n_silent, n_saturated = int((rate == 0).sum()), int((rate > 0.9).sum())
        per_neuron = rate.mean() * raster.shape[1]
        parts.append(
            f"{name}: {per_neuron:.2f} spikes per neuron, "
            f"{n_silent} silent, {n_saturated} saturated"
        )
    return "; ".join(parts)


def main() -> None:
    """Print the accuracy and the activity of one file on one set of events."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .nir file")
    parser.add_argument("events", type=Path, help="a .npz file of spikes and labels")
    arguments = parser.parse_args()
    raster, labels = read_events(arguments.events)
    spikes = simulate_nir(arguments.model, raster)
    accuracy = float((predict(list(spikes.values())[-1]) == labels).mean())
    print(f"accuracy {100 * accuracy:.2f} % (n = {len(labels)})")
    print(describe(spikes))


if __name__ == "__main__":
    main()
