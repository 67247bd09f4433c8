"""200 fresh random networks, 1,000 steps each: reference and engine against xylosim's module v2."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]
BATCH = 25
N_STEPS = 1000


@pytest.mark.parametrize("first_seed", range(1000, 1200, BATCH))
def test_every_state_of_every_step_equals_xylosim(
    ask_xylosim: Ask, xylo_vectors: ModuleType, tmp_path: Path, first_seed: int
) -> None:
    path = tmp_path / "vectors.npz"
    question = {"first_seed": first_seed, "n_networks": BATCH, "n_steps": N_STEPS}
    answer = ask_xylosim("make_vectors.py", {**question, "path": str(path)})
    assert answer == {"n_networks": BATCH}
    spikes = 0
    for recording in xylo_vectors.read_recordings(path):
        assert len(recording.counts_in) == N_STEPS
        quantized = xylo_vectors.quantize(recording.network)
        for backend in ("reference", "numba"):
            differences = xylo_vectors.count_differences(quantized, recording, backend)
            assert differences == dict.fromkeys(recording.states, 0), (
                recording.network["seed"],
                backend,
            )
        spikes += sum(
            int(s.sum()) for (_, variable), s in recording.states.items() if variable == "s"
        )
    assert spikes > 1000 * BATCH
