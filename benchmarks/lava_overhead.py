"""The same networks in Numba and in Lava: events per second, and what starting Lava costs.

    python benchmarks/lava_overhead.py           # about a minute
    python benchmarks/lava_overhead.py --quick   # fewer samples
    python benchmarks/lava_overhead.py --json

Needs the Lava environment (``nmhw lava install``). Both run the network as deployed in Loihi's
integers; spikes are compared. Numba: ``run_program``, best of three, compiled before. Lava: the
steps behind the first one; "start" is the interpreter's imports, compiling, forking and the first
step.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

import nmhw
from nmhw.api.demo import deploy_demo, load_demo_images
from nmhw.errors import NmhwError
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.lava.child import read_versions
from nmhw.sim.lava.run import LavaOutput, LavaTask, run_tasks
from nmhw.sim.program import build_program
from nmhw.values.events import SpikeEvents
from nmhw.values.profile import preset

CHIP = "loihi1-nahuku"


def dense_task(sizes: tuple[int, ...], rate: float, n_samples: int, n_steps: int) -> LavaTask:
    """Return a stack of dense LIF layers with random weights and input."""
    rng = np.random.default_rng(1)
    build = nmhw.Network.build("dense").input("in", sizes[0])
    names = ["in", *(f"lif{k}" for k in range(1, len(sizes)))]
    for name, n in zip(names[1:], sizes[1:], strict=True):
        build = build.population(name, n, "lif", tau_mem_s=0.01, v_threshold=1.0)
    for k, (source, target) in enumerate(pairwise(names)):
        weights = rng.normal(0.5, 2.0, (sizes[k + 1], sizes[k])) / np.sqrt(sizes[k])
        build = build.project(source, target, weights * 10)
    network = build.output("out", names[-1]).done()
    network = replace(network, profile=preset("lava").with_(dt_s=1e-3))
    x = (rng.random((n_samples, n_steps, sizes[0])) < rate).astype(np.int8)
    return LavaTask(nmhw.deploy(network, CHIP).quantized, {"in": SpikeEvents.from_dense(x)})


def digits_task(n_samples: int) -> LavaTask:
    """Return the digits network on test images."""
    return LavaTask(deploy_demo(CHIP).quantized, dict(load_demo_images(n_samples).events))


def time_numba(task: LavaTask) -> tuple[float, EngineOutput]:
    """Return the seconds of the fastest of three runs, and what it did."""
    program, fastest = build_program(task.quantized), np.inf
    output = run_program(program, dict(task.given), n_steps=task.n_steps)
    for _ in range(3):
        started = time.perf_counter()
        output = run_program(program, dict(task.given), n_steps=task.n_steps)
        fastest = min(fastest, time.perf_counter() - started)
    return float(fastest), output


def make_row(name: str, task: LavaTask, numba: tuple[float, EngineOutput], lava: LavaOutput) -> Any:
    """Return one row of the table; exit where spikes differ."""
    numba_s, output = numba
    for key, events in output.spikes.items():
        found = lava.output.spikes[key]
        if not (
            np.array_equal(found.step, events.step) and np.array_equal(found.index, events.index)
        ):
            sys.exit(f"{name}: spikes of {key} differ")
    rows = next(iter(task.given.values())).n_samples * task.n_steps
    lava_s = lava.wall_s["run"] * rows / max(rows - 1, 1)
    n_events = sum(len(events) for events in output.spikes.values())
    return {
        "network": name,
        "processes": len(task.quantized.inputs + task.quantized.populations)
        + len(task.quantized.projections),
        "steps": rows,
        "events": n_events,
        "synops": sum(lava.counted["n_synops"].values()),
        "numba_events_per_s": n_events / numba_s,
        "lava_events_per_s": n_events / lava_s,
        "ratio": lava_s / numba_s,
        "lava_ms_per_step": 1e3 * lava_s / rows,
        "lava_start_s": lava.wall_s["import"] + lava.wall_s["start"],
        "lava_stop_s": lava.wall_s["stop"],
    }


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer samples")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    few = options.quick
    named = {
        "digits 64-128-64-10": digits_task(20 if few else 200),
        "dense 784-256-10, 2 % input": dense_task((784, 256, 10), 0.02, 2 if few else 20, 100),
        "dense 784-256-10, 20 % input": dense_task((784, 256, 10), 0.2, 2 if few else 20, 100),
        "dense 784-1024-1024-10, 5 %": dense_task((784, 1024, 1024, 10), 0.05, 1, 100),
    }
    try:
        versions = read_versions()
        rows = [
            make_row(name, task, time_numba(task), run_tasks([task])[0])
            for name, task in named.items()
        ]
    except NmhwError as error:
        print(f"lava_overhead: {error}", file=sys.stderr)
        return error.exit_code
    if options.json:
        print(json.dumps({"versions": versions, "rows": rows}, indent=1))
        return 0
    load = os.getloadavg()[0]
    print(f"nmhw {nmhw.__version__}, chip {CHIP}, {os.cpu_count()} cores, load {load:.1f}")
    print("Lava: " + ", ".join(f"{key} {value}" for key, value in versions.items()))
    print(f"{'network':30}{'steps':>7}{'events':>11}{'numba':>12}{'Lava':>12}{'times':>8}"
          f"{'ms/step':>9}{'start':>8}{'stop':>7}")  # fmt: skip
    print(f"{'':30}{'':7}{'':11}{'events/s':>12}{'events/s':>12}{'':8}{'Lava':>9}{'s':>8}{'s':>7}")
    for r in rows:
        print(f"{r['network']:30}{r['steps']:>7,}{r['events']:>11,}"
              f"{r['numba_events_per_s']:>12,.0f}{r['lava_events_per_s']:>12,.0f}"
              f"{r['ratio']:>8,.0f}{r['lava_ms_per_step']:>9.2f}"
              f"{r['lava_start_s']:>8.2f}{r['lava_stop_s']:>7.2f}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
