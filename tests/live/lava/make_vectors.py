"""Run random networks in lava-nc 0.10.0's ``fixed_pt`` models and store what they do.

Executed by the interpreter of the Lava environment, not by that of nmhw: JSON on stdin, JSON on
stdout. ``{"first_seed": 0, "n_networks": 24, "path": "vectors.npz"}`` writes

- ``networks``: the descriptions (see ``random_networks``) as UTF-8 JSON, with ``stored``, the
  weights that Lava's model works with, in every projection;
- ``<k>/in``, ``<k>/<population>/s``: spikes, bits of (n_steps, n) in C order;
- ``<k>/<population>/u`` and ``/v``: states after the step as int32, split into
  one plane per byte: (4, n_steps, n).
"""

from __future__ import annotations

import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from dense_lif import import_encoders
from random_networks import N_STEPS, Drawer

Traces = dict[str, np.ndarray]


def connect(
    network: dict[str, Any], spikes: np.ndarray, folder: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return Lava's LIFs (which save their states to ``folder``) and connections by name."""
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF
    from lava.proc.sparse.process import DelaySparse, Sparse
    from scipy.sparse import csr_matrix

    kinds = {kind.__name__: kind for kind in (Dense, DelayDense, Sparse, DelaySparse)}
    ends: dict[str, Any] = {"in": RingBuffer(data=spikes.T.astype(int))}
    for p in network["populations"]:
        keys = ("du", "dv", "vth", "bias_mant", "bias_exp")
        values = {key: np.array(p[key]) for key in keys}
        path = str(folder / f"{p['name']}.npy")
        ends[p["name"]] = LIF(shape=(p["n"],), path=path, n_steps=N_STEPS, **values)
    links = {}
    for p in network["projections"]:
        matrix = csr_matrix if p["process"].endswith("Sparse") else np.array
        options: dict[str, Any] = {"weights": matrix(p["weights"])}
        if p["delays"] is not None:
            options["delays"] = matrix(p["delays"])
        if p["sign_mode"] is not None:
            options["sign_mode"] = sign_mode(p["sign_mode"])
        link = links[p["name"]] = kinds[p["process"]](
            weight_exp=p["weight_exp"], num_weight_bits=p["weight_bits"], **options
        )
        ends[p["source"]].s_out.connect(link.s_in)
        link.a_out.connect(ends[p["target"]].a_in)
    del ends["in"]
    return ends, links


def sign_mode(name: str) -> Any:
    """Return Lava's member for a mode."""
    from lava.utils.weightutils import SignMode

    return SignMode[name.upper()]


def stored_weights(p: dict[str, Any]) -> np.ndarray:
    """Return what the fixed_pt models make of the given weights, by Lava's own functions."""
    from lava.utils import weightutils as lava

    weights = np.array(p["weights"])
    given = p["sign_mode"]
    mode = sign_mode(given) if given else lava.determine_sign_mode(weights)
    clipped = lava.clip_weights(weights, mode, num_bits=8)
    return lava.truncate_weights(clipped, mode, p["weight_bits"])


def run(network: dict[str, Any], spikes: np.ndarray, *, is_monitored: bool) -> Traces:
    """Run one network; add the stored weights to its projections, return the states."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.lif.process import LIF
    from lava.proc.monitor.process import Monitor
    from recorded_lif import RecordedLif

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cells, links = connect(network, spikes, folder)
        monitors: dict[str, Any] = {}
        for name, cell in cells.items() if is_monitored else ():
            for variable, port in (("u", cell.u), ("v", cell.v), ("s", cell.s_out)):
                monitor = monitors[f"{name}/{variable}"] = Monitor()
                monitor.probe(port, N_STEPS)
        first = next(iter(cells.values()))
        first.run(
            condition=RunSteps(num_steps=N_STEPS),
            run_cfg=Loihi2SimCfg(
                select_tag="fixed_pt", exception_proc_model_map={LIF: RecordedLif}
            ),
        )
        monitored = {key: monitor.get_data() for key, monitor in monitors.items()}
        for p in network["projections"]:
            p["stored"] = stored_weights(p).tolist()
            if not p["process"].endswith("Sparse"):  # Var.get fails on sparse weights cut to 0
                np.testing.assert_array_equal(p["stored"], links[p["name"]].weights.get())
        first.stop()
        states = {name: np.load(folder / f"{name}.npy") for name in cells}
    traces = {f"{name}/{v}": s[k] for name, s in states.items() for k, v in enumerate("uvs")}
    for key, data in monitored.items():
        (recorded,) = data.values()
        np.testing.assert_array_equal(traces[key], *recorded.values())
    return traces


def pack(traces: Traces) -> Traces:
    """Return arrays that compress well."""
    packed = {}
    for key, values in traces.items():
        if values.dtype == bool or key.endswith("/s"):
            packed[key] = np.packbits(values.astype(bool))
        else:
            planes = values.astype("<i4")[..., None].view(np.uint8)
            packed[key] = np.ascontiguousarray(np.moveaxis(planes, -1, 0))
    return packed


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    import_encoders()
    networks, arrays = [], {}
    warnings.filterwarnings("ignore", "Changing the sparsity structure")
    first = question["first_seed"]
    for seed in range(first, first + question["n_networks"]):
        drawer = Drawer(seed)
        network = drawer.network(seed)
        spikes = drawer.spikes(network["n_inputs"])
        traces = {"in": spikes} | run(network, spikes, is_monitored=seed == first)
        arrays |= {f"{len(networks)}/{key}": value for key, value in pack(traces).items()}
        networks.append(network)
    text = json.dumps(networks, separators=(",", ":")).encode()
    arrays["networks"] = np.frombuffer(text, np.uint8)
    np.savez_compressed(question["path"], **arrays)
    print(json.dumps({"n_networks": len(networks)}))


if __name__ == "__main__":
    main()
