"""Recorded runs of xylosim: read them, write each network in nmhw, compare every state.

Used by ``test_xylo_vectors.py`` (stored runs) and ``tests/live/test_xylosim_networks.py`` (fresh
ones), through the fixture ``xylo_vectors``. ``tests/live/xylosim/make_vectors.py`` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.engine import run_program
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.discretize import resolve_profile
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]
DT_S = 1e-3


@dataclass(frozen=True)
class Recording:
    """One network and what xylosim did: (population, variable) -> (n_steps, n)."""

    network: dict[str, Any]
    counts_in: Ints
    states: Mapping[tuple[str, str], Ints]


def read_recordings(path: Path) -> Iterator[Recording]:
    """Yield the networks of one file."""
    with np.load(path) as file:
        for k, network in enumerate(json.loads(file["networks"].tobytes())):
            states: dict[tuple[str, str], Ints] = {}
            for p in network["populations"]:
                name = p["name"]
                states[name, "s"] = file[f"{k}/{name}/s"].astype(np.int64)
                for variable in ("u", "v", *(["u2"] if p["u2_shift"] else [])):
                    planes = np.moveaxis(file[f"{k}/{name}/{variable}"], 0, -1)
                    words = np.ascontiguousarray(planes).view("<i2")[..., 0]
                    states[name, variable] = words.astype(np.int64)
            yield Recording(network, file[f"{k}/in"].astype(np.int64), states)


def write_network(xylo: dict[str, Any]) -> tuple[Network, dict[str, Any]]:
    """Return the network as nmhw's user writes it, and its integers."""
    build = Network.build(f"xylo{xylo['seed']}").input("in", xylo["n_inputs"])
    explicit: dict[str, Any] = {}
    for p in xylo["populations"]:
        build.population(p["name"], p["n"], "cubalif", tau_mem_s=10 * DT_S, tau_syn_s=5 * DT_S)
        keys = ["threshold", "v_shift", "u_shift"]
        keys += [key for key in ("u2_shift", "alias") if p[key] is not None]
        explicit[p["name"]] = {key: p[key] for key in keys}
        explicit[p["name"]]["bias_mantissa"] = p["bias"] if xylo["has_bias"] else 0
    for p in xylo["projections"]:
        name = f"{p['source']}>{p['target']}.{p['synapse']}"
        shift = xylo["shifts"][0 if p["source"] == "in" else 2 if p["target"] == "out" else 1]
        weights, delay = np.array(p["weights"]), int(p["source"] != "in")
        build.project(p["source"], p["target"], weights, name=name, delay_steps=delay)
        explicit[name] = {"weight": p["weights"], "exponent": shift, "synapse": p["synapse"]}
    return build.output("out_port", "out").done(), explicit


def quantize(xylo: dict[str, Any], chip_name: str = "xylo-audio2") -> QuantizedNetwork:
    """Return xylosim's network in nmhw's integers."""
    network, explicit = write_network(xylo)
    profile = resolve_profile(network, "rockpool", dt_s=DT_S)
    return quantize_network(network, load_chip(chip_name), profile, explicit=explicit)


def rename(quantized: QuantizedNetwork) -> QuantizedNetwork:
    """Return a deployed network whose input is called "in" and whose output layer "out"."""
    ((output,), (port,)) = ([p.sources[0] for p in quantized.outputs], quantized.inputs)
    new = {port.name: "in", output: "out"}
    return replace(
        quantized,
        inputs=(replace(port, name="in"),),
        populations=tuple(replace(p, name=new.get(p.name, p.name)) for p in quantized.populations),
        projections=tuple(
            replace(q, source=new.get(q.source, q.source), target=new.get(q.target, q.target))
            for q in quantized.projections
        ),
        outputs=tuple(replace(o, sources=("out",)) for o in quantized.outputs),
    )


def describe(quantized: QuantizedNetwork) -> dict[str, Any]:
    """Return a renamed network (see ``rename``) as xylosim gets it."""
    shifts = {
        ("in" if q.source == "in" else "out" if q.target == "out" else "rec"): q.shift
        for q in quantized.projections
    }
    populations = [
        {
            "name": p.name,
            "n": p.size,
            "v_shift": p.v_keep.tolist(),
            "u_shift": p.u_keep.tolist(),
            "u2_shift": None,
            "threshold": p.threshold.tolist(),
            "bias": p.v_bias.tolist(),
            "alias": None,
        }
        for p in quantized.populations
    ]
    projections = [
        {
            "source": q.source,
            "target": q.target,
            "synapse": 0,
            "weights": q.weights.T.tolist(),
        }
        for q in quantized.projections
    ]
    return {
        "seed": 0,
        "n_inputs": quantized.inputs[0].size,
        "shifts": [shifts.get(key, 0) for key in ("in", "rec", "out")],
        "has_bias": True,
        "populations": populations,
        "projections": projections,
    }


def count_differences(
    quantized: QuantizedNetwork, recording: Recording, backend: str
) -> dict[tuple[str, str], int]:
    """Return in how many (step, neuron) each of nmhw's variables differs from xylosim's."""
    counts = recording.counts_in
    inputs = {"in": SpikeEvents.from_dense(counts[None], (counts.shape[1],))}
    probes = [Probe(name, variable) for name, variable in recording.states if variable != "s"]
    run: Any
    if backend == "reference":
        run = run_reference(quantized, inputs, n_steps=len(counts), probes=probes)
    else:
        run = run_program(build_program(quantized), inputs, n_steps=len(counts), probes=probes)
    ours = {key: data.values[0].astype(np.int64) for key, data in run.probes.items()}
    for p in quantized.populations:
        ours[p.name, "s"] = run.spikes[p.name].dense()[0].astype(np.int64)
    return {key: int((want != ours[key]).sum()) for key, want in recording.states.items()}
