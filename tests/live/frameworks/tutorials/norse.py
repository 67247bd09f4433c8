"""Small networks in the ways Norse's notebooks write them; sizes are ours."""

import norse.torch as norse
import torch
from torch import nn


class Cells(nn.Module):
    """Cells in a loop, states handed around, a leaky integrator at the end."""

    def __init__(self, make, leaky):
        super().__init__()
        self.fc1, self.cell = nn.Linear(36, 40), make()
        self.fc2, self.out = nn.Linear(40, 10), leaky

    def forward(self, x):
        state = last = None
        made = []
        for now in x:
            z, state = self.cell(self.fc1(now.flatten(1)), state)
            v, last = self.out(self.fc2(z), last)
            made.append(v)
        return torch.stack(made)


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.first = nn.Conv2d(1, 4, 3), norse.LIFCell()
        self.fc, self.second = nn.Linear(16, 10), norse.LIFCell()

    def forward(self, x):
        one = two = None
        made = []
        for now in x:
            z, one = self.first(self.conv(now), one)
            z = nn.functional.max_pool2d(z, 2, 2)
            z, two = self.second(self.fc(z.flatten(1)), two)
            made.append(z)
        return torch.stack(made)


class Spikes(nn.Module):
    """The first of what a stateful Sequential returns."""

    def __init__(self, *parts):
        super().__init__()
        self.net = norse.SequentialState(*parts)

    def forward(self, x):
        return self.net(x)[0]


def lifted():
    return Spikes(
        norse.Lift(nn.Conv2d(1, 4, 3)), norse.LIF(), norse.Lift(nn.AvgPool2d(2)),
        nn.Flatten(2), nn.Linear(16, 10), norse.LI(),
    )  # fmt: skip


def recurrent():
    return Spikes(nn.Flatten(2), norse.LIFRecurrent(36, 40), nn.Linear(40, 10), norse.LIF())


NETWORKS = {
    "dense, LIFCell in a loop, LI output": (
        lambda: Cells(norse.LIFCell, norse.LICell()), "TN"),
    "dense, LIFBoxCell in a loop": (lambda: Cells(norse.LIFBoxCell, norse.LIFBoxCell()), "TN"),
    "convolution, LIFCell, max-pool of spikes": (Conv, "TN"),
    "convolution, SequentialState with Lift": (lifted, "TN"),
    "recurrent, LIFRecurrent in SequentialState": (recurrent, "TN"),
    "dense, refractory LIF": (lambda: Cells(norse.LIFRefracCell, norse.LICell()), "TN"),
}  # fmt: skip
