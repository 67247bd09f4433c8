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
