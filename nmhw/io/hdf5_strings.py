"""Variable-length strings and rows of numbers of an HDF5 file, read without the HDF5 library.

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
    max_blocks : int, optional
        Blocks of the heap to keep in memory; default all that were read.
    """

    def __init__(self, path: Path, sizes: tuple[int, int], max_blocks: int | None = None) -> None:
        self._path = path
        self._sizes = (int(sizes[0]), int(sizes[1]))
        self._max_blocks = max_blocks
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

    def descriptors(self, dataset: Any, n: int) -> bytes:
        """Return where the ``n`` elements of a variable-length dataset lie, for ``row``.

        Raises
        ------
        DamagedStrings
            For data that were never written, or a storage that is not supported.
        """
        if self._sizes != (8, 8):
            raise DamagedStrings(f"addresses of {self._sizes[0]} bytes are not supported")
        return self._descriptors(dataset, n * _DESCRIPTOR.size)

    def row(self, descriptors: bytes, row: int, itemsize: int) -> bytes:
        """Return the bytes of one element: its length is stored in items of ``itemsize``.

        Raises
        ------
        DamagedStrings
            For an element that points outside of the heap.
        """
        length, address, index = _DESCRIPTOR.unpack_from(descriptors, row * _DESCRIPTOR.size)
        return self._element(length * itemsize, address, index)

    def _variable(self, dataset: Any, n: int, max_bytes: int) -> list[bytes]:
        out = []
        for length, address, index in _DESCRIPTOR.iter_unpack(self.descriptors(dataset, n)):
            if length > max_bytes:
                raise DamagedStrings(f"a string of {length} bytes (limit {max_bytes})")
            out.append(self._element(length, address, index))
        return out

    def _element(self, n_bytes: int, address: int, index: int) -> bytes:
        if n_bytes == 0 or address in (0, _UNDEFINED):
            return b""
        data = self._collection(address).get(index)
        if data is None or n_bytes > len(data):
            raise DamagedStrings("an element points outside of its heap")
        return data[:n_bytes]

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
            return _chunked(dataset, n_bytes)
        raise DamagedStrings("data stored in the object header are not supported")

    def _collection(self, address: int) -> dict[int, bytes]:
        if address not in self._collections:
            if self._max_blocks is not None and len(self._collections) >= self._max_blocks:
                del self._collections[next(iter(self._collections))]
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


def _chunked(dataset: Any, n_bytes: int) -> bytes:
    plist = dataset.get_create_plist()
    chunk = tuple(int(n) for n in plist.get_chunk())
    shape = tuple(int(n) for n in dataset.shape)
    # padding inside the rows would need reassembly
    if chunk[1:] != shape[1:]:
        raise DamagedStrings("elements spread over chunks in several axes are not supported")
    starts = range(0, shape[0], chunk[0])
    if dataset.get_num_chunks() != len(starts):
        raise DamagedStrings("some data were never written")
    limit = math.prod(chunk) * _DESCRIPTOR.size
    data = b"".join(_one_chunk(dataset, plist, start, limit) for start in starts)
    if len(data) < n_bytes:
        raise DamagedStrings("a chunk is too short")
    return data[:n_bytes]


def _one_chunk(dataset: Any, plist: Any, start: int, limit: int) -> bytes:
    skipped, data = dataset.read_direct_chunk((start,) + (0,) * (len(dataset.shape) - 1))
    for position in reversed(range(plist.get_nfilters())):
        if not skipped >> position & 1:  # a filter that failed when writing is marked as skipped
            data = _undo(plist.get_filter(position)[0], data, limit)
    if len(data) < limit:
        raise DamagedStrings("a chunk is too short")
    return bytes(data[:limit])


def _undo(code: int, data: bytes, limit: int) -> bytes:
    if code == _DEFLATE:
        try:
            return zlib.decompressobj().decompress(data, limit)
        except zlib.error as error:
            raise DamagedStrings(f"bad compression ({error})") from error
    raise DamagedStrings(f"text under filter {code} is not supported")
