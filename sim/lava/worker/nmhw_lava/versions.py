"""The kind of job that says what is installed beside lava."""

from __future__ import annotations

import importlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.shim import import_lava

_PROCESSES = ("cell", "lif", "source", "stock", "synapses", "learning_head", "mpd_ed", "std_ed")


def work(
    question: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Import everything that runs need and return the versions."""
    import_lava()
    importlib.import_module("lava.magma.compiler.compiler")
    for name in _PROCESSES:
        importlib.import_module(f"nmhw_lava.processes.{name}")
    packages = {name: version(name) for name in ("lava-nc", "numpy", "scipy", "networkx")}
    return {"python": platform.python_version(), **packages}, {}
