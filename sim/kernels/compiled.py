"""How kernels are compiled, and why an edit of one file never meets another file's old code.

Numba's disk cache notices edits of the file a function is written in, not of the functions and
constants it uses. So only entry points and late kernels are cached, and they close over
``source_stamp``, a hash of all kernel files: closures are part of the cache key, any edit
recompiles them.

``NMHW_BOUNDSCHECK=1`` (or Numba's own ``NUMBA_BOUNDSCHECK=1``), read at import, compiles every
kernel with index checks; the stamp keeps the two forms apart in the cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config, njit

_SWITCH = os.environ.get("NMHW_BOUNDSCHECK", "")

CHECK_BOUNDS = bool(getattr(config, "BOUNDSCHECK", 0)) or _SWITCH not in ("", "0")

OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": CHECK_BOUNDS}

#: Functions that only other kernels call need no way in from Python: less to compile.
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def source_stamp(*more: Path) -> str:
    """Return a hash of the kernels' sources (where there are any) and of the index checks.

    Parameters
    ----------
    *more : Path
        Folders of kernels that use these.
    """
    digest = hashlib.sha256(b"checked" if CHECK_BOUNDS else b"")
    for folder in (Path(__file__).parent, *more):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


STAMP = source_stamp()


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function that only other kernels call: no GIL, NumPy's rules for division."""
    return njit(**INNER)(function)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a kernel into its callers: an array argument is seven words on the stack."""
    return njit(forceinline=True, **INNER)(function)


def entry_point(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls; cached on disk where there is a writable place."""
    return _cached(function, OPTIONS)


def late_kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel that others call by its address: on its own, cached, when first needed."""
    return _cached(function, INNER)


def _cached(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no directory for the cache: compile in every process
        return njit(**options)(function)
