"""RunResult to HDF5 and back: same result, same bytes; spikes as flat integer arrays.

Layout (``result.h5``): attribute ``nmhw`` = JSON with format version, backend and sizes; groups
``spikes/<k>``, ``probes/<k>``, ``totals/<k>`` and ``counters`` with their names as attributes
(NIR names may hold characters that HDF5 paths may not).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from nmhw.errors import ResultFileError
from nmhw.io.atomic import replacing
from nmhw.values.events import SpikeEvents
from nmhw.values.result import Counters, ProbeData, RunResult

FORMAT = 1
_COUNTER_MAPS = (
    "synops_by_projection",
    "spikes_by_population",
    "events_by_input",
    "saturations",
)


def save_result(result: RunResult, path: str | Path, keep_spikes: int = 10**8) -> None:
    """Write a result; populations' events are left out when all together exceed ``keep_spikes``."""
    n_events = sum(len(events) for events in result.spikes.values())
    kept = result.spikes if n_events <= keep_spikes else {}
    with replacing(path) as temporary, h5py.File(temporary, "w", libver="latest") as file:
        meta = {
            "format": FORMAT,
            "backend": result.backend,
            "n_samples": result.n_samples,
            "n_steps": result.n_steps,
            "drain_steps": result.drain_steps,
            "depths": dict(result.depths),
            "spikes_kept": n_events <= keep_spikes,
        }
        file.attrs["nmhw"] = json.dumps(meta, sort_keys=True)
        for name, events in kept.items():
            _save_events(_new_group(file, "spikes", name), events)
        for (population, variable), probe in result.probes.items():
            group = _new_group(file, "probes", population)
            group.attrs["variable"] = variable
            _save_array(group, "steps", probe.steps)
            _save_array(group, "values", probe.values)
        for name, totals in result.spike_totals.items():
            _save_array(_new_group(file, "totals", name), "spikes", totals)
        if result.counters is not None:
            _save_counters(file.create_group("counters"), result.counters)


def load_saved_result(path: str | Path) -> RunResult:
    """Read a result written by ``save_result``.

    Raises
    ------
    ResultFileError
        When the file is missing, not HDF5, of another format version, or incomplete.
    """
    try:
        with h5py.File(path, "r") as file:
            meta = json.loads(file.attrs["nmhw"])
            if meta["format"] != FORMAT:
                hint = "run it again with this version"
                raise ResultFileError(
                    "unknown result format", got=meta["format"], limit=FORMAT, hint=hint
                )
            return _load(file, meta)
    except FileNotFoundError as error:
        raise ResultFileError("no such result", got=str(path)) from error
    except (OSError, KeyError, ValueError) as error:
        if isinstance(error, ResultFileError):
            raise
        raise ResultFileError(
            "not a complete nmhw result", got=str(error) or type(error).__name__, where=str(path)
        ) from error


def _load(file: h5py.File, meta: Mapping[str, Any]) -> RunResult:
    spikes = {n: _load_events(g) for n, g in _groups(file, "spikes")}
    probes = {
        (name, str(g.attrs["variable"])): ProbeData(
            name, str(g.attrs["variable"]), g["steps"][()], g["values"][()]
        )
        for name, g in _groups(file, "probes")
    }
    return RunResult(
        backend=meta["backend"],
        n_samples=meta["n_samples"],
        n_steps=meta["n_steps"],
        drain_steps=meta["drain_steps"],
        depths=meta["depths"],
        spikes=spikes,
        probes=probes,
        counters=_load_counters(file["counters"]) if "counters" in file else None,
        spike_totals={n: g["spikes"][()] for n, g in _groups(file, "totals")},
    )


def _save_counters(group: h5py.Group, counters: Counters) -> None:
    meta = {name: dict(getattr(counters, name)) for name in _COUNTER_MAPS}
    for name in ("n_samples", "n_steps", "connections", "n_tiles", "n_chips"):
        meta[name] = int(getattr(counters, name))
    group.attrs["meta"] = json.dumps(meta, sort_keys=True)
    _save_array(group, "cores", counters.cores)
    for kind, values in sorted(counters.totals.items()):
        _save_array(group, f"totals/{kind}", values)
    for kind, values in sorted((counters.steps or {}).items()):
        _save_array(group, f"steps/{kind}", values)


def _load_counters(group: h5py.Group) -> Counters:
    meta = json.loads(group.attrs["meta"])
    steps = {k: d[()] for k, d in group["steps"].items()} if "steps" in group else None
    totals = {k: d[()] for k, d in group["totals"].items()}
    return Counters(cores=group["cores"][()], totals=totals, steps=steps, **meta)


def _save_events(group: h5py.Group, events: SpikeEvents) -> None:
    group.attrs["shape"] = list(events.shape)
    group.attrs["n_samples"] = events.n_samples
    group.attrs["n_steps"] = events.n_steps
    for field in ("sample", "step", "index"):
        _save_array(group, field, getattr(events, field))
    if events.value is not None:
        _save_array(group, "value", events.value)


def _load_events(group: h5py.Group) -> SpikeEvents:
    return SpikeEvents(
        group["sample"][()],
        group["step"][()],
        group["index"][()],
        int(group.attrs["n_samples"]),
        int(group.attrs["n_steps"]),
        tuple(int(n) for n in group.attrs["shape"]),
        group["value"][()] if "value" in group else None,
    )


def _new_group(file: h5py.File, section: str, name: str) -> h5py.Group:
    parent = file.require_group(section)
    group = parent.create_group(f"{len(parent):04d}")
    group.attrs["name"] = name
    return group


def _groups(file: h5py.File, section: str) -> list[tuple[str, h5py.Group]]:
    if section not in file:
        return []
    return [(str(group.attrs["name"]), group) for group in file[section].values()]


def _save_array(group: h5py.Group, name: str, values: np.ndarray[Any, Any]) -> None:
    large = values.size > 1024
    options: dict[str, Any] = {"compression": "gzip", "compression_opts": 1} if large else {}
    group.create_dataset(name, data=values, track_times=False, **options)
