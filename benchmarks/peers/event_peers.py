"""Peers on arrays and events: SciPy rows, NumPy matrices, Brian2, NEST."""

import time

import numpy as np


def _one_sample(graph):
    if graph.raster.shape[0] > 1:
        raise SystemExit("this peer runs one sample")


def _fire(v, theta, is_soft):
    fired = v >= theta
    if is_soft:
        v[fired] -= theta
    else:
        v[fired] = 0
    return fired


def scipy_rows(graph):
    """Event-driven: gather the CSR rows of the spikes of a step and sum them."""
    _one_sample(graph)
    rows = [edges.csr().astype(np.float64) for edges in graph.edges]

    def run():
        v = [np.zeros(n) for n in graph.sizes]
        counts, last = [0] * len(v), np.zeros(0, np.int64)
        for step in range(graph.n_steps):
            x = last if graph.is_recurrent else np.flatnonzero(graph.raster[0, step])
            for k, matrix in enumerate(rows):
                v[k] *= graph.keep
                if x.size:
                    v[k] += np.asarray(matrix[x].sum(axis=0)).ravel()
                if graph.is_recurrent:
                    v[k] += graph.bias
                x = np.flatnonzero(_fire(v[k], graph.theta[k], graph.is_soft))
                counts[k] += int(x.size)
            last = x
        return counts

    return run


def numpy_dense(graph):
    """Matrix products in float32, all samples at once."""
    weights = [edges.csr().toarray().astype(np.float32) for edges in graph.edges]
    raster, n = graph.raster.astype(np.float32), graph.raster.shape[0]

    def run():
        v = [np.zeros((n, size), np.float32) for size in graph.sizes]
        counts, last = [0] * len(v), np.zeros((n, graph.sizes[0]), np.float32)
        for step in range(graph.n_steps):
            x = last if graph.is_recurrent else raster[:, step]
            for k, matrix in enumerate(weights):
                v[k] = v[k] * np.float32(graph.keep) + x @ matrix
                if graph.is_recurrent:
                    v[k] += graph.bias.astype(np.float32)
                x = _fire(v[k], np.float32(graph.theta[k]), graph.is_soft).astype(np.float32)
                counts[k] += int(x.sum())
            last = x
        return counts

    return run


def brian2_cython(graph):
    """Brian2's runtime mode; one step of delay per hop, so some steps more."""
    import brian2 as b

    _one_sample(graph)
    b.prefs.codegen.target = "cython"
    b.prefs.codegen.cpp.extra_compile_args_gcc = ["-w", "-O3", "-ffast-math", "-march=native"]
    b.defaultclock.dt = 1 * b.ms
    reset = "ns += 1\n" + ("v -= th" if graph.is_soft else "v = 0")
    groups = []
    for n, theta in zip(graph.sizes, graph.theta, strict=True):
        names = {"keep": graph.keep, "th": theta}
        model = "v : 1\nbias : 1 (constant)\nns : integer"
        group = b.NeuronGroup(n, model, threshold="v >= th", reset=reset, namespace=names)
        if graph.keep != 1.0:
            group.run_regularly("v = v * keep + bias", when="groups")
        if graph.is_recurrent:
            group.bias = graph.bias
        groups.append(group)
    objects = [*groups]
    if not graph.is_recurrent:
        step, index = np.nonzero(graph.raster[0])
        objects.append(b.SpikeGeneratorGroup(graph.raster.shape[2], index, step * b.ms))
    for edges in graph.edges:
        source = objects[len(groups)] if edges.source < 0 else groups[edges.source]
        synapses = b.Synapses(source, groups[edges.target], "w : 1", on_pre="v_post += w")
        row, column = edges.coordinates()
        synapses.connect(i=row.astype(np.int32), j=column.astype(np.int32))
        synapses.w = edges.data / graph.keep
        objects.append(synapses)
    stamps = []
    mark = b.NetworkOperation(lambda: stamps.append(time.thread_time()), when="start")
    network = b.Network(*objects, mark)
    network.schedule = ["start", "groups", "thresholds", "resets", "synapses", "end"]
    network.store()
    n_steps = graph.n_steps + graph.depth

    def run():
        network.restore()
        stamps.clear()
        network.run((n_steps + 1) * b.ms)
        counts = [int(np.asarray(group.ns[:]).sum()) for group in groups]
        return counts, stamps[n_steps] - stamps[0]

    return run


def nest(graph):
    """NEST with iaf_psc_delta, whose reset is to a fixed value: LIF workloads alone."""
    import nest as n

    _one_sample(graph)
    if graph.is_soft:
        raise SystemExit("iaf_psc_delta has no soft reset")
    tau = -1.0 / np.log(graph.keep)

    def build():
        n.ResetKernel()
        n.set(resolution=1.0, local_num_threads=1, print_time=False)
        groups = []
        for size, theta in zip(graph.sizes, graph.theta, strict=True):
            values = {"E_L": 0.0, "V_reset": 0.0, "V_m": 0.0, "V_th": theta, "tau_m": tau}
            values |= {"C_m": (1 - graph.keep) * tau, "t_ref": 0.0}
            group = n.Create("iaf_psc_delta", size, params=values)
            if graph.is_recurrent:
                group.set(I_e=graph.bias)
            groups.append(group)
        inputs = None
        if not graph.is_recurrent:
            trains = n.Create("spike_generator", graph.raster.shape[2])
            raster = graph.raster[0]
            trains.set([{"spike_times": np.flatnonzero(x) + 1.0} for x in raster.T])
            inputs = n.Create("parrot_neuron", len(trains))  # a generator is a device, not a source
            n.Connect(trains, inputs, "one_to_one", {"delay": 1.0})
        for edges in graph.edges:
            source = np.array((inputs if edges.source < 0 else groups[edges.source]).tolist())
            target = np.array(groups[edges.target].tolist())
            row, column = edges.coordinates()
            weights = {"weight": edges.data.astype(float), "delay": np.ones(edges.data.size)}
            n.Connect(source[row], target[column], "one_to_one", weights)

    def run():
        build()
        n.Prepare()
        n.Run(1.0)
        started = time.process_time()
        n.Run(float(graph.n_steps + graph.depth + 1))
        elapsed = time.process_time() - started
        n.Cleanup()
        total = int(n.GetKernelStatus("local_spike_counter"))
        return [total - (0 if graph.is_recurrent else int(graph.raster.sum()))], elapsed

    return run
