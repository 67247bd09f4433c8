"""200 fresh random networks, 1,000 steps each: reference and engine against xylosim's module v2."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw

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


@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_the_deployed_braille_network_equals_xylosim(
    ask_xylosim: Ask, xylo_vectors: ModuleType, data_dir: Path, tmp_path: Path, backend: str
) -> None:
    case = data_dir / "nir-cases" / "03_rnn"
    x = np.load(case / "braille_input_letterA_256x12.npy").astype(np.int64)
    network = nmhw.load(
        case / "braille_noDelay_bias_zero.nir", profile="rockpool", dt_s=1e-4, reset="subtract"
    )
    deployed = nmhw.deploy(network, "xylo-audio2", allow=["bias"])
    quantized = xylo_vectors.rename(deployed.quantized)
    described = xylo_vectors.describe(quantized)
    question = {"networks": [described], "counts": [x.tolist()], "path": str(tmp_path / "v.npz")}
    assert ask_xylosim("make_vectors.py", question) == {"n_networks": 1}
    (recording,) = xylo_vectors.read_recordings(tmp_path / "v.npz")
    differences = xylo_vectors.count_differences(quantized, recording, backend)
    assert differences == dict.fromkeys(recording.states, 0)
    assert recording.states["lif1.lif", "s"].sum() > 100
