"""Run random networks in xylosim 0.1.3's module v2 and store what they do.

Executed by the interpreter of the xylosim environment, not by that of nmhw: JSON on stdin, JSON on
stdout. ``{"first_seed": 0, "n_networks": 12, "n_steps": 400, "path": "vectors.npz"}`` (or
``{"networks": [...], "counts": [...], "path": ...}`` with descriptions and input events) writes

- ``networks``: the descriptions (see ``random_networks``) as UTF-8 JSON;
- ``<k>/in``: input events, uint8 (n_steps, n_inputs);
- ``<k>/<population>/s``: spikes, uint8 (n_steps, n);
- ``<k>/<population>/u``, ``/u2`` (where there is one), ``/v``: states after the step as int16,
  split into one plane per byte: (2, n_steps, n).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from random_networks import Drawer
from xylosim.v2 import XyloLayer, XyloSynapse

Traces = dict[str, np.ndarray]


def build(network: dict[str, Any]) -> tuple[Any, dict[str, slice], Any]:
    """Return the layer, where each hidden population sits in the pool, and the synapses.

    The layer points to the synapses without owning them.
    """
    hidden = [p for p in network["populations"] if p["name"] != "out"]
    (out,) = (p for p in network["populations"] if p["name"] == "out")
    ends = np.cumsum([p["n"] for p in hidden]).tolist()
    place = {p["name"]: slice(end - p["n"], end) for p, end in zip(hidden, ends, strict=True)}
    synapses: dict[str, list[list[Any]]] = {
        "in": [[] for _ in range(network["n_inputs"])],
        "rec": [[] for _ in range(ends[-1])],
        "out": [[] for _ in range(ends[-1])],
    }
    for p in network["projections"]:
        source, target = p["source"], p["target"]
        rows = synapses["in" if source == "in" else "out" if target == "out" else "rec"]
        weights = np.array(p["weights"])
        at_source = 0 if source == "in" else place[source].start
        at_target = 0 if target == "out" else place[target].start
        for j, i in np.argwhere(weights).tolist():
            rows[at_source + i].append(XyloSynapse(at_target + j, p["synapse"], int(weights[j, i])))
    aliases: list[list[int]] = []
    for p in hidden:
        start = place[p["name"]].start
        aliases += [[start + a] if a >= 0 else [] for a in p["alias"] or [-1] * p["n"]]

    def joined(key: str) -> list[int]:
        return [int(x) for p in hidden for x in p[key]]

    def currents(p: dict[str, Any]) -> list[list[int]]:
        rows = [p["u_shift"]] + ([p["u2_shift"]] if p["u2_shift"] else [])
        return [list(column) for column in zip(*rows, strict=True)]

    layer = XyloLayer(
        synapses_in=synapses["in"],
        synapses_rec=synapses["rec"],
        synapses_out=synapses["out"],
        aliases=aliases,
        threshold=joined("threshold"),
        threshold_out=out["threshold"],
        has_bias=network["has_bias"],
        bias=joined("bias"),
        bias_out=[int(b) for b in out["bias"]],
        weight_shift_inp=network["shifts"][0],
        weight_shift_rec=network["shifts"][1],
        weight_shift_out=network["shifts"][2],
        dash_mem=joined("v_shift"),
        dash_mem_out=out["v_shift"],
        dash_syns=[row for p in hidden for row in currents(p)],
        dash_syns_out=currents(out),
        name=f"network{network['seed']}",
    )
    return layer, place, synapses


def run(network: dict[str, Any], counts: np.ndarray) -> Traces:
    """Run one network and return spikes and states of every population."""
    layer, place, _synapses = build(network)
    layer.evolve(counts.tolist())
    pool = {
        "s": np.array(layer.rec_recurrent_spikes, np.uint8),
        "u": np.array(layer.rec_i_syn, np.int16).T,
        "v": np.array(layer.rec_v_mem, np.int16).T,
    }
    if len(layer.rec_i_syn2[0]):
        pool["u2"] = np.array(layer.rec_i_syn2, np.int16).T
    traces = {f"{name}/{k}": x[:, here] for name, here in place.items() for k, x in pool.items()}
    traces["out/s"] = np.array(layer.rec_out_spikes, np.uint8)
    traces["out/u"] = np.array(layer.rec_i_syn_out, np.int16).T
    traces["out/v"] = np.array(layer.rec_v_mem_out, np.int16).T
    return traces


def pack(values: np.ndarray) -> np.ndarray:
    """Return an array that compresses well."""
    if values.dtype == np.uint8:
        return values
    planes = np.ascontiguousarray(values.astype("<i2"))[..., None].view(np.uint8)
    return np.ascontiguousarray(np.moveaxis(planes, -1, 0))


def asked(question: dict[str, Any]) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """Yield networks and input events: the given ones, or drawn ones."""
    for network, counts in zip(
        question.get("networks", []), question.get("counts", []), strict=True
    ):
        yield network, np.array(counts, np.uint8)
    first = question.get("first_seed", 0)
    for seed in range(first, first + question.get("n_networks", 0)):
        drawer = Drawer(seed)
        network = drawer.network()
        yield network, drawer.counts(network["n_inputs"], question["n_steps"])


def main() -> None:
    """Answer one question."""
    question = json.load(sys.stdin)
    networks, arrays = [], {}
    for network, counts in asked(question):
        traces = {"in": counts} | run(network, counts)
        arrays |= {f"{len(networks)}/{key}": pack(value) for key, value in traces.items()}
        networks.append(network)
    text = json.dumps(networks, separators=(",", ":")).encode()
    arrays["networks"] = np.frombuffer(text, np.uint8)
    np.savez_compressed(question["path"], **arrays)
    print(json.dumps({"n_networks": len(networks)}))


if __name__ == "__main__":
    main()
