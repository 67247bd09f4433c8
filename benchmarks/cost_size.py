"""Cost of a step against size and activity: 1e5 to 1e8 synapses, 0.1 to 20 % of sources spiking.

    python benchmarks/cost_size.py [--largest 7] [--plot cost.png] [--json]
    python benchmarks/cost_size.py --explain        # what a synapse event waits for

One sparse projection with 256 synapses per source, evenly spaced from a random start, onto as many
neurons as sources. Nothing reaches a threshold, so a step is the delivery of its events and one
update of every neuron. CPU time of one thread, best of some runs of the engine.

--explain takes the parts away one by one: a step without events is the update alone; events of a
few sources, again and again, find their rows in the cache; synapses onto a few targets find their
sums there. All of them are net of the update.
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
#: Rows of so many bytes stay in a core's own cache; so do the sums of so many targets.
CACHED_BYTES, CACHED_TARGETS = 2**18, 4096
PARTS = """
    synapses   update       share of a step                    ns per event, net of the update
                   us   0.1 %     1 %    10 %  at 10 %   few targets   340 a step   few rows   both
""".strip("\n")


def build(n: int, n_reached: int | None = None) -> DeployedWorkload:
    """Return n sources with W3_FAN synapses each onto n neurons, without input yet.

    ``n_reached``: onto the first so many alone.
    """
    from scipy.sparse import csr_array

    rng = np.random.default_rng(7)
    reached = n if n_reached is None else min(n, n_reached)
    fan = min(W3_FAN, n // 2)
    # strides that are coprime give distinct targets without sorting a permutation per source
    start = rng.integers(0, reached, n)[:, None]
    stride = (2 * rng.integers(0, max(1, reached // 2 // fan), n) + 1)[:, None]
    targets = (start + stride * np.arange(fan)) % reached
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


def measure(
    deployed: DeployedWorkload, activity: float, n_sources: int | None = None
) -> dict[str, Any]:
    """Return nanoseconds per synapse event and per step; of the first ``n_sources`` alone."""
    n = deployed.quantized.inputs[0].size
    per_step = max(1, round(activity * n))
    n_steps = int(np.clip(EVENTS // per_step, 3, 2000))
    rng = np.random.default_rng(8)
    score = rng.random((n_steps, n if n_sources is None else n_sources))
    index = np.sort(score.argpartition(per_step - 1)[:, :per_step], axis=1)
    step = np.repeat(np.arange(n_steps), per_step).astype(np.int32)
    events = SpikeEvents(
        np.zeros(step.size, np.int32), step, index.ravel().astype(np.int32), 1, n_steps, (n,)
    )
    workload = replace(deployed.workload, inputs={"in": events}, n_steps=n_steps)
    best = _time(replace(deployed, workload=workload))
    fan = deployed.quantized.projections[0].weights.size // n
    synops = step.size * fan
    return {
        "synapses": n * fan, "activity": per_step / n, "ns_per_synop": best / synops * 1e9,
        "us_per_step": best / n_steps * 1e6,
        "bytes_per_synapse": deployed.program.n_bytes / (n * fan),
    }  # fmt: skip


def _time(ready: DeployedWorkload) -> float:
    """Return the seconds of the best of some runs."""
    ready.simulate()
    seconds = []
    for _ in range(RUNS):
        started = time.thread_time()
        ready.simulate()
        seconds.append(time.thread_time() - started)
    return min(seconds)


def explain(n: int) -> dict[str, Any]:
    """Return a step's update, and what an event costs net of it with and without cache misses."""
    deployed = build(n)
    none = np.zeros(0, np.int32)
    silent = SpikeEvents(none, none, none, 1, 100, (n,))
    workload = replace(deployed.workload, inputs={"in": silent}, n_steps=100)
    update_us = _time(replace(deployed, workload=workload)) * 1e4

    def net(row: dict[str, Any]) -> float:
        per_step = row["us_per_step"] / row["ns_per_synop"] * 1e3
        return float((row["us_per_step"] - update_us) / per_step * 1e3)

    rows = {a: measure(deployed, a) for a in (0.001, 0.01, 0.1)}
    few = min(n, CACHED_BYTES // (4 * W3_FAN))
    sparse = min(few, n // 10) / n
    narrow = build(n, CACHED_TARGETS)
    return {
        "synapses": n * W3_FAN,
        "update_us": update_us,
        "update_share": {a: update_us / row["us_per_step"] for a, row in rows.items()},
        "ns": net(rows[0.1]),
        "ns_few_targets": net(measure(narrow, 0.1)),
        "ns_any_rows": net(measure(deployed, sparse)),
        "ns_few_rows": net(measure(deployed, sparse, few)),
        "ns_few_both": net(measure(narrow, sparse, few)),
    }


def render_parts(row: dict[str, Any]) -> str:
    """Return one line of the table of --explain."""
    shares = "".join(f"{100 * share:>6.0f} %" for share in row["update_share"].values())
    kinds = ("ns", "ns_few_targets", "ns_any_rows", "ns_few_rows", "ns_few_both")
    times = "".join(f"{row[k]:>{w}.2f}" for k, w in zip(kinds, (9, 14, 13, 11, 7), strict=True))
    return f"{row['synapses']:>12,}{row['update_us']:>9.1f}{shares}{times}"


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
    parser.add_argument("--explain", action="store_true", help="what the time goes into")
    options = parser.parse_args(arguments)
    talk = sys.stderr if options.json else sys.stdout
    rows: list[dict[str, Any]] = []
    if options.explain:
        print(PARTS, file=talk)
        for power in np.arange(6.5, options.largest + 0.01, 0.5):
            rows.append(explain(round(10**power / W3_FAN)))
            print(render_parts(rows[-1]), file=talk, flush=True)
        if options.json:
            print(json.dumps(rows, indent=1))
        return 0
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
