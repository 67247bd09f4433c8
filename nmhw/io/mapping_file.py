"""Mapping to HDF5 and back: same mapping, same bytes.

Layout: ``meta`` = JSON text (format, chip, mapper, metrics, notices, all names); ``slices`` with
one row per slice (number of the population, core, number of neurons) and ``neurons`` one after the
other; ``encodings`` with one row per projection and core (projection, core, kind);
``utilization`` with one row per core and resource (core, resource, used, limit; -1 = no limit).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ResultFileError
from nmhw.io.atomic import replacing
from nmhw.io.hdf5_dataset import DatasetEntry
from nmhw.io.hdf5_guard import GuardedFile, open_guarded
from nmhw.values.mapping import Mapping, Slice, Utilization
from nmhw.values.notice import Notice

FORMAT = 1
_KINDS = ("dense", "sparse", "shared")
_COLUMNS = {"slices": 3, "encodings": 3, "utilization": 4}

Ints = NDArray[np.int64]


def save_mapping(mapping: Mapping, path: str | Path) -> None:
    """Write ``mapping``; an existing file is replaced only by a complete one.

    Raises
    ------
    UsageError
        When the folder cannot be written.
    """
    populations = sorted({part.population for part in mapping.slices})
    projections = sorted({name for name, _ in mapping.encodings})
    resources = sorted({name for entry in mapping.utilization for name in entry.resources})
    meta = {
        "format": FORMAT,
        "chip_name": mapping.chip_name,
        "mapper": mapping.mapper,
        "metrics": dict(mapping.metrics),
        "notices": [[n.rule, n.where, n.text, n.kind, n.hint] for n in mapping.notices],
        "populations": populations,
        "projections": projections,
        "resources": resources,
    }
    slices = [[populations.index(s.population), s.core, s.neurons.size] for s in mapping.slices]
    encodings = [
        [projections.index(name), core, _KINDS.index(kind)]
        for (name, core), kind in sorted(mapping.encodings.items())
    ]
    utilization = [
        [entry.core, resources.index(name), used, -1 if limit is None else limit]
        for entry in mapping.utilization
        for name, (used, limit) in sorted(entry.resources.items())
    ]
    neurons = [part.neurons for part in mapping.slices]
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        text = json.dumps(meta, sort_keys=True, ensure_ascii=True).encode("ascii")
        _write(file, "meta", np.frombuffer(text, np.uint8))
        _write(file, "slices", _table(slices, 3))
        _write(file, "neurons", np.concatenate([*neurons, np.empty(0, np.int64)]).astype(np.int64))
        _write(file, "encodings", _table(encodings, 3))
        _write(file, "utilization", _table(utilization, 4))


def load_mapping(path: str | Path) -> Mapping:
    """Read a mapping written by ``save_mapping``.

    Whether it suits a network and a chip is for ``nmhw.mappers.verify`` to say.

    Raises
    ------
    ResultFileError
        When the file is missing, damaged, of another format version, or contradicts itself.
    """
    with open_guarded(path, error=ResultFileError) as file:
        name = Path(path).name
        meta = _read_meta(file, name)
        tables = {key: _read(file, key, name) for key in (*_COLUMNS, "neurons")}
    try:
        return _build(meta, tables)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise _damaged(name, reason) from error


def _build(meta: dict[str, Any], tables: dict[str, Ints]) -> Mapping:
    populations, projections = meta["populations"], meta["projections"]
    resources = meta["resources"]
    ends = np.cumsum(tables["slices"][:, 2])
    if (tables["slices"][:, 2] < 0).any() or tables["neurons"].size != (
        ends[-1] if ends.size else 0
    ):
        raise ValueError("slices and neurons disagree in number")
    slices = [
        Slice(_named(populations, number), tables["neurons"][end - size : end], int(core))
        for (number, core, size), end in zip(tables["slices"].tolist(), ends, strict=True)
    ]
    encodings = {
        (_named(projections, number), int(core)): _named(_KINDS, kind)
        for number, core, kind in tables["encodings"].tolist()
    }
    per_core: dict[int, dict[str, tuple[int, int | None]]] = {}
    for core, number, used, limit in tables["utilization"].tolist():
        resource = _named(resources, number)
        per_core.setdefault(core, {})[resource] = (used, None if limit < 0 else limit)
    return Mapping(
        chip_name=str(meta["chip_name"]),
        slices=tuple(slices),
        encodings=encodings,
        utilization=tuple(Utilization(core, used) for core, used in sorted(per_core.items())),
        metrics=dict(meta["metrics"]),
        mapper=str(meta["mapper"]),
        notices=tuple(Notice(*fields) for fields in meta["notices"]),
    )


def _named(names: Sequence[str], number: int) -> str:
    if not 0 <= number < len(names):
        raise ValueError(f"a name is missing (number {number} of {len(names)})")
    return str(names[number])


def _read_meta(file: GuardedFile, name: str) -> dict[str, Any]:
    text = _read(file, "meta", name)
    try:
        meta = json.loads(bytes(text.astype(np.uint8)).decode("ascii"))
        version = meta["format"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(name, "its meta text cannot be read") from error
    if version != FORMAT:
        raise ResultFileError(
            "unknown mapping format",
            got=version,
            limit=FORMAT,
            where=name,
            hint="map the network again with this version",
            rule="mapping.format",
        )
    return dict(meta)


def _read(file: GuardedFile, key: str, name: str) -> Ints:
    entry = file.tree.get(key)
    if not isinstance(entry, DatasetEntry):
        raise _damaged(name, f"it has no {key!r}")
    values = file.load(entry)
    if not np.issubdtype(values.dtype, np.integer):
        raise _damaged(name, f"{key!r} does not hold integers")
    columns = _COLUMNS.get(key)
    shape = values.shape[1:] if values.ndim else None
    if shape != (() if columns is None else (columns,)):
        raise _damaged(name, f"{key!r} has the shape {values.shape}")
    return values.astype(np.int64)


def _damaged(name: str, reason: str) -> ResultFileError:
    return ResultFileError(
        "not a complete nmhw mapping",
        got=reason,
        where=name,
        hint="write it again with: nmhw map",
        rule="mapping.incomplete",
    )


def _table(rows: list[list[int]], columns: int) -> Ints:
    return np.asarray(rows, np.int64).reshape(len(rows), columns)


def _write(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    options: dict[str, Any] = (
        {"compression": "gzip", "compression_opts": 4} if values.size > 4096 else {}
    )
    file.create_dataset(name, data=values, track_times=False, **options)
