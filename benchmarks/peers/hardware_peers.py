"""Peers that simulate neuromorphic hardware: SANA-FE and Lava."""

import sys
import time
from pathlib import Path

import numpy as np

#: Where nmhw keeps what makes lava-nc importable on Python 3.11 and later.
WORKER = Path(__file__).parents[2] / "sim" / "lava" / "worker"


def sanafe(graph):
    """SANA-FE with its own Loihi architecture file, functional and with its simple timing."""
    from importlib.resources import files

    import sanafe as s

    if graph.raster.shape[0] > 1 or max(graph.sizes) > 9000:
        raise SystemExit("this peer runs one sample of a small network")
    hard = {"default_synapse_hw_name": "loihi_sparse_synapse"}
    hard |= {"default_dendrite_hw_name": "loihi_dendrites"}

    def build():
        arch = s.load_arch(str(files("sanafe.examples") / "loihi.yaml"))
        network, cores, used = s.Network(), arch.cores(), 0
        groups = []
        for k, (n, theta) in enumerate(zip(graph.sizes, graph.theta, strict=True)):
            values = {"threshold": theta, "leak_decay": graph.keep, "reset": 0.0}
            values["reset_mode"] = "soft" if graph.is_soft else "hard"
            group = network.create_neuron_group(
                f"p{k}", n, model_attributes=values, soma_hw_name="loihi_lif", **hard
            )
            for i, neuron in enumerate(group):
                neuron.map_to_core(cores[used + i // 1024])
                if graph.is_recurrent:
                    neuron.set_attributes(model_attributes={"bias": float(graph.bias[i])})
            used += -(-n // 1024)
            groups.append(group)
        inputs = None
        if not graph.is_recurrent:
            inputs = network.create_neuron_group("in", graph.raster.shape[2], **hard)
            for i, neuron in enumerate(inputs):
                neuron.map_to_core(cores[used + i // 1024])
                spikes = {"spikes": graph.raster[0, :, i].astype(int).tolist()}
                name = f"loihi_inputs[{i % 1024}]"
                neuron.set_attributes(soma_hw_name=name, model_attributes=spikes)
        for edges in graph.edges:
            source = inputs if edges.source < 0 else groups[edges.source]
            row, column = edges.coordinates()
            pairs = list(zip(row.tolist(), column.tolist(), strict=True))
            weights = {"weight": edges.data.astype(float).tolist()}
            source.connect_neurons_sparse(groups[edges.target], weights, pairs)
        chip = s.SpikingChip(arch)
        chip.load(network)
        return chip

    def run():
        chip = build()
        started = time.process_time()
        found = chip.sim(graph.n_steps + graph.depth, timing_model="simple", processing_threads=1)
        elapsed = time.process_time() - started
        n_inputs = 0 if graph.is_recurrent else int(graph.raster.sum())
        return [int(found["neurons_fired"]) - n_inputs], elapsed

    return run


def lava(graph):
    """Lava's fixed-point LIF and Dense processes on the CPU, wall time."""
    sys.path.append(str(WORKER))
    from nmhw_lava.shim import import_encoders

    import_encoders()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.dense.process import Dense
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.lif.process import LIF
    from lava.proc.sparse.process import Sparse

    if graph.raster.shape[0] > 1 or graph.is_soft:
        raise SystemExit("this peer runs one sample of a LIF network")
    n_steps = graph.n_steps + graph.depth + 1

    def build():
        bias = np.rint(graph.bias * 64).astype(int) if graph.is_recurrent else 0
        groups = [
            LIF(shape=(n,), du=4095, dv=256, vth=int(theta), bias_mant=bias, bias_exp=0)
            for n, theta in zip(graph.sizes, graph.theta, strict=True)
        ]
        for edges in graph.edges:
            # weights of both signs keep their even values alone: doubled, and the sum halved
            doubled = 2 * edges.csr().T.tocsr().astype(int)
            dense = not graph.is_recurrent
            form = Dense if dense else Sparse
            synapses = form(weights=doubled.toarray() if dense else doubled, weight_exp=-1)
            if edges.source < 0:
                silent = np.zeros((n_steps + 2 - graph.n_steps, graph.raster.shape[2]), np.uint8)
                data = np.concatenate([graph.raster[0], silent]).T
                source = Source(data=np.roll(data, 1, axis=1).astype(int))
                source.s_out.connect(synapses.s_in)
            else:
                groups[edges.source].s_out.connect(synapses.s_in)
            synapses.a_out.connect(groups[edges.target].a_in)
        sinks = [Sink(shape=(n,), buffer=n_steps + 2) for n in graph.sizes]
        for group, sink in zip(groups, sinks, strict=True):
            group.s_out.connect(sink.a_in)
        return groups, sinks

    def run():
        groups, sinks = build()
        settings = Loihi2SimCfg(select_tag="fixed_pt")
        groups[0].run(condition=RunSteps(num_steps=1), run_cfg=settings)
        started = time.perf_counter()
        groups[0].run(condition=RunSteps(num_steps=n_steps), run_cfg=settings)
        elapsed = time.perf_counter() - started
        counts = [int(sink.data.get().sum()) for sink in sinks]
        groups[0].stop()
        return counts, elapsed

    return run
