"""Read input files: .npy, .npz (events or dense), NIRData HDF5. Nothing is ever unpickled."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.io.display import display
from nmhw.io.input_data import EventList, InputFile, whole_numbers
from nmhw.io.stored_array import MAPPED_BYTES, map_array

Array = NDArray[Any]

_EXPECTED = (
    ".npy: (samples, steps, ...) array; .npz: sample, step, index [value, n_steps, n_samples, "
    "labels], or x [y]; NIRData HDF5"
)
_MAX_BYTES = 4 << 30
#: What reading a damaged ``.npy`` or ``.npz`` member may raise.
DAMAGED_ARRAY = (
    ValueError, EOFError, OSError, zipfile.BadZipFile, SyntaxError, tokenize.TokenError, zlib.error,
    OverflowError, TypeError,
)  # fmt: skip
DAMAGED_ARCHIVE = (
    zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error, EOFError,
)  # fmt: skip
_LABEL_KEYS = ("labels", "y")
_EVENT_KEYS = ("sample", "step", "index")
#: Read by learning experiments alone.
_LEARNING_KEYS = ("split", "shape")


def read_events(path: str | Path) -> InputFile:
    """Read an input file; its first bytes say which kind it is.

    Parameters
    ----------
    path : path
        ``.npy``: one dense array. ``.npz``: event form ``sample, step, index`` (and ``value``,
        ``n_steps``, ``n_samples``, ``labels``), dense ``x`` (and ``y``), or one dense array per
        input under the input's name. HDF5: NIRData (gridded, events or valued events).

    Returns
    -------
    InputFile
        For ``nmhw.io.input_arrays.as_inputs``.

    Raises
    ------
    InputError
        Naming file, array, shape and what was expected.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == "hdf5":
        from nmhw.io.nir_data import read_nir_data

        return read_nir_data(path)
    if kind == "npy":
        return InputFile(str(path), {"": _load_npy(path)})
    arrays = load_npz(path)
    labels = next((arrays[key] for key in _LABEL_KEYS if key in arrays), None)
    return InputFile(str(path), _streams(arrays, path), labels)


def read_labels(path: str | Path) -> NDArray[Any]:
    """Read labels or targets: ``.npy``, or ``.npz`` with ``labels`` or ``y``.

    Raises
    ------
    InputError
        For other files and for arrays without numbers.
    """
    path = Path(path)
    if _kind(path) == "npy":
        return _load_npy(path)
    if _kind(path) == "npz":
        arrays = load_npz(path)
        for key in _LABEL_KEYS:
            if key in arrays:
                return arrays[key]
        raise InputError(
            "no labels in the file", got=", ".join(arrays), where=_shown(path), hint="labels or y"
        )
    raise InputError("labels come as .npy or .npz", where=_shown(path))


def write_events(path: str | Path, events: Any, labels: Any = None) -> Path:
    """Write SpikeEvents as ``.npz`` in event form, in the smallest integer types."""
    target = Path(path)
    columns: dict[str, Any] = {
        "sample": _smallest(events.sample),
        "step": _smallest(events.step),
        "index": _smallest(events.index),
        "n_samples": np.int64(events.n_samples),
        "n_steps": np.int64(events.n_steps),
    }
    if events.value is not None:
        columns["value"] = events.value
    if labels is not None:
        columns["labels"] = np.asarray(labels)
    with open(target, "wb") as stream:
        np.savez_compressed(stream, **columns)
    return target


def _smallest(column: NDArray[np.int32]) -> Array:
    return column.astype(np.min_scalar_type(int(column.max(initial=0))))


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as failure:
        reason = "no such file" if not path.exists() else str(failure)
        raise InputError(f"cannot read the file ({reason})", where=display(path, 200)) from failure
    for magic, kind in ((b"\x93NUMPY", "npy"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"PK", "npz")):
        if head.startswith(magic):
            return kind
    raise InputError(
        "neither a NumPy file nor HDF5", got=repr(head), where=_shown(path), hint=_EXPECTED,
        rule="input.format",
    )  # fmt: skip


def _load_npy(path: Path) -> Array:
    with path.open("rb") as stream:
        return _read_array(stream, path.stat().st_size, _shown(path), (path, 0))


def load_npz(path: Path, *, structured: bool = False) -> dict[str, Array]:
    """Read every array of an ``.npz`` after comparing its claims with what is there.

    ``structured`` also takes arrays whose fields are numbers.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(m.file_size for m in members if _place(path, m) is None)
            if total > _MAX_BYTES:
                raise InputError(
                    "the arrays are too large", got=f"{total} bytes", limit=f"{_MAX_BYTES} bytes",
                    where=_shown(path),
                )  # fmt: skip
            for member in members:
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    where = f"{_shown(path)}: {display(name)}"
                    place = _place(path, member)
                    arrays[name] = _read_array(stream, member.file_size, where, place, structured)
    except DAMAGED_ARCHIVE as failure:
        what = f"the .npz file is damaged ({display(failure, 120)})"
        raise InputError(what, where=_shown(path)) from failure
    if not arrays:
        raise InputError("the .npz file is empty", where=_shown(path), hint=_EXPECTED)
    return arrays


def _place(path: Path, member: zipfile.ZipInfo) -> tuple[Path, int] | None:
    """Return file and offset of a large member that lies there as it is, else None."""
    if member.compress_type != zipfile.ZIP_STORED or member.file_size < MAPPED_BYTES:
        return None
    with path.open("rb") as stream:
        stream.seek(member.header_offset)
        head = stream.read(30)  # the local header's names may be longer than the directory's
    if len(head) < 30:
        return None
    return path, member.header_offset + 30 + sum(struct.unpack("<HH", head[26:]))


def _read_array(
    stream: IO[bytes],
    n_bytes: int,
    where: str,
    place: tuple[Path, int] | None = None,
    structured: bool = False,
) -> Array:
    """Read one array after comparing what its header claims with what is there.

    Parameters
    ----------
    place : (file, offset), optional
        Where the bytes lie unpacked: large arrays are mapped, and stay on disk.
    """
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
        start = stream.tell()
        left = n_bytes - start
        if dtype.hasobject:
            raise InputError(
                "holds pickled Python objects, which are never opened", got=f"dtype {dtype}",
                where=where, hint="save plain numbers", rule="input.pickle",
            )  # fmt: skip
        needed = math.prod(shape) * dtype.itemsize
        is_mapped = place is not None and needed >= MAPPED_BYTES and dtype.kind in "biuf"
        if needed > left or (needed > _MAX_BYTES and not is_mapped):
            raise InputError(
                "the array is cut off or too large", got=f"{left} bytes", where=where,
                limit=f"{needed} bytes for shape {shape} of {dtype}",
            )  # fmt: skip
        if place is not None and is_mapped:
            return map_array(place[0], place[1] + start, shape, dtype, is_fortran=is_fortran)
        stream.seek(0)
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
    except DAMAGED_ARRAY as failure:
        if isinstance(failure, InputError):
            raise
        what = f"not a readable NumPy array ({display(failure, 120)})"
        raise InputError(what, where=where) from failure
    fields = [array.dtype[k] for k in array.dtype.names or ()] if structured else []
    kinds = {field.kind for field in fields or [array.dtype]}
    if not kinds <= set("biuf"):
        raise InputError("not an array of numbers", got=f"dtype {array.dtype}", where=where)
    return array


def _streams(arrays: Mapping[str, Array], path: Path) -> dict[str, EventList | Array]:
    if any(key in arrays for key in _EVENT_KEYS):
        return {"": _event_list(arrays, path)}
    if "x" in arrays:
        return {"": arrays["x"]}
    dense: dict[str, EventList | Array] = {
        name: array for name, array in arrays.items() if name not in _LABEL_KEYS
    }
    if dense:
        return dense
    raise InputError(
        "no input in the file", got=", ".join(arrays), where=_shown(path), hint=_EXPECTED
    )


def _event_list(arrays: Mapping[str, Array], path: Path) -> EventList:
    missing = [key for key in _EVENT_KEYS if key not in arrays]
    if missing:
        raise InputError(
            f"event form needs {', '.join(missing)} too", got=", ".join(arrays),
            where=_shown(path), hint=_EXPECTED,
        )  # fmt: skip
    known = {*_EVENT_KEYS, "value", "n_steps", "n_samples", *_LABEL_KEYS, *_LEARNING_KEYS}
    unknown = sorted(set(arrays) - known)
    if unknown:
        raise InputError(
            "arrays that event form does not have", got=", ".join(map(display, unknown)),
            where=_shown(path), hint=_EXPECTED,
        )  # fmt: skip
    n_samples = _scalar(arrays, "n_samples", path)
    labels = next((arrays[key] for key in _LABEL_KEYS if key in arrays), None)
    if n_samples is None and labels is not None and labels.ndim:
        n_samples = len(labels)
    return EventList(
        sample=arrays["sample"],
        step=arrays["step"],
        index=arrays["index"],
        value=arrays.get("value"),
        n_samples=n_samples,
        n_steps=_scalar(arrays, "n_steps", path),
        where=_shown(path),
    )


def _scalar(arrays: Mapping[str, Array], name: str, path: Path) -> int | None:
    if name not in arrays:
        return None
    where = f"{_shown(path)}: {name}"
    number = whole_numbers(arrays[name], where)
    if number.size != 1 or number.flat[0] < 1 or number.flat[0] >= 2**31:
        raise InputError(
            "one positive number is needed", got=number.tolist(), limit="1 to 2147483647",
            where=where,
        )  # fmt: skip
    return int(number.flat[0])


def _shown(path: Path) -> str:
    return display(path.name)
