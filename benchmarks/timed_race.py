"""Timed speed: nmhw with its latency models on against SANA-FE, on the same mapped network.

    python benchmarks/timed_race.py [--quick] [--json] [--only spread,mirror] [--runs 5]

See README.md in this folder for what is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mapped_graph import write_mapped
from peer_race import PEERS, environments
from speed import environment
from timed_counts import COMPARED, count_work, resting
from timed_table import CHIP_TIME_HEAD, SPEED_HEAD, render_chip_times, render_head, render_speed
from timed_workloads import WORKLOADS, TimedWorkload, load_timed
from workloads import cache_folder

import nmhw
from nmhw.api.deployment import Deployment
from nmhw.api.run import Run
from nmhw.mappers.quantize import make_explicit
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.profile import Profile

Row = dict[str, Any]

CHIP = "loihi1-nahuku"
#: nmhw's latency model and the one of SANA-FE that it is compared with.
MODELS = {"simple": "analytic", "detailed": "noc", "cycle": "noc"}
#: Repetitions of nmhw before and after SANA-FE; they take milliseconds.
OWN_RUNS = 5
TIMEOUT_S = 1800


def deploy_timed(workload: TimedWorkload) -> Deployment:
    """Quantize with the workload's integers and map; given cores are taken as they are."""
    chip = nmhw.chip(CHIP)
    profile = Profile(
        "explicit", dt_s=1.0, input_gain="unit", current_gain="unit", compare=">", hop_steps=1
    )
    quantized = make_explicit(workload.network, chip, profile=profile, explicit=workload.explicit)
    if workload.cores is None:
        mapping = nmhw.map_network(quantized, chip)
    else:
        mapping = given_mapping(workload)
    return Deployment(workload.network, chip, quantized, mapping)


def given_mapping(workload: TimedWorkload) -> Mapping:
    """Return the workload's own placement, which no budget was asked about."""
    assert workload.cores is not None
    slices = tuple(
        Slice(name, np.flatnonzero(cores == core), int(core))
        for name, cores in workload.cores.items()
        for core in np.unique(cores)
    )
    chosen = {slice_.core for slice_ in slices}
    encodings = {(q.name, core): "sparse" for q in workload.network.projections for core in chosen}
    return Mapping(CHIP, slices, encodings, (), mapper="given")


def simulate(
    deployment: Deployment, workload: TimedWorkload, n_steps: int, latency: str, **options: Any
) -> Run:
    """Run the whole product: chip integers, counters, latency and energy."""
    if latency != "analytic":
        options["latency"] = latency
    inputs = workload.inputs(n_steps)
    return deployment.run(inputs, compare_float=False, threads=1, **options)


def time_nmhw(call: Callable[[], Run], n_runs: int) -> tuple[list[float], list[float]]:
    """Return CPU and wall seconds of each repetition behind a first one that warms up."""
    cpu, wall = [], []
    call()
    for _ in range(n_runs):
        started, at = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - started)
        wall.append(time.perf_counter() - at)
    return cpu, wall


def race_sanafe(python: str | Path, graph: Path, n_steps: int, timing: str, n_runs: int) -> Row:
    """Run SANA-FE with one timing model; return its row or a reason."""
    if isinstance(python, str):
        return {"reason": python}
    command = [str(python), str(PEERS / "mapped_sanafe.py"), str(graph)]
    command += ["--steps", str(n_steps), "--timings", timing, "--runs", str(n_runs)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"reason": f"no answer within {TIMEOUT_S} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        return {"reason": last[:120]}
    found: Row = json.loads(lines[-1].removeprefix("RESULT "))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Racer:
    """A workload on the chip, and its file for SANA-FE."""

    workload: TimedWorkload
    deployment: Deployment
    graph: Path
    python: str | Path

    def row(self, table: str, timing: str, n_steps: int, n_runs: int) -> Row:
        """Race one timing model; nmhw is timed before and after SANA-FE."""
        deployment, quantized = self.deployment, self.deployment.quantized
        call = partial(simulate, deployment, self.workload, n_steps, MODELS[timing])
        run = call()
        probes = {population.name: ["v"] for population in resting(quantized)}
        ours = count_work(quantized, call(probes=probes))
        before = time_nmhw(call, OWN_RUNS)
        total = n_steps + quantized.drain_steps
        theirs = race_sanafe(self.python, self.graph, total, timing, n_runs)
        after = time_nmhw(call, OWN_RUNS)
        row: Row = {
            "workload": self.workload.name,
            "table": table,
            "timing": timing,
            "latency": MODELS[timing],
            "n_steps": total,
            "n_cores": len(deployment.mapping.cores),
            **{key: ours[key] for key in COMPARED if key != "spikes_per_step"},
            "is_counted": ours["is_counted"],
            "cpu_s": float(np.median(before[0] + after[0])),
            "wall_s": float(np.median(before[1] + after[1])),
            "chip_step_s": run.latency.step_s,
            "energy_j": sum(e.energy_j or 0 for e in run.energy.lines if e.kind != "reset"),
            "differs": [],
            "reason": theirs.get("reason"),
        }
        if row["reason"] is None:
            row |= compare(row, ours, theirs)
        return row

    def speed(self, n_runs: int, *, is_quick: bool) -> Iterator[Row]:
        """Yield the rows of the speed table."""
        for timing in ("simple", "detailed"):
            n_steps = max(10, self.workload.n_steps // (5 if is_quick else 1))
            yield self.row("speed", timing, n_steps, n_runs)

    def chip_times(self, n_runs: int, *, is_quick: bool) -> Iterator[Row]:
        """Yield the rows of the table of chip times, of few steps: Booksim takes seconds each."""
        for timing in MODELS:
            n_steps = self.workload.cycle_steps // (2 if is_quick else 1)
            if timing == "simple" and self.workload.is_pattern:
                n_steps = self.workload.n_steps
            yield self.row("chip times", timing, n_steps, n_runs)


def prepare(name: str, python: str | Path) -> Racer:
    """Deploy a workload and write it for SANA-FE."""
    workload = load_timed(name)
    deployment = deploy_timed(workload)
    file = cache_folder() / f"mapped-{name}.npz"
    write_mapped(deployment.quantized, deployment.mapping, deployment.chip, file)
    return Racer(workload, deployment, file, python)


def compare(row: Row, ours: Row, theirs: Row) -> Row:
    """Return SANA-FE's part of a row."""
    best = min(theirs["cpu_s"])
    chip_s = [seconds / row["n_steps"] for seconds in theirs["chip_s"]]
    return {
        "differs": [key for key in COMPARED if ours[key] != theirs[key]],
        "sanafe": {key: theirs[key] for key in COMPARED if key != "spikes_per_step"},
        "sanafe_cpu_s": best,
        "sanafe_wall_s": min(theirs["wall_s"]),
        "sanafe_build_cpu_s": theirs["build_cpu_s"],
        "sanafe_peak_gb": theirs["peak_gb"],
        "sanafe_step_s": chip_s,
        "sanafe_energy_j": theirs["energy_j"],
        "ratio": best / row["cpu_s"],
        "chip_ratio": row["chip_step_s"] / float(np.median(chip_s)),
    }


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer steps, one run")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--only", default=",".join(WORKLOADS), help="default: all (%(default)s)")
    parser.add_argument("--runs", type=int, help="runs of each side (default 3; 1 with --quick)")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    unknown = [name for name in options.only if name not in WORKLOADS]
    if unknown:
        parser.error(f"no workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    options.runs = options.runs or (1 if options.quick else 3)
    if options.runs < 1:
        parser.error(f"--runs {options.runs}: at least one")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the race; 1 when the two sides did different work."""
    options = parse(arguments)
    talk = sys.stderr if options.json else sys.stdout
    facts = environment(None)
    python = environments(talk, ("sanafe",))["sanafe"]
    print(render_head(facts), file=talk, flush=True)
    rows: list[Row] = []
    racers = [prepare(name, python) for name in options.only]
    networks = [racer for racer in racers if not racer.workload.is_pattern]
    if networks:
        print(SPEED_HEAD, file=talk)
    for racer in networks:
        for row in racer.speed(options.runs, is_quick=options.quick):
            rows.append(row)
            print(render_speed(row), file=talk, flush=True)
    print(CHIP_TIME_HEAD, file=talk)
    for racer in racers:
        found = list(racer.chip_times(options.runs, is_quick=options.quick))
        rows += found
        print(render_chip_times(found), file=talk, flush=True)
    if options.json:
        print(json.dumps({"environment": facts, "rows": rows}, indent=1))
    return int(any(row.get("differs") or not row["is_counted"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
