"""Cost of a step against size and activity: 1e5 to 1e8 synapses, 0.1 to 20 % of sources spiking.

    python benchmarks/cost_size.py [--largest 7] [--plot cost.png] [--json]

One sparse projection with 256 synapses per source, evenly spaced from a random start, onto as many
neurons as sources. Nothing reaches a threshold, so a step is the delivery of its events and one
update of every neuron. CPU time of one thread, best of some runs of the engine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from deployed import DeployedWorkload, deploy_workload
from workloads import W3_FAN, Workload

from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network

ACTIVITY = (0.001, 0.003, 0.01, 0.03, 0.1, 0.2)
#: Events that one run delivers at least, so that it takes long enough to be timed.
EVENTS = 40_000
RUNS = 5


def build(n: int) -> DeployedWorkload:
    """Return n sources with W3_FAN synapses each onto n neurons, without input yet."""
    from scipy.sparse import csr_array

    rng = np.random.default_rng(7)
    fan = min(W3_FAN, n // 2)
    # strides that are coprime give distinct targets without sorting a permutation per source
    start = rng.integers(0, n, n)[:, None]
    stride = (2 * rng.integers(0, max(1, n // 2 // fan), n) + 1)[:, None]
    targets = (start + stride * np.arange(fan)) % n
    targets.sort(axis=1)
    weights = rng.integers(1, 20, targets.size).astype(np.float64)
    pointers = np.arange(n + 1, dtype=np.int64) * fan
    matrix = csr_array((weights, targets.ravel(), pointers), shape=(n, n))
    network = (
        Network.build(f"{n * fan} synapses")
        .input("in", n)
        .population("if", n, "if", v_threshold=2.0**30)
        .project("in", "if", matrix, name="random")
        .output("out", "if")
        .done()
    )
    nothing: Any = {}
    return deploy_workload(
        Workload(
            name=f"{n}", family="cost", network=network, explicit={}, reset="subtract",
            inputs=nothing, n_samples=1, n_steps=1, is_sequence=True, arrays={},
        )
    )  # fmt: skip


def measure(deployed: DeployedWorkload, activity: float) -> dict[str, Any]:
    """Return nanoseconds per synapse event and per step."""
    n = deployed.quantized.inputs[0].size
    per_step = max(1, round(activity * n))
    n_steps = int(np.clip(EVENTS // per_step, 3, 2000))
    rng = np.random.default_rng(8)
    index = np.sort(rng.random((n_steps, n)).argpartition(per_step - 1)[:, :per_step], axis=1)
    step = np.repeat(np.arange(n_steps), per_step).astype(np.int32)
    events = SpikeEvents(
        np.zeros(step.size, np.int32), step, index.ravel().astype(np.int32), 1, n_steps, (n,)
    )
    workload = replace(deployed.workload, inputs={"in": events}, n_steps=n_steps)
    ready = replace(deployed, workload=workload)
    ready.simulate()
    seconds = []
    for _ in range(RUNS):
        started = time.thread_time()
        ready.simulate()
        seconds.append(time.thread_time() - started)
    fan = deployed.quantized.projections[0].weights.size // n
    synops = step.size * fan
    best = min(seconds)
    return {
        "synapses": n * fan, "activity": per_step / n, "ns_per_synop": best / synops * 1e9,
        "us_per_step": best / n_steps * 1e6,
        "bytes_per_synapse": deployed.program.n_bytes / (n * fan),
    }  # fmt: skip


def plot(rows: Sequence[dict[str, Any]], path: str) -> None:
    """Draw nanoseconds per synapse event over the number of synapses."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for activity in ACTIVITY:
        chosen = [r for r in rows if r["wanted"] == activity]
        x, y = [r["synapses"] for r in chosen], [r["ns_per_synop"] for r in chosen]
        axes.loglog(x, y, "o-", label=f"{activity * 100:g} %")
    axes.set_xlabel("synapses (256 per source)")
    axes.set_ylabel("ns per synapse event")
    axes.legend(title="sources that spike")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, plot."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--largest", type=float, default=8, help="power of ten (default 8)")
    parser.add_argument("--plot", help="PNG to write")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    talk = sys.stderr if options.json else sys.stdout
    rows: list[dict[str, Any]] = []
    print(f"{'synapses':>12}{'activity':>10}{'ns/synop':>10}{'us/step':>12}{'B/syn':>7}", file=talk)
    for power in np.arange(5, options.largest + 0.01, 0.5):
        deployed = build(max(16, round(10**power / W3_FAN)))
        for activity in ACTIVITY:
            row = {**measure(deployed, activity), "wanted": activity}
            rows.append(row)
            print(
                f"{row['synapses']:>12,}{row['activity']:>10.4f}{row['ns_per_synop']:>10.3f}"
                f"{row['us_per_step']:>12,.1f}{row['bytes_per_synapse']:>7.2f}",
                file=talk, flush=True,
            )  # fmt: skip
    if options.plot:
        plot(rows, options.plot)
    if options.json:
        print(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
