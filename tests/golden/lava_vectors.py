"""Recorded runs of lava-nc: read them, write each network in nmhw, compare every state.

Used by ``test_lava_vectors.py`` (stored runs) and ``tests/live/test_lava_networks.py`` (fresh
ones), through the fixture ``lava_vectors``. ``tests/live/lava/make_vectors.py`` writes the files.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

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
N_STEPS = 200
DT_S = 1e-3


@dataclass(frozen=True)
class Recording:
    """One network and what Lava did: spikes in, and (population, variable) -> (n_steps, n)."""

    network: dict[str, Any]
    spikes_in: NDArray[np.bool_]
    states: Mapping[tuple[str, str], Ints]


def read_recordings(path: Path) -> Iterator[Recording]:
    """Yield the networks of one file."""
    with np.load(path) as file:
        networks = json.loads(file["networks"].tobytes())
        for k, network in enumerate(networks):
            states: dict[tuple[str, str], Ints] = {}
            for p in network["populations"]:
                key = f"{k}/{p['name']}"
                for variable in "uv":
                    planes = np.moveaxis(file[f"{key}/{variable}"], 0, -1)
                    words = np.ascontiguousarray(planes).view("<i4")[..., 0]
                    states[p["name"], variable] = words.astype(np.int64)
                states[p["name"], "s"] = _bits(file[f"{key}/s"], p["n"]).astype(np.int64)
            yield Recording(network, _bits(file[f"{k}/in"], network["n_inputs"]), states)


def _bits(packed: NDArray[np.uint8], n: int) -> NDArray[np.bool_]:
    return np.unpackbits(packed, count=N_STEPS * n).reshape(N_STEPS, n).astype(bool)


def write_network(
    lava: dict[str, Any], *, lean: bool = False, widths: Collection[int] = range(1, 9)
) -> tuple[Network, dict[str, Any]]:
    """Return the network as nmhw's user writes it, and its integers.

    ``lean``: populations without memory in the current become "lif", and "if" without leak.
    ``widths``: of the chip; the next larger one holds the same weights (Loihi 1 lacks 7 bits).
    """
    build = Network.build(f"lava{lava['seed']}").input("in", lava["n_inputs"])
    explicit: dict[str, Any] = {}
    for p in lava["populations"]:
        kind, times = "cubalif", {"tau_mem_s": 10 * DT_S, "tau_syn_s": 5 * DT_S}
        # Lava shifts a mantissa right for negative exponents, which the chip's register lacks
        mantissa, exponent = np.array(p["bias_mant"]), np.array(p["bias_exp"])
        given = explicit[p["name"]] = {
            "threshold": p["vth"],
            "u_decay": p["du"],
            "v_decay": p["dv"],
            "bias_mantissa": mantissa >> np.maximum(-exponent, 0),
            "bias_exponent": np.maximum(exponent, 0),
        }
        if lean and set(p["du"]) == {4095}:
            kind = "lif"
            del times["tau_syn_s"], given["u_decay"]
            if set(p["dv"]) == {0}:
                kind = "if"
                del times["tau_mem_s"], given["v_decay"]
        build.population(p["name"], p["n"], kind, **times)  # type: ignore[arg-type]
    for p in lava["projections"]:
        weights, delays = np.array(p["stored"]), np.array(p["delays"] or 0)
        for delay in np.unique(delays).tolist():
            part = np.where(delays == delay, weights, 0)
            name = f"{p['name']}.d{delay}"
            matrix = csr_array(part.T) if p["process"].endswith("Sparse") else part
            build.project(p["source"], p["target"], matrix, delay_steps=delay, name=name)
            entry = explicit[name] = {
                "weight": matrix,
                "exponent": p["weight_exp"],
                "bits": min(bits for bits in widths if bits >= p["weight_bits"]),
            }
            if p["sign_mode"] is not None:
                entry["sign_mode"] = p["sign_mode"]
    return build.output("out", lava["populations"][-1]["name"]).done(), explicit


def quantize(
    lava: dict[str, Any], *, lean: bool = False, chip_name: str = "loihi1-d18"
) -> QuantizedNetwork:
    """Return Lava's network in nmhw's integers."""
    chip = load_chip(chip_name)
    network, explicit = write_network(lava, lean=lean, widths=chip.arithmetic.weight_bits)
    profile = resolve_profile(network, "lava", dt_s=DT_S)
    return quantize_network(network, chip, profile, explicit=explicit)


def replay(
    quantized: QuantizedNetwork, recording: Recording, backend: str
) -> dict[tuple[str, str], Ints]:
    """Return what nmhw does with the recorded input, in the recording's form."""
    spikes = recording.spikes_in
    inputs = {"in": SpikeEvents.from_dense(spikes[None].astype(np.int64), (spikes.shape[1],))}
    probes = [Probe(p.name, "v") for p in quantized.populations]
    probes += [Probe(p.name, "u") for p in quantized.populations if p.spec.has_current]
    run: Any
    if backend == "reference":
        run = run_reference(quantized, inputs, n_steps=N_STEPS, probes=probes)
    else:
        run = run_program(build_program(quantized), inputs, n_steps=N_STEPS, probes=probes)
    states = {key: data.values[0].astype(np.int64) for key, data in run.probes.items()}
    for p in quantized.populations:
        states[p.name, "s"] = run.spikes[p.name].dense()[0].astype(np.int64)
    return states


def count_differences(
    quantized: QuantizedNetwork, recording: Recording, backend: str
) -> dict[tuple[str, str], int]:
    """Return in how many (step, neuron) each of nmhw's variables differs from Lava's."""
    states = replay(quantized, recording, backend)
    return {key: int((recording.states[key] != ours).sum()) for key, ours in states.items()}
