"""Where a result comes from: versions and hashes (stable), host and date (volatile)."""

from __future__ import annotations

import hashlib
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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
