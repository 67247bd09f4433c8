"""Trace to HDF5 and back: same trace, same bytes.

Layout: ``meta`` = JSON text (format, names, shapes, parameters, host operations) in which an array
is written as {"array": k}; ``arrays/<k>`` hold the numbers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nmhw.errors import NmhwError, ResultFileError
from nmhw.io.atomic import replacing
from nmhw.io.hdf5_dataset import DatasetEntry, Hdf5Limits
from nmhw.io.hdf5_guard import GuardedFile, open_guarded
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Conv, Delay, Dense, LinearOp, Pool, Reshape, Scale, Sparse
from nmhw.values.network import Network
from nmhw.values.network_builder import make_neuron
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile
from nmhw.values.trace import HostOperation, Trace

FORMAT = 1
KIND = "nmhw trace"
LIMITS = Hdf5Limits(max_bytes=8 << 30, max_inflation=1100)
_COLUMNS = ("sample", "step", "index")
_OPS: dict[str, Any] = {op.__name__: op for op in (Conv, Delay, Dense, Pool, Reshape, Scale)}
_NEURON_FIELDS = (
    "tau_mem_s", "tau_syn_s", "r", "w_in", "v_leak", "v_threshold", "v_reset", "v0", "v_min",
    "refractory_s",
)  # fmt: skip

Meta = dict[str, Any]


def save_trace(trace: Trace, path: str | Path) -> None:
    """Write a trace; an existing file is replaced only by a complete one.

    Raises
    ------
    UsageError
        When the folder cannot be written.
    """
    store = _Store()
    network = trace.network
    meta = {
        "kind": KIND,
        "format": FORMAT,
        "name": trace.name,
        "n_samples": trace.n_samples,
        "n_steps": trace.n_steps,
        "profile": None if network.profile is None else asdict(network.profile),
        "inputs": [[p.name, list(p.shape)] for p in network.inputs],
        "populations": [
            {"name": p.name, "shape": list(p.shape), "neuron": p.model.kind,
             "parameters": {f: store.put(v) for f in _NEURON_FIELDS
                            if (v := getattr(p.model, f)) is not None}}
            for p in network.populations
        ],
        "projections": [
            {"name": q.name, "source": q.source, "target": q.target, "delay": q.delay_steps,
             "bias": store.put(q.bias), "ops": [_put_op(op, store) for op in q.ops]}
            for q in network.projections
        ],
        "outputs": [[o.name, list(o.sources)] for o in network.outputs],
        "network_notices": [asdict(n) for n in network.notices],
        "notices": [asdict(n) for n in trace.notices],
        "host": [asdict(row) for row in trace.host],
        "spikes": [
            {"name": name, "shape": list(e.shape),
             **{c: store.put(getattr(e, c)) for c in _COLUMNS}}
            for name, e in trace.spikes.items()
        ],
    }  # fmt: skip
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        text = json.dumps(meta, sort_keys=True, ensure_ascii=True).encode("ascii")
        store.put(np.frombuffer(text, np.uint8))
        names = [*(f"arrays/{k}" for k in range(len(store.arrays) - 1)), "meta"]
        for name, values in zip(names, store.arrays, strict=True):
            large = values.size > 1024
            options: Any = {"compression": "gzip", "compression_opts": 1} if large else {}
            file.create_dataset(name, data=values, track_times=False, **options)


def load_trace(path: str | Path) -> Trace:
    """Read a trace written by ``save_trace``.

    Raises
    ------
    ResultFileError
        When the file is missing, damaged, of another format, or contradicts itself.
    """
    where = Path(path).name
    with open_guarded(path, LIMITS, ResultFileError) as file:
        reader = _Reader(file)
        try:
            meta = json.loads(reader.array("meta").astype(np.uint8).tobytes().decode("ascii"))
            if meta["kind"] != KIND or meta["format"] != FORMAT:
                raise ValueError(f"format {meta['format']!r} of {meta['kind']!r}")
            return _build(meta, reader)
        except ResultFileError:
            raise
        except (
            LookupError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError,
            NmhwError,
        ) as error:  # fmt: skip
            raise ResultFileError(
                "not a complete nmhw trace", got=str(error) or type(error).__name__, where=where,
                hint="record it again (nmhw.record, nmhw.save_trace)", rule="trace.file",
            ) from error  # fmt: skip


class _Store:
    """Arrays of a trace by number."""

    def __init__(self) -> None:
        self.arrays: list[NDArray[Any]] = []

    def put(self, values: Any) -> Any:
        if values is None:
            return None
        self.arrays.append(np.asarray(values))
        return {"array": len(self.arrays) - 1}


class _Reader:
    def __init__(self, file: GuardedFile) -> None:
        self.file = file

    def array(self, path: str) -> NDArray[Any]:
        entry: Any = self.file.tree
        for part in path.split("/"):
            entry = entry.get(part) if isinstance(entry, dict) else None
        if not isinstance(entry, DatasetEntry) or entry.kind != "number":
            raise ValueError(f"it has no numbers {path!r}")
        return self.file.load(entry)

    def get(self, value: Any) -> Any:
        """Return a value of the meta text with arrays in place of their numbers."""
        if isinstance(value, dict):
            return self.array(f"arrays/{int(value['array'])}")
        return tuple(self.get(v) for v in value) if isinstance(value, list) else value

    def floats(self, value: Any) -> NDArray[np.float64]:
        values = np.ascontiguousarray(self.get(value), np.float64)
        if not np.isfinite(values).all():
            raise ValueError("numbers are not finite")
        return values


def _put_op(op: LinearOp, store: _Store) -> Meta:
    if isinstance(op, Sparse):
        matrix = op.matrix
        parts = {n: store.put(getattr(matrix, n)) for n in ("data", "indices", "indptr")}
        return {"op": "Sparse", **parts, "shape": [int(n) for n in matrix.shape]}
    assert is_dataclass(op)
    values = {f.name: getattr(op, f.name) for f in fields(op)}
    plain = {k: store.put(v) if isinstance(v, np.ndarray) else v for k, v in values.items()}
    return {"op": type(op).__name__, **plain}


def _get_op(meta: Meta, reader: _Reader) -> LinearOp:
    given = dict(meta)
    kind = given.pop("op")
    if kind == "Sparse":
        from scipy.sparse import csr_array

        data = reader.floats(given["data"])
        parts = (data, reader.get(given["indices"]), reader.get(given["indptr"]))
        matrix = csr_array(parts, shape=reader.get(given["shape"]))
        matrix.check_format(full_check=True)
        return Sparse(matrix)
    values = {k: reader.floats(v) if isinstance(v, dict) else reader.get(v)
              for k, v in given.items()}  # fmt: skip
    op: LinearOp = _OPS[kind](**values)
    return op


def _build(meta: Meta, reader: _Reader) -> Trace:
    builder = Network.build(str(meta["name"]))
    for name, shape in meta["inputs"]:
        builder.input(name, tuple(shape))
    for entry in meta["populations"]:
        shape = tuple(entry["shape"])
        given = {f: reader.floats(v) for f, v in entry["parameters"].items()}
        make_neuron(entry["neuron"], int(np.prod(shape)), **given)
        builder.population(entry["name"], shape, entry["neuron"], **given)
    for entry in meta["projections"]:
        ops = tuple(_get_op(op, reader) for op in entry["ops"])
        bias = None if entry["bias"] is None else reader.floats(entry["bias"])
        builder.project(entry["source"], entry["target"], ops=ops, bias=bias,
                        delay_steps=entry["delay"], name=entry["name"])  # fmt: skip
    for name, sources in meta["outputs"]:
        builder.output(name, *sources)
    network = builder.done()
    profile = None if meta["profile"] is None else Profile(**meta["profile"])
    network = replace(
        network, profile=profile, notices=tuple(Notice(**n) for n in meta["network_notices"])
    )
    n_samples, n_steps = (_whole(meta[key], 1) for key in ("n_samples", "n_steps"))
    sizes = network.sizes()
    spikes = {}
    for entry in meta["spikes"]:
        name, shape = entry["name"], tuple(_whole(n, 1) for n in entry["shape"])
        columns = [np.ascontiguousarray(reader.get(entry[c]), np.int32) for c in _COLUMNS]
        limits = (n_samples, n_steps, sizes[name])
        for column, limit in zip(columns, limits, strict=True):
            outside = column.size and (column.min() < 0 or column.max() >= limit)
            if column.ndim != 1 or outside or column.size != columns[0].size:
                raise ValueError(f"events of {name} are out of range or differ in number")
        if int(np.prod(shape)) != sizes[name]:
            raise ValueError(f"events of {name} have another shape")
        sample, step, index = columns
        spikes[name] = SpikeEvents(sample, step, index, n_samples, n_steps, shape)
    host = tuple(_host_row(row) for row in meta["host"])
    notices = tuple(Notice(**n) for n in meta["notices"])
    return Trace(str(meta["name"]), network, spikes, host, n_samples, n_steps, notices)


def _host_row(meta: Meta) -> HostOperation:
    given: Meta = {k: str(meta[k]) for k in ("name", "operation", "reason")}
    given |= {f.name: _whole(meta[f.name]) for f in fields(HostOperation) if f.name not in given}
    return HostOperation(**given)


def _whole(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is not a whole number >= {least}")
    return value
