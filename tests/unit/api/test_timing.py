"""Runs event by event through the public face: refusals, counts, latency, reports, saved runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import UnsupportedError, UsageError
from nmhw.values.linear import Conv, Dense, Pool, Reshape
from nmhw.values.profile import preset


@pytest.fixture(scope="module")
def deployed() -> Any:
    rng = np.random.default_rng(3)
    conv = Conv(rng.normal(0.1, 0.3, (4, 2, 3, 3)), (2, 8, 8), (1, 1), (1, 1, 1, 1))
    pool = Pool("avg", (4, 8, 8), (2, 2), (2, 2))
    dense = Dense(rng.normal(0.05, 0.2, (3, 64)))
    chain = (pool, Reshape((4, 4, 4), (64,)), dense)
    network = (
        nmhw.Network.build("net").input("in", (2, 8, 8))
        .population("maps", (4, 8, 8), "if").project("in", "maps", conv)
        .population("out", 3, "if").project("maps", "out", ops=chain)
        .output("o", "out").done()
    )  # fmt: skip
    return nmhw.deploy(replace(network, profile=preset("sinabs")), "speck2f")


@pytest.fixture(scope="module")
def events() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 2, (2, 6, 2, 8, 8))


def test_both_backends_make_the_same_events_and_counts(deployed: Any, events: np.ndarray) -> None:
    fast, slow = (
        deployed.run(events, timing="events", backend=b, compare_float=False)
        for b in ("numba", "reference")
    )
    for name, spikes in fast.spikes.items():
        for field in ("sample", "step", "index"):
            np.testing.assert_array_equal(
                getattr(spikes, field), getattr(slow.spikes[name], field), name
            )
    for kind, counts in fast.result.counters.totals.items():
        np.testing.assert_array_equal(counts, slow.result.counters.totals[kind], kind)
    assert len(fast.spikes["out"]) > 10


def test_an_update_is_a_synapse_read_and_nothing_is_counted_per_step(
    deployed: Any, events: np.ndarray
) -> None:
    run = deployed.run(events, timing="events")
    counters = run.result.counters
    assert counters.total("neuron.active") == counters.total("synop") > 0
    assert counters.total("neuron.visit") == counters.total("neuron.active")
    assert counters.total("neuron.idle") == 0
    kinds = {line["kind"] for line in run.summary()["energy_lines"]}
    assert "timestep" not in kinds
    assert "synop.shared" in kinds


def test_latency_per_event_is_the_published_law_at_the_layers_passed(
    deployed: Any, events: np.ndarray
) -> None:
    summary = deployed.run(events, timing="events").summary()
    assert summary["timing"] == "events"
    rows = summary["event_latency"]
    assert list(rows["maps"]["layers"]) == ["1"]
    assert rows["maps"]["mean_s"] == pytest.approx(1.58e-6)
    assert rows["out"]["max_s"] == pytest.approx(1.58e-6 + (3.36e-6 - 1.58e-6) / 8)
    assert rows["out"]["source"] == "richter-2023"
    assert summary["spikes"]["out"] == rows["out"]["events"]


def test_what_time_means_on_a_chip_without_steps_is_said(deployed: Any, events: np.ndarray) -> None:
    def rules(run: Any) -> set[str]:
        return {n["rule"] for n in run.summary()["notices"] if n["rule"].startswith("run.")}

    assert "run.stepwise" in rules(deployed.run(events))
    assert not {"run.stepwise", "run.bias-clock", "run.merge-order"} & rules(
        deployed.run(events, timing="events")
    )
    eye = Conv(np.eye(2).reshape(2, 2, 1, 1), (2, 4, 4))
    build = nmhw.Network.build("n").input("in", (2, 4, 4))
    for name in ("a", "b", "end"):
        build.population(name, (2, 4, 4), "if")
    build.project("in", "a", eye, bias=0.25).project("in", "b", eye)
    build.project("a", "end", eye).project("b", "end", eye)
    network = replace(build.output("o", "end").done(), profile=preset("sinabs"))
    run = nmhw.deploy(network, "speck2e").run(events[..., :4, :4], timing="events")
    assert {"run.bias-clock", "run.merge-order"} <= rules(run)


def test_the_report_says_event_by_event_and_a_saved_run_keeps_it(
    deployed: Any, events: np.ndarray, tmp_path: Path
) -> None:
    run = deployed.run(events, timing="events")
    assert "6 time stamps, event by event" in run.report()
    assert "Latency per event" in run.report()
    run.save(tmp_path / "run")
    again = nmhw.load_result(tmp_path / "run")
    assert again.summary() == run.summary()
    assert again.result.counters.is_stepless
    assert "Latency per event" not in deployed.run(events).report()


def test_chips_with_steps_refuse_events_and_unknown_timings_are_named(
    deployed: Any, events: np.ndarray
) -> None:
    with pytest.raises(UsageError, match="no such timing: got 'clock'"):
        deployed.run(events, timing="clock")
    with pytest.raises(UsageError, match="probes are taken after every step"):
        deployed.run(events, timing="events", probes=["maps:v"])
    network = nmhw.Network.build("n").input("in", 2).population("p", 2, "if")
    network = network.project("in", "p", np.eye(2)).output("o", "p").done()
    stepwise = nmhw.deploy(replace(network, profile=preset("sinabs")), "generic")
    with pytest.raises(UnsupportedError, match=r"timing events .*limit steps") as caught:
        stepwise.run(np.ones((1, 3, 2), int), timing="events")
    assert caught.value.exit_code == 3


def test_lowerings_are_reported_with_their_cost(deployed: Any) -> None:
    texts = {n.rule: n.text for n in deployed.quantized.notices}
    assert (
        "4 x 4 convolution over the whole map of 4 channels"
        in (texts["quantize.linear-as-convolution"])
    )
    assert "256 kernel words for 192 weights" in texts["quantize.linear-as-convolution"]
    assert "divided by 4" in texts["quantize.average-pool"]
    assert "LSB per unit for the whole layer" in texts["quantize.layer-scale"]
