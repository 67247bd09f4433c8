"""nmhw against other simulators on the same work: each in its own environment, one thread.

Environments are made by pip in ``.live/peer-<name>`` from ``peers/peers.toml``, once; a peer that
cannot be installed or does not run a workload has its reason in the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from deployed import count_synops, deploy_workload
from peer_graph import write_graph
from workloads import SEQUENCE, cache_folder, load

Row = dict[str, Any]

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"
#: In the development environment.
OWN = ("scipy-rows", "numpy-dense", "torch")
TIMEOUT_S = 900

#: Workloads and the peers that can run them.
EVENT = ("scipy-rows", "brian2-cython", "nest", "sanafe", "lava")
DENSE = ("numpy-dense", "torch", "snntorch", "sinabs", "spikingjelly")
RACES = {
    "W1@5@1": (*EVENT, *DENSE),
    "W1@5@64": DENSE,
    "W2@1": ("scipy-rows", "brian2-cython", "torch", "snntorch", "sinabs", "spikingjelly"),
    "W3@4096@5": (*EVENT, "numpy-dense"),
    "W3@65536@5": ("scipy-rows", "brian2-cython", "nest", "lava"),
}

HEAD = """Functional speed against other simulators, one thread, stepping alone (no build, no load).
A sample of W1@5@1 and W2@1 is one of the 200 that nmhw runs one after another."""


def environments(talk: Any, wanted: Sequence[str] = ()) -> dict[str, str | Path]:
    """Return the interpreter of every wanted peer (default: all), or why there is none."""
    sys.path.insert(0, str(ROOT / "tests" / "live"))
    from build_environments import build, fingerprint

    found: dict[str, str | Path] = {peer: Path(sys.executable) for peer in OWN}
    for name, recipe in tomllib.loads((PEERS / "peers.toml").read_text()).items():
        if wanted and not set(wanted) & set(recipe["peers"]):
            continue
        folder = ROOT / ".live" / f"peer-{name}"
        stamp, python = folder / "ready.txt", folder / "env" / "bin" / "python"
        reason = None
        if not (stamp.is_file() and stamp.read_text() == fingerprint(recipe)):
            print(f"installing {recipe['title']}", file=talk, flush=True)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                build(folder, recipe)
                stamp.write_text(fingerprint(recipe))
            except RuntimeError as error:
                reason = f"not installed: {error}"
        for peer in recipe["peers"]:
            found[peer] = reason or python
    return found


def run_peer(peer: str, python: str | Path, graph: Path, runs: int) -> Row:
    """Run one peer; return its seconds and spikes, or a reason."""
    if isinstance(python, str):
        return {"peer": peer, "reason": python}
    command = [str(python), str(PEERS / "race_peer.py"), peer, str(graph), "--runs", str(runs)]
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, cwd=PEERS,
            env={**os.environ, **threads},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"peer": peer, "reason": f"no answer within {TIMEOUT_S} s"}
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        return {"peer": peer, "reason": last[:120]}
    found: Row = json.loads(lines[-1].removeprefix("RESULT "))
    return found


def choose(workloads: Sequence[str], peers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the races of these workloads and peers; empty = all.

    Raises
    ------
    ValueError
        For a workload or a peer that does not race, with those that do.
    """
    known = list(dict.fromkeys(peer for names in RACES.values() for peer in names))
    for kind, given, there in (("workload", workloads, RACES), ("peer", peers, known)):
        unknown = [name for name in given if name not in there]
        if unknown:
            raise ValueError(f"no {kind} {', '.join(unknown)} in the race: {', '.join(there)}")
    chosen = {
        name: tuple(peer for peer in names if not peers or peer in peers)
        for name, names in RACES.items()
        if not workloads or name in workloads
    }
    return {name: names for name, names in chosen.items() if names}


def race_peers(
    race: Callable[..., dict[str, float]],
    runs: int,
    talk: Any,
    races: Mapping[str, Sequence[str]] = RACES,
) -> Iterator[Row]:
    """Yield one row per workload and peer; nmhw is timed before and after every peer."""
    pythons = environments(talk, [peer for peers in races.values() for peer in peers])
    for name, peers in races.items():
        batch = int(name.split("@")[-1]) if name.startswith("W1") else 1
        samples = SEQUENCE if batch == 1 and not name.startswith("W3") else batch
        deployed = deploy_workload(load(name, samples))
        path = write_graph(deployed.workload, cache_folder() / f"peer-{name}.npz", batch)
        one = deploy_workload(load(name, batch))
        output = one.simulate()
        synops = count_synops(one, output)
        spikes = sum(int(total.sum()) for total in output.spike_totals.values())
        for peer in peers:
            own = [race({"nmhw": deployed.simulate}, max(3, runs // 2))["nmhw"]]
            found = run_peer(peer, pythons[peer], path, runs)
            own += [race({"nmhw": deployed.simulate}, max(3, runs // 2))["nmhw"]]
            per_sample = float(np.median(own)) * batch / samples
            row: Row = {"workload": "peer", "on": name, "peer": peer, "synops": synops}
            row |= {"nmhw_events_per_s": synops / per_sample, "reason": found.get("reason")}
            if "seconds" in found:
                best = min(found["seconds"])
                row |= {"peer_events_per_s": synops / best, "ratio": best / per_sample}
                row |= {"spikes": sum(found["spikes"]) / spikes, "clock": found["clock"]}
            yield row


def render(row: Row) -> str:
    """Return one line of the table."""
    head = f"{row['on']:<12}{row['peer']:<15}{row['nmhw_events_per_s'] / 1e6:>9,.0f}"
    if row["reason"]:
        return f"{head}         -  {row['reason']}"
    return (
        f"{head}{row['peer_events_per_s'] / 1e6:>10,.1f}{row['ratio']:>10,.1f}"
        f"{row['spikes']:>10.3f}  {row['clock']}"
    )


COLUMNS = (
    f"{'workload':<12}{'peer':<15}{'nmhw':>9}{'peer':>10}{'nmhw/peer':>10}{'spikes':>10}  clock\n"
    f"{'':<27}{'M synops/s':>9}{'M synops/s':>11}{'times':>9}{'of nmhw':>10}"
)
