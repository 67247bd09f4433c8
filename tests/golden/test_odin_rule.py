"""ODIN and tinyODIN: random networks equal a plain script of the documented neuron."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.compartments import spread_inputs
from nmhw.mappers.quantize.quantizer import make_explicit
from nmhw.sim.engine import run_program
from nmhw.sim.event_program import build_event_program
from nmhw.sim.event_run import trace_events
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.connectivity import stored_synapses
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe

SIZES = (12, 15, 6)
N_STEPS = 60
LIMITS = {"odin": (0, 255, 7), "tinyodin": (-2047, 2047, 7)}


def draw(seed: int, chip: str) -> dict[str, Any]:
    r = np.random.default_rng([3, seed])
    top = LIMITS[chip][2]
    sizes = list(pairwise(SIZES))
    return {
        "weights": [r.integers(-top, top + 1, pair) * (r.random(pair) < 0.7) for pair in sizes],
        "threshold": [r.integers(1, 30, n) for n in SIZES[1:]],
        "leak": [r.integers(0, 5, n) for n in SIZES[1:]],
        "raster": (r.random((N_STEPS, SIZES[0])) < 0.25).astype(np.int64),
    }


def quantize(case: dict[str, Any], chip: str) -> Any:
    build = nmhw.Network.build("random").input("in", SIZES[0])
    names = ["in", "a", "b"]
    explicit: dict[str, Any] = {}
    for k, name in enumerate(names[1:]):
        build.population(name, SIZES[k + 1], "if", v_threshold=case["threshold"][k].astype(float))
        explicit[name] = {"v_leak": case["leak"][k]}
    for k, name in enumerate(names[1:]):
        build.project(names[k], name, case["weights"][k].T.astype(float))
    return make_explicit(build.output("out", "b").done(), nmhw.chip(chip), explicit=explicit)


def expect(rule: ModuleType, case: dict[str, Any], chip: str, event_by_event: bool) -> Any:
    low, high, _ = LIMITS[chip]
    layers = [
        [rule.OdinNeuron(t, leak, low, high) for t, leak in zip(ts.tolist(), ls, strict=True)]
        for ts, ls in zip(case["threshold"], [x.tolist() for x in case["leak"]], strict=True)
    ]
    weights = [w.tolist() for w in case["weights"]]
    return rule.run_odin(layers, weights, case["raster"].tolist(), event_by_event=event_by_event)


def run(quantized: Any, raster: np.ndarray, backend: str) -> tuple[list[Any], list[Any]]:
    events = {"in": SpikeEvents.from_dense(raster[None], (SIZES[0],))}
    options: Any = {"n_steps": N_STEPS, "probes": [Probe(n, "v") for n in "ab"]}
    sent = spread_inputs(events, quantized)
    if backend == "numba":
        found: Any = run_program(build_program(quantized), sent, **options)
    else:
        found = run_reference(quantized, sent, **options)
    mine = dict(zip("ab", SIZES[1:], strict=True))
    spikes = [found.spikes[n].dense()[0][:, :size] for n, size in mine.items()]
    return spikes, [found.probes[n, "v"].values[0][:, :size] for n, size in mine.items()]


@pytest.mark.parametrize("chip", ["odin", "tinyodin"])
@pytest.mark.parametrize("seed", range(40))
def test_every_spike_and_state_of_the_step_form(
    seed: int, chip: str, crossbar_rules: ModuleType
) -> None:
    case = draw(seed, chip)
    quantized = quantize(case, chip)
    spikes, states = expect(crossbar_rules, case, chip, event_by_event=False)
    for backend in ("numba", "reference"):
        found = run(quantized, case["raster"], backend)
        for k in range(2):
            np.testing.assert_array_equal(found[0][k], spikes[k])
            np.testing.assert_array_equal(found[1][k], states[k])
    assert np.sum(spikes[0]) > 0


@pytest.mark.parametrize("chip", ["odin", "tinyodin"])
@pytest.mark.parametrize("seed", range(20))
def test_one_event_per_neuron_and_step_is_the_event_form(
    seed: int, chip: str, crossbar_rules: ModuleType
) -> None:
    case = draw(seed, chip)
    r = np.random.default_rng([4, seed])
    only = r.integers(0, SIZES[0], N_STEPS)
    case["raster"] = (np.arange(SIZES[0]) == only[:, None]).astype(np.int64)
    keeps = r.integers(0, SIZES[1], SIZES[2])  # every output hears one hidden neuron
    case["weights"][1] *= np.arange(SIZES[1])[:, None] == keeps
    quantized = quantize(case, chip)
    spikes, states = expect(crossbar_rules, case, chip, event_by_event=True)
    found = run(quantized, case["raster"], "numba")
    for k in range(2):
        np.testing.assert_array_equal(found[0][k], spikes[k])
        np.testing.assert_array_equal(found[1][k], states[k])


def test_summing_a_step_is_not_the_event_form_in_general(crossbar_rules: ModuleType) -> None:
    case = draw(0, "odin")
    summed = expect(crossbar_rules, case, "odin", event_by_event=False)
    assert summed != expect(crossbar_rules, case, "odin", event_by_event=True)


@pytest.mark.parametrize("chip", ["odin", "tinyodin"])
@pytest.mark.parametrize("seed", range(30))
def test_the_event_form_is_that_of_the_queue(
    seed: int, chip: str, crossbar_rules: ModuleType
) -> None:
    case = draw(seed, chip)
    quantized = quantize(case, chip)
    low, high, _ = LIMITS[chip]
    populations = {
        p.name: [
            crossbar_rules.OdinNeuron(t, leak, low, high)
            for t, leak in zip(p.threshold.tolist(), p.v_keep.tolist(), strict=True)
        ]
        for p in quantized.populations
    }
    sizes = quantized.sizes()
    links = [
        (p.source, p.target, stored_synapses(p, sizes[p.target]).toarray().tolist())
        for p in quantized.projections
    ]
    events = {"in": SpikeEvents.from_dense(case["raster"][None], (SIZES[0],))}
    sent = spread_inputs(events, quantized)
    raster = {name: e.dense()[0].astype(int).tolist() for name, e in sent.items()}
    expected = crossbar_rules.run_odin_queue(populations, links, raster)
    program = build_event_program(quantized)
    nodes = [(t, program.first[name] + j) for t, name, j in expected]
    for backend in ("numba", "reference"):
        trace = trace_events(program, sent, backend=backend)
        assert list(zip(trace.step.tolist(), trace.node.tolist(), strict=True)) == nodes
        for name, members in populations.items():
            here = slice(program.first[name], program.first[name] + len(members))
            assert trace.v[here].tolist() == [n.v for n in members]
    assert len(nodes) > 0
    a = quantized.population("a")
    if chip == "odin":  # copies fire with their originals
        per_node = np.bincount([n for _, n in nodes], minlength=program.n_nodes)
        fired = per_node[program.first["a"] : program.first["a"] + a.size]
        np.testing.assert_array_equal(fired, fired[quantized.copies["a"]])
