"""Archives of data sets: fetched once onto your machine, checked, unpacked beside it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

#: Exit code of a recipe whose data are not there and cannot be fetched.
SKIPPED = 75

_BLOCK = 1 << 20


class UnavailableError(Exception):
    """The data are not on this machine and cannot be fetched."""


class DamagedError(Exception):
    """A file is not the one that was published."""


@dataclass(frozen=True)
class Archive:
    """A published file.

    Attributes
    ----------
    digest : "md5:..." or "sha256:...", as its publisher or the libraries that fetch it state it
    max_bytes : a download longer than this is given up
    n_bytes : exact length where it is known
    """

    name: str
    url: str
    digest: str
    max_bytes: int
    n_bytes: int | None = None


def fetch(archive: Archive, folder: Path, *, offline: bool = False) -> Path:
    """Return the archive's path, downloaded where it is not there yet, and checked.

    Raises
    ------
    UnavailableError
        Without a connection, or with ``offline`` and no file.
    DamagedError
        For another length or digest; a file of your own is left as it is.
    """
    path = folder / archive.name
    if path.is_file():
        _check(archive, path)
        return path
    if offline:
        raise UnavailableError(f"{path} is not there (--offline); it comes from {archive.url}")
    folder.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{archive.name}.", dir=folder)
    try:
        with os.fdopen(handle, "wb") as out:
            _download(archive, out)
        _check(archive, Path(temporary))
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def _download(archive: Archive, out: object) -> None:
    request = urllib.request.Request(archive.url, headers={"User-Agent": "nmhw recipes"})
    try:
        with urllib.request.urlopen(request, timeout=30) as stream:
            seen = 0
            while block := stream.read(_BLOCK):
                seen += len(block)
                if seen > archive.max_bytes:
                    raise DamagedError(f"{archive.url} is longer than {archive.max_bytes:,} bytes")
                out.write(block)  # type: ignore[attr-defined]
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UnavailableError(f"cannot fetch {archive.url} ({error})") from error


def _check(archive: Archive, path: Path) -> None:
    kind, _, wanted = archive.digest.partition(":")
    length = path.stat().st_size
    if archive.n_bytes is not None and length != archive.n_bytes:
        raise DamagedError(f"{archive.name} has {length:,} bytes, published {archive.n_bytes:,}")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, kind).hexdigest()
    if found != wanted:
        raise DamagedError(f"{archive.name} has the {kind} {found}, published {wanted}")


def unpack(path: Path, folder: Path, made: str) -> Path:
    """Return ``folder / made``, unpacked from a zip or tar archive where it is not there yet.

    Nothing is written outside of ``folder``; what was unpacked in part is thrown away.
    """
    target = folder / made
    if target.exists():
        return target
    stage = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                archive.extractall(stage)
        else:
            with tarfile.open(path) as archive:
                archive.extractall(stage, filter="data")
        if not (stage / made).exists():
            raise DamagedError(f"{path.name} holds no {made!r}")
        os.replace(stage / made, target)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise DamagedError(f"{path.name} cannot be unpacked ({error})") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return target
