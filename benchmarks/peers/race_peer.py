"""One peer on one graph, in the peer's own environment: prints one JSON line.

    python race_peer.py PEER GRAPH.npz --runs 5

Only the stepping is timed. A peer is a function ``build(graph)`` that returns ``run()``; ``run``
returns the spikes of every population, or (spikes, seconds) where it measures itself. CPU time of
the process, except for peers that step in other processes: there wall time.
"""

import argparse
import importlib
import json
import os
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

PEERS = {
    "scipy-rows": "event_peers:scipy_rows",
    "numpy-dense": "event_peers:numpy_dense",
    "torch": "torch_peers:bare",
    "snntorch": "torch_peers:snntorch",
    "sinabs": "torch_peers:sinabs",
    "spikingjelly": "torch_peers:spikingjelly",
    "brian2-cython": "event_peers:brian2_cython",
    "nest": "event_peers:nest",
    "sanafe": "hardware_peers:sanafe",
    "lava": "hardware_peers:lava",
}
WALL = ("lava",)
MOST_S = 60.0


def main():
    """Build, warm up, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("graph")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    from graph import Graph

    module, function = PEERS[options.peer].split(":")
    build = getattr(importlib.import_module(module), function)
    clock = time.perf_counter if options.peer in WALL else time.process_time
    run = build(Graph(options.graph))
    seconds, spikes = [], None
    for k in range(options.runs + 1):
        started = clock()
        found = run()
        elapsed = clock() - started
        spikes = found
        if isinstance(found, tuple):
            spikes, elapsed = found
        if k or elapsed > MOST_S / 4:  # the first one warms up
            seconds.append(elapsed)
        if sum(seconds) > MOST_S:
            break
    basis = "wall" if options.peer in WALL else "cpu"
    line = {"peer": options.peer, "seconds": sorted(seconds), "spikes": spikes, "clock": basis}
    print("RESULT " + json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
