"""120 fresh random stacks: nmhw's integers, spikes, v and words against sinabs 3.1.3."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.io.chip_file import load_chip
from nmhw.mappers.core_assignment import assign_layers, match_cores
from nmhw.mappers.greedy import map_network
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.engine import run_program
from nmhw.sim.program import build_program
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Pool
from nmhw.values.network import Network
from nmhw.values.profile import preset

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
BATCH = 40


def test_the_published_nmnist_network_equals_sinabs(
    ask_sinabs: Ask, sinabs_vectors: ModuleType, data_dir: Path, tmp_path: Path
) -> None:
    file = data_dir / "nir-cases" / "02_cnn" / "cnn_sinabs.nir"
    stack = sinabs_vectors.describe_network(nmhw.load(file, profile="sinabs"))
    path = tmp_path / "vectors.npz"
    assert ask_sinabs("make_vectors.py", {"stacks": [stack], "path": str(path)}) == {
        "n_networks": 1
    }
    (recording,) = sinabs_vectors.read_recordings(path)
    assert recording.stack["has_mapping"]
    quantized = nmhw.deploy(nmhw.load(file, profile="sinabs"), "speck2f").quantized
    renamed = sinabs_vectors.rename_layers(quantized)
    assert not any(sinabs_vectors.count_integer_differences(renamed, recording).values())
    assert not any(sinabs_vectors.count_state_differences(renamed, recording, "numba").values())
    assert recording.found[4, "spikes"].sum() > 0


def test_without_a_lower_threshold_sinabs_stops_at_scale_1_and_nmhw_does_not(
    ask_sinabs: Ask, sinabs_vectors: ModuleType, tmp_path: Path
) -> None:
    layer = {"kind": "conv", "weight": [[[[0.4]]]], "bias": None, "stride": 1, "padding": 0}
    layer |= {"threshold": 1.0, "v_min": None, "reset": "subtract", "pool": 1, "pool_kind": "sum"}
    stack = {"seed": 0, "input": [1, 3, 3], "layers": [layer]}
    path = tmp_path / "vectors.npz"
    ask_sinabs("make_vectors.py", {"stacks": [stack], "path": str(path)})
    (recording,) = sinabs_vectors.read_recordings(path)
    integers = recording.stack["layers"][0]["integers"]
    assert (integers["threshold"], integers["v_min"]) == (1, -(2**15))
    assert recording.found[0, "weight"].tolist() == [[[[0]]]]
    network = Network.build("n").input("in", (1, 3, 3)).population("l0", (1, 3, 3), "if")
    network.project("in", "l0", _conv(np.array([[[[0.4]]]]), 3, 0)).output("out", "l0")
    profile = preset("sinabs").with_(lower_bound="none")
    quantized = quantize_network(network.done(), load_chip("speck2e"), profile)
    assert quantized.projections[0].weights.tolist() == [[[[127]]]]
    assert set(quantized.populations[0].threshold.tolist()) == {318}  # 127 / 0.4 = 317.5, even


def test_cores_are_found_exactly_where_sinabs_finds_them(ask_sinabs: Ask) -> None:
    rng = np.random.default_rng(11)
    chip = load_chip("speck2e")
    cases = []
    for _ in range(400):
        sizes = 2 ** rng.integers(8, 17, (int(rng.integers(1, 11)), 2))
        cases.append([[int(kernel), int(neuron), 0] for kernel, neuron in sizes])
    found = ask_sinabs("match_layers.py", {"cases": cases})["found"]
    for case, is_found in zip(cases, found, strict=True):
        keys = ("kernel_words", "neuron_words", "bias_words")
        needs = {f"l{k}": dict(zip(keys, words, strict=True)) for k, words in enumerate(case)}
        assert (assign_layers(chip, needs) == []) is is_found
        assert (len(match_cores(chip, needs)) == len(needs)) is is_found
    assert 50 < sum(found) < 350


def test_two_destinations_and_a_merge_equal_sinabs(ask_sinabs: Ask) -> None:
    records = ask_sinabs("branches.py", {"seeds": list(range(30))})["records"]
    chip = load_chip("speck2e")
    for record in records:
        counts = np.array(record["input"])
        quantized = quantize_network(_write_branches(record), chip, preset("sinabs"))
        mapping = map_network(quantized, chip)
        assert record["has_mapping"]
        used = {u.core: u.resources for u in mapping.utilization}
        events = {"in": SpikeEvents.from_dense(counts[None], counts.shape[1:])}
        run = run_program(build_program(quantized), events, n_steps=len(counts))
        for part in mapping.slices:
            found = record["layers"][part.population]["found"]
            population = quantized.population(part.population)
            assert set(population.threshold.tolist()) == {found["threshold"]}
            for projection in quantized.projections:
                if projection.target == part.population:
                    assert projection.weights.tolist() == found["weight"]
            spikes = run.spikes[part.population].dense()[0]
            np.testing.assert_array_equal(spikes, found["spikes"], part.population)
            for key in ("kernel_words", "neuron_words"):
                assert used[part.core][key][0] == found[key]
    assert sum(np.sum(r["layers"]["end"]["found"]["spikes"]) > 0 for r in records) > 15


def _write_branches(record: dict[str, Any]) -> Network:
    """Return root -> (left, right) -> end, the merge as two projections with one kernel."""
    side, pool = 8 // record["pool"], record["pool"]
    weights = {name: np.array(layer["weight"]) for name, layer in record["layers"].items()}
    build = Network.build("branches").input("in", (weights["root"].shape[1], 8, 8))
    for name, size in (("root", 8), ("left", side), ("right", side), ("end", side - 2)):
        threshold = record["layers"][name]["threshold"]
        build.population(name, (len(weights[name]), size, size), "if", v_threshold=threshold)
    n = len(weights["root"])
    build.project("in", "root", _conv(weights["root"], 8, 1))
    pools = (Pool("sum", (n, 8, 8), (pool, pool), (pool, pool)),) if pool > 1 else ()
    for name in ("left", "right"):
        padding = (weights[name].shape[2] - 1) // 2
        build.project("root", name, ops=(*pools, _conv(weights[name], side, padding)))
        build.project(name, "end", _conv(weights["end"], side, 0))
    return build.output("out", "end").done()


def _conv(weight: Any, size: int, padding: int) -> Conv:
    return Conv(weight, (weight.shape[1], size, size), (1, 1), (padding,) * 4)  # type: ignore[arg-type]


@pytest.mark.parametrize("first_seed", range(1000, 1120, BATCH))
def test_integers_spikes_states_and_words_equal_sinabs(
    ask_sinabs: Ask, sinabs_vectors: ModuleType, tmp_path: Path, first_seed: int
) -> None:
    path = tmp_path / "vectors.npz"
    question = {"first_seed": first_seed, "n_networks": BATCH, "path": str(path)}
    assert ask_sinabs("make_vectors.py", question) == {"n_networks": BATCH}
    recordings = list(sinabs_vectors.read_recordings(path))
    assert [r.stack["seed"] for r in recordings] == [first_seed + k for k in range(BATCH)]
    chip = load_chip("speck2e")
    for recording in recordings:
        stack = recording.stack
        quantized = sinabs_vectors.quantize(stack)
        differing = sinabs_vectors.count_integer_differences(quantized, recording)
        assert not any(differing.values()), stack["seed"]
        for backend in ("reference", "numba"):
            states = sinabs_vectors.count_state_differences(quantized, recording, backend)
            assert not any(states.values()), (stack["seed"], backend)
        assert stack["has_mapping"]
        mapping = map_network(quantized, chip)
        used = {u.core: u.resources for u in mapping.utilization}
        for part in mapping.slices:
            integers = stack["layers"][int(part.population[1:])]["integers"]
            for key in ("kernel_words", "neuron_words"):
                assert used[part.core][key][0] == integers[key], stack["seed"]
    spikes = [a.sum() for r in recordings for (_, key), a in r.found.items() if key == "spikes"]
    assert sum(n > 100 for n in spikes) > BATCH
