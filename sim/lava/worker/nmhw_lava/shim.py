"""Make lava-nc 0.10.0 importable on Python 3.11 and later, and its shared memory recognizable."""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets

#: Environment variable with the first letters of this child's shared-memory segments.
PREFIX_VARIABLE = "NMHW_LAVA_SEGMENTS"


def import_lava() -> None:
    """Import lava's compiler and runtime; call before anything else of lava."""
    name_segments()
    import_encoders()
    from nmhw_lava.guard import guard_runtime

    guard_runtime()


def import_encoders() -> None:
    """Import the one module with dataclass instances as defaults, made hashable.

    Python 3.11 and later refuse unhashable defaults of dataclass fields.
    """
    plain = dataclasses.dataclass
    dataclasses.dataclass = functools.partial(plain, unsafe_hash=True)  # type: ignore[assignment]
    try:
        import lava.magma.compiler.var_model  # noqa: F401
    finally:
        dataclasses.dataclass = plain


def name_segments() -> None:
    """Let new segments start with the parent's prefix, so that it can remove what a kill leaves."""
    prefix = os.environ.get(PREFIX_VARIABLE)
    if not prefix:
        return
    from multiprocessing import shared_memory

    shared_memory._make_filename = lambda: f"/{prefix}{secrets.token_hex(5)}"  # type: ignore[attr-defined]
