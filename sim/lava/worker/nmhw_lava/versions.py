"""The kind of job that says what is installed beside lava."""

from __future__ import annotations

import importlib
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.shim import import_lava

_PROCESSES = tuple(
    f"nmhw_lava.processes.{name}"
    for name in ("cell", "lif", "source", "stock", "synapses", "learning_head", "mpd_ed", "std_ed")
)


def work(
    question: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Import everything that runs need and return the versions."""
    import_lava()
    for name in ("lava.magma.compiler.compiler", *_PROCESSES):
        importlib.import_module(name)
    packages = {name: version(name) for name in ("lava-nc", "numpy", "scipy", "networkx")}
    return {"python": platform.python_version(), **packages}, {}
