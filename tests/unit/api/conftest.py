"""A 6-5-3 network with labelled inputs, deployed once."""

from __future__ import annotations

from pathlib import Path

import nir
import numpy as np
import pytest

import nmhw


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .nir file: input -> fc1 -> lif1 -> fc2 -> lif2 -> output."""
    rng = np.random.default_rng(3)
    nodes: dict[str, object] = {"input": nir.Input(np.array([6]))}
    for k, (before, n) in enumerate([(6, 5), (5, 3)], start=1):
        one = np.ones(n, np.float32)
        nodes[f"fc{k}"] = nir.Linear(rng.normal(size=(n, before)).astype(np.float32))
        nodes[f"lif{k}"] = nir.LIF(
            tau=2e-3 * one, r=2 * one, v_leak=0 * one, v_threshold=0.5 * one, v_reset=0 * one
        )
    nodes["output"] = nir.Output(np.array([3]))
    edges = [
        ("input", "fc1"), ("fc1", "lif1"), ("lif1", "fc2"), ("fc2", "lif2"), ("lif2", "output"),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("api") / "model.nir"
    nir.write(str(path), nir.NIRGraph(nodes, edges))
    return path


@pytest.fixture(scope="session")
def network(model: Path) -> nmhw.Network:
    return nmhw.load(model, profile="snntorch")


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    """(12, 10, 6) spikes."""
    return (np.random.default_rng(1).random((12, 10, 6)) < 0.4).astype(np.uint8)


@pytest.fixture(scope="session")
def y() -> np.ndarray:
    """(12,) classes of 3."""
    return np.random.default_rng(2).integers(0, 3, 12)


@pytest.fixture(scope="session")
def deployed(network: nmhw.Network, x: np.ndarray) -> nmhw.Deployment:
    return nmhw.deploy(network, "loihi1-nahuku", calibration=x[:4])


@pytest.fixture(scope="session")
def run(deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray) -> nmhw.Run:
    return deployed.run(x[4:], labels=y[4:])
