"""Read NIRData: inputs and traces that the nir package writes with ``write_data``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nmhw.errors import InputError
from nmhw.io.display import display
from nmhw.io.hdf5_dataset import DatasetEntry, Hdf5Limits
from nmhw.io.hdf5_guard import GuardedFile, Tree, open_guarded
from nmhw.io.input_data import EventList, InputFile
from nmhw.io.stored_array import MAPPED_BYTES, StoredArray

#: Of a file whose gridded data are read some samples at a time; ``_load`` judges all others.
STREAM_LIMITS = Hdf5Limits(max_bytes=1 << 44, max_inflation=1100)
#: Of what is loaded as a whole, and of one chunk of what is not.
LOAD_LIMITS = Hdf5Limits()


def read_nir_data(path: str | Path) -> InputFile:
    """Read gridded data, events or valued events of every node of a NIRData file.

    Of a node with several observables the one called ``spikes`` is taken.

    Raises
    ------
    InputError
        For a file that is not NIRData, damaged or hostile (see ``open_guarded``), nested graphs,
        several observables none of which is ``spikes``, or steps of different length.
    """
    path = Path(path)
    shown = display(path.name)
    with open_guarded(path, STREAM_LIMITS) as file:
        nodes = file.tree.get("nodes")
        if not isinstance(nodes, dict) or not nodes:
            hint = "a file written with nir.write_data (a .nir model holds no data)"
            raise InputError("not a NIRData file: no group 'nodes'", where=shown, hint=hint)
        streams: dict[str, Any] = {}
        steps: dict[str, float] = {}
        for name, node in nodes.items():
            where = f"{shown}: {display(name)}"
            fields = _observable(node, where)
            if "data" in fields:
                entry = fields["data"]
                if len(entry.shape) != 3:
                    raise InputError(
                        "gridded data is (samples, steps, neurons)", got=entry.shape, where=where
                    )
                stored = _stored(path, entry, where)
                streams[name] = _load(file, entry, where) if stored is None else stored
                steps[name] = _attribute(entry, "dt", where)
            else:
                streams[name] = _events(file, fields, where)
    if len(set(steps.values())) > 1:
        raise InputError("nodes have different steps", got=steps, where=shown)
    return InputFile(str(path), streams, dt_s=next(iter(steps.values()), None))


def _stored(path: Path, entry: DatasetEntry, where: str) -> StoredArray | None:
    """Return large data as rows of the file, None for what is small enough to be loaded."""
    dataset = h5py.Dataset(entry.dataset)
    if math.prod(entry.shape) * dataset.dtype.itemsize < MAPPED_BYTES:
        return None
    _check_size(math.prod(dataset.chunks or ()) * 8, None, where)

    def read(rows: slice, columns: slice) -> Any:
        with h5py.File(path, "r") as file:
            return file[entry.path][rows, columns]

    a, b, n = entry.shape
    return StoredArray(read, (a, b, n), dataset.dtype)


def _load(file: GuardedFile, entry: DatasetEntry, where: str) -> Any:
    stored = int(entry.dataset.get_storage_size())
    _check_size(math.prod(entry.shape) * 8, stored, where)
    return file.load(entry)


def _check_size(n_bytes: int, stored: int | None, where: str) -> None:
    """Refuse what does not fit the memory, or inflates suspiciously."""
    if n_bytes > LOAD_LIMITS.max_bytes:
        raise InputError(
            "the data are too large for memory", got=f"{n_bytes} bytes as float64",
            limit=f"{LOAD_LIMITS.max_bytes} bytes", where=where, rule="hdf5.too-large",
            hint="gridded data in chunks of a few samples",
        )  # fmt: skip
    allowed = LOAD_LIMITS.inflation_from_bytes
    if stored is not None and n_bytes > max(allowed, LOAD_LIMITS.max_inflation * stored):
        raise InputError(
            "the data inflate suspiciously", got=f"{n_bytes} bytes in memory from {stored} on disk",
            limit=f"{LOAD_LIMITS.max_inflation} times", where=where, rule="hdf5.bomb",
        )  # fmt: skip


def _observable(node: Tree | DatasetEntry, where: str) -> dict[str, DatasetEntry]:
    found = node.get("observables") if isinstance(node, dict) else None
    if not isinstance(found, dict):
        raise InputError("no observables (nested graphs are not read)", where=where)
    chosen = found.get("spikes") if len(found) != 1 else next(iter(found.values()))
    if not isinstance(chosen, dict):
        raise InputError(
            "which observable is the input?", got=", ".join(map(display, found)), limit="spikes",
            where=where,
        )  # fmt: skip
    fields = {k: v for k, v in chosen.items() if isinstance(v, DatasetEntry)}
    if "data" not in fields and not {"idx", "time"} <= set(fields):
        raise InputError(
            "neither gridded data nor events", got=", ".join(map(display, chosen)),
            limit="data, or idx and time", where=where,
        )  # fmt: skip
    return fields


def _events(file: GuardedFile, fields: dict[str, DatasetEntry], where: str) -> EventList:
    """Rows are samples, padded with index -1 and time inf."""
    idx, time = _load(file, fields["idx"], where), _load(file, fields["time"], where)
    value = _load(file, fields["value"], where) if "value" in fields else None
    if idx.ndim != 2 or time.shape != idx.shape or (value is not None and value.shape != idx.shape):
        raise InputError(
            "idx, time and value have one shape (samples, events)", got=(idx.shape, time.shape),
            where=where,
        )  # fmt: skip
    real = (idx != -1) & np.isfinite(time)
    return EventList(
        sample=np.nonzero(real)[0],
        index=idx[real],
        value=None if value is None else value[real],
        n_samples=int(idx.shape[0]),
        time_s=time[real].astype(np.float64),
        duration_s=_attribute(fields["idx"], "t_max", where),
        where=where,
    )


def _attribute(entry: DatasetEntry, name: str, where: str) -> float:
    try:
        number = float(h5py.Dataset(entry.dataset).parent.attrs[name])
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as failure:
        raise InputError(f"the attribute {name} is missing or no number", where=where) from failure
    if not np.isfinite(number) or number <= 0:
        raise InputError(f"the attribute {name} must be positive", got=number, where=where)
    return number
