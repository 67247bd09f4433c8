"""A command line in this process, and small files to feed it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from nmhw.cli.main import main

CHIP = "loihi1-nahuku"


@dataclass(frozen=True)
class Finished:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as JSON; NaN and Infinity are errors."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} in JSON")

        return json.loads(self.out, parse_constant=refuse)


@pytest.fixture
def nmhw(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Run one command line in this process."""

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err, captured.err
        return Finished(code, captured.out, captured.err)

    return run


def write_network(path: Path, widths: list[int], scale: float = 1.0, seed: int = 0) -> Path:
    """Write a chain of Linear and LIF layers called fc1, lif1, fc2, lif2..."""
    rng = np.random.default_rng(seed)
    nodes: dict[str, Any] = {"input": nir.Input(np.array([widths[0]]))}
    for k, (before, n) in enumerate(itertools.pairwise(widths), start=1):
        one = np.ones(n, np.float32)
        weight = (scale * rng.normal(size=(n, before))).astype(np.float32)
        nodes[f"fc{k}"] = nir.Linear(weight)
        nodes[f"lif{k}"] = nir.LIF(
            tau=2e-3 * one, r=2 * one, v_leak=0 * one, v_threshold=0.5 * one, v_reset=0 * one
        )
    nodes["output"] = nir.Output(np.array([widths[-1]]))
    names = list(nodes)
    nir.write(str(path), nir.NIRGraph(nodes, list(itertools.pairwise(names))))
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a 6-5-3 network ``model.nir``, inputs ``x.npy`` and labels ``y.npy``."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(1)
    write_network(folder / "model.nir", [6, 5, 3])
    write_network(folder / "other.nir", [6, 7, 3])
    np.save(folder / "x.npy", (rng.random((4, 10, 6)) < 0.4).astype(np.uint8))
    np.save(folder / "analog.npy", rng.random((4, 6)))
    np.save(folder / "y.npy", np.array([0, 1, 2, 1]))
    (folder / "text.nir").write_text("hello")
    (folder / "empty").write_bytes(b"")
    (folder / "folder").mkdir()
    (folder / "cut.nir").write_bytes((folder / "model.nir").read_bytes()[:2000])
    (folder / "bad.toml").write_text("a = = 1")
    return folder


@pytest.fixture
def run_args(files: Path) -> list[str]:
    """``run MODEL --chip CHIP --input X``, which works."""
    return ["run", f"{files}/model.nir", "--chip", CHIP, "--input", f"{files}/x.npy"]
