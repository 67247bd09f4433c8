"""Run inside a framework's environment: its own forward against nmhw's float run, bin by bin.

Question: {"framework", "case"}. A network is trained for three epochs on four classes of rate
patterns, then run on fresh inputs; hooks note the framework's spikes. Answer: the losses, per
population bins, spikes and differing bins, and the rules of the notices of ``nmhw.from_torch``.
"""

import json
import sys

from forward import arrange, compare, nmhw, own_spikes, patterns, torch, train
from torch import nn

N_SAMPLES, N_STEPS = 8, 30
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
    elif case == "conv":
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), snn.Leaky(beta=0.8), nn.MaxPool2d(2),
                  nn.Flatten(), nn.Linear(36, 10), snn.Leaky(beta=0.9)]  # fmt: skip
    elif case == "current":
        layers = [nn.Linear(20, 30), snn.Synaptic(alpha=0.8, beta=0.9), nn.Linear(30, 10),
                  snn.Synaptic(alpha=0.5, beta=0.7)]  # fmt: skip
    elif case == "recurrent":
        one_to_one = {"all_to_all": False, "V": 0.5}
        layers = [nn.Linear(20, 30), Kept(snn.RLeaky(beta=0.9, linear_features=30)),
                  nn.Linear(30, 10), Kept(snn.RLeaky(beta=0.8, **one_to_one))]  # fmt: skip
    else:
        hidden = snn.RSynaptic(alpha=0.7, beta=0.9, linear_features=30)
        layers = [nn.Linear(20, 30), Kept(hidden), nn.Linear(30, 10),
                  snn.Synaptic(alpha=0.5, beta=0.7)]  # fmt: skip
    return Steps(layers, lambda layer: isinstance(layer, snn.Leaky | snn.Synaptic)), "TN"


class Kept(nn.Sequential):
    """Neurons that keep their states themselves."""

    def forward(self, x):
        return self[0](x)[0]


def norse(case):
    import norse.torch as norse

    if case == "recurrent":
        layers = [norse.LIFRecurrentCell(20, 30), nn.Linear(30, 10), norse.LIFCell()]
        cells = norse.LIFRecurrentCell | norse.LIFCell
        return Steps(layers, lambda layer: isinstance(layer, cells)), "TN"
    if case == "sequence":
        net = norse.SequentialState(norse.LIFRecurrent(20, 30), nn.Linear(30, 10), norse.LIF())
        return First(net), "TN"
    cell = norse.LIFBoxCell if case != "current" else norse.LIFCell
    first = [nn.Linear(20, 30)]
    last = [nn.Linear(30, 10)]
    if case == "conv":
        first = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)]
        last = [nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 10)]
    layers = [*first, cell(), *last, cell()]
    return Steps(layers, lambda layer: isinstance(layer, cell)), "TN"


class First(nn.Sequential):
    """The spikes of a module that returns states beside them."""

    def forward(self, x):
        return self[0](x)[0]


def spikingjelly(case):
    from spikingjelly.activation_based import functional, layer, neuron

    if case == "conv":
        parts = [layer.Conv2d(1, 4, 3, bias=False), layer.BatchNorm2d(4), neuron.IFNode(),
                 layer.MaxPool2d(2), layer.Flatten(), layer.Linear(36, 10),
                 neuron.IFNode()]  # fmt: skip
    elif case == "recurrent":
        parts = [layer.Linear(20, 30),
                 layer.LinearRecurrentContainer(neuron.LIFNode(tau=3.0), 30, 30),
                 layer.Linear(30, 10), neuron.LIFNode(tau=2.0)]  # fmt: skip
    else:
        parts = [layer.Linear(20, 30), neuron.ParametricLIFNode(init_tau=3.0),
                 layer.Linear(30, 10), neuron.LIFNode(tau=2.0)]  # fmt: skip
    net = nn.Sequential(*parts)
    for part in parts:
        functional.set_step_mode(part, "m")
    if case == "recurrent":
        parts[1].sub_module.step_mode = "s"
    net.reset_states = lambda: functional.reset_net(net)
    return net, "TN"


def sinabs(case):
    import sinabs.activation as activation
    import sinabs.layers as sl

    layout, single = "NT", {"spike_fn": activation.SingleSpike}
    if case == "conv":
        parts = [nn.Conv2d(1, 4, 3), sl.IAFSqueeze(batch_size=N_SAMPLES, min_v_mem=-1.0),
                 sl.SumPool2d(2), nn.Flatten(), nn.Linear(36, 10),
                 sl.IAFSqueeze(batch_size=N_SAMPLES, min_v_mem=-1.0)]  # fmt: skip
        layout = "flat"
    elif case == "recurrent":
        loop = nn.Linear(30, 30)  # its bias is absent in the first step
        parts = [nn.Linear(20, 30), sl.LIFRecurrent(10.0, loop, norm_input=False),
                 nn.Linear(30, 10), sl.LIF(tau_mem=6.0)]  # fmt: skip
    else:
        parts = [nn.Linear(20, 30), sl.LIF(tau_mem=10.0, **single), nn.Linear(30, 10),
                 sl.LIF(tau_mem=6.0, tau_syn=4.0, norm_input=False, **single)]  # fmt: skip
    net = nn.Sequential(*parts)
    net.reset_states = lambda: [p.reset_states() for p in parts if hasattr(p, "reset_states")]
    return net, layout


def main():
    question = json.loads(sys.stdin.read())
    torch.manual_seed(11)
    net, layout = globals()[question["framework"]](question["case"])
    loud = LOUDNESS[question["framework"]]
    with torch.no_grad():
        for name, part in net.named_modules():
            if "rec" in name or ".rc" in name:  # weights of loops stay as they are
                continue
            if isinstance(part, nn.Linear | nn.Conv2d):
                part.weight.mul_(loud)
            elif isinstance(part, nn.BatchNorm2d):
                part.weight.mul_(loud / 2)
    shape = (1, 8, 8) if question["case"] == "conv" else (20,)
    losses = train(net, layout, shape, N_STEPS, batch=N_SAMPLES)
    sample, _ = patterns(N_SAMPLES, N_STEPS, shape, seed=3)
    network = nmhw.from_torch(net, arrange(sample, layout))
    x, _ = patterns(N_SAMPLES, N_STEPS, shape, seed=4)
    names = [p.name for p in network.populations]
    rows = compare(network, own_spikes(net, x, layout, names), x)
    rules = sorted({n.rule for n in network.notices})
    kinds = [p.model.kind for p in network.populations]
    loops = sum(p.source == p.target for p in network.projections)
    print(json.dumps({"populations": rows, "rules": rules, "kinds": kinds, "losses": losses,
                      "loops": loops}))  # fmt: skip


main()
