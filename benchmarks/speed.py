"""How fast the simulator is: the shipped engine against plain C, in the same process.

    python benchmarks/speed.py [--quick] [--json] [--workloads W1@5@64,W2@1] [--runs 9]

See README.md in this folder for what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import overheads
import peer_race
from c_limit import Kernels, load_kernels, prepare
from deployed import DeployedWorkload, count_synops, deploy_workload
from workloads import NAMES, load

#: Threads of the simulator: it runs on one, so that is what can be measured.
THREADS = (1,)
RUNS, QUICK_RUNS = 9, 3
MIN_RUNS = 3
WIDTH = 100

Row = dict[str, Any]


def race(
    runners: dict[str, Callable[[], Any]],
    n_runs: int,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, float]:
    """Return the median seconds of every runner, one after another in each of ``n_runs`` rounds.

    CPU time of this thread: another process that takes the core does not count, what it does to
    the caches and the clock rate does. Taking turns lets slow phases of the machine hit all.
    """
    for run in runners.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for _ in range(n_runs):
        for name, run in runners.items():
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def measure_workload(workload: DeployedWorkload, kernels: Kernels | None, n_runs: int) -> Row:
    """Race one workload and compare the spikes of every layer."""
    output = workload.simulate()
    spikes = {name: int(total.sum()) for name, total in output.spike_totals.items()}
    synops = count_synops(workload, output)
    runners: dict[str, Callable[[], Any]] = {"nmhw": workload.simulate}
    limit = None
    if kernels is not None:
        limit = prepare(workload.workload, kernels)
        runners = {"c": lambda: limit.run(1), **runners}
    seconds = race(runners, n_runs)
    row: Row = {
        "workload": workload.workload.name,
        "threads": 1,
        "events_per_s": synops / seconds["nmhw"],
        "c_events_per_s": None,
        "ratio_c": None,
        "spikes_equal": None,
        "n_samples": workload.workload.n_samples,
        "n_steps": workload.workload.n_steps,
        "events": synops,
        "spikes": spikes,
    }
    if limit is not None:
        row["c_events_per_s"] = synops / seconds["c"]
        row["ratio_c"] = seconds["c"] / seconds["nmhw"]
        row["spikes_equal"] = limit.totals() == spikes and limit.synops() == synops
    return row


def environment(kernels: Kernels | None) -> Row:
    """Return what the figures depend on."""
    load_average = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_average": load_average,
        "python": platform.python_version(),
        **{name: version(name) for name in ("nmhw", "numpy", "numba", "llvmlite")},
        "c": None if kernels is None else kernels.description,
    }


def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return (named or [platform.processor() or platform.machine()])[0]


def render_head(facts: Row) -> str:
    """Return the lines above the table."""
    versions = ", ".join(f"{k} {facts[k]}" for k in ("nmhw", "python", "numpy", "numba"))
    loaded = "" if facts["load_average"] is None else f", load {facts['load_average']:.1f}"
    return "\n".join(
        (
            f"{facts['cpu']}, {facts['cores']} cores{loaded}",
            versions,
            f"C: {facts['c'] or 'no C compiler found, so there is no C column'}",
            "One machine, and a noisy one: trust the ratios, and differences above a tenth.",
            "",
            f"{'workload':<14}{'nmhw':>12}{'C limit':>12}{'of C':>7}  {'spikes':<8}{'run':>20}",
            f"{'':<14}{'M synops/s':>12}{'M synops/s':>12}{'':>7}  {'':<8}{'samples x steps':>20}",
        )
    )


def render_race(row: Row) -> str:
    """Return one line of the table."""
    c, ratio, equal = row["c_events_per_s"], row["ratio_c"], row["spikes_equal"]
    size = f"{row['n_samples']} x {row['n_steps']}"
    return (
        f"{row['workload']:<14}{row['events_per_s'] / 1e6:>12,.0f}"
        f"{'-' if c is None else f'{c / 1e6:,.0f}':>12}"
        f"{'-' if ratio is None else f'{ratio:.2f}':>7}  "
        f"{'-' if equal is None else 'equal' if equal else 'DIFFER':<8}"
        f"{size:>20}"
    )


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer runs: under two minutes")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--workloads", help=f"default: all ({','.join(NAMES)})")
    parser.add_argument(
        "--threads", default="1", help="the simulator runs on one thread: 1 (the default)"
    )
    parser.add_argument("--runs", type=int, help=f"runs per median (default {RUNS})")
    parser.add_argument("--portable-c", action="store_true", help="C without AVX-512 intrinsics")
    parser.add_argument("--peers", action="store_true", help="race other simulators, nothing else")
    parser.add_argument("--only-peers", metavar="A,B", help="race these (sanafe,lava)")
    parser.add_argument("--no-overheads", action="store_true", help="only the workloads")
    options = parser.parse_args(arguments)
    given = options.workloads.split(",") if options.workloads else []
    only = options.only_peers.split(",") if options.only_peers else []
    options.peers = options.peers or bool(only)
    if options.peers:
        try:
            options.races = peer_race.choose(given, only)
        except ValueError as error:
            parser.error(str(error))
    options.workloads = given or list(NAMES)
    unknown = [name for name in options.workloads if name not in NAMES]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(NAMES)}")
    if options.threads != "1":
        parser.error(f"--threads {options.threads}: the simulator runs on one thread")
    options.runs = options.runs or (QUICK_RUNS if options.quick else RUNS)
    if options.runs < (1 if options.peers else MIN_RUNS):
        parser.error(f"--runs {options.runs}: a median needs at least {MIN_RUNS}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; 1 when spikes differ."""
    options = parse(arguments)
    talk = sys.stderr if options.json else sys.stdout
    kernels = load_kernels(portable=options.portable_c)
    facts = environment(kernels)
    print(render_head(facts), file=talk, flush=True)
    rows: list[Row] = []
    if options.peers:
        print("\n" + peer_race.HEAD + "\n\n" + peer_race.COLUMNS, file=talk)
        options.workloads, options.no_overheads = [], True
        for row in peer_race.race_peers(race, options.runs, talk, options.races):
            rows.append(row)
            print(peer_race.render(row), file=talk, flush=True)
    for name in options.workloads:
        row = measure_workload(deploy_workload(load(name)), kernels, options.runs)
        rows.append(row)
        print(render_race(row), file=talk, flush=True)
    if not options.no_overheads:
        print("\n" + overheads.HEAD, file=talk)
        for row in overheads.measure(race, options.runs, is_quick=options.quick):
            rows.append(row)
            print(overheads.render(row), file=talk, flush=True)
    if options.json:
        print(json.dumps({"environment": facts, "rows": rows}, indent=1))
    return int(any(row.get("spikes_equal") is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
