"""What a trace of one sample does not show is refused or noted: numbers, chance, branches."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nmhw
from nmhw.errors import InputError, TorchError
from nmhw.torch import LIF, Sequential


class Between(nn.Module):
    """Two layers of neurons with something of the test's between them."""

    def __init__(self, between: Any) -> None:
        super().__init__()
        self.a, self.l, self.b, self.m = nn.Linear(6, 6), LIF(), nn.Linear(6, 4), LIF()
        self.between = between

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.m(self.b(self.between(self.l(self.a(x)))))


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: torch.Tensor) -> torch.Tensor:
        return (v >= 1).float()


class OwnEnd(nn.Module):
    """Neurons written by hand behind the last linear layer."""

    def __init__(self, fire: Any) -> None:
        super().__init__()
        self.a, self.l, self.b, self.fire = nn.Linear(6, 6), LIF(), nn.Linear(6, 4), fire

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        v, fired, membranes = torch.zeros(len(x), 4), [], []
        for now in self.l(self.a(x)).unbind(1):
            v = 0.9 * v + self.b(now)
            fired.append(self.fire(v))
            v = v * (1 - fired[-1])
            membranes.append(v)
        return torch.stack(fired, 1), torch.stack(membranes, 1)


def spikes() -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.rand(2, 5, 6) < 0.4).float()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_named(value: float) -> None:
    net = Between(nn.Identity())
    with torch.no_grad():
        net.b.weight[2, 1] = value
    with pytest.raises(InputError) as caught:
        nmhw.from_torch(net, spikes(), check=False)
    assert caught.value.rule == "torch.finite"
    assert caught.value.where == "Between.b.weight"
    assert "[2, 1]" in str(caught.value)


def test_running_statistics_that_are_not_finite_are_named() -> None:
    net = Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), LIF())
    net[1].running_var[3] = np.nan
    with pytest.raises(InputError, match=r"1\.running_var.*\[torch\.finite\]"):
        nmhw.from_torch(net, spikes())


@pytest.mark.parametrize("shape", [(0, 5, 6), (2, 0, 6)])
def test_an_empty_sample_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"no numbers.*\[torch\.sample\]"):
        nmhw.from_torch(Between(nn.Identity()), torch.zeros(shape))


@pytest.mark.parametrize("fire", [lambda v: (v >= 1).float(), Spike.apply, lambda v: v.sign()])
def test_own_neurons_at_the_end_are_not_taken_for_a_linear_end(fire: Any) -> None:
    with pytest.raises(TorchError, match=r"neurons of one's own.*record.*\[torch\.own-neurons\]"):
        nmhw.from_torch(OwnEnd(fire), spikes())


def test_a_decision_on_the_output_spikes_is_still_looked_through() -> None:
    class Voted(Between):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (super().forward(x).mean(1) > 0.5).float()

    assert nmhw.from_torch(Voted(nn.Identity()), spikes()).populations[-1].name == "m"


@pytest.mark.parametrize(
    ("between", "name"),
    [
        (lambda x: x + 0.1 * torch.randn(6), "Between: randn"),
        (lambda x: functional.dropout(x, 0.5), "Between: dropout"),
    ],
)
def test_random_numbers_are_refused(between: Any, name: str) -> None:
    with pytest.raises(TorchError, match=r"random numbers.*\[torch\.random\]") as caught:
        nmhw.from_torch(Between(between), spikes())
    assert caught.value.got == name


@pytest.mark.parametrize(
    "between",
    [
        lambda x: 2 * x if x.sum() > 1000 else x,
        lambda x: x * (2.0 if float(x.mean()) > 5 else 1.0),
        lambda x: x[..., : int(x.max().item()) * 0 + 6],
    ],
)
def test_a_branch_on_the_data_is_refused_or_kept_on_demand(between: Any) -> None:
    with pytest.raises(TorchError, match=r"looks at the data.*\[torch\.data-branch\]"):
        nmhw.from_torch(Between(between), spikes())
    assert len(nmhw.from_torch(Between(between), spikes(), check=False).populations) == 2


def test_a_branch_on_a_parameter_is_followed() -> None:
    gain = nn.Parameter(torch.ones(1))
    net = Between(lambda x: functional.dropout(x, 0.5, training=False) if gain.any() else x)
    assert len(nmhw.from_torch(net, spikes()).populations) == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_in_half_precision_is_converted_with_a_warning(dtype: torch.dtype) -> None:
    net, x = Between(nn.Identity()).to(dtype), spikes().to(dtype)
    network = nmhw.from_torch(net, x)
    [notice] = [n for n in network.notices if n.rule == "torch.precision"]
    assert str(dtype).removeprefix("torch.") in notice.text
    assert not [n for n in nmhw.from_torch(net.float(), x.float()).notices
                if n.rule == "torch.precision"]  # fmt: skip
