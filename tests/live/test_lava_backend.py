"""``backend="lava"`` equals ``backend="numba"``: spikes, states, counters, report and energy.

The random networks share one start of the child interpreter: 32 of every cell and projection form
that the simulator knows, 32 of Loihi's alone, which Lava's stock processes serve.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.demo import deploy_demo, load_demo_images
from nmhw.errors import UnsupportedError
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.lava.run import LavaOutput, LavaTask, describe_task, run_tasks
from nmhw.sim.program import build_program
from nmhw.values.connectivity import synapse_counts
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.profile import preset

HERE = Path(__file__).parent
CASES = HERE.parent / "data" / "nir-cases"
N_RANDOM = 32

EqualRuns = Callable[..., Any]


@dataclass(frozen=True)
class Case:
    """One network with its inputs, run by both backends."""

    name: str
    task: LavaTask
    numba: EngineOutput
    lava: LavaOutput


@pytest.fixture(scope="module", autouse=True)
def environment(lava_environment: Path) -> Iterator[None]:
    """Let the backend use the environment of the live tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NMHW_LAVA_PYTHON", str(lava_environment))
        yield


def load_script(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_tasks(lava_vectors: ModuleType) -> Iterator[tuple[str, LavaTask]]:
    """Yield networks of any form, then networks of Loihi's."""
    any_form = load_script(HERE.parent / "property" / "conftest.py")
    for seed in range(N_RANDOM):
        network, events, _ = any_form.make_case(seed)
        every = 1 + seed % 3
        probes = [Probe(p.name, v, every) for p in network.populations for v in ("u", "v")]
        yield network.name, LavaTask(network, events, probes, continuous=seed % 4 == 3)
    drawing = load_script(HERE / "lava" / "random_networks.py")
    for seed in range(N_RANDOM):
        drawer = drawing.Drawer(seed)
        network = drawer.network(seed)
        for projection in network["projections"]:
            projection["stored"] = stored(projection)
        raster = drawer.spikes(network["n_inputs"])[:60].reshape(2, 30, -1)
        quantized = lava_vectors.quantize(network)
        events = {quantized.inputs[0].name: SpikeEvents.from_dense(raster.astype(np.int64))}
        probes = [Probe(p.name, v) for p in quantized.populations for v in ("u", "v")]
        yield f"loihi-{seed}", LavaTask(quantized, events, probes, continuous=seed % 2 == 1)


def stored(projection: dict[str, Any]) -> list[list[int]]:
    """Return the weights on the chip's grid: Lava's stock models keep them as they are."""
    weights = np.array(projection["weights"])
    mode = projection["sign_mode"]
    if mode is None:
        mode = "mixed" if weights.min() < 0 else "excitatory"
        mode = "inhibitory" if weights.max() <= 0 and weights.min() < 0 else mode
    low, high = {"mixed": (-256, 255), "excitatory": (0, 255), "inhibitory": (-255, 0)}[mode]
    lost = 8 - projection["weight_bits"] + (mode == "mixed")
    kept = np.clip(weights, low, high)
    sign = -1 if mode == "inhibitory" else 1
    return (sign * (sign * kept >> lost << lost)).tolist()


@pytest.fixture(scope="module")
def cases(lava_vectors: ModuleType) -> list[Case]:
    """All random networks, run by both."""
    named, engines = [], []
    for name, task in make_tasks(lava_vectors):
        try:
            engine = run_program(
                build_program(task.quantized),
                dict(task.given),
                n_steps=task.n_steps,
                probes=task.probes,
                continuous=task.continuous,
            )
        except UnsupportedError as refusal:  # sums beyond 32 bits: numba refuses them
            if refusal.rule != "sim.sum-width":
                raise
            continue
        named.append((name, task))
        engines.append(engine)
    outputs = run_tasks([task for _, task in named])
    return [
        Case(name, task, engine, output)
        for (name, task), engine, output in zip(named, engines, outputs, strict=True)
    ]


def test_random_networks_are_more_than_fifty_and_use_every_process(cases: list[Case]) -> None:
    assert len(cases) >= 50
    used = Counter(kind for case in cases for kind in describe_task(case.task).values())
    assert min(used[kind] for kind in ("CountedLif", "CellPopulation", "Synapses")) > 20
    assert min(used[kind] for kind in ("CountedDense", "CountedSparse")) > 5
    spikes = [sum(case.lava.counted["n_spikes"].values()) for case in cases]
    assert sum(n > 10 for n in spikes) > 35


def test_random_networks_spike_alike(cases: list[Case]) -> None:
    for case in cases:
        for name, events in case.numba.spikes.items():
            for field in ("sample", "step", "index"):
                got = getattr(case.lava.output.spikes[name], field)
                np.testing.assert_array_equal(got, getattr(events, field), f"{case.name} {name}")


def test_random_networks_have_equal_states(cases: list[Case]) -> None:
    for case in cases:
        for key, probe in case.numba.probes.items():
            found = case.lava.output.probes[key]
            assert found.values.dtype == probe.values.dtype
            np.testing.assert_array_equal(found.steps, probe.steps)
            np.testing.assert_array_equal(found.values, probe.values, f"{case.name} {key}")
        for name, state in case.numba.states.items():
            for field in ("u", "v", "refractory"):
                got = getattr(case.lava.output.states[name], field)
                np.testing.assert_array_equal(got, getattr(state, field), f"{case.name} {name}")


def test_what_the_processes_count_is_what_happened(cases: list[Case]) -> None:
    for case in cases:
        quantized, counted = case.task.quantized, case.lava.counted
        for population in quantized.populations:
            name = population.name
            updates = int(case.numba.active_updates[name].sum())
            assert int(case.lava.output.active_updates[name].sum()) == updates
            assert counted["n_updates"][name] == updates
            assert counted["n_spikes"][name] == int(case.numba.spike_totals[name].sum())
            assert case.lava.output.saturations[name] == case.numba.saturations[name]
        for projection in quantized.projections:
            assert counted["n_synops"][projection.name] == count_synops(case, projection)


def count_synops(case: Case, projection: Any) -> int:
    """Count the synapses that a projection's events read before their sample ends."""
    sizes = case.task.quantized.sizes()
    events = case.numba.spikes[projection.source]
    when = events.step.astype(np.int64) + projection.delay_steps
    last = case.task.n_steps
    if case.task.continuous:
        when += events.sample.astype(np.int64) * last
        last *= events.n_samples
    ends = sizes[projection.source], sizes[projection.target]
    fan_out = np.asarray(synapse_counts(projection, *ends).sum(axis=1)).ravel()
    return int(fan_out[events.index[when < last]].sum())


def test_digits_on_loihi(assert_equal_runs: EqualRuns) -> None:
    images = load_demo_images(20)
    run = assert_equal_runs(deploy_demo("loihi1-nahuku"), images.events, images.labels)
    assert run.accuracy >= 0.9
    assert run.summary()["energy_j"]["total"] > 0


@pytest.mark.parametrize("chip", ["generic", "spinnaker2", "loihi2"])
def test_digits_on_other_chips(chip: str, assert_equal_runs: EqualRuns) -> None:
    images = load_demo_images(6)
    assert_equal_runs(deploy_demo(chip), images.events, images.labels, continuous=chip == "loihi2")


def test_braille_network_on_loihi(assert_equal_runs: EqualRuns) -> None:
    path = CASES / "03_rnn" / "braille_noDelay_bias_zero.nir"
    network = nmhw.load(path, profile="snntorch", dt_s=1e-4)
    x = np.load(CASES / "03_rnn" / "braille_input_letterA_256x12.npy")[None]
    run = assert_equal_runs(nmhw.deploy(network, "loihi1-nahuku"), x)
    assert len(run.spikes["lif1.lif"]) > 100


@pytest.mark.parametrize(
    ("chip", "profile"), [("loihi1-nahuku", "lava"), ("spinnaker2", "spinnaker2")]
)
def test_convolutional_network(chip: str, profile: str, assert_equal_runs: EqualRuns) -> None:
    network = nmhw.load(CASES / "02_cnn" / "cnn_sinabs.nir", profile=profile)
    rng = np.random.default_rng(7)
    x = (rng.random((1, 24, 2, 34, 34)) < 0.03).astype(np.int8)
    run = assert_equal_runs(nmhw.deploy(network, chip), x, compare_float=False)
    assert all(n > 0 for n in run.summary()["spikes"].values())


def residual_network() -> nmhw.Network:
    """Return in > a > b > out with skips in > b and a > out, and a loop in b."""
    rng = np.random.default_rng(3)

    def weights(n_in: int, n_out: int) -> np.ndarray:
        return rng.normal(1.0, 2.0, (n_out, n_in))

    neuron = {"tau_mem_s": 0.01, "v_threshold": 1.0}
    build = nmhw.Network.build("residual").input("in", 12)
    for name, n in (("a", 20), ("b", 16), ("out", 5)):
        build = build.population(name, n, "lif", **neuron)
    sizes = {"in": 12, "a": 20, "b": 16, "out": 5}
    for source, target in (("in", "a"), ("a", "b"), ("b", "out"), ("in", "b"), ("a", "out")):
        build = build.project(source, target, weights(sizes[source], sizes[target]))
    return build.project("b", "b", 0.1 * weights(16, 16)).output("y", "out").done()


def test_residual_network_with_delays_on_loihi(assert_equal_runs: EqualRuns) -> None:
    network = replace(residual_network(), profile=preset("snntorch").with_(dt_s=1e-3))
    deployed = nmhw.deploy(network, "loihi1-nahuku")
    assert max(q.delay_steps for q in deployed.quantized.projections) > 1
    x = (np.random.default_rng(4).random((3, 40, 12)) < 0.3).astype(np.int8)
    run = assert_equal_runs(deployed, x)
    assert all(n > 0 for n in run.summary()["spikes"].values())
