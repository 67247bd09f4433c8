"""A suspicious look at an HDF5 file before any of its data is loaded.

``open_guarded`` walks every link of the file, refuses what can point outside of it, loop, or
expand without bound, and only then hands out the datasets. Sizes are judged from the declared
shape, so nothing large is read or inflated in order to find out that it is large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError, NmhwError
from nmhw.io.display import display
from nmhw.io.hdf5_dataset import DatasetEntry, DatasetGuard, Hdf5Limits
from nmhw.io.hdf5_strings import DamagedStrings, StringHeap

_H5_FAILURES = (
    OSError,
    RuntimeError,
    LookupError,
    ValueError,
    TypeError,
    MemoryError,
    OverflowError,
    NotImplementedError,
)
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FOREIGN = (
    (b"PK\x03\x04", "a zip archive (torch.save and .npz make those)"),
    (b"\x93NUMPY", "a NumPy .npy file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"{", "text, perhaps JSON"),
    (b"\x80", "a Python pickle (never opened here)"),
)
Tree: TypeAlias = "dict[str, Tree | DatasetEntry]"


@dataclass(frozen=True, slots=True)
class GuardedFile:
    """An open file whose every object passed the guard.

    Attributes
    ----------
    tree : dict
        Groups as dicts, datasets as ``DatasetEntry``.
    sha256 : str
        Of the whole file.
    """

    tree: Tree
    sha256: str
    _guard: _Guard = field(repr=False)

    def load(self, entry: DatasetEntry) -> NDArray[Any]:
        """Read one dataset: numbers in their stored type, strings as an array of ``str``."""
        return self._guard.load(entry)


@contextmanager
def open_guarded(
    path: str | Path,
    limits: Hdf5Limits | None = None,
    error: type[InputError] = InputError,
) -> Iterator[GuardedFile]:
    """Open an HDF5 file for reading after walking all of it.

    Parameters
    ----------
    path : str or Path
    limits : Hdf5Limits, optional
    error : type of InputError
        What to raise.

    Raises
    ------
    error
        With a rule ``hdf5.*``: not HDF5 or damaged; a link that leaves its place (soft, external,
        a group met twice); data kept elsewhere (external storage, virtual datasets); a type
        that is neither number nor string; a filter that needs a plug-in; too deep, too many, too
        large, or too strongly compressed.
    """
    guard = _Guard(Path(path), limits or Hdf5Limits(), error)
    guard.check_file()
    with guard.translated(""):
        file = h5py.File(path, "r")
    try:
        tree = guard.walk(file)
        with open(path, "rb") as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        yield GuardedFile(tree, digest, guard)
    finally:
        file.close()


class _Guard:
    """The walk and its running totals."""

    def __init__(self, path: Path, limits: Hdf5Limits, error: type[InputError]) -> None:
        self.path = path
        self.limits = limits
        self.error = error
        self.n_objects = 0
        self.datasets = DatasetGuard(limits, self.refuse)
        self.groups_seen: set[int] = set()
        self._strings: StringHeap | None = None

    def refuse(self, rule: str, at: str, what: str, **facts: Any) -> NmhwError:
        where = display(self.path.name) + (f": {display(at)}" if at else "")
        return self.error(what, where=where, rule=f"hdf5.{rule}", **facts)

    @contextmanager
    def translated(self, at: str) -> Iterator[None]:
        """Turn whatever the HDF5 library throws at a damaged file into one error."""
        try:
            yield
        except NmhwError:
            raise
        except _H5_FAILURES as failure:
            reason = display(str(failure).strip("'\"") or type(failure).__name__, 160)
            raise self.refuse(
                "damaged",
                at,
                f"the HDF5 file is damaged or truncated ({reason})",
                hint="export or copy the file again",
            ) from failure

    def check_file(self) -> None:
        """Judge by the file system and the first bytes."""
        try:
            if not self.path.is_file():
                what = "is not a regular file" if self.path.exists() else "no such file"
                raise self.refuse("missing", "", what, got=display(self.path))
            self.datasets.n_file_bytes = self.path.stat().st_size
            with self.path.open("rb") as raw:
                head = raw.read(8)
        except (OSError, ValueError) as failure:
            if isinstance(failure, NmhwError):
                raise
            raise self.refuse("missing", "", f"cannot be opened ({failure})") from failure
        if not head:
            raise self.refuse("empty", "", "the file is empty", hint="export it again")
        if head != _SIGNATURE:
            kind = next((text for magic, text in _FOREIGN if head.startswith(magic)), None)
            looks = f", it looks like {kind}" if kind else ""
            raise self.refuse(
                "not-hdf5", "", f"not an HDF5 file{looks}", hint="write it with nir.write"
            )
        if self.datasets.n_file_bytes > self.limits.max_bytes:
            raise self.refuse(
                "too-large", "", "the file is too large", got=f"{self.datasets.n_file_bytes} bytes",
                limit=f"{self.limits.max_bytes} bytes",
            )  # fmt: skip

    def walk(self, file: h5py.File) -> Tree:
        """Check every object and return the tree."""
        with self.translated(""):
            self._strings = StringHeap(self.path, file.id.get_create_plist().get_sizes())
            self.groups_seen.add(_address(file))
            return self._walk_group(file, "", 0)

    def _walk_group(self, group: h5py.Group, at: str, depth: int) -> Tree:
        if depth > self.limits.max_depth:
            raise self.refuse(
                "depth", at, "groups are nested too deeply", limit=self.limits.max_depth
            )
        with self.translated(at):
            n_links = len(group)
            self._count_links(n_links, at)
            # a name that is not UTF-8 comes as bytes
            names = [n if isinstance(n, str) else ascii(n) for n in group]
        tree: Tree = {}
        for name in names:
            path = f"{at}/{name}"
            self._check_name(name, at)
            with self.translated(path):
                self._check_link(group, name, path)
                child = group[name]
                tree[name] = self._enter(child, path, depth)
        return tree

    def _enter(self, child: object, path: str, depth: int) -> Tree | DatasetEntry:
        if isinstance(child, h5py.Group):
            address = _address(child)
            if address in self.groups_seen:
                raise self.refuse(
                    "link-cycle", path, "a hard link leads back to a group met before",
                    hint="write the graph again without shared groups",
                )  # fmt: skip
            self.groups_seen.add(address)
            return self._walk_group(child, path, depth + 1)
        if isinstance(child, h5py.Dataset):
            return self.datasets.check(child, path)
        raise self.refuse("object", path, "neither a group nor a dataset", got=type(child).__name__)

    def _count_links(self, n_links: int, at: str) -> None:
        self.n_objects += n_links
        if self.n_objects > self.limits.max_objects:
            raise self.refuse(
                "too-many", at, "too many groups and datasets", got=self.n_objects,
                limit=self.limits.max_objects,
            )  # fmt: skip

    def _check_name(self, name: str, at: str) -> None:
        odd = not name.isprintable() or "\\" in name or name in {"", ".", ".."}
        if odd or len(name) > self.limits.max_name_chars:
            raise self.refuse(
                "name", at, "a name that cannot be shown or stored safely",
                got=display(ascii(name)),
                limit=f"{self.limits.max_name_chars} printable characters, no path separator",
                hint="rename the node before exporting",
            )  # fmt: skip

    def _check_link(self, group: h5py.Group, name: str, path: str) -> None:
        kind = group.id.links.get_info(name.encode()).type
        if kind == h5py.h5l.TYPE_HARD:
            return
        shown = {h5py.h5l.TYPE_SOFT: "soft link", h5py.h5l.TYPE_EXTERNAL: "external link"}
        what = shown.get(kind, "user-defined link")
        rule = "external-link" if kind == h5py.h5l.TYPE_EXTERNAL else "soft-link"
        raise self.refuse(
            rule, path, f"a {what} is not followed: it can lead anywhere",
            hint="store the data itself in the file",
        )  # fmt: skip

    def load(self, entry: DatasetEntry) -> NDArray[Any]:
        """Read a dataset that passed; strings never go through the HDF5 library's heap."""
        with self.translated(entry.path):
            if entry.kind == "number":
                return np.asarray(h5py.Dataset(entry.dataset)[()])
            if self._strings is None:
                raise OSError("the file was not walked")
            try:
                texts = self._strings.read(entry.dataset, entry.shape, self.limits.max_string_bytes)
            except DamagedStrings as failure:
                raise self.refuse("damaged", entry.path, f"damaged text: {failure}") from failure
            return texts


def _address(group: h5py.Group) -> int:
    return int(h5py.h5o.get_info(group.id).addr)
