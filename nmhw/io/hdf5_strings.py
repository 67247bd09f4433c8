"""Variable-length strings of an HDF5 file, read without the HDF5 library.

The library (2.0.0) loops for ever or reads out of bounds on a damaged global heap, so the heap is
parsed here with every length checked. Layout: HDF5 File Format Specification Version 3.0,
section III.E (global heap) and IV.A.2.d (variable-length data).
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

_DESCRIPTOR = struct.Struct("<IQI")  # length, address of the collection, index of the object
_COLLECTION = struct.Struct("<4sB3xQ")  # signature, version, size
_OBJECT = struct.Struct("<HH4xQ")  # index, reference count, size
_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_DEFLATE = 1


class DamagedStrings(ValueError):
    """The stored text breaks the format."""


class StringHeap:
    """Reads strings from the bytes of one file.

    Parameters
    ----------
    path : Path
    sizes : (int, int)
        Bytes per address and per length, from the file's superblock.
    """

    def __init__(self, path: Path, sizes: tuple[int, int]) -> None:
        self._path = path
        self._sizes = (int(sizes[0]), int(sizes[1]))
        self._collections: dict[int, dict[int, bytes]] = {}

    def read(self, dataset: Any, shape: tuple[int, ...], max_bytes: int) -> NDArray[Any]:
        """Return the dataset's strings as an object array of ``str`` of shape ``shape``.

        Raises
        ------
        DamagedStrings
            For text that is not UTF-8, longer than ``max_bytes``, or outside of the heap.
        """
        n = math.prod(shape)
        if dataset.get_type().is_variable_str():
            raw = self._variable(dataset, n, max_bytes)
        else:
            raw = [bytes(b) for b in np.asarray(h5py.Dataset(dataset)[()], dtype="S").ravel()]
        texts = np.empty(n, dtype=object)
        for position, value in enumerate(raw):
            try:
                texts[position] = value.split(b"\x00", 1)[0].decode("utf-8")
            except UnicodeDecodeError as error:
                raise DamagedStrings("not UTF-8") from error
        return texts.reshape(shape)

    def _variable(self, dataset: Any, n: int, max_bytes: int) -> list[bytes]:
        if self._sizes != (8, 8):
            raise DamagedStrings(f"addresses of {self._sizes[0]} bytes are not supported")
        stored = self._descriptors(dataset, n * _DESCRIPTOR.size)
        out = []
        for length, address, index in _DESCRIPTOR.iter_unpack(stored):
            if length > max_bytes:
                raise DamagedStrings(f"a string of {length} bytes (limit {max_bytes})")
            if length == 0 or address in (0, _UNDEFINED):
                out.append(b"")
                continue
            data = self._collection(address).get(index)
            if data is None or length > len(data):
                raise DamagedStrings("a string points outside of its heap")
            out.append(data[:length])
        return out

    def _descriptors(self, dataset: Any, n_bytes: int) -> bytes:
        """Return the 16 bytes per element that say where each string lies, in C order."""
        layout = dataset.get_create_plist().get_layout()
        if n_bytes == 0:
            return b""
        if layout == h5py.h5d.CONTIGUOUS:
            offset = dataset.get_offset()
            if offset is None or offset < 0:
                raise DamagedStrings("no data were written")
            return self._bytes_at(int(offset), n_bytes)
        if layout == h5py.h5d.CHUNKED:
            return _one_chunk(dataset, n_bytes)
        raise DamagedStrings("strings stored in the object header are not supported")

    def _collection(self, address: int) -> dict[int, bytes]:
        if address not in self._collections:
            self._collections[address] = self._parse(address)
        return self._collections[address]

    def _parse(self, address: int) -> dict[int, bytes]:
        signature, version, size = _COLLECTION.unpack(self._bytes_at(address, _COLLECTION.size))
        if signature != b"GCOL" or version != 1:
            raise DamagedStrings("no heap where a string should lie")
        block = self._bytes_at(address, size)
        objects: dict[int, bytes] = {}
        at = _COLLECTION.size
        while at + _OBJECT.size <= size:
            index, _, n_bytes = _OBJECT.unpack_from(block, at)
            if index == 0:  # the free space that ends a collection
                break
            start = at + _OBJECT.size
            if n_bytes > size - start:
                raise DamagedStrings("a heap object is larger than its heap")
            objects[index] = block[start : start + n_bytes]
            at = start + -(-n_bytes // 8) * 8
        return objects

    def _bytes_at(self, offset: int, n_bytes: int) -> bytes:
        total = self._path.stat().st_size
        if offset > total or n_bytes > total - offset:
            raise DamagedStrings("an address beyond the end of the file")
        with self._path.open("rb") as raw:
            raw.seek(offset)
            return raw.read(n_bytes)


def _one_chunk(dataset: Any, n_bytes: int) -> bytes:
    plist = dataset.get_create_plist()
    chunk = tuple(int(n) for n in plist.get_chunk())
    shape = tuple(int(n) for n in dataset.shape)
    # more than one chunk, or one with padding inside the rows, would need reassembly
    if dataset.get_num_chunks() != 1 or chunk[0] < shape[0] or chunk[1:] != shape[1:]:
        raise DamagedStrings("text spread over several chunks is not supported")
    skipped, data = dataset.read_direct_chunk((0,) * len(shape))
    limit = math.prod(chunk) * _DESCRIPTOR.size
    for position in reversed(range(plist.get_nfilters())):
        if not skipped >> position & 1:  # a filter that failed when writing is marked as skipped
            data = _undo(plist.get_filter(position)[0], data, limit)
    if len(data) < n_bytes:
        raise DamagedStrings("a chunk is too short")
    return bytes(data[:n_bytes])


def _undo(code: int, data: bytes, limit: int) -> bytes:
    if code == _DEFLATE:
        try:
            return zlib.decompressobj().decompress(data, limit)
        except zlib.error as error:
            raise DamagedStrings(f"bad compression ({error})") from error
    raise DamagedStrings(f"text under filter {code} is not supported")
