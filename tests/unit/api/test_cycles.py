"""Clock cycles of a run: the published law at the run's own activity."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nmhw
from nmhw.values.discretize import resolve_profile
from nmhw.values.laws import xylo_cycles


@pytest.fixture(scope="module")
def network() -> nmhw.Network:
    """4 inputs, 6 hidden neurons in a ring with two targets each, 2 outputs."""
    times = {"tau_mem_s": 16e-3, "tau_syn_s": 4e-3}
    ring = sum(np.roll(np.eye(6), k, axis=0) for k in (1, 2)) * 0.05
    build = nmhw.Network.build("net").input("in", 4).population("h", 6, "cubalif", **times)
    build.population("o", 2, "cubalif", **times)
    some = np.zeros((6, 4))
    some[:3] = 0.6
    build.project("in", "h", some).project("h", "h", ring).project("h", "o", np.full((2, 6), 0.1))
    built = build.output("out", "o").done()
    return replace(built, profile=resolve_profile(built, "rockpool", 1e-3))


def test_cycles_are_the_law_at_mean_and_busiest_activity(network: nmhw.Network) -> None:
    x = (np.random.default_rng(1).random((3, 40, 4)) < 0.4).astype(np.int64)
    alias = {"h": {"alias": [1, 2, 2, -1, -1, -1]}}
    run = nmhw.deploy(network, "xylo-audio3", explicit=alias).run(x)
    size = {
        "n_in": 4, "n_hidden": 6, "n_out": 2, "fan_out": 2, "n_input_targets": 3,
        "n_output_sources": 6, "alias_targets": 2 / 6, "alias_sources": 3 / 6,
    }  # fmt: skip
    raster = run.spikes["h"].dense()  # 41 steps with the drain
    sent = np.zeros(raster.shape[:2])
    sent[:, :40] = x.sum(axis=2)
    fired = raster.sum(axis=2)
    assert fired.sum() > 50

    def law(p_in: float, p_hidden: float) -> float:
        return xylo_cycles(**size, p_in=p_in, p_hidden=p_hidden)

    found = run.summary()["clock_cycles"]
    assert found["mean"] == pytest.approx(law(sent.mean() / 4, fired.mean() / 6))
    busiest = max(law(a / 4, b / 6) for a, b in zip(sent.flat, fired.flat, strict=True))
    assert found["worst"] == pytest.approx(busiest)
    assert found["clock_hz"] == pytest.approx(busiest * 1.2 / 1e-3)
    assert "Clock cycles per step" in str(run.report())


def test_audio2_looks_at_every_hidden_neuron(network: nmhw.Network) -> None:
    x = np.zeros((1, 10, 4), np.int64)
    x[0, 0] = 15
    means = {
        chip: nmhw.deploy(network, chip).run(x).summary()["clock_cycles"]["mean"]
        for chip in ("xylo-audio2", "xylo-imu")
    }
    reached = (6 - 3) * 3.5 * 60 / 11  # 60 events in 11 steps, at 3 neurons that hold no weight
    assert means["xylo-audio2"] - means["xylo-imu"] == pytest.approx(reached)


def test_other_chips_have_no_such_law(network: nmhw.Network) -> None:
    x = np.zeros((1, 10, 4), np.int64)
    assert nmhw.deploy(network, "generic").run(x).summary()["clock_cycles"] is None
