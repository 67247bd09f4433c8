"""Where a result comes from: versions and hashes (stable), host and date (volatile)."""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a value's content: dataclasses, mappings, sequences, arrays, scalars.

    Of any other object only the type counts.
    """
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    kind = type(value).__name__
    if isinstance(value, np.ndarray):
        digest.update(f"array {value.dtype.str} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    elif is_dataclass(value) and not isinstance(value, type):
        digest.update(f"record {kind} ".encode())
        for each in fields(value):
            digest.update(f"{each.name} ".encode())
            _feed(digest, getattr(value, each.name))
    elif isinstance(value, Mapping):
        digest.update(f"map {len(value)} ".encode())
        for key in sorted(value, key=repr):
            digest.update(f"{key!r} ".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple | frozenset | set):
        ordered = sorted(value, key=repr) if isinstance(value, frozenset | set) else value
        digest.update(f"list {len(value)} ".encode())
        for item in ordered:
            _feed(digest, item)
    elif isinstance(value, str | int | float | bool | bytes | np.generic | None):
        digest.update(f"{value!r} ".encode())
    else:
        digest.update(f"object {kind} ".encode())


def volatile_info() -> dict[str, Any]:
    """Return what differs from run to run and never belongs into compared output."""
    from importlib.metadata import PackageNotFoundError, version

    packages = {}
    for name in ("nmhw", "numpy", "scipy", "numba", "h5py", "nir"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = "not installed"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
        "command": sys.argv,
    }
