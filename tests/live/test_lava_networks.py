"""200 fresh random networks: nmhw's integers, reference and engine against lava-nc's fixed_pt."""

import importlib.util
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
BATCH = 25


@pytest.mark.parametrize("first_seed", range(1000, 1200, BATCH))
def test_every_state_of_every_step_equals_lava(
    ask_lava: Ask, lava_vectors: ModuleType, tmp_path: Path, first_seed: int
) -> None:
    path = tmp_path / "vectors.npz"
    question = {"first_seed": first_seed, "n_networks": BATCH, "path": str(path)}
    assert ask_lava("make_vectors.py", question) == {"n_networks": BATCH}
    recordings = list(lava_vectors.read_recordings(path))
    assert [r.network["seed"] for r in recordings] == [first_seed + k for k in range(BATCH)]
    for recording in recordings:
        quantized = lava_vectors.quantize(recording.network)
        for backend in ("reference", "numba"):
            differences = lava_vectors.count_differences(quantized, recording, backend)
            assert not any(differences.values()), (recording.network["seed"], backend)
    spikes = [
        s.sum() for r in recordings for (_, variable), s in r.states.items() if variable == "s"
    ]
    assert sum(n > 10 for n in spikes) > BATCH


def test_the_networks_use_every_process_of_lava() -> None:
    path = Path(__file__).parent / "lava" / "random_networks.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    drawing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(drawing)
    networks = [drawing.Drawer(seed).network(seed) for seed in range(1000, 1200)]
    used = Counter(p["process"] for network in networks for p in network["projections"])
    assert used.keys() == {"Dense", "Sparse", "DelayDense", "DelaySparse"}
    assert min(used.values()) >= 30
