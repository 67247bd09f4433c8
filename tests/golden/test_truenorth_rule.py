"""TrueNorth and RANC: random recurrent networks, axons and copies made, equal a plain script."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.compartments import spread_inputs
from nmhw.mappers.quantize.quantizer import make_explicit
from nmhw.mappers.rules import check_rules
from nmhw.sim.engine import run_program
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile

SIZES = {"in": 11, "a": 9, "b": 7}
#: Every population hears itself, and b's spikes come back to a.
LINKS = (("in", "a", 1), ("a", "a", 2), ("a", "b", 3), ("b", "b", 1), ("b", "a", 1))
N_STEPS = 50
GAMMA = {"zero": 0, "subtract": 1, "none": 2}
WIDTHS = ((-1, 1), (-4, 3), (-8, 7))


def draw(seed: int, chip: str) -> dict[str, Any]:
    r = np.random.default_rng([7, seed])
    reset = str(r.choice(["zero", "subtract"] if chip == "ranc" else list(GAMMA)))
    low, high = WIDTHS[seed % 3]
    case: dict[str, Any] = {"reset": reset, "weights": {}, "cells": {}}
    for source, target, _ in LINKS:
        shape = (SIZES[source], SIZES[target])
        case["weights"][source, target] = r.integers(low, high + 1, shape) * (
            r.random(shape) < (0.3 if source == target else 0.8)
        )
    for name in ("a", "b"):
        n = SIZES[name]
        reversal = chip == "truenorth" and r.random() < 0.5
        case["cells"][name] = {
            "alpha": r.integers(2, 5 * high + 2, n),
            "beta": r.integers(0, 20, n),
            "leak": -r.integers(0, 3, n) if reversal else r.integers(-3, 3, n),
            "epsilon": int(reversal),
        }
    case["raster"] = (r.random((N_STEPS, SIZES["in"])) < 0.3).astype(np.int64)
    return case


def quantize(case: dict[str, Any], chip: str) -> Any:
    build = nmhw.Network.build("random").input("in", SIZES["in"])
    explicit: dict[str, Any] = {}
    for name, cell in case["cells"].items():
        build.population(name, SIZES[name], "if", v_threshold=cell["alpha"].astype(float))
        leak = {"v_leak": -cell["leak"]} if cell["epsilon"] else {"bias_mantissa": cell["leak"]}
        explicit[name] = {**leak, "v_min": -cell["beta"]}
    for source, target, delay in LINKS:
        weights = case["weights"][source, target].T.astype(float)
        build.project(source, target, weights, delay_steps=delay)
    profile = Profile(
        "explicit", dt_s=1.0, input_gain="unit", current_gain="unit", compare=">=",
        reset=case["reset"],
    )  # fmt: skip
    network = build.output("out", "b").done()
    return make_explicit(network, nmhw.chip(chip), explicit=explicit, profile=profile)


def expect(rules: ModuleType, case: dict[str, Any], chip: str) -> Any:
    kind = rules.RancNeuron if chip == "ranc" else rules.TrueNorthNeuron
    neurons = {
        name: [
            kind(
                alpha, beta, leak, epsilon=cell["epsilon"], gamma=GAMMA[case["reset"]],
                kappa=int(chip == "truenorth"),
            )
            for alpha, beta, leak in zip(
                cell["alpha"].tolist(), cell["beta"].tolist(), cell["leak"].tolist(), strict=True
            )
        ]
        for name, cell in case["cells"].items()
    }  # fmt: skip
    links = [(s, t, delay, case["weights"][s, t].tolist()) for s, t, delay in LINKS]
    return rules.run_recurrent(neurons, links, case["raster"].tolist())


@pytest.mark.parametrize("chip", ["truenorth", "ranc"])
@pytest.mark.parametrize("seed", range(45))
def test_every_spike_and_potential(seed: int, chip: str, crossbar_rules: ModuleType) -> None:
    case = draw(seed, chip)
    quantized = quantize(case, chip)
    spikes, states = expect(crossbar_rules, case, chip)
    events = {"in": SpikeEvents.from_dense(case["raster"][None], (SIZES["in"],))}
    options: Any = {"n_steps": N_STEPS, "probes": [Probe(n, "v") for n in "ab"]}
    sent = spread_inputs(events, quantized)
    for found in (
        run_program(build_program(quantized), sent, **options),
        run_reference(quantized, sent, **options),
    ):
        for name in "ab":
            raster = found.spikes[name].dense()[0]
            np.testing.assert_array_equal(raster[:, : SIZES[name]], spikes[name])
            potential = found.probes[name, "v"].values[0]
            np.testing.assert_array_equal(potential[:, : SIZES[name]], states[name])
            np.testing.assert_array_equal(raster, raster[:, quantized.copies[name]])
    assert np.sum(spikes["a"]) > 0


@pytest.mark.parametrize("seed", range(3))
def test_the_mapping_keeps_axon_types_and_destinations(seed: int) -> None:
    quantized = quantize(draw(seed, "truenorth"), "truenorth")
    chip = nmhw.chip("truenorth")
    mapping = nmhw.map_network(quantized, chip)
    assert check_rules(quantized, chip, mapping) == ([], [])
    n_axons = (2, 3, 4)[seed]
    # a hears 11 + 9 + 7 sources; b's neurons are heard by a and b
    used = {u.core: u.resources["in_axons"][0] for u in mapping.utilization}
    assert max(used.values()) > 9 * n_axons
    assert quantized.copies["b"].size <= 2 * n_axons * SIZES["b"]
