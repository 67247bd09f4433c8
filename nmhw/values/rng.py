"""Random numbers: one root seed, one independent stream per purpose.

A stream depends on the seed and on its names alone, never on how many numbers other streams
drew, on the number of threads, or on the order of calls.
"""

from __future__ import annotations

import hashlib

import numpy as np

from nmhw.errors import UsageError


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the generator for one purpose, e.g. ``stream(seed, "encode.rate", sample)``.

    Parameters
    ----------
    seed : int
        Root seed, 0 or more.
    *names : str or int
        What the numbers are for.

    Raises
    ------
    UsageError
        For a negative seed or one that is not a whole number.
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UsageError("a seed is a whole number >= 0", got=repr(seed))
    text = "\x1f".join(f"{type(n).__name__}:{n}" for n in names)
    digest = hashlib.sha256(text.encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4")
    sequence = np.random.SeedSequence([int(seed), *(int(w) for w in words)])
    return np.random.Generator(np.random.PCG64(sequence))
