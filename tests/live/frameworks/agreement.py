"""Run inside a framework's environment: its own forward against nmhw's float run, bin by bin.

Question: {"framework", "case"}. A small network is trained for a few steps on random targets, then
run on fresh inputs; hooks note the framework's spikes. Answer: per population bins, spikes and
differing bins, and the rules of the notices that ``nmhw.from_torch`` gave.
"""

import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
logging.disable(logging.WARNING)

import torch  # noqa: E402
from torch import nn  # noqa: E402

import nmhw  # noqa: E402

N_SAMPLES, N_STEPS = 5, 30
#: How much larger the first weights are than PyTorch's, so that every layer fires.
LOUDNESS = {"snntorch": 2.0, "norse": 12.0, "spikingjelly": 4.0, "sinabs": 6.0}


class Steps(nn.Module):
    """A loop over steps; ``states`` is how the framework hands states around."""

    def __init__(self, layers, states):
        super().__init__()
        self.layers, self.states = nn.ModuleList(layers), states

    def forward(self, x):
        memory = {}
        out = []
        for now in x:
            for k, layer in enumerate(self.layers):
                if not self.states(layer):
                    now = layer(now)
                    continue
                made = layer(now, *memory.get(k, ()))
                now, memory[k] = made[0], made[1:]
            out.append(now)
        return torch.stack(out)


def snntorch(case):
    import snntorch as snn

    if case == "dense":
        reset = {"reset_mechanism": "zero"}
        layers = [nn.Linear(20, 30), snn.Leaky(beta=0.9, **reset), nn.Linear(30, 10),
                  snn.Leaky(beta=torch.linspace(0.5, 0.95, 10), **reset)]  # fmt: skip
    else:
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), snn.Leaky(beta=0.8), nn.MaxPool2d(2),
                  nn.Flatten(), nn.Linear(36, 10), snn.Leaky(beta=0.9)]  # fmt: skip
    if case == "current":
        layers = [nn.Linear(20, 30), snn.Synaptic(alpha=0.8, beta=0.9), nn.Linear(30, 10),
                  snn.Synaptic(alpha=0.5, beta=0.7)]  # fmt: skip
    return Steps(layers, lambda layer: isinstance(layer, snn.Leaky | snn.Synaptic)), "TN"


def norse(case):
    import norse.torch as norse

    cell = norse.LIFBoxCell if case != "current" else norse.LIFCell
    first = [nn.Linear(20, 30)]
    last = [nn.Linear(30, 10)]
    if case == "conv":
        first = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)]
        last = [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10)]
    layers = [*first, cell(), *last, cell()]
    return Steps(layers, lambda layer: isinstance(layer, cell)), "TN"


def spikingjelly(case):
    from spikingjelly.activation_based import functional, layer, neuron

    if case == "conv":
        parts = [layer.Conv2d(1, 4, 3, bias=False), layer.BatchNorm2d(4), neuron.IFNode(),
                 layer.MaxPool2d(2), layer.Flatten(), layer.Linear(36, 10),
                 neuron.IFNode()]  # fmt: skip
    else:
        parts = [layer.Linear(20, 30), neuron.ParametricLIFNode(init_tau=3.0),
                 layer.Linear(30, 10), neuron.LIFNode(tau=2.0)]  # fmt: skip
    net = nn.Sequential(*parts)
    functional.set_step_mode(net, "m")
    net.reset_states = lambda: functional.reset_net(net)
    return net, "TN"


def sinabs(case):
    import sinabs.activation as activation
    import sinabs.layers as sl

    if case == "conv":
        parts = [nn.Conv2d(1, 4, 3), sl.IAFSqueeze(batch_size=N_SAMPLES, min_v_mem=-1.0),
                 sl.SumPool2d(2), nn.Flatten(), nn.Linear(36, 10),
                 sl.IAFSqueeze(batch_size=N_SAMPLES, min_v_mem=-1.0)]  # fmt: skip
        layout = "flat"
    else:
        single = {"spike_fn": activation.SingleSpike}
        parts = [nn.Linear(20, 30), sl.LIF(tau_mem=10.0, **single), nn.Linear(30, 10),
                 sl.LIF(tau_mem=6.0, tau_syn=4.0, norm_input=False, **single)]  # fmt: skip
        layout = "NT"
    net = nn.Sequential(*parts)
    net.reset_states = lambda: [p.reset_states() for p in parts if hasattr(p, "reset_states")]
    return net, layout


def arrange(x, layout):
    """Turn (samples, steps, ...) into what the module takes."""
    return {"TN": x.transpose(0, 1), "NT": x, "flat": x.flatten(0, 1)}[layout].contiguous()


def restore(spikes, layout):
    """Turn a module's output into (samples, steps, neurons)."""
    if layout == "flat":
        return spikes.reshape(N_SAMPLES, N_STEPS, -1)
    return (spikes.transpose(0, 1) if layout == "TN" else spikes).flatten(2)


def reset(net):
    for part in (net, *net.modules()):
        for name in ("reset_states", "reset_mem"):
            getattr(part, name, lambda: None)()


def train(net, data):
    """Move weights and statistics for a few steps; targets are random."""
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(5):
        reset(net)
        out = net(data)
        loss = ((out.flatten(0, -2).mean(0) - torch.rand(out.shape[-1])) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.eval()  # the states of the last sample are left for from_torch to forget


def main():
    question = json.loads(sys.stdin.read())
    torch.manual_seed(11)
    net, layout = globals()[question["framework"]](question["case"])
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.weight.mul_(LOUDNESS[question["framework"]])
            elif isinstance(part, nn.BatchNorm2d):
                part.weight.mul_(LOUDNESS[question["framework"]] / 2)
    shape = (1, 8, 8) if question["case"] == "conv" else (20,)

    def draw():
        return (torch.rand(N_SAMPLES, N_STEPS, *shape) < 0.5).float()

    train(net, arrange(draw(), layout))
    network = nmhw.from_torch(net, arrange(draw(), layout))
    noted = {}
    for name, part in net.named_modules():
        if any(p.name == name for p in network.populations):
            part.register_forward_hook(
                lambda _, __, out, name=name: noted.setdefault(name, []).append(
                    out[0] if isinstance(out, tuple) else out
                )
            )
    x = draw()
    with torch.no_grad():
        reset(net)
        net(arrange(x, layout))
    run = nmhw.run_float(network, x.numpy())
    rows = {}
    for name, made in noted.items():
        own = torch.stack(made) if len(made) > 1 else made[0]
        own = restore(own, layout).numpy()
        ours = run.spikes[name].dense()
        rows[name] = {"bins": own.size, "spikes": float(own.sum()),
                      "differing": int((own != ours).sum())}  # fmt: skip
    rules = sorted({n.rule for n in network.notices})
    kinds = [p.model.kind for p in network.populations]
    print(json.dumps({"populations": rows, "rules": rules, "kinds": kinds}))


main()
