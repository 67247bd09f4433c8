"""Small networks in the ways SpikingJelly's tutorials write them; sizes are ours."""

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn

STEPS = 20
ATAN = {"surrogate_function": surrogate.ATan()}


class Held(nn.Module):
    """A frame repeated for all steps, then layers in multi-step mode."""

    def __init__(self, *parts):
        super().__init__()
        self.net = nn.Sequential(*parts)
        functional.set_step_mode(self.net, "m")

    def forward(self, x):
        return self.net(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1))


class Multi(nn.Sequential):
    """Layers in multi-step mode on spikes."""

    def __init__(self, *parts):
        super().__init__(*parts)
        functional.set_step_mode(self, "m")


class Single(nn.Module):
    """Single-step layers in a loop over encoded spikes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(
            layer.Flatten(), layer.Linear(36, 10, bias=False), neuron.LIFNode(tau=2.0, **ATAN)
        )

    def forward(self, x):
        return torch.stack([self.layer(now) for now in x])


def lif():
    return neuron.LIFNode(tau=2.0, decay_input=False, **ATAN)


def events():
    return Multi(
        layer.Conv2d(1, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), lif(),
        layer.MaxPool2d(2, 2), layer.Flatten(), layer.Dropout(0.5), layer.Linear(36, 20), lif(),
        layer.Dropout(0.5), layer.Linear(20, 10), lif(), layer.VotingLayer(2),
    )  # fmt: skip


class Block(nn.Module):
    """A residual block: the spikes added behind it (SEW), or the currents in front of them."""

    def __init__(self, adds_spikes):
        super().__init__()
        self.adds_spikes = adds_spikes
        conv = layer.Conv2d(4, 4, 3, padding=1, bias=False)
        self.conv = nn.Sequential(conv, layer.BatchNorm2d(4))
        self.sn = neuron.IFNode(**ATAN)

    def forward(self, x):
        return self.sn(self.conv(x)) + x if self.adds_spikes else self.sn(self.conv(x) + x)


def residual(adds_spikes):
    return Multi(
        layer.Conv2d(1, 4, 3, padding=1), layer.BatchNorm2d(4), neuron.IFNode(**ATAN),
        Block(adds_spikes), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(36, 10),
        neuron.IFNode(**ATAN),
    )  # fmt: skip


def recurrent():
    loop = layer.LinearRecurrentContainer(neuron.LIFNode(tau=3.0, v_reset=None), 40, 40)
    net = Multi(layer.Flatten(), layer.Linear(36, 40), loop, layer.Linear(40, 10),
                neuron.LIFNode(v_reset=None))  # fmt: skip
    loop.sub_module.step_mode = "s"
    return net


def threshold_dependent():
    return Multi(
        layer.Conv2d(1, 4, 3), layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 4), neuron.IFNode(),
        layer.Flatten(), layer.Linear(64, 10), neuron.IFNode(),
    )  # fmt: skip


class Attention(nn.Module):
    """Spiking self-attention: products of spikes with spikes."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(6, 6) for _ in range(3))
        self.sn = nn.ModuleList(neuron.LIFNode(step_mode="m") for _ in range(4))

    def forward(self, x):
        x = x.flatten(0, 1).reshape(*x.shape[:2], 6, 6)
        q, k, v = (s(f(x)) for s, f in zip(self.sn, (self.q, self.k, self.v), strict=False))
        return self.sn[3]((q @ k.transpose(-1, -2)) @ v * 0.25)


NETWORKS = {
    "dense, encoded spikes, LIFNode in single steps": (Single, "TN"),
    "convolution, BatchNorm, IFNode, max-pool, a frame held": (lambda: Held(
        layer.Conv2d(1, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.IFNode(**ATAN),
        layer.MaxPool2d(2, 2), layer.Flatten(), layer.Linear(36, 10, bias=False),
        neuron.IFNode(**ATAN)), "N"),
    "convolution, BatchNorm, LIFNode, Dropout, VotingLayer, events": (events, "TN"),
    "residual block, spikes added (SEW)": (lambda: residual(True), "TN"),
    "residual block, currents added": (lambda: residual(False), "TN"),
    "recurrent, LinearRecurrentContainer": (recurrent, "TN"),
    "convolution, tdBN": (threshold_dependent, "TN"),
    "dense, EIFNode": (lambda: Multi(
        layer.Flatten(), layer.Linear(36, 10), neuron.EIFNode()), "TN"),
    "spiking self-attention": (Attention, "TN"),
}  # fmt: skip
