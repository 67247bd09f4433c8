"""Memory and CPU time of deploying and running one large sparse network, phase by phase.

    python benchmarks/deploy_memory.py [--synapses 8] [--json]

The network of ``cost_size.py``: 256 float weights per source, evenly spaced from a random start,
onto as many neurons as sources; chip generic with as many chips as it takes. Memory is the resident
set of the process, sampled every 10 ms; the scipy matrix that the user brings (12 bytes per
synapse) is in it throughout.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nmhw
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network

FAN = 256
#: Share of the sources that spike in each of the steps that are run.
ACTIVITY, STEPS = 0.01, 5
#: Neurons per core; with 65,536 input axons per core large networks take four times the cores.
ROOM = 1024 // 4
_EVERY_S = 0.01


def resident_mb() -> float:
    """Return the resident set of this process (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def measure(name: str, work: Callable[[], Any], rows: list[dict[str, Any]]) -> Any:
    """Return what ``work`` returns; append its CPU time and memory to ``rows``."""
    peak, done = resident_mb(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(_EVERY_S):
            peak = max(peak, resident_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.process_time()
    try:
        result = work()
    finally:
        done.set()
        watcher.join()
    after = resident_mb()
    row = {
        "phase": name, "cpu_s": time.process_time() - started, "peak_mb": max(peak, after),
        "after_mb": after,
    }  # fmt: skip
    rows.append(row)
    return result


def build(n: int) -> Network:
    """Return n sources with FAN synapses each onto n neurons that never fire."""
    from scipy.sparse import csr_array

    rng = np.random.default_rng(7)
    fan = min(FAN, n // 2)
    # odd strides give distinct targets; some sources at a time keep the temporaries small
    start = rng.integers(0, n, n)[:, None]
    stride = (2 * rng.integers(0, max(1, n // 2 // fan), n) + 1)[:, None]
    targets = np.empty((n, fan), np.int32)
    for first in range(0, n, 4096):
        rows = slice(first, first + 4096)
        targets[rows] = np.sort((start[rows] + stride[rows] * np.arange(fan)) % n, axis=1)
    weights = rng.integers(1, 20, targets.size, dtype=np.int8).astype(np.float64)
    pointers = np.arange(n + 1, dtype=np.int32 if targets.size < 2**31 else np.int64) * fan
    matrix = csr_array((weights, targets.ravel(), pointers), shape=(n, n))
    return (
        Network.build(f"{n * fan} synapses")
        .input("in", n)
        .population("if", n, "if", v_threshold=2.0**30)
        .project("in", "if", matrix, name="random")
        .output("out", "if")
        .done()
    )


def spikes(n: int) -> SpikeEvents:
    """Return one sample of random input."""
    rng = np.random.default_rng(8)
    per_step = max(1, round(ACTIVITY * n))
    index = [np.sort(rng.choice(n, per_step, replace=False)) for _ in range(STEPS)]
    step = np.repeat(np.arange(STEPS, dtype=np.int32), per_step)
    sample = np.zeros(step.size, np.int32)
    return SpikeEvents(sample, step, np.concatenate(index).astype(np.int32), 1, STEPS, (n,))


def run(n: int) -> list[dict[str, Any]]:
    """Build, quantize, map and run; return a row per phase."""
    from nmhw.api.deployment import Deployment
    from nmhw.api.reading import give_meaning

    rows: list[dict[str, Any]] = []
    chip = nmhw.chip("generic")
    side = int(np.ceil(np.sqrt(n / ROOM / chip.n_cores)))
    chip = chip.with_(board=(side, side))
    network = measure("build", lambda: build(n), rows)
    network = give_meaning(network, "sinabs", dt_s=1e-3)
    quantized = measure("quantize", lambda: nmhw.quantize(network, chip), rows)
    mapping = measure("map", lambda: nmhw.map_network(quantized, chip), rows)
    deployed = Deployment(network, chip, quantized, mapping)
    inputs = {"in": spikes(n)}
    for name in ("first run", "second run"):
        measure(name, lambda: deployed.run(inputs, compare_float=False), rows)
    return [row | {"synapses": n * min(FAN, n // 2), "cores": len(mapping.cores)} for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synapses", type=float, default=8, help="power of ten (default 8)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    rows = run(max(16, round(10**options.synapses / FAN)))
    if options.json:
        print(json.dumps(rows, indent=1))
        return 0
    print(f"{rows[0]['synapses']:,} synapses, {rows[0]['cores']:,} cores")
    print(f"{'':<12}{'CPU s':>8}{'peak MB':>10}{'after MB':>10}{'peak B/synapse':>16}")
    for row in rows:
        per = row["peak_mb"] * 1e6 / row["synapses"]
        print(
            f"{row['phase']:<12}{row['cpu_s']:>8.1f}{row['peak_mb']:>10,.0f}"
            f"{row['after_mb']:>10,.0f}{per:>16.1f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
