"""The keys that scripts rely on, on every verb; NaN never appears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CHIP = "loihi1-nahuku"

RUN_KEYS = {
    "nmhw_version", "model", "model_sha256", "chip", "profile", "backend", "seed", "pace",
    "readout", "n_samples", "n_steps", "fits", "n_cores", "spikes", "synops", "connections",
    "neuron_updates", "packets", "hops", "accuracy", "energy_j", "energy_unpriced", "latency_s",
    "wall_s",
}  # fmt: skip
ENERGY_KEYS = {
    "total", "is_lower_bound", "low", "high", "dynamic", "static", "per_sample", "per_synop",
    "by_event",
}  # fmt: skip
LATENCY_KEYS = {"per_step", "p99_step", "per_sample", "first_decision"}
PER_SYNOP_KEYS = {"incremental", "dynamic", "all_in"}
WALL_KEYS = {"load", "map", "run", "price"}
CHECK_KEYS = {
    "nmhw_version", "model", "model_sha256", "profile", "profile_fields", "dt_s", "inputs",
    "outputs", "populations", "projections", "neurons", "notices",
}  # fmt: skip
MAP_KEYS = {
    "chip", "chip_sha256", "fits", "n_cores", "n_cores_available", "mapper", "mapping", "layers",
    "cores", "utilization", "notices", "seed",
}  # fmt: skip
COMPARE_KEYS = {
    "chip", "verdict", "fits", "reason", "rule", "hint", "violations", "n_cores",
    "n_cores_available", "fullest", "fullest_share", "accuracy", "float_accuracy",
    "energy_per_sample_j",
    "is_lower_bound", "latency_per_sample_s", "synops", "packets", "costs", "pace",
    "energy_unpriced",
}  # fmt: skip


def assert_run_keys(summary: dict[str, Any]) -> None:
    assert summary.keys() >= RUN_KEYS
    assert summary["energy_j"].keys() >= ENERGY_KEYS
    assert summary["energy_j"]["per_synop"].keys() == PER_SYNOP_KEYS
    assert summary["latency_s"].keys() >= LATENCY_KEYS
    assert summary["wall_s"].keys() >= WALL_KEYS
    assert all(isinstance(count, int) for count in summary["spikes"].values())
    assert all(summary["wall_s"][key] >= 0 for key in WALL_KEYS)


def test_demo(nmhw: Callable) -> None:
    summary = nmhw("demo", "--samples", 5, "--threads", 2, "--json").json
    assert_run_keys(summary)
    assert summary["model"] == "digits.nir"
    assert summary["chip"] == CHIP
    assert summary["n_samples"] == 5
    assert 0 <= summary["accuracy"] <= 1
    assert summary["energy_j"]["is_lower_bound"] is True
    assert "host.io" in summary["energy_unpriced"]
    assert summary["energy_j"]["by_event"]["host.io"] is None


def test_run(nmhw: Callable, run_args: list[str], files: Path) -> None:
    summary = nmhw(*run_args, "--json").json
    assert_run_keys(summary)
    assert summary["accuracy"] is None
    assert summary["seed"] == 0
    labelled = nmhw(*run_args, "--json", "--labels", files / "y.npy").json
    assert labelled["accuracy"] == pytest.approx(labelled["accuracy_detail"]["right"] / 4)


def test_an_unpriced_run_says_null_not_zero(nmhw: Callable, run_args: list[str]) -> None:
    summary = nmhw(*run_args, "--json", "--costs", "none").json
    assert_run_keys(summary)
    assert summary["energy_j"]["total"] is None
    assert summary["energy_j"]["per_sample"] is None
    assert summary["latency_s"]["per_sample"] is None
    assert set(summary["energy_j"]["by_event"].values()) == {None}


def test_energies_of_the_events_and_static_power_add_up(
    nmhw: Callable, run_args: list[str]
) -> None:
    energy = nmhw(*run_args, "--json").json["energy_j"]
    priced = [value for value in energy["by_event"].values() if value is not None]
    assert energy["total"] == pytest.approx(sum(priced) + energy["static"])
    assert energy["low"] <= energy["total"] <= energy["high"]


def test_run_in_float(nmhw: Callable, run_args: list[str]) -> None:
    summary = nmhw(*run_args[:2], *run_args[4:], "--float", "--json").json
    keys = {"nmhw_version", "model", "profile", "backend", "readout", "n_samples", "n_steps"}
    assert summary.keys() >= keys | {"spikes", "accuracy", "notices"}
    assert summary["backend"] == "float"


def test_check_and_map(nmhw: Callable, files: Path) -> None:
    checked = nmhw("check", files / "model.nir", "--json").json
    assert checked.keys() >= CHECK_KEYS
    assert checked["inputs"] == {"input": [6]}
    assert [p["name"] for p in checked["populations"]] == ["lif1", "lif2"]
    fitted = nmhw("check", files / "model.nir", "--chip", CHIP, "--json").json
    assert fitted.keys() >= CHECK_KEYS | MAP_KEYS
    mapped = nmhw("map", files / "model.nir", "--chip", CHIP, "--json").json
    assert mapped.keys() >= MAP_KEYS
    assert mapped["fits"] is True


def test_compare_rows_all_have_the_same_keys(nmhw: Callable, files: Path) -> None:
    chips = f"{CHIP},generic,spinnaker2"
    rows = nmhw(
        "compare", files / "model.nir", "--chips", chips, "--input", files / "x.npy",
        "--labels", files / "y.npy", "--set", "reset=subtract", "--json",
    ).json  # fmt: skip
    assert [row["chip"] for row in rows] == chips.split(",")
    assert all(row.keys() == COMPARE_KEYS for row in rows)
    loihi, generic, spinnaker = rows
    assert not loihi["fits"]
    assert "soft reset" in loihi["reason"]
    assert (loihi["verdict"], loihi["rule"]) == ("refused", "quantize.reset")
    assert "reset_delay=1" in loihi["hint"]
    assert generic["fits"]
    assert generic["energy_per_sample_j"] is None
    assert spinnaker["fits"]
    assert spinnaker["is_lower_bound"] is True


def test_chips(nmhw: Callable) -> None:
    rows = nmhw("chips", "--json").json
    assert {"generic", CHIP, "spinnaker2"} <= {row["name"] for row in rows}
    keys = {"name", "title", "n_cores", "family", "costs", "default_costs", "is_executable"}
    assert all(row.keys() >= keys for row in rows)
    sheet = nmhw("chips", CHIP, "--json").json
    figure = sheet["costs"]["nahuku"]["energy_pj"]["neuron.visit"]
    assert figure.keys() >= {"value", "unit", "source", "grade", "basis", "scope", "voltage_v"}
    assert figure["source"] in sheet["sources"]


def test_a_silent_network_gives_null_instead_of_nan(
    nmhw: Callable, tmp_path: Path, run_args: list[str]
) -> None:
    np.save(tmp_path / "silent.npy", np.zeros((2, 3, 6), np.uint8))
    summary = nmhw(*run_args[:-1], tmp_path / "silent.npy", "--json").json
    assert summary["synops"] == 0
    assert summary["energy_j"]["per_synop"]["all_in"] is None
    assert summary["latency_s"]["first_decision"] is None
    silent = {n["where"] for n in summary["notices"] if n["rule"] == "run.silent-population"}
    assert silent == {"lif1", "lif2"}


def test_check_on_all_chips_is_the_table_of_compare_without_inputs(
    nmhw: Callable, files: Path
) -> None:
    checked = nmhw("check", files / "model.nir", "--chip", "all", "--json").json
    compared = nmhw("compare", files / "model.nir", "--chips", "all", "--json").json
    assert checked["chips"] == compared
    assert len(compared) == len(nmhw("chips", "--json").json)
    assert all(row.keys() == COMPARE_KEYS for row in compared)
    text = nmhw("check", files / "model.nir", "--chip", "all").out
    assert "fullest" in text
    assert "accuracy" not in text


def test_compare_without_inputs_refuses_options_of_a_run(nmhw: Callable, files: Path) -> None:
    refused = nmhw("compare", files / "model.nir", "--chips", "all", "--readout", "count")
    assert refused.code == 2
    assert "no effect without --input: got --readout; try: --input FILE" in refused.err
