"""RunResult to HDF5 and back: same result, same bytes; spikes as flat integer arrays.

Layout: ``meta`` = JSON text as bytes (format, sizes, every name, the counters' numbers); numbered
groups ``spikes/<k>`` (sample, step, index and, for graded events, value), ``probes/<k>`` (steps,
values), ``totals/<k>``, ``core_totals/<k>`` and ``core_steps/<k>`` in the order of the names in
``meta``, because names of populations may hold characters that HDF5 paths may not; ``cores``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from nmhw.errors import ResultFileError
from nmhw.io.atomic import replacing
from nmhw.io.hdf5_dataset import DatasetEntry, Hdf5Limits
from nmhw.io.hdf5_guard import GuardedFile, open_guarded
from nmhw.io.noc_times import noc_arrays, noc_meta, read_noc
from nmhw.values.events import SpikeEvents
from nmhw.values.result import Counters, ProbeData, RunResult

FORMAT = 2

#: Counters per step are large and mostly zero; gzip reaches at most 1032 to 1.
LIMITS = Hdf5Limits(max_bytes=32 << 30, max_inflation=1100)

_COUNTER_MAPS = ("synops_by_projection", "spikes_by_population", "events_by_input", "saturations")
_COUNTER_FLAGS = ("is_continuous", "is_stepless")
_COUNTER_NUMBERS = ("n_samples", "n_steps", "connections", "n_tiles", "n_chips", *_COUNTER_FLAGS)
_EVENT_COLUMNS = ("sample", "step", "index")

Array = NDArray[Any]
Meta = dict[str, Any]


def save_result(
    result: RunResult,
    path: str | Path,
    keep_spikes: int = 10**8,
    outputs: Collection[str] = (),
) -> None:
    """Write a result; an existing file is replaced only by a complete one.

    Parameters
    ----------
    keep_spikes : int
        When there are more events than this, only those of ``outputs`` are written.

    Raises
    ------
    UsageError
        When the folder cannot be written.
    """
    kept = dict(result.spikes)
    if sum(len(events) for events in kept.values()) > keep_spikes:
        kept = {name: events for name, events in kept.items() if name in outputs}
    meta: Meta = {
        "format": FORMAT,
        "backend": result.backend,
        "n_samples": result.n_samples,
        "n_steps": result.n_steps,
        "drain_steps": result.drain_steps,
        "depths": dict(result.depths),
        "spikes": [_event_meta(name, events) for name, events in kept.items()],
        "probes": [[p.population, p.variable] for p in result.probes.values()],
        "totals": list(result.spike_totals),
        "counters": None if result.counters is None else _counter_meta(result.counters),
    }
    if result.noc is not None:
        meta["noc"] = noc_meta(result.noc)
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        text = json.dumps(meta, sort_keys=True, ensure_ascii=True).encode("ascii")
        _write(file, "meta", np.frombuffer(text, np.uint8))
        for k, events in enumerate(kept.values()):
            _write_events(file, f"spikes/{k}", events)
        for k, probe in enumerate(result.probes.values()):
            _write(file, f"probes/{k}/steps", probe.steps)
            _write(file, f"probes/{k}/values", probe.values)
        for k, totals in enumerate(result.spike_totals.values()):
            _write(file, f"totals/{k}", totals)
        if result.counters is not None:
            _write_counters(file, result.counters)
        for name, values in noc_arrays(result.noc).items():
            _write(file, f"noc/{name}", values)


def load_saved_result(path: str | Path) -> RunResult:
    """Read a result written by ``save_result``.

    Raises
    ------
    ResultFileError
        When the file is missing, damaged, of another format version, or contradicts itself.
    """
    name = Path(path).name
    with open_guarded(path, LIMITS, ResultFileError) as file:
        reader = _Reader(file, name)
        try:
            return _build(reader, reader.meta())
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, ResultFileError):
                raise
            raise reader.damaged(str(error) or type(error).__name__) from error


def _event_meta(name: str, events: SpikeEvents) -> Meta:
    return {
        "name": name,
        "shape": [int(n) for n in events.shape],
        "n_steps": events.n_steps,
        "is_graded": events.value is not None,
    }


def _counter_meta(counters: Counters) -> Meta:
    numbers = {name: int(getattr(counters, name)) for name in _COUNTER_NUMBERS}
    maps = {n: {k: int(v) for k, v in getattr(counters, n).items()} for n in _COUNTER_MAPS}
    steps = None if counters.steps is None else sorted(counters.steps)
    uncounted = {"uncounted": list(counters.uncounted)} if counters.uncounted else {}
    kinds = {"totals": sorted(counters.totals), "steps": steps}
    return {**numbers, **maps, **kinds, **uncounted}


def _write_events(file: h5py.File, group: str, events: SpikeEvents) -> None:
    for column in _EVENT_COLUMNS:
        _write(file, f"{group}/{column}", getattr(events, column))
    if events.value is not None:
        _write(file, f"{group}/value", events.value)


def _write_counters(file: h5py.File, counters: Counters) -> None:
    _write(file, "cores", counters.cores)
    for k, kind in enumerate(sorted(counters.totals)):
        _write(file, f"core_totals/{k}", counters.totals[kind])
    for k, kind in enumerate(sorted(counters.steps or {})):
        _write(file, f"core_steps/{k}", (counters.steps or {})[kind])


def _write(file: h5py.File, name: str, values: Array) -> None:
    large = values.size > 1024
    options: dict[str, Any] = {"compression": "gzip", "compression_opts": 1} if large else {}
    file.create_dataset(name, data=values, track_times=False, **options)


def _build(reader: _Reader, meta: Meta) -> RunResult:
    n_samples = _whole(meta["n_samples"], 1)
    spikes = {}
    for k, entry in enumerate(meta["spikes"]):
        spikes[str(entry["name"])] = _events(reader, f"spikes/{k}", entry, n_samples)
    probes = {}
    for k, (population, variable) in enumerate(meta["probes"]):
        probes[str(population), str(variable)] = ProbeData(
            str(population),
            str(variable),
            reader.integers(f"probes/{k}/steps", 1),
            reader.array(f"probes/{k}/values", 3),
        )
    totals = {str(n): reader.integers(f"totals/{k}", 1) for k, n in enumerate(meta["totals"])}
    return RunResult(
        backend=str(meta["backend"]),
        n_samples=n_samples,
        n_steps=_whole(meta["n_steps"], 1),
        drain_steps=_whole(meta["drain_steps"]),
        depths={str(n): _whole(depth) for n, depth in meta["depths"].items()},
        spikes=spikes,
        probes=probes,
        counters=None if meta["counters"] is None else _counters(reader, meta["counters"]),
        spike_totals=totals,
        noc=read_noc(meta["noc"], reader.integers) if "noc" in meta else None,
    )


def _events(reader: _Reader, group: str, entry: Meta, n_samples: int) -> SpikeEvents:
    shape = tuple(_whole(n, 1) for n in entry["shape"])
    n_steps = _whole(entry["n_steps"], 1)
    limits = (n_samples, n_steps, int(np.prod(shape)))
    columns = [reader.integers(f"{group}/{c}", 1, np.int32) for c in _EVENT_COLUMNS]
    sample, step, index = columns
    for column, limit in zip(columns, limits, strict=True):
        outside = column.size and (column.min() < 0 or column.max() >= limit)
        if outside or column.size != columns[0].size:
            raise ValueError(f"events of {group} are out of range or differ in number")
    value = reader.array(f"{group}/value", 1).astype(np.float64) if entry["is_graded"] else None
    if value is not None and value.size != columns[0].size:
        raise ValueError(f"events of {group} differ in number")
    return SpikeEvents(sample, step, index, n_samples, n_steps, shape, value)


def _counters(reader: _Reader, meta: Mapping[str, Any]) -> Counters:
    cores = reader.integers("cores", 1)
    totals = {
        str(kind): reader.integers(f"core_totals/{k}", 1) for k, kind in enumerate(meta["totals"])
    }
    steps = None
    if meta["steps"] is not None:
        steps = {
            str(kind): reader.integers(f"core_steps/{k}", 2, np.int32)
            for k, kind in enumerate(meta["steps"])
        }
    numbers = {name: _whole(meta[name]) for name in _COUNTER_NUMBERS}
    n_rows = numbers["n_samples"] * numbers["n_steps"]
    shapes = {values.shape for values in (steps or {}).values()} - {(n_rows, cores.size)}
    if shapes or {values.shape for values in totals.values()} - {(cores.size,)}:
        raise ValueError("counters do not belong to the cores")
    if min(numbers["n_samples"], numbers["n_steps"]) < 1:
        raise ValueError("a run has samples and steps")
    maps = {n: {str(k): _whole(v) for k, v in meta[n].items()} for n in _COUNTER_MAPS}
    fields: dict[str, Any] = {**numbers, **maps}
    fields |= {flag: bool(fields[flag]) for flag in _COUNTER_FLAGS}
    fields["uncounted"] = tuple(str(kind) for kind in meta.get("uncounted", ()))
    return Counters(cores=cores, totals=totals, steps=steps, **fields)


def _whole(value: Any, least: int = 0) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{value!r} is not a whole number >= {least}")
    return value


class _Reader:
    """Datasets of a guarded file by path, of the type and number of axes that belong there."""

    def __init__(self, file: GuardedFile, name: str) -> None:
        self.file = file
        self.name = name

    def meta(self) -> Meta:
        """Return the JSON text, of this format version."""
        try:
            meta = json.loads(self.array("meta", 1).astype(np.uint8).tobytes().decode("ascii"))
            version = meta["format"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self.damaged("its meta text cannot be read") from error
        if version != FORMAT:
            raise ResultFileError(
                "unknown result format",
                got=version,
                limit=FORMAT,
                where=self.name,
                hint="run it again with this version",
                rule="result.format",
            )
        return dict(meta)

    def array(self, path: str, n_axes: int) -> Array:
        entry: Any = self.file.tree
        for part in path.split("/"):
            entry = entry.get(part) if isinstance(entry, dict) else None
        if not isinstance(entry, DatasetEntry) or entry.kind != "number":
            raise self.damaged(f"it has no numbers {path!r}")
        if len(entry.shape) != n_axes:
            raise self.damaged(f"{path!r} has the shape {entry.shape}")
        return self.file.load(entry)

    def integers(self, path: str, n_axes: int, dtype: Any = np.int64) -> Array:
        values = self.array(path, n_axes)
        if values.dtype.kind not in "iu":
            raise self.damaged(f"{path!r} does not hold integers")
        return values.astype(dtype, copy=False)

    def damaged(self, reason: str) -> ResultFileError:
        return ResultFileError(
            "not a complete nmhw result",
            got=reason,
            where=self.name,
            hint="run it again",
            rule="result.incomplete",
        )
