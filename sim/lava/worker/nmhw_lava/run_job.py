"""The kind of job that runs networks: one after the other, in one start of the interpreter."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from nmhw_lava.build import Parts
from nmhw_lava.shim import import_lava


def work(
    question: dict[str, Any], arrays: dict[str, np.ndarray], folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Run the networks of ``question["networks"]``; array keys start with ``<number>/``.

    Returns
    -------
    answer : {"networks": [{"n_events", "n_spikes", "n_updates", "n_synops": name -> count,
        "wall_s": {"start", "run", "stop"}}], "import_s"}
    arrays : ``<number>/<population>/...`` as ``record`` saves them
    """
    started = time.perf_counter()
    import_lava()
    imported = time.perf_counter()
    answers: list[dict[str, Any]] = []
    found: dict[str, np.ndarray] = {}
    total = sum(network["n_rows"] for network in question["networks"])
    done = 0
    for k, network in enumerate(question["networks"]):
        start = f"{k}/"
        own = {key[len(start) :]: a for key, a in arrays.items() if key.startswith(start)}
        parts = Parts(network, own, folder, first=done, total=total)
        answers.append(run(parts, network["n_rows"]))
        done += network["n_rows"]
        for j in range(len(network["populations"])):
            path = folder / f"population-{j}.npz"
            with np.load(path) as file:
                found |= {f"{k}/{j}/{key}": file[key] for key in file.files}
            path.unlink()
    return {"networks": answers, "import_s": imported - started}, found


def run(parts: Parts, n_rows: int) -> dict[str, Any]:
    """Run one network to its end and read its counts."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    started = time.perf_counter()
    head = next(iter(parts.populations.values()))
    configuration = Loihi2SimCfg(select_tag="fixed_pt")
    head.run(condition=RunSteps(num_steps=1), run_cfg=configuration)
    running = time.perf_counter()
    if n_rows > 1:
        head.run(condition=RunSteps(num_steps=n_rows - 1), run_cfg=configuration)
    ended = time.perf_counter()
    counts = {
        "n_events": _read(parts.inputs, "n_events"),
        "n_spikes": _read(parts.populations, "n_spikes"),
        "n_updates": _read(parts.populations, "n_updates"),
        "n_synops": _read(parts.projections, "n_synops"),
    }
    head.stop()
    wall = {"start": running - started, "run": ended - running}
    return {**counts, "wall_s": {**wall, "stop": time.perf_counter() - ended}}


def _read(processes: dict[str, Any], name: str) -> dict[str, int]:
    return {key: int(getattr(p, name).get()[0]) for key, p in processes.items()}
