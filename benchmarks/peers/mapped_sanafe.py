"""SANA-FE on a mapped network, in its own environment: prints one JSON line per timing model.

    python mapped_sanafe.py MAPPED.npz --steps 500 --timings simple,detailed --runs 3

Reads what ``mapped_graph.py`` wrote. Every run has a chip object of its own: SANA-FE's message
order, and so its detailed and cycle times, differ from object to object. Timed is ``chip.sim``
alone. The architecture is SANA-FE's own loihi.yaml without its 1,024 input units per core, which
are not used, cost nothing on the chip, and take gigabytes.
"""

import argparse
import itertools
import json
import re
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np

UNUSED_INPUTS = re.compile(r"\n            - name: loihi_inputs.*?(?=\n          dendrite:)", re.S)
SYNAPSES = ("loihi_dense_synapse", "loihi_sparse_synapse")


def load_architecture(sanafe):
    """Return SANA-FE's Loihi."""
    text = (files("sanafe.examples") / "loihi.yaml").read_text()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loihi.yaml"
        path.write_text(UNUSED_INPUTS.sub("", text))
        return sanafe.load_arch(str(path))


def build_network(sanafe, architecture, graph):
    """Return the network with every neuron on its core."""
    cores = architecture.cores()
    core, bounds = graph["core"].tolist(), np.concatenate([[0], np.cumsum(graph["sizes"])])
    values = [graph[key].tolist() for key in ("threshold", "keep", "bias", "v0")]
    network, groups = sanafe.Network(), []
    for k, (first, last) in enumerate(itertools.pairwise(bounds)):
        group = network.create_neuron_group(
            f"p{k}", int(last - first), model_attributes={"reset": 0.0, "input_decay": 0.0},
            soma_hw_name="loihi_lif", default_dendrite_hw_name="loihi_dendrites",
            default_synapse_hw_name=SYNAPSES[graph["kinds"][k]],
        )  # fmt: skip
        for i, neuron in enumerate(group, start=first):
            threshold, keep, bias, v0 = (value[i] for value in values)
            attributes = {"threshold": threshold, "leak_decay": keep, "bias": bias}
            neuron.set_attributes(model_attributes=attributes | {"potential": v0})
            neuron.map_to_core(cores[core[i]])
        groups.append(group)
    row = np.repeat(np.arange(bounds[-1]), np.diff(graph["indptr"]))
    column, weights = graph["indices"], graph["weights"]
    of_row, of_column = (np.searchsorted(bounds, x, "right") - 1 for x in (row, column))
    for a, source in enumerate(groups):
        for b, target in enumerate(groups):
            chosen = (of_row == a) & (of_column == b)
            if chosen.any():
                ends = (row[chosen] - bounds[a]).tolist(), (column[chosen] - bounds[b]).tolist()
                attributes = {"weight": weights[chosen].tolist()}
                source.connect_neurons_sparse(target, attributes, list(zip(*ends, strict=True)))
    return network


def peak_gb():
    """Return this process's largest memory (Linux), without what its parent had (ru_maxrss)."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(x.split()[1]) / 2**20 for x in lines if x.startswith("VmHWM")), None)


def main():
    """Build once, run each timing model several times, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--timings", default="simple,detailed")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    import sanafe

    with np.load(options.graph) as stored:
        graph = {name: stored[name] for name in stored.files}
    started = time.process_time()
    architecture = load_architecture(sanafe)
    network = build_network(sanafe, architecture, graph)
    build_s = time.process_time() - started
    for timing in options.timings.split(","):
        seconds, walls, chip_s = [], [], []
        for _ in range(options.runs):
            chip = sanafe.SpikingChip(architecture)
            chip.load(network)
            cpu, wall = time.process_time(), time.perf_counter()
            # one entry per step: no cost beside the run, and the only place that has the hops
            found = chip.sim(
                options.steps, timing_model=timing, processing_threads=1, perf_trace=True
            )
            seconds.append(time.process_time() - cpu)
            walls.append(time.perf_counter() - wall)
            chip_s.append(found["sim_time"])
            trace = found["perf_trace"]
            del chip
        row = {
            "timing": timing,
            "cpu_s": seconds,
            "wall_s": walls,
            "chip_s": chip_s,
            "build_cpu_s": build_s,
            "peak_gb": peak_gb(),
            "spikes": found["neurons_fired"],
            "packets": found["packets_sent"],
            "events": found["spikes"],
            "updates": found["neurons_updated"],
            "hops": int(sum(trace["hops"])),
            "energy_j": found["energy"]["total"],
            "spikes_per_step": trace["fired"],
        }
        print("RESULT " + json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
