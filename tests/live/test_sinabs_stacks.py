"""120 fresh random stacks: nmhw's integers, spikes, v and words against sinabs 3.1.3."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import nmhw
from nmhw.io.chip_file import load_chip
from nmhw.mappers.greedy import map_network

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
