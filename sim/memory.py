"""Arrays that start on a cache line, so that rows of whole cache lines touch no extra one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CACHE_LINE_BYTES = 64


def aligned_zeros(size: int, dtype: Any) -> NDArray[Any]:
    """Return ``size`` zeros whose first element lies on a cache line."""
    n_bytes = size * np.dtype(dtype).itemsize
    raw = np.zeros(n_bytes + CACHE_LINE_BYTES, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE_BYTES
    return raw[start : start + n_bytes].view(dtype)


def is_aligned(array: NDArray[Any], dtype: Any, granule: int) -> bool:
    """Whether a flat array of this type starts on a cache line and holds whole granules."""
    is_whole = array.size > 0 and array.size % granule == 0 and array.flags.c_contiguous
    return is_whole and array.dtype == dtype and array.ctypes.data % CACHE_LINE_BYTES == 0
