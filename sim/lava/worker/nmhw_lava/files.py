"""JSON and arrays of a job in one folder; used on both sides, so it imports NumPy alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]


def read(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the JSON and the arrays called ``name``."""
    record: dict[str, Any] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        return record, dict(file)


def write(folder: Path, name: str, record: Mapping[str, Any], arrays: Arrays) -> None:
    """Write arrays, then the JSON, each under another name first."""
    with open(folder / f"{name}.npz.part", "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    os.replace(folder / f"{name}.npz.part", folder / f"{name}.npz")
    part = folder / f"{name}.json.part"
    part.write_text(json.dumps(record), "utf-8")
    os.replace(part, folder / f"{name}.json")
