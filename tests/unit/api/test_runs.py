"""What a run notices, keeps, and counts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nmhw
from nmhw.errors import ResultFileError, UnsupportedError, UsageError
from nmhw.values.discretize import resolve_profile


def rules(summary: dict) -> list[str]:
    return [notice["rule"] for notice in summary["notices"]]


def test_calibration_samples_that_are_evaluated_are_a_warning(
    deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    text = "4 of 12 evaluated samples were also used for calibration"
    assert text in deployed.run(x).report()
    assert "run.calibration-overlap" not in rules(deployed.run(x[4:]).summary())


def test_a_silent_population_is_a_warning_in_the_verdict(
    deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    report = deployed.run(np.zeros_like(x)).report()
    assert "warnings below" in report
    assert "lif1: no neuron of this population ever fired" in report
    assert "lif2: no neuron of this population ever fired" in report


def test_a_population_that_always_fires_is_a_warning(x: np.ndarray) -> None:
    builder = nmhw.Network.build("always")
    builder.input("input", 6)
    builder.population("hot", 2, "if", v_threshold=0.5)
    builder.project("input", "hot", np.ones((2, 6)))
    builder.output("output", "hot")
    network = builder.done()
    run = nmhw.deploy(network, "loihi1-nahuku").run(np.ones_like(x))
    assert "hot: its neurons fire in 100 % of all steps" in run.report()


def test_several_spikes_per_step_are_told_as_such(x: np.ndarray) -> None:
    builder = nmhw.Network.build("always")
    builder.input("input", 6)
    for name in ("hot", "out"):
        builder.population(name, 2, "cubalif", tau_mem_s=0.02, tau_syn_s=0.02, v_threshold=0.1)
    builder.project("input", "hot", np.ones((2, 6)))
    builder.project("hot", "out", np.ones((2, 2)))
    network = builder.output("output", "out").done()
    network = replace(network, profile=resolve_profile(network, "rockpool", 1e-3))
    deployed = nmhw.deploy(network, "xylo-audio2")
    report = deployed.run(np.ones_like(x), compare_float=False).report()
    assert re.search(r"hot: its neurons fire [1-9]\d*\.\d\d spikes per step on average", report)


def test_spikes_that_were_not_kept_say_so(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    run = deployed.run(x, keep_spikes=0)
    with pytest.raises(UsageError, match=r"lif1: .* not kept; try: a larger keep_spikes") as caught:
        run.result.spikes["lif1"]
    assert isinstance(caught.value, KeyError)
    assert "lif1" not in run.result.spikes
    with pytest.raises(KeyError, match="nobody"):
        run.result.spikes["nobody"]


def test_a_layer_that_loses_its_activity_is_a_warning(
    deployed: nmhw.Deployment, x: np.ndarray
) -> None:
    populations = tuple(
        replace(p, threshold=p.threshold * 4) if p.name == "lif1" else p
        for p in deployed.quantized.populations
    )
    broken = replace(deployed, quantized=replace(deployed.quantized, populations=populations))
    summary = broken.run(x).summary()
    changed = [n["where"] for n in summary["notices"] if n["rule"] == "run.activity-changed"]
    assert "lif1" in changed


def test_without_the_float_run_there_is_no_comparison(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray
) -> None:
    run = deployed.run(x, y, compare_float=False)
    assert "deployment_loss" not in run.summary()
    assert "agreement" not in run.report()
    assert f"accuracy {100 * run.accuracy:.1f} %" in run.report()


def test_numba_and_reference_give_the_same_report(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray
) -> None:
    fast = deployed.run(x, y).summary()
    slow = deployed.run(x, y, backend="reference").summary()
    assert {**slow, "backend": "numba"} == fast


def test_continuous_runs_reset_the_chip_once(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    def resets(run: nmhw.Run) -> int:
        return next(line.count for line in run.energy.lines if line.kind == "reset")

    assert resets(deployed.run(x)) == 12
    assert resets(deployed.run(x, continuous=True)) == 1


def test_other_metrics_stand_in_the_verdict(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    targets = np.random.default_rng(0).random((12, 3))
    run = deployed.run(x, targets, metric="mse")
    value = np.mean((run.scores - targets) ** 2)
    assert run.summary()["metric"] == {"name": "mse", "value": pytest.approx(value)}
    assert f"mse {value:.4g}" in run.report()
    assert run.accuracy is None

    def worst(scores: np.ndarray, labels: np.ndarray) -> float:
        return float(np.abs(scores - labels).max())

    assert deployed.run(x, targets, metric=worst).summary()["metric"]["name"] == "worst"


def test_prices_are_checked_before_the_simulation(
    deployed: nmhw.Deployment, x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulate(*args: object, **kwargs: object) -> None:
        raise AssertionError("the simulation started")

    monkeypatch.setattr("nmhw.sim.backends.run_backend", simulate)
    for bad in ({"pace": "fast"}, {"metric": "best"}, {"readout": "best"}, {"probes": ["lif9:v"]}):
        with pytest.raises(UsageError):
            deployed.run(x, **bad)


def test_realtime_needs_dt(x: np.ndarray) -> None:
    builder = nmhw.Network.build("timeless")
    builder.input("input", 6)
    builder.population("a", 2, "if", v_threshold=0.5)
    builder.project("input", "a", np.ones((2, 6)))
    builder.output("output", "a")
    deployed = nmhw.deploy(builder.done(), "loihi1-nahuku")
    with pytest.raises(UsageError, match="pace realtime needs dt"):
        deployed.run(x, pace="realtime")
    assert deployed.run(x).summary()["other_paces"] == []


def test_a_chip_that_cannot_read_membranes_refuses_them_or_notes_the_host(
    network: nmhw.Network, x: np.ndarray
) -> None:
    chip = nmhw.chip("loihi1-nahuku").with_(arithmetic={"membrane_readout": False})
    deployed = nmhw.deploy(network, chip)
    with pytest.raises(UnsupportedError, match="cannot read membranes out"):
        deployed.run(x, readout="v-last")
    run = deployed.run(x, readout="v-last", readout_on_host=True)
    assert "readout.on-host" in rules(run.summary())


def test_a_time_constant_in_steps_is_doubted_once_per_population(data_dir: Path) -> None:
    path = data_dir / "nir-cases" / "quirks" / "braille_scalar_neuron_params.nir"

    def doubts(**options: float) -> list[str]:
        notices = nmhw.load(path, **options).notices
        return [n.where for n in notices if n.rule.endswith("tau-in-steps")]

    doubtful = doubts(dt_s=0.01)
    assert len(doubtful) == 2
    assert ["lif1" in doubtful[0], "lif2" in doubtful[1]] == [True, True]
    assert doubts(dt_s=1.0) == []


def test_damaged_folders_are_one_error(run: nmhw.Run, tmp_path: Path) -> None:
    from nmhw.values.provenance import hash_file

    folder = run.save(tmp_path / "run")
    body = folder / "result.json"
    original = body.read_text()
    for text in ("[]", "{}", "nonsense", original.replace('"layers": [', '"layers": ["x", ')):
        body.write_text(text)
        with pytest.raises(ResultFileError, match="damaged or was changed"):
            nmhw.load_result(folder)
        lines = (folder / "SHA256SUMS").read_text().splitlines()
        lines[-1] = f"{hash_file(body)}  result.json"
        forged = tmp_path / "forged"
        forged.mkdir(exist_ok=True)
        for path in folder.iterdir():
            (forged / path.name).write_bytes(path.read_bytes())
        (forged / "SHA256SUMS").write_text("\n".join(lines))
        with pytest.raises(ResultFileError):
            nmhw.load_result(forged)
        body.write_text(original)
    assert nmhw.load_result(folder).report() == run.report()


def test_a_failed_save_leaves_the_earlier_run(
    run: nmhw.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.save(tmp_path / "run")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nmhw.io.mapping_file.save_mapping", fail)
    with pytest.raises(UsageError, match="No space left on device"):
        run.price(pace="realtime").save(folder)
    assert nmhw.load_result(folder).report() == run.report()
    with pytest.raises(UsageError):
        run.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()
