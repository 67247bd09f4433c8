"""Recorded runs of sinabs' quantized DYNAP-CNN network, written and replayed in nmhw.

Used by ``test_sinabs_vectors.py`` (stored runs) and ``tests/live/test_sinabs_stacks.py`` (fresh
ones), through the fixture ``sinabs_vectors``. ``tests/live/sinabs/make_vectors.py`` writes the
files.
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
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Dense, LinearOp, Pool, Reshape
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import preset
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Recording:
    """One stack, its input events, and (layer number, key) -> what sinabs made of it."""

    stack: dict[str, Any]
    counts: NDArray[np.uint8]
    found: Mapping[tuple[int, str], NDArray[Any]]


def read_recordings(path: Path) -> Iterator[Recording]:
    """Yield the stacks of one file."""
    with np.load(path) as file:
        for k, stack in enumerate(json.loads(file["networks"].tobytes())):
            keys = ("weight", "bias", "spikes", "v")
            found = {
                (number, key): file[f"{k}/{number}/{key}"]
                for number in range(len(stack["layers"]))
                for key in keys
            }
            yield Recording(stack, file[f"{k}/in"], found)


def describe_network(network: Network) -> dict[str, Any]:
    """Return a chain of convolutions, linear layers and sum pools as a stack for sinabs."""
    layers: list[dict[str, Any]] = []
    for population in network.populations:
        (projection,) = network.incoming(population.name)
        for op in projection.ops:
            if isinstance(op, Pool):
                layers[-1] |= {"pool": layers[-1]["pool"] * op.kernel[0], "pool_kind": op.kind}
        (op,) = (op for op in projection.ops if isinstance(op, Conv | Dense))
        bias = None
        if projection.bias is not None and projection.bias.any():
            bias = projection.bias.reshape(op.weight.shape[0], -1)[:, 0].tolist()
        (threshold,) = set(np.asarray(population.model.v_threshold).tolist())
        form = {"stride": op.stride[0], "padding": op.padding[0]} if isinstance(op, Conv) else {}
        layers.append(
            {
                "kind": "conv" if isinstance(op, Conv) else "linear",
                "weight": op.weight.tolist(),
                "bias": bias,
                "threshold": threshold,
                "v_min": -threshold,
                "reset": "subtract",
                "pool": 1,
                "pool_kind": "sum",
                "stride": 1,
                "padding": 0,
                **form,
            }
        )
    (port,) = network.inputs
    return {"seed": 0, "input": list(port.shape), "layers": layers}


def write_network(stack: dict[str, Any]) -> Network:
    """Return the stack as nmhw's user writes it: floats, pools in front of the next weights."""
    shape: tuple[int, ...] = tuple(stack["input"])
    build = Network.build(f"stack{stack['seed']}").input("in", shape)
    source = "in"
    ops: list[LinearOp] = []
    for number, layer in enumerate(stack["layers"]):
        weight = np.array(layer["weight"])
        if layer["kind"] == "conv":
            padding = (layer["padding"],) * 4
            conv = Conv(weight, shape, (layer["stride"],) * 2, padding)  # type: ignore[arg-type]
            ops.append(conv)
            shape = conv.output_shape
        else:
            if len(shape) == 3:
                flat = (int(np.prod(shape)),)
                ops.append(Reshape(shape, flat))
            ops.append(Dense(weight))
            shape = (weight.shape[0],)
        name = f"l{number}"
        bias = None
        if layer["bias"] is not None:
            bias = np.repeat(layer["bias"], int(np.prod(shape[1:])))
        cell = {"v_threshold": layer["threshold"], "v_min": layer["v_min"]}
        build.population(name, shape, "if", **cell).project(source, name, ops=tuple(ops), bias=bias)
        source, ops = name, []
        if layer["pool"] > 1:
            side = (layer["pool"],) * 2
            pool = Pool(layer["pool_kind"], shape, side, side)  # type: ignore[arg-type]
            ops = [pool]
            shape = pool.output_shape
    return build.output("out", source).done()


def quantize(stack: dict[str, Any], chip_name: str = "speck2e") -> QuantizedNetwork:
    """Return the stack in nmhw's integers, every layer with its own kind of reset.

    A profile knows one reset; the layers' own follow by exchanging whole populations.
    """
    network, chip = write_network(stack), load_chip(chip_name)
    made = {}
    for reset in ("subtract", "zero"):
        profile = preset("sinabs").with_(reset=reset, lower_bound="none")
        made[reset] = quantize_network(network, chip, profile)
    chosen = [layer["reset"] for layer in stack["layers"]]
    populations = tuple(made[r].populations[k] for k, r in enumerate(chosen))
    return replace_populations(made["subtract"], populations)


def rename_layers(network: QuantizedNetwork) -> QuantizedNetwork:
    """Return the network with its input called "in" and its populations l0, l1, ..."""
    names = {network.inputs[0].name: "in"}
    names |= {p.name: f"l{k}" for k, p in enumerate(network.populations)}
    projections = [
        replace(p, source=names[p.source], target=names[p.target]) for p in network.projections
    ]
    return replace(
        network,
        inputs=(replace(network.inputs[0], name="in"),),
        populations=tuple(replace(p, name=names[p.name]) for p in network.populations),
        projections=tuple(projections),
        outputs=tuple(
            replace(o, sources=tuple(names[s] for s in o.sources)) for o in network.outputs
        ),
    )


def replace_populations(network: QuantizedNetwork, populations: Any) -> QuantizedNetwork:
    """Return the network with other populations of the same names."""
    assert [p.name for p in populations] == [p.name for p in network.populations]
    return replace(network, populations=tuple(populations))


def count_integer_differences(quantized: QuantizedNetwork, recording: Recording) -> dict[str, int]:
    """Return how many weights, biases, thresholds and bounds differ from sinabs'."""
    differing = dict.fromkeys(("weight", "bias", "threshold", "v_min"), 0)
    for number, layer in enumerate(recording.stack["layers"]):
        population = quantized.population(f"l{number}")
        (projection,) = (p for p in quantized.projections if p.target == population.name)
        weight = projection.weights.astype(np.int64) << projection.shift
        bias = recording.found[number, "bias"].astype(np.int64)
        per_channel = population.size // bias.size
        assert population.v_min is not None
        differing["weight"] += int((weight != recording.found[number, "weight"]).sum())
        differing["bias"] += int((population.v_bias != np.repeat(bias, per_channel)).sum())
        for key in ("threshold", "v_min"):
            values = getattr(population, key)
            differing[key] += int((values != layer["integers"][key]).sum())
    return differing


def count_state_differences(
    quantized: QuantizedNetwork, recording: Recording, backend: str
) -> dict[tuple[int, str], int]:
    """Return in how many (step, neuron) spikes and v of every layer differ from sinabs'."""
    counts = recording.counts
    shape = tuple(recording.stack["input"])
    inputs = {"in": SpikeEvents.from_dense(counts[None].astype(np.int64), shape)}
    probes = [Probe(p.name, "v") for p in quantized.populations]
    run: Any
    if backend == "reference":
        run = run_reference(quantized, inputs, n_steps=len(counts), probes=probes)
    else:
        run = run_program(build_program(quantized), inputs, n_steps=len(counts), probes=probes)
    differing = {}
    for number in range(len(recording.stack["layers"])):
        name = f"l{number}"
        spikes = run.spikes[name].dense()[0].astype(np.int64)
        differing[number, "spikes"] = int((spikes != recording.found[number, "spikes"]).sum())
        v = run.probes[name, "v"].values[0]
        differing[number, "v"] = int((v != recording.found[number, "v"]).sum())
    return differing
