"""Small networks in the ways snnTorch's tutorials write them; sizes are ours."""

import snntorch as snn
import torch
from snntorch import surrogate
from torch import nn
from torch.nn import functional

STEPS = 20


class Static(nn.Module):
    """One frame held for all steps, states handed around by hand."""

    def __init__(self, neurons):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(36, 40), neurons()
        self.fc2, self.lif2 = nn.Linear(40, 10), neurons()

    def forward(self, x):
        mem1, mem2 = self.lif1.reset_mem(), self.lif2.reset_mem()
        spikes, membranes = [], []
        for _ in range(STEPS):
            spk1, mem1 = self.lif1(self.fc1(x.flatten(1)), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
            membranes.append(mem2)
        return torch.stack(spikes), torch.stack(membranes)


class Spikes(nn.Module):
    """Spikes (steps, samples, features) through any two layers of neurons."""

    def __init__(self, first, second):
        super().__init__()
        self.fc1, self.first, self.fc2, self.second = (
            nn.Linear(36, 40), first, nn.Linear(40, 10), second,
        )  # fmt: skip

    def forward(self, x):
        self.first.reset_mem(), self.second.reset_mem()
        one, two, out = (), (), []
        for step in range(x.shape[0]):
            spk, *one = self.first(self.fc1(x[step].flatten(1)), *one)
            one = [spk, *one] if isinstance(self.first, snn.RLeaky) else one
            spk, *two = self.second(self.fc2(spk), *two)
            two = [spk, *two] if isinstance(self.second, snn.RLeaky) else two
            out.append(spk)
        return torch.stack(out, dim=0)


class ConvFunctional(nn.Module):
    """The pool in front of the neurons, as a function."""

    def __init__(self, pool_first):
        super().__init__()
        self.pool_first = pool_first
        self.conv1, self.lif1 = nn.Conv2d(1, 4, 3), snn.Leaky(beta=0.5)
        self.fc1, self.lif2 = nn.Linear(16, 10), snn.Leaky(beta=0.5)

    def forward(self, x):
        mem1, mem2, out = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for _ in range(STEPS):
            now = self.conv1(x)
            if self.pool_first:
                spk1, mem1 = self.lif1(functional.max_pool2d(now, 2), mem1)
            else:
                spk1, mem1 = self.lif1(functional.avg_pool2d(now, 2), mem1)
            spk2, mem2 = self.lif2(self.fc1(spk1.flatten(1)), mem2)
            out.append(spk2)
        return torch.stack(out, dim=0)


class Hidden(nn.Module):
    """Neurons that hold their states inside an nn.Sequential; the loop stands outside."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.stack([self.net(now)[0] for now in x])


def conv_events():
    grad = surrogate.fast_sigmoid(slope=25)
    hold = {"beta": 0.5, "spike_grad": grad, "init_hidden": True}
    return Hidden(nn.Sequential(
        nn.Conv2d(1, 4, 3), snn.Leaky(**hold), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(16, 10), snn.Leaky(output=True, **hold),
    ))  # fmt: skip


class Regression(nn.Module):
    """A membrane without reset as the output."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(36, 40), snn.Leaky(beta=0.9, reset_mechanism="zero")
        self.fc2 = nn.Linear(40, 2)
        self.lif2 = snn.Leaky(beta=0.8, reset_mechanism="none")

    def forward(self, x):
        mem1, mem2, out = self.lif1.reset_mem(), self.lif2.reset_mem(), []
        for now in x:
            spk1, mem1 = self.lif1(self.fc1(now.flatten(1)), mem1)
            _, mem2 = self.lif2(self.fc2(spk1), mem2)
            out.append(mem2)
        return torch.stack(out)


class SpikingLstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = snn.SLSTM(36, 20), nn.Linear(20, 10)
        self.lif = snn.Leaky(beta=0.9)

    def forward(self, x):
        syn, mem = self.lstm.reset_mem()
        last, out = self.lif.reset_mem(), []
        for now in x:
            spk, syn, mem = self.lstm(now.flatten(1), syn, mem)
            spk, last = self.lif(self.fc(spk), last)
            out.append(spk)
        return torch.stack(out)


def recurrent():
    first = snn.RLeaky(beta=0.9, linear_features=40)
    return Spikes(first, snn.RLeaky(beta=0.8, all_to_all=False, V=0.4))


def learned():
    beta = torch.rand(40) * 0.4 + 0.5
    return Spikes(snn.Leaky(beta, learn_beta=True, learn_threshold=True), snn.Leaky(0.9))


NETWORKS = {
    "dense, a frame held, Leaky": (lambda: Static(lambda: snn.Leaky(beta=0.95)), "N"),
    "dense, a frame held, Lapicque": (lambda: Static(
        lambda: snn.Lapicque(R=5.0, C=1e-3, time_step=1e-3)), "N"),
    "dense, spikes, Leaky to zero": (lambda: Spikes(
        *(snn.Leaky(0.9, reset_mechanism="zero") for _ in range(2))), "TN"),
    "dense, spikes, Synaptic": (lambda: Spikes(
        *(snn.Synaptic(alpha=0.9, beta=0.8) for _ in range(2))), "TN"),
    "dense, spikes, learned beta per neuron": (learned, "TN"),
    "recurrent, RLeaky": (recurrent, "TN"),
    "convolution, Leaky inside Sequential, max-pool of spikes": (conv_events, "TN"),
    "convolution, average pool in front of Leaky": (lambda: ConvFunctional(False), "N"),
    "convolution, max-pool in front of Leaky": (lambda: ConvFunctional(True), "N"),
    "regression, membrane as output": (Regression, "TN"),
    "spiking LSTM, SLSTM": (SpikingLstm, "TN"),
    "dense, spikes, Alpha": (lambda: Spikes(
        *(snn.Alpha(alpha=0.9, beta=0.8) for _ in range(2))), "TN"),
}  # fmt: skip
