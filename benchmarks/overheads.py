"""What a user pays on top of the bare engine: counters, the report, and one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from deployed import DeployedWorkload, deploy_workload
from workloads import load

from nmhw.sim.chip_run import run_chip
from nmhw.sim.fanout import build_fan_out
from nmhw.sim.threads import run_samples
from nmhw.values.events import SpikeEvents

Race = Callable[..., dict[str, float]]
Row = dict[str, Any]

#: Workloads with their number of samples: about a tenth of a second of simulation each.
RACED = (("W1@5@64", 64), ("W2@64", 64), ("W3@4096@5", 40))
QUICK_RACED = RACED[:1]
#: Times as many samples for the second figure of two threads, whose first is of milliseconds.
LONGER = 10
CALLED = ("W1@5@1", "W2@1", "W3@4096@5")
QUICK_CALLED = CALLED[:1]

HEAD = """Overheads, as multiples of the bare engine (spikes as events, active updates counted),
or in milliseconds of one call with one silent sample of one step:"""


def measure(race: Race, n_runs: int, *, is_quick: bool) -> Iterator[Row]:
    """Yield the rows of overheads, of two threads, and of one call."""
    for name, n_samples in QUICK_RACED if is_quick else RACED:
        deployed = deploy_workload(load(name, n_samples))
        yield counters_overhead(deployed, race, n_runs)
        yield report_overhead(deployed, race, n_runs)
        if not is_quick and not name.startswith("W3"):
            longer = deploy_workload(load(name, LONGER * n_samples))
            yield threads_gain(deployed, longer, race, n_runs)
    for name in QUICK_CALLED if is_quick else CALLED:
        yield single_call(deploy_workload(load(name, 1)), race, max(n_runs, 9))


def counters_overhead(deployed: DeployedWorkload, race: Race, n_runs: int) -> Row:
    """Counts per core, as totals and for every step, against an engine without them.

    The tables of who reaches which core are made before, as ``Deployment.run`` keeps them from
    its first call on; ``fan_out_ms`` is what that takes.
    """
    place = deployed.deployment()
    fan_out = build_fan_out(deployed.quantized, place.mapping)
    run_inputs = deployed.workload.inputs

    def count(per_step: bool) -> Any:
        return run_chip(
            deployed.quantized,
            place.mapping,
            deployed.chip,
            run_inputs,
            per_step=per_step,
            threads=1,
            program=deployed.program,
            fan_out=fan_out,
        )

    count(True)
    seconds = race(
        {
            "bare": deployed.simulate,
            "totals": lambda: count(False),
            "per_step": lambda: count(True),
            "fan_out": lambda: build_fan_out(deployed.quantized, place.mapping),
        },
        n_runs,
    )
    return {
        "workload": "counters_overhead",
        "on": deployed.workload.name,
        "threads": 1,
        "n_cores": len(place.mapping.cores),
        "totals": seconds["totals"] / seconds["bare"],
        "per_step": seconds["per_step"] / seconds["bare"],
        "fan_out_ms": seconds["fan_out"] * 1e3,
    }


def report_overhead(deployed: DeployedWorkload, race: Race, n_runs: int) -> Row:
    """``Deployment.run`` with its report, with and without the float run, against the engine."""
    place = deployed.deployment()
    seconds = race(
        {
            "bare": deployed.simulate,
            "report": lambda: place.run(
                deployed.workload.inputs, compare_float=False, threads=1
            ).report(),
        },
        n_runs,
    )
    # the float run uses all cores: CPU time of the process; one pass is enough
    with_float = {"run": lambda: place.run(deployed.workload.inputs).report()}
    whole = race(with_float, 1, time.process_time)
    return {
        "workload": "report_overhead",
        "on": deployed.workload.name,
        "threads": 1,
        "report": seconds["report"] / seconds["bare"],
        "report_and_float_run": whole["run"] / seconds["bare"],
    }


def threads_gain(
    deployed: DeployedWorkload, longer: DeployedWorkload, race: Race, n_runs: int
) -> Row:
    """Wall time of the engine on one thread over that on two: samples side by side."""

    def on(ready: DeployedWorkload, threads: int) -> Callable[[], Any]:
        n_steps = ready.workload.n_steps + ready.quantized.drain_steps
        inputs = ready.workload.inputs
        return lambda: run_samples(ready.program, inputs, n_steps=n_steps, threads=threads)

    def gain(ready: DeployedWorkload) -> float:
        forms = {"one": on(ready, 1), "two": on(ready, 2)}
        seconds = race(forms, n_runs, time.perf_counter)
        return seconds["one"] / seconds["two"]

    return {
        "workload": "threads_gain", "on": deployed.workload.name, "threads": 2,
        "samples": [each.workload.n_samples for each in (deployed, longer)],
        "gain": gain(deployed), "gain_longer": gain(longer),
    }  # fmt: skip


def single_call(deployed: DeployedWorkload, race: Race, n_runs: int) -> Row:
    """Time that does not depend on the work: one call with next to nothing to do."""
    none = np.zeros(0, np.int32)
    inputs = {
        port.name: SpikeEvents(none, none, none, 1, 1, port.shape)
        for port in deployed.quantized.inputs
    }
    short = replace(deployed, workload=replace(deployed.workload, inputs=inputs, n_steps=1))
    place = short.deployment()
    seconds = race(
        {
            "engine": short.simulate,
            "run": lambda: place.run(inputs, compare_float=False),
        },
        n_runs,
    )
    return {
        "workload": "single_call_ms",
        "on": deployed.workload.name,
        "threads": 1,
        "engine": seconds["engine"] * 1e3,
        "deployment_run": seconds["run"] * 1e3,
    }


def render(row: Row) -> str:
    """Return one line of the table."""
    kind, on = row["workload"], row["on"]
    if kind == "counters_overhead":
        text = (
            f"totals per core {row['totals']:.2f}x, "
            f"per step {row['per_step']:.2f}x, "
            f"tables {row['fan_out_ms']:.1f} ms"
        )
    elif kind == "report_overhead":
        text = (
            f"run and report {row['report']:.2f}x, "
            f"with the float run {row['report_and_float_run']:.1f}x"
        )
    elif kind == "threads_gain":
        gains = zip((row["gain"], row["gain_longer"]), row["samples"], strict=True)
        text = ", ".join(f"{gain:.2f}x with {n} samples" for gain, n in gains)
        text = f"two threads {text} (wall time)"
    else:
        text = f"engine {row['engine']:.2f} ms, Deployment.run {row['deployment_run']:.1f} ms"
    return f"{kind:<18} {on:<12}{text}"
