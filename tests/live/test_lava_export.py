"""An exported project runs with lava-nc alone and reproduces the spikes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import nmhw
from nmhw.api.demo import deploy_demo, load_demo_images
from nmhw.api.lava_project import export_lava

DEADLINE_S = 120


def run_alone(python: Path, project: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run a project where neither nmhw nor its tree can be imported."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "NMHW"))}
    there = subprocess.run(
        [str(python), "-c", "import nmhw"], cwd=cwd, env=clean, capture_output=True, text=True
    )
    assert "No module named 'nmhw'" in there.stderr
    command = [str(python), str(project / "run.py"), *words]
    return subprocess.run(
        command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=DEADLINE_S
    )


@pytest.fixture(scope="module")
def deployed() -> nmhw.Deployment:
    return deploy_demo("loihi1-nahuku")


def test_digits_reproduce_every_spike(
    deployed: nmhw.Deployment, lava_environment: Path, tmp_path: Path
) -> None:
    images = load_demo_images(8)
    project = tmp_path / "digits"
    facts = export_lava(deployed, project, images.events)
    assert set(facts["processes"].values()) == {"CountedLif", "CountedDense"}
    done = run_alone(lava_environment, project, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "equal to expected.npz"
    run = deployed.run(images.events, images.labels, compare_float=False)
    with np.load(tmp_path / "spikes.npz") as spikes:
        for name in ("lif1", "lif2", "lif3"):
            for field in ("sample", "step", "index"):
                expected = getattr(run.spikes[name], field)
                np.testing.assert_array_equal(spikes[f"{name}/{field}"], expected)


def test_another_input_and_a_changed_expectation(
    deployed: nmhw.Deployment, lava_environment: Path, tmp_path: Path
) -> None:
    project = tmp_path / "digits"
    export_lava(deployed, project, load_demo_images(2).events)
    x = (np.random.default_rng(1).random((2, 9, 64)) < 0.3).astype(np.int8)
    np.save(tmp_path / "x.npy", x)
    words = ("--input", "x.npy", "-o", "other.npz")
    done = run_alone(lava_environment, project, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = deployed.run(x, compare_float=False)
    with np.load(tmp_path / "other.npz") as spikes:
        np.testing.assert_array_equal(spikes["lif3/index"], run.spikes["lif3"].index)
        np.testing.assert_array_equal(spikes["lif3/step"], run.spikes["lif3"].step)
    with np.load(project / "expected.npz") as file:
        changed = dict(file)
    changed["lif2/step"] = changed["lif2/step"][:-1]
    np.savez(project / "expected.npz", **changed)
    done = run_alone(lava_environment, project, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "differs from expected.npz: lif2/step"
    np.save(tmp_path / "x.npy", 2 * x)
    done = run_alone(lava_environment, project, *words, cwd=tmp_path)
    assert done.returncode == 1
    assert "more than 1 events of one element and step" in done.stderr
    (tmp_path / "text.npz").write_text("no arrays")
    for words, text in (
        (("--input", "text.npz"), "text.npz: no .npy or .npz file"),
        (("--input", "x.npy", "-o", "none/s.npz"), "cannot write none/s.npz"),
    ):
        done = run_alone(lava_environment, project, *words, cwd=tmp_path)
        assert done.returncode == 1
        assert text in done.stderr
        assert "Traceback" not in done.stderr


def test_own_processes(lava_environment: Path, tmp_path: Path) -> None:
    deployed = deploy_demo("spinnaker2")  # float32 cells
    project = tmp_path / "cells"
    facts = export_lava(deployed, project, load_demo_images(2).events)
    assert "CellPopulation" in facts["processes"].values()
    done = run_alone(lava_environment, project, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "equal to expected.npz"
