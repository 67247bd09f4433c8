from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, UsageError
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.readout import (
    Readout,
    check_labels,
    default_readout,
    output_populations,
    read_out,
)
from nmhw.values.result import ProbeData, RunResult


def result_of(raster: Any = None, v: Any = None, depth: int = 0) -> RunResult:
    """T = 4 steps of one population "out" at ``depth``; arrays are (samples, T + depth, n)."""
    spikes, probes = {}, {}
    if raster is not None:
        spikes["out"] = SpikeEvents.from_dense(np.asarray(raster))
    if v is not None:
        values = np.asarray(v, np.float64)
        steps = np.arange(values.shape[1])
        probes["out", "v"] = ProbeData("out", "v", steps, values)
    n = len(raster if raster is not None else v)
    return RunResult("float", n, 4, depth, {"out": depth}, spikes, probes, None)


# sample 0: neuron 1 spikes first, neuron 2 most often; sample 1: silent
RASTER = [[[0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]], [[0, 0, 0]] * 4]
V = [[[0.0, 5.0, 1.0], [0.0, 0.0, 1.0], [3.0, 0.0, 2.0], [2.0, 0.0, 2.0]]]


@pytest.mark.parametrize(
    ("rule", "scores", "prediction"),
    [
        ("count", [0, 1, 2], 2),
        ("first-spike", [0, 3, 2], 1),
        ("count:from_step=3", [0, 0, 1], 2),
        ("population(1)", [3], 0),
    ],
)
def test_spike_readouts(rule: str, scores: list[float], prediction: int) -> None:
    outcome = read_out(result_of(RASTER), Readout.parse(rule), ["out"])
    assert outcome.scores[0].tolist() == scores
    assert outcome.predictions[0] == prediction


@pytest.mark.parametrize(
    ("rule", "scores", "prediction", "n_ties"),
    [
        ("v-last", [2, 0, 2], 0, 1),
        ("v-max", [3, 5, 2], 1, 0),
        ("v-max:from_step=1", [3, 0, 2], 0, 0),
        ("v-mean", [1.25, 1.25, 1.5], 2, 0),
    ],
)
def test_membrane_readouts(rule: str, scores: list[float], prediction: int, n_ties: int) -> None:
    outcome = read_out(result_of(v=V), Readout.parse(rule), ["out"])
    assert outcome.scores[0].tolist() == scores
    assert (outcome.predictions[0], outcome.n_ties) == (prediction, n_ties)


def test_tie_goes_to_the_lowest_index_and_is_counted() -> None:
    outcome = read_out(result_of(RASTER), Readout("count"), ["out"])
    assert outcome.predictions.tolist() == [2, 0]
    assert outcome.n_ties == 1


def test_population_sums_blocks_of_consecutive_neurons() -> None:
    raster = np.zeros((1, 4, 6))
    raster[0, 0, [0, 1]] = 1
    raster[0, 1, [2, 3]] = 1
    raster[0, 2, 3] = 1
    outcome = read_out(result_of(raster), Readout.parse("population(3)"), ["out"])
    assert outcome.scores.tolist() == [[2, 3, 0]]
    with pytest.raises(UsageError, match="classes do not divide the neurons: got 4"):
        read_out(result_of(raster), Readout.parse("population(4)"), ["out"])


def test_readout_uses_the_window_of_the_population() -> None:
    early = np.zeros((1, 6, 3))
    early[0, 1, 0] = 1  # before the first input can arrive
    early[0, 5, 2] = 1  # in the last step of the window
    outcome = read_out(result_of(early, depth=2), Readout("count"), ["out"])
    assert outcome.scores.tolist() == [[0, 0, 1]]


def test_accuracy_per_step_is_that_of_a_decision_after_the_step() -> None:
    outcome = read_out(result_of(RASTER), Readout("count"), ["out"])
    assert outcome.accuracy_per_step(np.array([2, 0])).tolist() == [0.5, 0.5, 0.5, 1.0]
    late = read_out(result_of(RASTER), Readout("count", from_step=2), ["out"])
    per_step = late.accuracy_per_step(np.array([2, 0]))
    assert np.isnan(per_step[:2]).all()
    assert per_step[2:].tolist() == [1.0, 1.0]


def test_several_outputs_are_summed() -> None:
    one = result_of(RASTER)
    both = RunResult(
        "float", 2, 4, 0, {}, {"a": one.spikes["out"], "b": one.spikes["out"]}, {}, None
    )
    assert read_out(both, Readout("count"), ["a", "b"]).scores[0].tolist() == [0, 2, 4]


@pytest.mark.parametrize("text", ["count", "v-max:from_step=5", "population(10):at=lif2"])
def test_readout_prints_as_it_is_written(text: str) -> None:
    assert str(Readout.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "counts", "population", "population(0)", "count:step=3", "count:from_step=-1"]
)
def test_unreadable_readouts_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Readout.parse(text)


def network(*kinds: str, outputs: int = 1) -> Network:
    build = Network.build("n").input("x", 2)
    for k, kind in enumerate(kinds):
        parameters = {"tau_mem_s": 0.01} if kind == "li" else {}
        build.population(f"p{k}", 2, kind, **parameters)  # type: ignore[arg-type]
        build.project("x", f"p{k}", np.ones((2, 2)))
    names = [f"p{k}" for k in range(len(kinds))]
    for k in range(outputs):
        build.output(f"y{k}", *(names if outputs == 1 else [names[k]]))
    return build.done()


def test_default_is_count_for_spikes_and_last_v_otherwise() -> None:
    assert str(default_readout(network("if"))) == "count"
    assert str(default_readout(network("li"))) == "v-last"
    assert str(default_readout(network("linear"))) == "v-last"


def test_open_choices_are_asked_for() -> None:
    with pytest.raises(UsageError, match="spiking and analog outputs"):
        default_readout(network("if", "li"))
    with pytest.raises(UsageError, match=r"several outputs: got y0, y1.*at=POPULATION"):
        default_readout(network("if", "if", outputs=2))
    chosen = Readout.parse("count:at=p1")
    assert output_populations(network("if", "if", outputs=2), chosen) == ("p1",)
    with pytest.raises(UsageError, match="no such population"):
        output_populations(network("if"), Readout.parse("count:at=lif9"))


def test_missing_records_are_named() -> None:
    with pytest.raises(UsageError, match="out: v-last needs v of every step"):
        read_out(result_of(RASTER), Readout("v-last"), ["out"])
    with pytest.raises(UsageError, match="out: count needs spikes"):
        read_out(result_of(v=V), Readout("count"), ["out"])
    with pytest.raises(UsageError, match="starts after the last step"):
        read_out(result_of(RASTER), Readout("count", from_step=4), ["out"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"one label per sample.*got \(2,\) \(limit \(3,\)\)"),
        ([[0], [1], [2]], "one label per sample"),
        ([0, 1, 3], r"out of range: got 3 \(limit 0 to 2\)"),
        ([0, -1, 2], r"out of range: got -1"),
        ([0.5, 1, 2], "class numbers"),
        (["a", "b", "c"], "class numbers"),
        ([np.nan, 1, 2], "class numbers"),
    ],
)
def test_bad_labels_are_refused(labels: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        check_labels(labels, 3, 3)
    assert error.value.exit_code == 2


def test_whole_labels_of_any_type_are_accepted() -> None:
    for dtype in (np.uint8, np.int64, np.float32):
        labels = check_labels(np.array([2, 0, 1], dtype), 3, 3)
        assert labels.dtype == np.int64
        assert labels.tolist() == [2, 0, 1]
