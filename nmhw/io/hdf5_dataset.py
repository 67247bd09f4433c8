"""What an HDF5 dataset must be like before it is read: type, filters, place and size."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import h5py
import numpy as np

from nmhw.errors import NmhwError

# deflate, shuffle, fletcher32, szip, nbit, scale-offset, lzf; any other one would make the HDF5
# library look for a plug-in to load
_SAFE_FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})


@dataclass(frozen=True, slots=True)
class Hdf5Limits:
    """What a file may ask of this machine.

    Attributes
    ----------
    max_bytes : int
        Of the file, and of all its numbers together once they are float64.
    max_depth : int
        Groups inside groups.
    max_objects : int
        Links in the whole file.
    max_string_bytes : int
        One string; names of groups and datasets are held to ``max_name_chars``.
    max_inflation : int
        Bytes in memory per byte on disk, looked at beyond ``inflation_from_bytes``.
    """

    max_bytes: int = 2 << 30
    max_depth: int = 20
    max_objects: int = 200_000
    max_string_bytes: int = 64 << 10
    max_name_chars: int = 200
    max_inflation: int = 100
    inflation_from_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """A dataset that passed the guard; ``GuardedFile.load`` reads it."""

    path: str
    shape: tuple[int, ...]
    kind: Literal["number", "string"]
    dataset: Any = field(repr=False)


class DatasetGuard:
    """Checks datasets one by one and keeps the running total of their size.

    Parameters
    ----------
    limits : Hdf5Limits
    refuse : callable
        ``refuse(rule, path, what, **facts)`` builds the error to raise.
    """

    def __init__(self, limits: Hdf5Limits, refuse: Callable[..., NmhwError]) -> None:
        self.limits = limits
        self.refuse = refuse
        self.n_bytes = 0
        self.n_file_bytes = 0

    def check(self, dataset: h5py.Dataset, path: str) -> DatasetEntry:
        """Return the entry of a dataset that is safe to read, else raise."""
        plist = dataset.id.get_create_plist()
        if plist.get_external_count() > 0:
            raise self.refuse("external-storage", path, "the data lie in another file")
        if plist.get_layout() == h5py.h5d.VIRTUAL:
            raise self.refuse("virtual", path, "a virtual dataset takes its data from other files")
        self._check_filters(plist, path)
        kind, itemsize = self._check_type(dataset.id.get_type(), path)
        if dataset.id.get_space().get_simple_extent_type() == h5py.h5s.NULL:
            raise self.refuse("no-data", path, "the dataset holds no value")
        shape = tuple(int(n) for n in dataset.id.shape)
        self._check_size(dataset, plist, path, shape, itemsize)
        return DatasetEntry(path, shape, kind, dataset.id)

    def _check_filters(self, plist: Any, path: str) -> None:
        for position in range(plist.get_nfilters()):
            code = plist.get_filter(position)[0]
            if code not in _SAFE_FILTERS:
                raise self.refuse(
                    "filter", path, "compressed by a filter that needs a plug-in", got=code,
                    limit="gzip, szip, lzf", hint="nir.write(..., compression='gzip')",
                )  # fmt: skip

    def _check_type(self, h5type: Any, path: str) -> tuple[Literal["number", "string"], int]:
        code, size = h5type.get_class(), int(h5type.get_size())
        if code == h5py.h5t.STRING:
            if not h5type.is_variable_str() and size > self.limits.max_string_bytes:
                raise self.refuse(
                    "string",
                    path,
                    "a string is too long",
                    got=size,
                    limit=self.limits.max_string_bytes,
                )
            return "string", size
        is_number = code in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) and size <= 8
        if is_number or (code == h5py.h5t.ENUM and h5type.dtype == np.dtype(bool)):
            return "number", 8
        raise self.refuse(
            "type", path, "the data are neither real numbers nor text", got=_type_name(h5type),
            limit="integers and floats of up to 64 bits, strings",
        )  # fmt: skip

    def _check_size(
        self, dataset: h5py.Dataset, plist: Any, path: str, shape: tuple[int, ...], itemsize: int
    ) -> None:
        n_bytes = math.prod(shape) * itemsize
        if plist.get_layout() == h5py.h5d.CHUNKED:
            # one chunk is always inflated as a whole, however small the dataset is
            n_bytes = max(n_bytes, math.prod(int(n) for n in plist.get_chunk()) * itemsize)
        self.n_bytes += n_bytes
        if self.n_bytes > self.limits.max_bytes:
            raise self.refuse(
                "too-large", path, "the data are too large for memory",
                got=f"shape {shape}, {self.n_bytes} bytes so far as float64",
                limit=f"{self.limits.max_bytes} bytes",
            )  # fmt: skip
        stored = int(dataset.id.get_storage_size())
        if math.prod(shape) and not stored:
            raise self.refuse("unwritten", path, "declared, but its data were never written")
        self._check_inflation(n_bytes, stored, path)
        self._check_inflation(self.n_bytes, self.n_file_bytes, path)

    def _check_inflation(self, n_bytes: int, stored: int, path: str) -> None:
        if n_bytes > max(self.limits.inflation_from_bytes, self.limits.max_inflation * stored):
            raise self.refuse(
                "bomb", path, "the data inflate suspiciously",
                got=f"{n_bytes} bytes in memory from {stored} on disk",
                limit=f"{self.limits.max_inflation} times",
            )  # fmt: skip


def _type_name(h5type: Any) -> str:
    names: tuple[tuple[str, Callable[[], int]], ...] = tuple(
        (name, lambda n=name: getattr(h5py.h5t, n, -99))  # type: ignore[misc]
        for name in ("COMPOUND", "REFERENCE", "VLEN", "OPAQUE", "ARRAY", "BITFIELD", "ENUM", "TIME")
    )
    code = h5type.get_class()
    found = next((name.lower() for name, value in names if value() == code), f"class {code}")
    return f"{found} of {h5type.get_size()} bytes"
