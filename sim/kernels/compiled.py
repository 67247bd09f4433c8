"""How kernels are compiled, and why an edit of one file never meets another file's old code.

Numba's disk cache notices edits of the file a function is written in, not of the functions and
constants it uses. So only entry points are cached, and they close over ``source_stamp``, a hash of
all kernel files: closures are part of the cache key, any edit recompiles them.

``NMHW_BOUNDSCHECK=1`` (read at import) compiles every kernel with index checks and no cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit

CHECK_BOUNDS = os.environ.get("NMHW_BOUNDSCHECK", "") not in ("", "0")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": CHECK_BOUNDS}


def source_stamp() -> str:
    """Return a hash of the sources of all kernels (of nothing where there are no sources)."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that only other kernels call: no GIL, NumPy's rules for division."""
    return njit(**OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a kernel into its callers: an array argument is seven words on the stack."""
    return njit(forceinline=True, **OPTIONS)(function)


def entry_point(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls; cached on disk where there is a writable place."""
    if CHECK_BOUNDS:
        return kernel(function)
    try:
        return njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # numba found no directory for the cache: compile in every process
        return kernel(function)
