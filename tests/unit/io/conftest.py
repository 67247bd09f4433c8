"""Write NIR files by hand, so that broken ones can be written too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
import pytest

Nodes: TypeAlias = "Mapping[str, Mapping[str, Any]]"
Edges: TypeAlias = "Sequence[tuple[str, str]]"
WriteNir: TypeAlias = "Callable[..., Path]"


def fill_group(group: h5py.Group, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, Mapping):
            fill_group(group.create_group(name), value)
        else:
            is_text = isinstance(value, str) or (isinstance(value, list) and value)
            dtype = h5py.string_dtype() if is_text else None
            group.create_dataset(name, data=value, dtype=dtype)


def graph_content(nodes: Nodes, edges: Edges) -> dict[str, Any]:
    return {"type": "NIRGraph", "nodes": nodes, "edges": [list(e) for e in edges]}


@pytest.fixture
def write_nir(tmp_path: Path) -> WriteNir:
    """Return a function that writes nodes and edges to a file and returns its path."""

    def write(nodes: Nodes, edges: Edges, name: str = "net.nir", version: str = "1.0.8") -> Path:
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            fill_group(file, {"version": version, "node": graph_content(nodes, edges)})
        return path

    return write


@pytest.fixture
def small_nodes() -> dict[str, dict[str, Any]]:
    """Return the nodes of input(3) -> fc -> lif(2) -> output; every value its own array."""
    ones = np.ones(2)
    return {
        "input": {"type": "Input", "shape": np.array([3])},
        "fc": {"type": "Affine", "weight": np.arange(6.0).reshape(2, 3), "bias": ones.copy()},
        "lif": {
            "type": "LIF",
            "tau": ones * 0.01,
            "r": ones.copy(),
            "v_leak": ones * 0,
            "v_threshold": ones.copy(),
            "v_reset": ones * 0,
        },
        "output": {"type": "Output", "shape": np.array([2])},
    }


@pytest.fixture
def small_edges() -> list[tuple[str, str]]:
    """Return the edges of ``small_nodes``."""
    return [("input", "fc"), ("fc", "lif"), ("lif", "output")]
