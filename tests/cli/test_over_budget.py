"""A network beyond the chip's budgets exits 3 and says what, how much, the limit and a way out."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nir
import numpy as np
import pytest

CHIP = "loihi1-nahuku"


def write_layer(path: Path, n_inputs: int, n: int) -> Path:
    one = np.ones(n, np.float32)
    neurons = nir.LIF(
        tau=2e-3 * one, r=2 * one, v_leak=0 * one, v_threshold=0.5 * one, v_reset=0 * one
    )
    weight = np.random.default_rng(0).normal(size=(n, n_inputs)).astype(np.float32)
    nodes = {
        "input": nir.Input(np.array([n_inputs])),
        "fc": nir.Linear(weight),
        "wide": neurons,
        "output": nir.Output(np.array([n])),
    }
    names = list(nodes)
    nir.write(str(path), nir.NIRGraph(nodes, list(itertools.pairwise(names))))
    return path


@pytest.fixture
def small_core(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(
        f'extends = "{CHIP}"\nname = "small"\ntitle = "Loihi with little synapse memory"\n'
        "[cores.neurocore.budget]\nsynapse_bits = 1000\n"
    )
    return path


def assert_says(error: str, *parts: str) -> None:
    for part in parts:
        assert part in error


def test_a_layer_of_more_neurons_than_the_chip_names_the_cores_it_is_short(
    nmhw: Callable, tmp_path: Path
) -> None:
    model = write_layer(tmp_path / "net.nir", 1, 140_000)
    done = nmhw("check", model, "--chip", CHIP)
    assert done.code == 3
    assert done.out == ""
    assert_says(
        done.err,
        "nmhw: 'net' does not fit on loihi1-nahuku",
        "'wide' does not fit on loihi1-nahuku: needs 137 cores",
        "140000 neurons, limit 1024 per core",
        "limit 128, 9 short",
        "9 cores short",
        "a board of 2 chips",
        "'wide' about 7 % smaller",
    )


def test_a_fan_in_beyond_the_axon_limit_names_the_neuron_and_the_limit(
    nmhw: Callable, tmp_path: Path
) -> None:
    model = write_layer(tmp_path / "net.nir", 5000, 2)
    done = nmhw("check", model, "--chip", CHIP)
    assert done.code == 3
    assert_says(
        done.err,
        "'wide' does not fit on loihi1-nahuku",
        "a fan-in of 5000 sources, limit 4096 input axons per core",
        "fits with: at most 4096 inputs per neuron",
    )


def test_synapse_memory_of_one_core_names_bits_and_what_would_fit(
    nmhw: Callable, tmp_path: Path, small_core: Path
) -> None:
    model = write_layer(tmp_path / "net.nir", 200, 20)
    done = nmhw("check", model, "--chip", small_core)
    assert done.code == 3
    assert_says(
        done.err,
        "'wide' does not fit on small: synapse memory",
        "12.8 kbit needed by one neuron's core, limit 1000 bit",
        "200 axons in",
        "fits with: ",
        "a fan-in of about",
    )


@pytest.mark.parametrize("verb", ["check", "map", "run"])
def test_json_carries_the_same_sentences_and_nothing_is_written(
    nmhw: Callable, tmp_path: Path, verb: str
) -> None:
    model = write_layer(tmp_path / "net.nir", 5000, 2)
    np.save(tmp_path / "x.npy", np.zeros((1, 2, 5000), np.uint8))
    target = tmp_path / "out"
    extra = {
        "check": [],
        "map": ["-o", target],
        "run": ["--input", tmp_path / "x.npy", "-o", target],
    }
    done = nmhw(verb, model, "--chip", CHIP, "--json", *extra[verb])
    assert done.code == 3
    record = done.json
    assert record["error"] == "DoesNotFitError"
    assert record["exit_code"] == 3
    assert record["rule"] == "map.does-not-fit"
    assert "a fan-in of 5000 sources" in record["violations"][0]
    assert record["violations"][0] in done.err
    assert not target.exists()


def test_a_semantic_that_the_chip_lacks_exits_3_and_names_the_option(
    nmhw: Callable, run_args: list[str]
) -> None:
    done = nmhw(*run_args, "--set", "reset=subtract")
    assert done.code == 3
    assert_says(done.err, "soft reset", "--allow reset", "[quantize.reset]")
    assert nmhw(*run_args, "--set", "reset=subtract", "--allow", "reset").code == 0


def test_the_installed_command_exits_3_too(tmp_path: Path) -> None:
    model = write_layer(tmp_path / "net.nir", 5000, 2)
    command = [sys.executable, "-m", "nmhw", "check", str(model), "--chip", CHIP, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["exit_code"] == 3
    assert "Traceback" not in done.stderr
