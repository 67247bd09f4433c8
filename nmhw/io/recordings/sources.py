"""From a file, a folder of files or arrays to recordings; a file's first bytes tell its format."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmhw.errors import InputError, UsageError
from nmhw.io.display import display
from nmhw.io.event_file import DAMAGED_ARCHIVE
from nmhw.io.input_data import whole_numbers
from nmhw.io.recordings.arrays import array_recordings, holds_times, is_structured
from nmhw.io.recordings.recording import Recording, shown

#: Formats that a file's bytes do not tell.
FORMATS = ("auto", "spike-camera")
_MAX_FILES = 1 << 20
_NO_MAGIC = {".bin": "nmnist"}
_HEADED = {".dat": "dat", ".raw": "raw"}


def recognize(path: Path) -> str | None:
    """Return the format of an event file, None for a file that is none (a plain array, text...).

    Raises
    ------
    InputError
        For a file that cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(10)
    except OSError as failure:
        reason = "no such file" if not path.exists() else str(failure)
        raise InputError(f"cannot read the file ({reason})", where=display(path, 200)) from failure
    suffix = path.suffix.lower()
    if head.startswith(b"#!AER-DAT"):
        return f"aedat{chr(head[9])}" if len(head) == 10 else "aedat?"
    if head.startswith(b"% ") and suffix in _HEADED:
        return _HEADED[suffix]
    if head.startswith(b"\x93NUMPY"):
        from nmhw.io.recordings.numpy_files import structured_npy

        return "npy" if structured_npy(path) is not None else None
    if head.startswith(b"PK"):
        return "npz" if _is_event_npz(path) else None
    if head.startswith(b"\x89HDF"):
        from nmhw.io.recordings.shd import is_shd

        return "shd" if is_shd(path) else None
    return _NO_MAGIC.get(suffix)


def is_recording(path: str | Path) -> bool:
    """Whether a path is a folder, or a file of events with times, cut off or not."""
    path = Path(path)
    known = {".bin", ".aedat", ".aedat4", ".raw", ".dat"}
    return path.is_dir() or path.suffix.lower() in known or recognize(path) is not None


def open_recordings(
    source: Any,
    *,
    sensor: tuple[int, int] | None = None,
    labels: Any = None,
    n_samples: int | None = None,
    kind: str = "auto",
) -> list[Recording]:
    """Return the recordings of a source, one per sample.

    Parameters
    ----------
    source : path, structured array, dict of columns, or a sequence of these
        A folder gives its files in the order of their names; folders inside of it are classes,
        whose samples take turns.
    sensor : (width, height), optional
        Where a file does not state its own.
    labels : (samples,), optional
    n_samples : int, optional
        The first so many alone.
    kind : "auto" | "spike-camera"
        "auto": a file's first bytes and its name tell.

    Raises
    ------
    InputError
        For files that are no event recordings, and whatever their readers refuse.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        if path.is_dir():
            found = _folder(path, sensor, n_samples, kind)
        else:
            found = _file(path, path.name, sensor, kind)
    elif is_structured(source) or isinstance(source, dict):
        found = array_recordings(source, "events")
    elif isinstance(source, Sequence):
        found = [r for k, item in enumerate(source) for r in _item(item, k, sensor, kind)]
    else:
        raise UsageError(
            "this holds no events", got=type(source).__name__,
            hint="a path, a structured array with x, y, t, p, or a list of them",
        )  # fmt: skip
    if labels is not None:
        given = whole_numbers(labels, "labels").ravel()
        if given.size != len(found):
            raise InputError("one label per sample is needed", got=given.size, limit=len(found),
                             where="labels")  # fmt: skip
        found = [replace(r, label=int(k)) for r, k in zip(found, given, strict=True)]
    if not found:
        raise InputError(
            "there is no recording here", where=display(source, 200), rule="events.empty"
        )
    return found if n_samples is None else found[:n_samples]


def _item(item: Any, position: int, sensor: tuple[int, int] | None, kind: str) -> list[Recording]:
    if isinstance(item, str | Path):
        return _file(Path(item), Path(item).name, sensor, kind)
    if is_structured(item) or isinstance(item, dict):
        return array_recordings(item, f"recording {position}")
    raise UsageError(
        "this holds no events", got=type(item).__name__, where=f"recording {position}",
        hint="a path, or a structured array with x, y, t, p",
    )  # fmt: skip


def _folder(
    path: Path, sensor: tuple[int, int] | None, most: int | None, kind: str
) -> list[Recording]:
    classes = sorted(p for p in _visible(path) if p.is_dir())
    if not classes:
        files = [p for p in _visible(path) if p.is_file()][:most]
        return [r for file in files for r in _file(file, file.name, sensor, kind)]
    numbered = all(p.name.isdecimal() for p in classes)
    if numbered:
        classes.sort(key=lambda p: int(p.name))
    named = []
    for rank, folder in enumerate(classes):
        label = int(folder.name) if numbered else rank
        files = [p for p in _visible(folder) if p.is_file()]
        named += [(k, rank, file, label) for k, file in enumerate(files)]
    found = []
    for _, _, file, label in sorted(named)[:most]:
        name = f"{display(file.parent.name)}/{shown(file)}"
        found += [replace(r, label=label) for r in _file(file, name, sensor, kind)]
    return found


def _visible(path: Path) -> list[Path]:
    found = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    if len(found) > _MAX_FILES:
        raise InputError("too many files", got=len(found), limit=_MAX_FILES, where=shown(path))
    return found


def _file(path: Path, name: str, sensor: tuple[int, int] | None, kind: str) -> list[Recording]:
    found, name = recognize(path), display(name)
    kind = found or "unknown" if kind == "auto" else kind
    if path.stat().st_size == 0:
        raise InputError("the file is empty", where=name, rule="events.empty")
    if kind == "spike-camera":
        from nmhw.io.recordings.spike_camera import spike_camera_recording

        if sensor is None:
            raise UsageError("a spike stream does not say its size", where=name,
                             hint="--sensor 400x250", rule="events.sensor")  # fmt: skip
        return [spike_camera_recording(path, name, sensor)]
    if kind == "nmnist":
        from nmhw.io.recordings.nmnist import nmnist_recording

        return [nmnist_recording(path, name, sensor)]
    if kind == "aedat2":
        from nmhw.io.recordings.aedat2 import aedat2_recording

        return [aedat2_recording(path, name, sensor)]
    if kind == "aedat4":
        from nmhw.io.recordings.aedat4 import aedat4_recording

        return [aedat4_recording(path, name)]
    if kind in ("dat", "raw"):
        from nmhw.io.recordings.prophesee import prophesee_recording

        return [prophesee_recording(path, name)]
    if kind in ("npy", "npz"):
        from nmhw.io.recordings import numpy_files

        read = numpy_files.npy_recordings if kind == "npy" else numpy_files.npz_recordings
        return read(path, name)
    if kind == "shd":
        from nmhw.io.recordings.shd import shd_recordings

        return shd_recordings(path, name, sensor)
    with path.open("rb") as stream:
        head = stream.read(12)
    raise InputError(
        "not an event recording that is read here", got=f"{kind}, first bytes {head!r}",
        where=name, rule="events.format",
        limit=".bin (N-MNIST), .h5 (SHD), AEDAT 2.0 or 4, .dat and .raw (Prophesee), .npy and .npz "
        "with t, x, y, p", hint="--format spike-camera, for a bit-packed .dat",
    )  # fmt: skip


def _is_event_npz(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [m.filename.removesuffix(".npy") for m in archive.infolist()]
            if holds_times(names):
                return True
            return any(_is_structured_member(archive, name) for name in archive.namelist()[:16])
    except DAMAGED_ARCHIVE:
        return False  # the reader of plain arrays says what is wrong with it


def _is_structured_member(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as stream:
        head = stream.read(1024)
    return head.startswith(b"\x93NUMPY") and b"'descr': [(" in head and b"'t" in head
