"""repeat: samples without steps are presented in every step."""

from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.values.events import SpikeEvents

FRAMES = (np.random.default_rng(0).random((4, 2, 3)) < 0.5).astype(np.uint8)


def network(shape: Any = (2, 3)) -> nmhw.Network:
    size = int(np.prod(shape))
    build = nmhw.Network.build().input("in", shape)
    build.population("a", 2, "lif", tau_mem_s=0.01, v_threshold=0.1)
    build.project("in", "a", np.ones((2, size)) / 4).output("out", "a")
    return give_meaning(build.done(), dt_s=1e-3)


@pytest.mark.parametrize("frames", [FRAMES, FRAMES.reshape(4, 6)])
def test_a_repeated_sample_is_the_same_array_in_every_step(frames: np.ndarray) -> None:
    held = np.repeat(FRAMES[:, None], 4, axis=1)  # as many steps as samples: no ambiguity
    labels = [0, 1, 0, 1]
    deployed = nmhw.deploy(network(), "generic")
    given = deployed.run(held, labels, layout="NT").to_json()
    repeated = deployed.run(frames, labels, repeat=4).to_json()
    assert any("in all 4 steps (repeat)" in n["text"] for n in repeated["notices"])
    for facts in (given, repeated):
        facts.pop("notices"), facts.pop("wall_s", None)
    assert repeated == given
    assert given["spikes"]["a"] > 0
    floats = nmhw.run_float(network(), frames.astype(float) / 3, repeat=4)
    assert floats.result.n_steps == 4


def test_inputs_by_name_and_loaders_are_repeated_with_their_labels() -> None:
    torch = pytest.importorskip("torch")
    pairs = torch.utils.data.TensorDataset(torch.tensor(FRAMES), torch.tensor([0, 1, 0, 1]))
    loader = torch.utils.data.DataLoader(pairs, batch_size=3)
    deployed = nmhw.deploy(network(), "generic")
    facts = deployed.run(loader, repeat=3).to_json()
    assert (facts["n_samples"], facts["n_steps"]) == (4, 3)
    assert facts["accuracy"] == deployed.run({"in": FRAMES}, [0, 1, 0, 1], repeat=3).accuracy


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.repeat(FRAMES[:, None], 5, axis=1), {"repeat": 5}, "leave --repeat out"),
        (FRAMES[..., :2], {"repeat": 5}, "a repeated sample has no steps"),
        (FRAMES, {"repeat": 5, "encode": "rate"}, "an encoder makes the steps"),
        (FRAMES, {"repeat": 5, "n_steps": 4}, "says the number of steps already"),
        (FRAMES, {"repeat": 5, "layout": "TN"}, "no time axis"),
        (FRAMES, {"repeat": 0}, "out of range"),
        (FRAMES, {"repeat": True}, "a whole number"),
        (FRAMES, {"repeat": 2.5}, "a whole number"),
        (FRAMES[0], {}, "--repeat T"),
        (FRAMES, {"n_steps": 4}, "--repeat T"),
        (FRAMES[:0], {"repeat": 4}, "no sample"),
        (FRAMES * np.nan, {"repeat": 4}, "not finite"),
        (FRAMES / 2, {"repeat": 4}, "analog values"),
        (SpikeEvents.from_dense(FRAMES[:, None]), {"repeat": 4}, "events have steps already"),
    ],
)  # fmt: skip
def test_what_cannot_be_repeated_is_refused(x: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(nmhw.NmhwError, match=message):
        nmhw.deploy(network(), "generic").run(x, **options)
