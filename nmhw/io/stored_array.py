"""Arrays too large to load: mapped from a NumPy file, or read from HDF5 row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Arrays from this size on stay in their file.
MAPPED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """(samples, steps, elements) numbers that ``read`` gets from a file.

    Attributes
    ----------
    read : callable(slice over the first axis, slice over the second) -> array
    shape : (samples, steps, elements)
    is_time_first : bool
        The file holds (steps, samples, elements).
    """

    read: Callable[[slice, slice], NDArray[Any]]
    stored_shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    is_time_first: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 3

    @property
    def shape(self) -> tuple[int, int, int]:
        """(samples, steps, elements)."""
        a, b, n = self.stored_shape
        return (b, a, n) if self.is_time_first else (a, b, n)

    def reshape(self, *shape: int) -> StoredArray:
        """Return this array: its shape is the only one it has."""
        if math.prod(shape) != math.prod(self.shape) or len(shape) != len(self.shape):
            raise ValueError(f"cannot reshape {self.shape} to {shape}")
        return self

    def swapaxes(self, a: int, b: int) -> StoredArray:
        """Return the array with samples and steps exchanged."""
        if {a, b} != {0, 1}:
            raise ValueError(f"cannot exchange axes {a} and {b}")
        return replace(self, is_time_first=not self.is_time_first)

    def __getitem__(self, samples: slice) -> NDArray[Any]:
        everything = slice(None)
        if self.is_time_first:
            return self.read(everything, samples).swapaxes(0, 1)
        return self.read(samples, everything)


def map_array(
    path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], *, is_fortran: bool
) -> NDArray[Any]:
    """Return an array of a file, read only where it is looked at."""
    order: Any = "F" if is_fortran else "C"
    return np.memmap(path, dtype, "r", offset, shape, order)
