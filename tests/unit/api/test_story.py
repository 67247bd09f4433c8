"""The Python story, as the documentation tells it, call by call."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import MissingExtraError, UsageError


def test_load_chip_deploy_run_report(model: Path, x: np.ndarray, y: np.ndarray) -> None:
    network = nmhw.load(model, profile="snntorch")
    chip = nmhw.chip("loihi1-nahuku")
    deployed = nmhw.deploy(network, chip, calibration=x[:4])
    run = deployed.run(x[4:], labels=y[4:])
    assert run.report().startswith("nmhw ")
    assert str(run) == run.report()
    spikes = run.spikes["lif1"]
    assert len(spikes.sample) == len(spikes.step) == len(spikes.index) == len(spikes)
    drained = 10 + run.result.drain_steps
    assert spikes.dense().shape == (8, drained, 5)
    assert spikes.dense().sum() == run.summary()["spikes"]["lif1"]


def test_a_variant_of_a_chip(network: nmhw.Network, x: np.ndarray) -> None:
    chip = nmhw.chip("loihi1-nahuku").with_(mesh=(8, 8))
    summary = nmhw.deploy(network, chip).run(x).summary()
    assert summary["chip"] == chip.name != "loihi1-nahuku"
    assert summary["fits"]


def test_predictions_scores_confusion_and_accuracy_per_step(run: nmhw.Run, y: np.ndarray) -> None:
    labels = y[4:]
    assert run.predictions.shape == (8,)
    assert run.scores.shape == (8, 3)
    np.testing.assert_array_equal(run.predictions, run.scores.argmax(axis=1))
    counts = run.result.windowed("lif2").counts()
    np.testing.assert_array_equal(run.scores, counts)
    assert run.accuracy == np.mean(run.predictions == labels)
    assert run.confusion is not None
    assert run.confusion.sum() == 8
    assert np.trace(run.confusion) == round(run.accuracy * 8)
    assert run.accuracy_per_step is not None
    assert run.accuracy_per_step.shape == (10,)
    assert run.accuracy_per_step[-1] == run.accuracy


def test_without_labels_there_is_no_accuracy(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    run = deployed.run(x[4:])
    assert run.accuracy is None
    assert run.confusion is None
    assert run.accuracy_per_step is None
    assert run.predictions.shape == (8,)


def test_run_float_gives_the_same_kind_of_object(network: nmhw.Network, x: np.ndarray) -> None:
    run = nmhw.run_float(network, x, probes={"lif1": ["v"]})
    v = run.probes["lif1"]["v"]
    assert v.shape == (12, 10 + run.result.drain_steps, 5)
    array = np.asarray(v)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array[0, :, 2], v[0, :, 2])
    assert np.abs(v).max() > 0
    assert run.spikes["lif1"].dense().shape[::2] == (12, 5)
    assert run.predictions.shape == (12,)
    assert run.report().splitlines()[0].startswith("model.nir: float run")
    assert run.to_json()["backend"] == "float"


def test_probes_of_a_chip_run_are_integers_after_the_reset(
    deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    run = deployed.run(x, probes=["lif1:v:every=4"])
    v = run.probes["lif1"]["v"]
    assert v.values.dtype.kind == "i"
    np.testing.assert_array_equal(v.steps, np.arange(0, 10 + run.result.drain_steps, 4))
    assert np.asarray(v, dtype=np.float32).dtype == np.float32
    full = deployed.run(x, probes={"lif1": ["v"]}).probes["lif1"]["v"]
    np.testing.assert_array_equal(full[:, ::4], v)


@pytest.mark.parametrize("readout", ["v-last", "v-max", "v-mean", "first-spike", "population(3)"])
def test_every_readout_works_on_spiking_outputs(
    deployed: nmhw.Deployment, x: np.ndarray, readout: str
) -> None:
    run = deployed.run(x, readout=readout)
    assert run.scores.shape == (12, 3)
    assert run.summary()["readout"] == readout


def test_membrane_scores_are_in_the_authors_unit(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    chip = deployed.run(x, readout="v-mean").scores
    scale = np.abs(nmhw.run_float(deployed.network, x, readout="v-mean").scores).max()
    assert 0.2 * scale < np.abs(chip).max() < 5 * scale


def test_price_again(run: nmhw.Run) -> None:
    slow = run.price(pace="period=1ms")
    assert slow.energy.dynamic_j == run.energy.dynamic_j
    assert slow.energy.static_j > run.energy.static_j
    assert slow.latency.step_s == pytest.approx(1e-3)
    assert slow.price(pace="free").report() == run.report()
    unpriced = run.price(costs="none")
    assert unpriced.energy.total_j is None
    assert unpriced.price(pace="period=1ms").energy.total_j is None
    assert unpriced.price(costs="nahuku").energy.total_j == run.energy.total_j


def test_save_and_load(run: nmhw.Run, tmp_path: Path) -> None:
    run.save(tmp_path / "run")
    again = nmhw.load_result(tmp_path / "run")
    assert again.report() == run.report()
    assert again.to_json() == {**run.to_json(), "wall_s": again.to_json()["wall_s"]}
    np.testing.assert_array_equal(again.predictions, run.predictions)
    np.testing.assert_array_equal(again.scores, run.scores)
    np.testing.assert_array_equal(again.confusion, run.confusion)
    np.testing.assert_array_equal(again.spikes["lif1"].index, run.spikes["lif1"].index)
    again.save(tmp_path / "copy")
    for name in ("result.h5", "result.json", "mapping.h5", "chip.json", "SHA256SUMS"):
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()


def test_a_reopened_run_reads_membranes_again(
    deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path
) -> None:
    run = deployed.run(x, readout="v-max")
    run.save(tmp_path / "run")
    np.testing.assert_array_equal(nmhw.load_result(tmp_path / "run").scores, run.scores)


def test_to_html(run: nmhw.Run, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    path = run.to_html(tmp_path / "report.html")
    assert "<h1>model.nir on loihi1-nahuku</h1>" in path.read_text()


def test_to_dataframe_hands_the_layer_table_to_pandas(
    run: nmhw.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Frame:
        def __init__(self, rows: list[dict[str, Any]]) -> None:
            self.rows = rows

        def set_index(self, name: str) -> Frame:
            assert name == "name"
            return self

    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=Frame))
    rows = run.to_dataframe().rows
    assert [row["name"] for row in rows] == ["lif1", "lif2"]
    assert {"neurons", "cores", "spikes", "spikes_per_neuron_sample"} <= rows[0].keys()


def test_without_pandas_the_error_says_how_to_get_it(
    run: nmhw.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match="this needs pandas; try: pip install pandas"):
        run.to_dataframe()


def test_quantize_and_map_network_are_the_two_halves_of_deploy(
    network: nmhw.Network, deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    quantized = nmhw.quantize(network, "loihi1-nahuku", calibration=x[:4])
    mapping = nmhw.map_network(quantized, "loihi1-nahuku")
    assert mapping.cores == deployed.mapping.cores
    for mine, theirs in zip(quantized.projections, deployed.quantized.projections, strict=True):
        assert mine.name == theirs.name
    again = nmhw.deploy(network, "loihi1-nahuku", calibration=x[:4], mapping=mapping)
    assert again.run(x).summary()["spikes"] == deployed.run(x).summary()["spikes"]


def test_a_saved_mapping_deploys_again(
    network: nmhw.Network, deployed: nmhw.Deployment, x: np.ndarray, tmp_path: Path
) -> None:
    path = deployed.save(tmp_path / "m.h5")
    again = nmhw.deploy(network, "loihi1-nahuku", calibration=x[:4], mapping=path)
    assert again.run(x).report() == deployed.run(x).report()
    with pytest.raises(UsageError, match="made for chip 'loihi1-nahuku', not for 'generic'"):
        nmhw.deploy(network, "generic", mapping=path)


def test_compare(network: nmhw.Network, x: np.ndarray, y: np.ndarray) -> None:
    chips = [nmhw.chip("loihi1-nahuku"), "generic"]
    rows = nmhw.compare(network, chips, x, y)
    assert [row["chip"] for row in rows] == ["loihi1-nahuku", "generic"]
    assert all(row["fits"] and row["reason"] is None for row in rows)
    with pytest.raises(UsageError, match="no chip to compare"):
        nmhw.compare(network, [], x)


def test_compare_tells_apart_what_fits_and_what_runs(network: nmhw.Network, x: np.ndarray) -> None:
    (row,) = nmhw.compare(network, ["loihi1-nahuku"], 3 * x)
    assert row["fits"]
    assert row["n_cores"] == 1
    assert "several spikes per step" in row["reason"]
    assert row["energy_per_sample_j"] is None


def test_a_path_names_a_chip(network: nmhw.Network, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('extends = "loihi1-nahuku"\nname = "mine"\ntitle = "Mine"\n')
    assert nmhw.deploy(network, path).chip.name == "mine"
    assert nmhw.deploy(network, str(path)).chip.name == "mine"


@pytest.mark.parametrize("seed", [-1, 0.5, "1", True])
def test_seeds_are_whole_numbers(network: nmhw.Network, x: np.ndarray, seed: Any) -> None:
    with pytest.raises(UsageError, match="a seed is a whole number >= 0"):
        nmhw.deploy(network, "generic", seed=seed)
    with pytest.raises(UsageError, match="a seed is a whole number >= 0"):
        nmhw.run_float(network, x, seed=seed)
