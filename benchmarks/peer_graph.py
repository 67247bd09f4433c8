"""A workload as one .npz that a peer reads with NumPy alone: populations, CSR matrices, spikes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from workloads import Workload

from nmhw.values.linear import compose_csr

#: LIF of the workloads: v keeps 15/16 per step; thresholds and biases are 64 times the weights.
KEEP, GAIN = 15 / 16, 64.0


def write_graph(workload: Workload, path: Path, n_samples: int) -> Path:
    """Write the first samples of a workload in the units of its weights."""
    network, arrays = workload.network, workload.arrays
    is_lif = workload.reset == "zero"
    gain = GAIN if is_lif else 1.0
    sizes = network.sizes()
    names = [p.name for p in network.populations]
    if workload.family == "W3":
        from workloads import W3_THETA

        theta = [W3_THETA / gain]
    else:
        theta = (arrays["theta"] / gain).tolist()
    content: dict[str, Any] = {
        "family": workload.family,
        "sizes": np.array([sizes[n] for n in names]),
        "theta": np.array(theta, np.float64),
        "keep": KEEP if is_lif else 1.0,
        "is_soft_reset": not is_lif,
        "n_steps": workload.n_steps,
    }
    if "bias" in arrays:
        content["bias"] = arrays["bias"] / gain
    chosen = [q for q in network.projections if q.name != "drive"]
    for k, projection in enumerate(chosen):
        matrix = compose_csr(projection.ops, sizes[projection.source])
        source = names.index(projection.source) if projection.source in names else -1
        content |= {
            f"ends{k}": np.array([source, names.index(projection.target)]),
            f"data{k}": matrix.data.astype(np.float32),
            f"indices{k}": matrix.indices.astype(np.int32),
            f"indptr{k}": matrix.indptr.astype(np.int64),
            f"shape{k}": np.array(matrix.shape),
        }
    content["n_projections"] = len(chosen)
    if workload.family == "W2":
        content |= {f"kernel{k}": arrays[f"k{k}"] for k in (1, 2, 3)} | {"last": arrays["fc"]}
    (events,) = workload.inputs.values()
    content["raster"] = events.samples(0, n_samples).dense().astype(np.uint8)
    np.savez(path, **content)
    return path
