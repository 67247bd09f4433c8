"""MACs and additions of a host stage are those that plain loops count, layer by layer."""

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.values.linear import Conv, Dense, Pool, Reshape, Scale

RNG = np.random.default_rng(3)
KERNEL = np.where(RNG.random((2, 1, 3, 3)) < 0.3, 0.0, RNG.normal(size=(2, 1, 3, 3)))
WEIGHT = np.where(RNG.random((3, 8)) < 0.3, 0.0, RNG.normal(size=(3, 8)))


def network() -> nmhw.Network:
    conv = Conv(KERNEL, (1, 6, 6), (1, 1), (1, 1, 1, 1))
    ops = (
        conv, Scale(np.full((2, 6, 6), 2.0)), Pool("avg", (2, 6, 6), (3, 3), (3, 3)),
        Reshape((2, 2, 2), (8,)), Dense(WEIGHT),
    )  # fmt: skip
    build = nmhw.Network.build().input("in", (1, 6, 6))
    build.population("a", 3, "lif", tau_mem_s=0.01, v_threshold=0.05)
    build.population("b", 2, "lif", tau_mem_s=0.01, v_threshold=0.05)
    build.project("in", "a", ops=ops).project("a", "b", np.ones((2, 3)))
    return give_meaning(build.output("out", "b").done(), dt_s=1e-3)


def products(x: np.ndarray) -> tuple[int, int]:
    """Return (dense, both operands differ from 0) of the convolution for one frame."""
    dense = used = 0
    padded = np.pad(x[0], 1)
    for o in range(2):
        for y in range(6):
            for z in range(6):
                for i in range(3):
                    for j in range(3):
                        dense += 1
                        used += bool(padded[y + i, z + j] and KERNEL[o, 0, i, j])
    return dense, used


@pytest.mark.parametrize("is_binary", [False, True])
def test_a_held_frame_is_multiplied_once_and_moving_ones_in_every_step(is_binary: bool) -> None:
    frames = np.where(RNG.random((4, 1, 6, 6)) < 0.4, 0.0, RNG.random((4, 1, 6, 6)))
    if is_binary:
        frames = np.ceil(frames)
    stage = nmhw.host_stage(network())
    held = stage.spikes(frames, n_steps=5)
    moving = stage.spikes(np.repeat(frames[:, None], 5, axis=1))
    np.testing.assert_array_equal(held.dense(), moving.dense())
    dense, used = (sum(n) for n in zip(*(products(x) for x in frames), strict=True))
    later = 4 * (2 * 2 * 2 * 9 + WEIGHT.size)  # pool over padding-free windows, then the matrix
    for spikes, times in ((held, 1), (moving, 5)):
        row, neurons = spikes.host
        assert row.macs == times * (dense + later)
        assert row.elements == times * 4 * 2 * 36  # the scale
        if is_binary:  # the convolution adds weights, what follows multiplies
            assert row.accumulates == times * used
        else:
            assert row.accumulates == 0
            assert row.effective_macs > times * used
        assert (neurons.name, neurons.elements) == ("a", 4 * 5 * 3)


def test_a_run_lists_macs_of_the_host_beside_additions_of_the_chip() -> None:
    stage = nmhw.host_stage(network())
    spikes = stage.spikes(RNG.random((4, 1, 6, 6)), n_steps=5)
    run = nmhw.deploy(stage.rest, "generic").run(spikes)
    facts = run.to_json()
    host, _ = facts["host_operations"]
    assert host["macs"] == spikes.host[0].macs
    by_name = {row["name"]: row for row in facts["layer_operations"]}
    assert (by_name["b"]["on"], by_name["b"]["macs"]) == ("chip", 0)
    assert by_name["b"]["accumulates"] == facts["synops"] == 2 * len(spikes) > 0
    text = " ".join(run.report().split())
    assert "On the host (all samples and steps; unpriced)" in text
    assert f"b - {facts['synops']}" in text
    assert "host_operations" not in nmhw.deploy(network(), "generic").run(
        np.ones((1, 2, 1, 6, 6))
    ).to_json()  # fmt: skip
