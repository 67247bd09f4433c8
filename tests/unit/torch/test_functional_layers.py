"""Functional layers, joined channels, sums with parameters: the float run is the module."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nmhw
from nmhw.errors import TorchError
from nmhw.torch import IF, LIF
from nmhw.values.linear import Conv, Dense

TAU = {"tau_mem_s": 5e-3, "dt_s": 1e-3}


class Dense3(nn.Module):
    """Two branches joined along the channels, as in DenseNets; a mean over the map at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3)
        self.left, self.right = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 1)
        self.norm, self.joined = nn.BatchNorm2d(6), nn.Conv2d(6, 5, 3)
        self.first, self.act, self.last = LIF(**TAU), LIF(**TAU), LIF(**TAU)
        self.head = nn.Parameter(torch.randn(4, 5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, t = x.shape[:2]
        spikes = self.first(self.stem(x.flatten(0, 1)).unflatten(0, (n, t))).flatten(0, 1)
        both = torch.cat([self.left(spikes), self.right(spikes)], dim=1)
        now = self.joined(functional.avg_pool2d(self.norm(both), 2)).unflatten(0, (n, t))
        now = self.act(now * 8.0)
        pooled = now.mean((-2, -1))
        return self.last(functional.linear(pooled, self.head * 2.0, self.head[:, 0]))


def test_branches_joined_along_channels_are_the_module_in_every_spike() -> None:
    torch.manual_seed(4)
    net = Dense3()
    with torch.no_grad():
        net.norm.bias.fill_(0.4)
        net.norm.running_mean += 0.2
    sample = (torch.rand(3, 20, 1, 8, 8) < 0.5).float() * 4
    network = nmhw.from_torch(net, sample)
    assert {n.rule for n in network.notices} >= {"torch.checked", "torch.batch-norm"}
    into = network.incoming("act")
    assert [[op.weight.shape for op in p.ops if isinstance(op, Conv)] for p in into] == [
        [(2, 3, 1, 1), (5, 2, 3, 3)], [(4, 3, 1, 1), (5, 4, 3, 3)],
    ]  # fmt: skip
    run = nmhw.run_float(network, sample.double())
    own = net.eval().double()(sample.double())
    assert own.sum() > 0
    np.testing.assert_array_equal(run.spikes["last"].dense(), own.detach())


class Meeting(nn.Module):
    """One layer with a bias behind a sum and behind a join of features."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.after = nn.Linear(6, 5), nn.Linear(6, 5), nn.Linear(10, 4)
        self.norm, self.hidden, self.act = nn.BatchNorm1d(5), IF(), IF()
        self.shift = nn.Parameter(torch.full((5,), 0.25))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        summed = self.norm((self.a(x) + self.b(x)).flatten(0, 1)).view(*x.shape[:2], 5)
        hidden = self.hidden(0.5 + (summed + self.shift) / 2.0)
        return self.act(self.after(torch.cat((hidden, summed), -1)))


def test_a_bias_behind_a_meeting_counts_once() -> None:
    torch.manual_seed(6)
    net = Meeting()
    with torch.no_grad():
        net.after.bias.fill_(0.3)
        net.norm.bias.fill_(0.2)
    network = nmhw.from_torch(net, torch.rand(2, 15, 6) * 3)
    assert any(n.rule == "torch.checked" for n in network.notices)
    into = network.incoming("act")
    assert sum(p.bias is not None and bool(np.any(p.bias)) for p in into) == 3
    last = [op.weight.shape for p in into for op in p.ops if isinstance(op, Dense)]
    assert last.count((4, 5)) == len(into) == 3


class Gate(nn.Module):
    """Functions that are no linear operation, by name."""

    def __init__(self, function: str) -> None:
        super().__init__()
        self.fc, self.act, self.function = nn.Linear(4, 4), LIF(**TAU), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        now = self.fc(x)
        made = {
            "gate": lambda: now * x,
            "matmul": lambda: now @ now.transpose(-1, -2) @ x,
            "time": lambda: torch.cat([torch.zeros_like(now[:, :1]), now[:, :-1]], 1),
            "numpy": lambda: torch.from_numpy(now.detach().numpy() + 1.0),
            "per sample": lambda: now + torch.arange(40.0).reshape(2, 5, 4),
        }[self.function]()
        return self.act(made)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("gate", "no linear operation .* mul"),
        ("matmul", "no linear operation .* matmul"),
        ("time", "joined along an axis that is not that of the channels"),
        ("numpy", "no input and no layer's output"),
        ("per sample", "differs between samples or steps"),
    ],
)
def test_what_is_no_linear_operation_gets_the_skeleton_to_paste(
    function: str, message: str
) -> None:
    with pytest.raises(TorchError, match=message) as caught:
        nmhw.from_torch(Gate(function), torch.rand(2, 5, 4))
    assert "nmhw.torch.Sequential(nn.Linear(" in (caught.value.hint or "")
