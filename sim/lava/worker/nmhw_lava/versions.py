"""The kind of job that says what is installed beside lava."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.shim import import_lava


def work(
    question: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Import lava's runtime and return the versions."""
    import_lava()
    packages = {name: version(name) for name in ("lava-nc", "numpy", "scipy", "networkx")}
    return {"python": platform.python_version(), **packages}, {}
