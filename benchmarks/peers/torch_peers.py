"""Peers on PyTorch: a bare loop, snnTorch, sinabs, SpikingJelly; float32, all samples at once."""

import numpy as np


def _prepare(graph):
    """Return torch, its input (steps, samples, ...) and the linear part of every layer."""
    import torch
    import torch.nn.functional as f

    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    if graph.is_recurrent:
        raise SystemExit("torch runs the feed-forward workloads here")

    def tensor(array):
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    x = tensor(graph.raster.transpose(1, 0, 2))
    if graph.family == "W1":
        weights = [tensor(edges.csr().toarray().T) for edges in graph.edges]
        return torch, x, [lambda v, w=w: f.linear(v, w) for w in weights]
    a = graph.arrays
    k1, k2, k3 = (tensor(a[f"kernel{k}"]) for k in (1, 2, 3))
    last = tensor(a["last"].T)
    layers = [
        lambda v: f.conv2d(v, k1, stride=2, padding=1),
        lambda v: f.conv2d(v, k2, padding=1),
        lambda v: f.conv2d(f.avg_pool2d(v, 2, divisor_override=1), k3, padding=1),
        lambda v: f.linear(v.flatten(1), last),
    ]
    return torch, x.reshape(*x.shape[:2], 2, 34, 34), layers


def bare(graph):
    """Step by step, the neuron written out."""
    _torch, raster, layers = _prepare(graph)

    def run():
        states, counts = [None] * len(layers), [0.0] * len(layers)
        for x in raster:
            for k, (layer, theta) in enumerate(zip(layers, graph.theta, strict=True)):
                v = layer(x)
                if states[k] is not None:
                    v = v.add_(states[k], alpha=graph.keep)
                fired = v >= theta
                x = fired.float()
                states[k] = v.sub_(x, alpha=theta) if graph.is_soft else v.masked_fill_(fired, 0)
                counts[k] += x.sum()
        return [int(count) for count in counts]

    return run


def snntorch(graph):
    """snnTorch's Leaky, step by step; it fires above the threshold, not at it."""
    _, raster, layers = _prepare(graph)
    import snntorch as s

    reset = "subtract" if graph.is_soft else "zero"
    cells = [
        s.Leaky(beta=graph.keep, threshold=t, reset_mechanism=reset, reset_delay=False)
        for t in graph.theta
    ]

    def run():
        states = [cell.init_leaky() for cell in cells]
        counts = [0.0] * len(cells)
        for x in raster:
            for k, (layer, cell) in enumerate(zip(layers, cells, strict=True)):
                x, states[k] = cell(layer(x), states[k])
                counts[k] += x.sum()
        return [int(count) for count in counts]

    return run


def _layer_by_layer(raster, layers, cells, call):
    """Run all steps of a layer at once, as multi-step modules do."""

    def run():
        x, counts = raster, []
        for layer, cell in zip(layers, cells, strict=True):
            y = layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])
            x = call(cell, y)
            counts.append(int(x.sum()))
        return counts

    return run


def spikingjelly(graph):
    """SpikingJelly's multi-step nodes."""
    _, raster, layers = _prepare(graph)
    from spikingjelly.activation_based import neuron

    def make(theta):
        if graph.is_soft:
            return neuron.IFNode(v_threshold=theta, v_reset=None, step_mode="m").eval()
        tau = 1 / (1 - graph.keep)
        return neuron.LIFNode(
            tau=tau, decay_input=False, v_threshold=theta, v_reset=0.0, step_mode="m"
        ).eval()

    def call(cell, y):
        cell.reset()
        return cell(y)

    return _layer_by_layer(raster, layers, [make(t) for t in graph.theta], call)


def sinabs(graph):
    """sinabs' layers, which take (samples, steps, ...)."""
    torch, raster, layers = _prepare(graph)
    import sinabs.activation as a
    import sinabs.layers as s

    def make(theta):
        common = {"spike_fn": a.SingleSpike, "spike_threshold": torch.tensor(theta)}
        if graph.is_soft:
            return s.IAF(reset_fn=a.MembraneSubtract(), min_v_mem=None, **common)
        tau = float(-1 / np.log(graph.keep))
        return s.LIF(
            tau_mem=tau, norm_input=False, reset_fn=a.MembraneReset(), min_v_mem=None, **common
        )

    def call(cell, y):
        cell.reset_states()
        return cell(y.transpose(0, 1)).transpose(0, 1)

    return _layer_by_layer(raster, layers, [make(t) for t in graph.theta], call)
