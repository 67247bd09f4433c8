"""A bias on a chip without any is an event per step on an axon of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import UnsupportedError
from nmhw.sim.event_input import constant_events

R = np.random.default_rng(11)
X = (R.random((4, 25, 10)) < 0.3).astype(np.uint8)


def network(bias: Any = None, *, hop_steps: int = 0, out_bias: float = 2.0) -> Any:
    """Return a network whose numbers are on tinyODIN's grid: peaks of 7 make the scale 1."""
    r = np.random.default_rng(12)
    w1, w2 = r.integers(-4, 8, (8, 10)).astype(float), r.integers(-4, 8, (6, 8)).astype(float)
    w1[:, 0] = w2[:, 0] = 7
    bias = r.integers(-3, 5, 8).astype(float) if bias is None else bias
    build = nmhw.Network.build("biased").input("in", 10)
    build.population("h", 8, "if", v_threshold=np.arange(20.0, 28.0))
    build.population("o", 6, "if", v_threshold=30.0)
    build.project("in", "h", w1, bias=bias).project("h", "o", w2, bias=out_bias)
    net = build.output("out", "o").done()
    return give_meaning(net, "snntorch", dt_s=1.0, compare=">=", hop_steps=hop_steps)


def test_spikes_are_those_of_the_float_network() -> None:
    deployed = nmhw.deploy(network(), "tinyodin")
    assert deployed.quantized.constant_inputs == ("(bias)",)
    expected = nmhw.run_float(network(), X)
    for backend in ("numba", "reference"):
        run = deployed.run(X, backend=backend)
        for name in ("h", "o"):
            np.testing.assert_array_equal(
                run.spikes[name].dense(), expected.spikes[name].dense(), backend
            )
        assert set(run.spikes) == {"in", "h", "o"}
        assert run.facts["input_events"]["(bias)"] == 4 * 25
    assert expected.spikes["o"].dense().sum() > 0
    without = nmhw.run_float(network(bias=0.0), X)
    assert without.spikes["h"].dense().sum() != expected.spikes["h"].dense().sum()


def test_its_events_are_counted_and_said() -> None:
    deployed = nmhw.deploy(network(), "tinyodin", calibration=X)
    notes = [n for n in deployed.quantized.notices if n.rule == "quantize.constant-input"]
    assert {n.where for n in notes} == {"h", "o"}
    assert "one event per step" in notes[0].text
    plain = nmhw.deploy(network(), "tinyodin", allow=("bias",)).run(X)
    biased = deployed.run(X)
    assert biased.facts["packets"] > plain.facts["packets"]
    assert "(bias)" not in plain.facts["input_events"]


def test_on_odin_a_bias_of_both_signs_takes_two_rows() -> None:
    q = nmhw.quantize(network(), "odin")
    assert q.copies["(bias)"].tolist() == [0, 0]
    events = constant_events(q, 2, 3)["(bias)"]
    np.testing.assert_array_equal(events.dense(), np.ones((2, 3, 2)))


def test_other_chips_without_a_bias_still_refuse_it() -> None:
    chip = nmhw.chip("tinyodin").with_(arithmetic={"constant_input": False})
    with pytest.raises(UnsupportedError, match="no bias where this population needs one"):
        nmhw.quantize(network(), chip)


def test_the_host_sends_it_in_the_event_form_too() -> None:
    deployed = nmhw.deploy(network(), "tinyodin")
    run, plain = (deployed.run(X, timing="events", backend=b) for b in ("numba", "reference"))
    np.testing.assert_array_equal(run.spikes["h"].dense(), plain.spikes["h"].dense())
    assert run.facts["input_events"]["(bias)"] == 4 * 25
    less = nmhw.deploy(network(bias=0.0), "tinyodin").run(X, timing="events")
    assert less.spikes["h"].dense().sum() != run.spikes["h"].dense().sum()


def test_hops_that_the_chip_does_not_need_only_shift_the_windows() -> None:
    hopping = network(bias=0.0, hop_steps=1, out_bias=0.0)
    run, expected = nmhw.deploy(hopping, "tinyodin").run(X), nmhw.run_float(hopping, X)
    for name in ("h", "o"):
        found, wanted = (r.result.windowed(name).dense() for r in (run, expected))
        np.testing.assert_array_equal(found, wanted)
        assert wanted.sum() > 0
