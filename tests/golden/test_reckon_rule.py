"""ReckOn: random recurrent networks with leaky outputs equal a plain script of its rule."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.mappers.quantize.quantizer import make_explicit
from nmhw.sim.engine import run_program
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile

SIZES = {"in": 9, "h": 12, "o": 4}
LINKS = (("in", "h"), ("h", "h"), ("h", "o"))
N_STEPS = 60


def draw(seed: int) -> dict[str, Any]:
    r = np.random.default_rng([8, seed])
    case: dict[str, Any] = {"reset": ("zero", "subtract")[seed % 2], "weights": {}, "shift": {}}
    for source, target in LINKS:
        case["weights"][source, target] = r.integers(-128, 128, (SIZES[source], SIZES[target]))
        case["shift"][source, target] = int(r.integers(0, 8))
    pairs = r.integers(0, 2**15 + 1, SIZES["h"] // 2).repeat(2)
    case["alpha"] = {"h": pairs, "o": np.full(SIZES["o"], r.integers(2**14, 2**15 + 1))}
    unit = 2 ** case["shift"]["in", "h"]
    case["threshold"] = np.minimum(r.integers(60, 400, SIZES["h"] // 2) * unit, 32767).repeat(2)
    case["raster"] = (r.random((N_STEPS, SIZES["in"])) < 0.3).astype(np.int64)
    return case


def quantize(case: dict[str, Any]) -> Any:
    build = nmhw.Network.build("random").input("in", SIZES["in"])
    build.population(
        "h", SIZES["h"], "lif", tau_mem_s=10.0, v_threshold=case["threshold"].astype(float)
    )
    build.population("o", SIZES["o"], "li", tau_mem_s=10.0)
    explicit: dict[str, Any] = {n: {"v_keep": alpha} for n, alpha in case["alpha"].items()}
    for source, target in LINKS:
        weights = case["weights"][source, target].T.astype(float)
        build.project(source, target, weights, delay_steps=1)
        explicit[f"{source}>{target}"] = {"exponent": case["shift"][source, target]}
    profile = Profile(
        "explicit", dt_s=1.0, input_gain="unit", current_gain="unit", compare=">=",
        reset=case["reset"],
    )  # fmt: skip
    network = build.output("out", "o").done()
    return make_explicit(network, nmhw.chip("reckon"), explicit=explicit, profile=profile)


@pytest.mark.parametrize("seed", range(60))
def test_every_spike_and_membrane(seed: int, crossbar_rules: ModuleType) -> None:
    case = draw(seed)
    quantized = quantize(case)
    subtracts = case["reset"] == "subtract"
    neurons = {
        "h": [
            crossbar_rules.ReckonNeuron(alpha, threshold, subtracts=subtracts)
            for alpha, threshold in zip(
                case["alpha"]["h"].tolist(), case["threshold"].tolist(), strict=True
            )
        ],
        "o": [
            crossbar_rules.ReckonNeuron(kappa, None, subtracts=subtracts)
            for kappa in case["alpha"]["o"].tolist()
        ],
    }
    links = [
        (*ends, 1, (case["weights"][ends] * 2 ** case["shift"][ends]).tolist()) for ends in LINKS
    ]
    spikes, states = crossbar_rules.run_recurrent(neurons, links, case["raster"].tolist())
    events = {"in": SpikeEvents.from_dense(case["raster"][None], (SIZES["in"],))}
    options: Any = {"n_steps": N_STEPS, "probes": [Probe(n, "v") for n in "ho"]}
    for found in (
        run_program(build_program(quantized), events, **options),
        run_reference(quantized, events, **options),
    ):
        np.testing.assert_array_equal(found.spikes["h"].dense()[0], spikes["h"])
        for name in "ho":
            np.testing.assert_array_equal(found.probes[name, "v"].values[0], states[name])
    assert 0 < np.mean(spikes["h"]) < 1
