"""Run inside a framework's environment: its own NIR exporter, and what nmhw makes of the file.

Question: {"framework", "case": dense or recurrent, "meaning": options of ``nmhw.load``}. A network
is trained for three epochs, written by the framework's exporter, read by nmhw and run on fresh
inputs beside the framework's own forward. Answer: bins, spikes and differing bins of the output,
losses, the rules of the notices; or the error of an exporter that cannot write its own graph.
"""

import json
import sys
import tempfile
from pathlib import Path

import nir
import numpy as np
from forward import arrange, nmhw, patterns, reset, torch, train
from torch import nn

N_SAMPLES, N_STEPS = 8, 30


def finish(net, layout, graph_of, first):
    """Train, export, and return (graph, inputs, spikes of the output, losses)."""
    losses = train(net, layout, (20,), N_STEPS, batch=N_SAMPLES)
    x, _ = patterns(N_SAMPLES, N_STEPS, (20,), seed=4)
    with torch.no_grad():
        reset(net)
        out = first(net(arrange(x, layout)))
    own = out.transpose(0, 1) if layout == "TN" else out
    reset(net)
    return graph_of(net), x.numpy(), own.numpy(), losses


class Steps(nn.Module):
    """A Sequential of neurons with states of their own, in a loop over steps."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        made = [self.net(now) for now in x]
        return torch.stack([m[0] if isinstance(m, tuple) else m for m in made])


def snntorch(case):
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def leaky(n, **more):
        beta, threshold = torch.full((n,), 0.8), torch.ones(n)
        return snn.Leaky(beta, threshold=threshold, init_hidden=True, **more)

    hidden = leaky(30)
    if case == "recurrent":
        hidden = snn.RLeaky(torch.full((30,), 0.8), linear_features=30, threshold=torch.ones(30),
                            init_hidden=True)  # fmt: skip
    net = nn.Sequential(nn.Linear(20, 30), hidden, nn.Linear(30, 10), leaky(10, output=True))
    with torch.no_grad():
        net[0].weight.mul_(2.0)
    sample = torch.rand(1, 20)
    return finish(Steps(net), "TN", lambda n: export_to_nir(n.net, sample, ignore_dims=[0]),
                  lambda out: out)  # fmt: skip


def norse(case):
    import norse.torch as norse
    from norse.torch.utils.export_nir import to_nir

    cells = norse.LIFBoxCell
    net = norse.SequentialState(nn.Linear(20, 30), cells(), nn.Linear(30, 10), cells())
    return to_nir(net, torch.rand(1, 20)), None, None, None


def spikingjelly(case):
    from spikingjelly.activation_based import functional, layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    net = nn.Sequential(layer.Linear(20, 30), neuron.LIFNode(tau=2.0), layer.Linear(30, 10),
                        neuron.LIFNode(tau=2.0))  # fmt: skip
    with torch.no_grad():
        net[0].weight.mul_(4.0)
        net[2].weight.mul_(4.0)
    steps = Steps(net)
    steps.reset_states = lambda: functional.reset_net(net)
    sample = torch.rand(1, 20)
    return finish(steps, "TN", lambda n: export_to_nir(n.net, sample, dt=1e-3), lambda out: out)


def sinabs(case):
    import sinabs.layers as sl
    from sinabs.nir import to_nir

    net = nn.Sequential(nn.Linear(20, 30), sl.LIF(tau_mem=10.0, norm_input=False),
                        nn.Linear(30, 10), sl.LIF(tau_mem=6.0, norm_input=False))  # fmt: skip
    sample = torch.rand(1, 1, 20)
    return finish(net, "NT", lambda n: to_nir(n, sample), lambda out: out)


def rockpool(case):
    from rockpool.nn.combinators import Sequential
    from rockpool.nn.modules import LIFTorch, LinearTorch
    from rockpool.nn.modules.torch.nir import to_nir

    taus = {"tau_mem": 20e-3, "tau_syn": 10e-3, "dt": 1e-3, "threshold": 1.0, "bias": 0.0}
    net = Sequential(LinearTorch((20, 30)), LIFTorch((30,), **taus),
                     LinearTorch((30, 10)), LIFTorch((10,), **taus))  # fmt: skip
    # Rockpool's own parameters() is a dictionary
    net.parameters = lambda: [p for n, p in nn.Module.named_parameters(net) if "weight" in n]
    net.reset = lambda: net.reset_state()
    return finish(net, "NT", to_nir, lambda out: out[0])


def spyx(case):
    import jax
    import jax.numpy as jnp
    import optax
    import spyx.nn as snn
    from flax import nnx
    from spyx.nir import to_nir

    rngs = nnx.Rngs(0)
    hidden = snn.RLIF if case == "recurrent" else snn.LIF
    net = snn.Sequential(
        nnx.Linear(20, 30, rngs=rngs), hidden((30,), beta=0.8, rngs=rngs),
        nnx.Linear(30, 10, rngs=rngs), snn.LIF((10,), beta=0.7, rngs=rngs),
    )  # fmt: skip
    net.layers[0].kernel[...] = net.layers[0].kernel[...] * 2.0

    def forward(model, x):
        def step(state, now):
            out, state = model(now, state)
            return state, out

        return jax.lax.scan(step, model.initial_state(x.shape[0]), jnp.swapaxes(x, 0, 1))[1]

    def loss_of(model, x, labels):
        scores = forward(model, x).sum(0)
        return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()

    optimizer, losses = nnx.Optimizer(net, optax.adam(5e-3), wrt=nnx.Param), []
    data, labels = (jnp.asarray(a.numpy()) for a in patterns(32, N_STEPS, (20,), seed=2))
    update = nnx.jit(nnx.value_and_grad(loss_of))
    for _ in range(3):
        for rows in (slice(k, k + 8) for k in range(0, 32, 8)):
            loss, gradient = update(net, data[rows], labels[rows])
            optimizer.update(net, gradient)
            losses.append(float(loss))
    x = patterns(N_SAMPLES, N_STEPS, (20,), seed=4)[0].numpy()
    own = np.swapaxes(np.asarray(forward(net, jnp.asarray(x))), 0, 1)
    shapes = ({"input": np.array([20])}, {"output": np.array([10])})
    return to_nir(net, *shapes, dt=1e-3), x, own, [sum(losses[:4]) / 4, sum(losses[-4:]) / 4]


def main():
    question = json.loads(sys.stdin.read())
    torch.manual_seed(3)
    graph, x, own, losses = globals()[question["framework"]](question["case"])
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "net.nir")
        try:
            nir.write(path, graph)
        except TypeError as error:
            print(json.dumps({"fails": str(error)}))
            return
        network = nmhw.load(path, **question["meaning"])
    run = nmhw.run_float(network, x)
    last = network.outputs[0].sources[0]
    differs = run.spikes[last].dense().reshape(own.shape) != own
    steps = np.flatnonzero(differs.any((0, 2))).tolist()
    print(json.dumps({
        "bins": own.size, "spikes": float(own.sum()), "differing": int(differs.sum()),
        "first_step": steps[0] if steps else None, "losses": losses,
        "rules": sorted({n.rule for n in network.notices}),
    }))  # fmt: skip


main()
