"""Message timing (latency noc): messages per CPU second, and the chip times of four patterns.

    python benchmarks/noc_speed.py [--quick] [--json]

Traffic: 128 cores on Loihi's mesh (8 x 4 tiles of 4), 128 neurons each that spike at random and
send to random cores. Patterns: those of timed_workloads.py. See README.md in this folder.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from timed_race import CHIP, deploy_timed, simulate
from timed_workloads import WORKLOADS, load_timed

import nmhw
from nmhw.sim.noc import time_rows
from nmhw.sim.noc_tables import NocTables, link_ends, make_units
from nmhw.values.chip import ChipSpec

Row = dict[str, Any]

#: name -> share of spikes, receivers of a spike, work on a message in ns, service of a link in ns.
TRAFFIC = {
    "spread": (0.2, 8, (16.0, 60.0), None),
    "light": (0.2, 8, (1.0, 2.0), None),
    "slow links": (0.2, 8, (16.0, 60.0), 20.0),
    "wide": (0.05, 64, (16.0, 60.0), None),
}
#: Places behind a link and in a receiver.
DEPTHS = ((8, 8), (16, 16), (16, 32), (1000, 1000))
PER_CORE = 128


def with_depths(chip: ChipSpec, buffer: int, queue: int, link_ns: float | None = None) -> ChipSpec:
    """Return the chip with other figures of its network."""
    noc = chip.noc
    assert noc is not None
    link = noc.link_ns if link_ns is None else replace(noc.link_ns, value=link_ns)
    places = (replace(noc.link_buffer, value=buffer), replace(noc.receiver_queue, value=queue))
    return replace(chip, noc=replace(noc, link_ns=link, link_buffer=places[0],
                                     receiver_queue=places[1]))  # fmt: skip


def make_traffic(name: str, n_rows: int) -> tuple[NocTables, tuple[Any, ...]]:
    """Return tables, and (events, starts, ends, active) of ``n_rows`` steps."""
    rate, fan, work_ns, link_ns = TRAFFIC[name]
    r = np.random.default_rng(0)
    chip = nmhw.chip(CHIP)
    table = chip.cost_table()
    assert table is not None
    n_cores, n = chip.n_cores, chip.n_cores * PER_CORE
    tile = [chip.position(core)[1:] for core in range(n_cores)]
    goals = np.argsort(r.random((n, n_cores)), axis=1)[:, :fan]
    low, high = (int(1000 * ns) for ns in work_ns)
    mesh = (chip.mesh.width, chip.mesh.height)
    tables = NocTables(
        costs=table.name,
        sources={"pop": 0},
        home=np.repeat(np.arange(n_cores), PER_CORE).astype(np.int32),
        last=np.tile(np.arange(1, PER_CORE + 1), n_cores),
        fan_row=np.arange(n, dtype=np.int32),
        fan_ptr=np.arange(n + 1) * fan,
        fan_core=np.sort(goals, axis=1).astype(np.int32).ravel(),
        fan_ps=r.integers(low, high, n * fan),
        cores=np.arange(n_cores),
        visits=np.full(n_cores, PER_CORE),
        place=np.concatenate([link_ends(*mesh), np.array([*tile, chip.mesh.port])]),
        units=make_units(with_depths(chip, 16, 16, link_ns), table),
        mesh=mesh,
    )
    steps = [np.flatnonzero(r.random(n) < rate).astype(np.int32) for _ in range(n_rows)]
    bounds = np.cumsum([0, *(step.size for step in steps)])
    active = np.full((n_rows, n_cores), PER_CORE // 2, np.int32)
    return tables, (np.concatenate(steps), bounds[None, :-1], bounds[None, 1:], active)


def race(name: str, n_rows: int, n_runs: int) -> Row:
    """Return the speed of one kind of traffic on one thread."""
    tables, (events, starts, ends, active) = make_traffic(name, n_rows)
    best = float("inf")
    for _ in range(n_runs + 1):  # the first one may compile
        started = time.process_time()
        times = time_rows(tables, events, starts, ends, active, np.arange(n_rows), n_rows, 1, None)
        best = min(best, time.process_time() - started)
    n = int(times.messages.sum())
    return {
        "traffic": name,
        "messages": n,
        "hops_per_message": float(times.link_messages.sum()) / n,
        "messages_per_s": n / best,
        "step_us": float(times.step_ps.mean()) / 1e6,
        "step_without_network_us": float(times.floor_ps.mean()) / 1e6,
    }


def time_pattern(name: str) -> Row:
    """Return the steady step of a pattern under several depths of the buffers."""
    workload = load_timed(name)
    deployment = deploy_timed(workload)
    row: Row = {"pattern": name}
    for buffer, queue in DEPTHS:
        chip = with_depths(deployment.chip, buffer, queue)
        run = simulate(replace(deployment, chip=chip), workload, 10, "noc")
        times = run.result.noc
        assert times is not None
        row["messages"] = int(times.messages[-1])
        row["without network"] = float(times.floor_ps[-1]) / 1e6
        row[f"{buffer}/{queue}"] = float(times.step_ps[-1]) / 1e6
    return row


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    n_rows, n_runs = (10, 3) if given.quick else (40, 7)
    rows = [race(name, n_rows, n_runs) for name in TRAFFIC]
    patterns = [time_pattern(name) for name in WORKLOADS if load_timed(name).is_pattern]
    if given.json:
        print(json.dumps({"rows": rows, "patterns": patterns}))
        return
    print("| traffic | messages | hops | M messages/s | step, us | without network, us |")
    for row in rows:
        print(f"| {row['traffic']} | {row['messages']:,} | {row['hops_per_message']:.2f} | "
              f"{row['messages_per_s'] / 1e6:.2f} | {row['step_us']:.2f} | "
              f"{row['step_without_network_us']:.2f} |")  # fmt: skip
    print(
        "\n| " + " | ".join(patterns[0]) + " |  (us, without the barrier; places of link/receiver)"
    )
    for row in patterns:
        cells = (f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values())
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
