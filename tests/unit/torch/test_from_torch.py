"""Modules as networks: what is folded, followed, dropped and refused, by name."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nmhw
from nmhw.errors import InputError, ProfileError, TorchError, UsageError
from nmhw.torch import IF, LI, LIF, CubaLIF, Sequential

TAU = {"tau_mem_s": 5e-3, "dt_s": 1e-3}


def rules(network: nmhw.Network) -> dict[str, str]:
    return {n.about: n.rule for n in network.notices if n.rule.startswith("torch.")}


def settle(net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Give every BatchNorm running statistics and an affine part that are not trivial."""
    torch.manual_seed(3)
    with torch.no_grad():
        for part in net.modules():
            if isinstance(part, nn.BatchNorm2d | nn.BatchNorm1d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(0.0, 0.5)
        for _ in range(5):
            net(torch.rand(*shape))
    return net


def test_a_convolutional_network_is_the_module_in_every_spike() -> None:
    torch.manual_seed(0)
    net = Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), LIF(**TAU),
        nn.MaxPool2d(2), nn.Conv2d(4, 6, (2, 3), padding="valid", groups=2),
        nn.AvgPool2d((2, 1), 1), nn.BatchNorm2d(6), LIF(**TAU), nn.Flatten(), nn.Dropout(0.5),
        nn.Linear(24, 5), nn.BatchNorm1d(5), LIF(**TAU),
    )  # fmt: skip
    settle(net, (4, 5, 2, 8, 8))
    network = nmhw.from_torch(net, (torch.rand(3, 12, 2, 8, 8) < 0.4).float())
    assert [(p.name, p.shape, p.model.kind) for p in network.populations] == [
        ("2", (4, 8, 8), "lif"), ("3", (4, 4, 4), "threshold"), ("7", (6, 2, 2), "lif"),
        ("12", (5,), "lif"),
    ]  # fmt: skip
    expected = {"1": "batch-norm", "3": "max-pool", "6": "batch-norm", "9": "dropout"}
    expected |= {"11": "batch-norm", "network": "checked"}
    assert rules(network) == {k: f"torch.{v}" for k, v in expected.items()}
    x = (torch.rand(7, 15, 2, 8, 8) < 0.4).double()
    run = nmhw.run_float(network, x)
    made: dict[str, torch.Tensor] = {}
    for name in ("2", "7", "12"):
        net.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: made.update({name: out})
        )
    net.eval().double()(x)
    for name, spikes in made.items():
        assert spikes.sum() > 0
        np.testing.assert_array_equal(run.spikes[name].dense(), spikes.flatten(2).detach())


class Loop(nn.Module):
    """Steps in Python, a recurrent layer, shared functions, branches that meet."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.rec = nn.Linear(6, 9), nn.Linear(9, 9, bias=False)
        self.hidden = CubaLIF(5e-3, 2e-3)
        self.skip, self.out, self.act = nn.Linear(6, 4), nn.Linear(9, 4), LIF(**TAU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.hidden(self.fc(x.flatten(2)))
        both = self.out(functional.dropout(hidden, training=self.training)) * 2.0
        return self.act(both + self.skip(x.view(*x.shape[:2], -1))).mean(1)


def test_functions_and_branches_are_followed() -> None:
    torch.manual_seed(1)
    network = nmhw.from_torch(Loop(), torch.rand(2, 20, 2, 3) * 4)
    assert network.inputs[0].shape == (2, 3)
    assert [(p.name, p.source, p.target) for p in network.projections] == [
        ("fc_shape>fc", "input", "hidden"), ("out>mul", "hidden", "act"),
        ("skip_shape>skip", "input", "act"),
    ]  # fmt: skip
    assert rules(network)["network"] == "torch.checked"


def test_a_linear_end_and_integrators_are_kept() -> None:
    net = Sequential(nn.Linear(4, 5), IF(), nn.Linear(5, 3))
    network = nmhw.from_torch(net, torch.rand(2, 9, 4))
    assert [(p.name, p.model.kind) for p in network.populations] == [("1", "if"), ("2", "linear")]
    net = Sequential(nn.Linear(4, 5), LIF(**TAU), nn.Linear(5, 3), LI(**TAU))
    assert nmhw.from_torch(net, torch.rand(2, 9, 4)).population("3").model.kind == "li"


class Broken(nn.Module):
    def __init__(self, layer: nn.Module | None = None) -> None:
        super().__init__()
        self.fc, self.layer, self.act = nn.Linear(4, 4), layer, LIF(**TAU)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        now = self.fc(x)
        return self.act(self.layer(now) if self.layer is not None else torch.tanh(now))


class PerStep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.act = nn.Linear(4, 4), Leaky()
        self.norms = nn.ModuleList(nn.BatchNorm1d(4) for _ in range(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([self.act(norm(self.fc(x)))[0] for norm in self.norms])


class Leaky(nn.Module):
    """Stands for snnTorch's: same name, same attributes, its default rule."""

    __module__ = "snntorch._neurons.leaky"

    def __init__(self, beta: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("beta", torch.tensor(beta))
        self.register_buffer("threshold", torch.tensor(1.0))
        self._reset_mechanism, self.reset_delay = "subtract", True
        self.mem: Any = None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mem = torch.zeros_like(x) if self.mem is None else self.mem
        self.mem = self.beta * mem + x - (mem > self.threshold).float() * self.threshold
        return (self.mem > self.threshold).float(), self.mem


@pytest.mark.parametrize(
    ("module", "sample", "message", "where"),
    [
        (Broken(), (2, 5, 4), "no linear operation .* tanh", "Broken: tanh"),
        (Broken(nn.ReLU()), (2, 5, 4), "ReLU.*neurons in its place", "layer"),
        (Broken(nn.LayerNorm(4)), (2, 5, 4), "LayerNorm.*BatchNorm, which folds", "layer"),
        (Broken(nn.BatchNorm1d(5, track_running_stats=False)), (2, 5, 4), "no running", "layer"),
        (PerStep(), (2, 4), "BatchNorm per step", "norms.0"),
        (Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), LIF(**TAU)), (2, 5, 1, 6, 6),
         "maximum of currents", "1"),
        (Sequential(nn.Linear(4, 4), LIF(profile="sinabs", r=1.0), nn.Unflatten(1, (1, 2, 2)),
                    nn.MaxPool2d(2), nn.Flatten(), nn.Linear(1, 2), LIF(profile="sinabs", r=1.0)),
         (2, 5, 4), "several times per step", "3"),
        (Sequential(nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular"), LIF(**TAU)),
         (2, 5, 1, 6, 6), "border that is not zero", "0"),
    ],
)  # fmt: skip
def test_what_has_no_place_is_refused_by_path(
    module: nn.Module, sample: tuple[int, ...], message: str, where: str
) -> None:
    with pytest.raises(TorchError, match=message) as caught:
        nmhw.from_torch(module, torch.rand(sample))
    assert caught.value.where == where
    assert "nmhw.torch.Sequential(nn." in (caught.value.hint or "")
    assert caught.value.exit_code == 2


def test_a_layer_that_means_something_else_is_found_by_running_it() -> None:
    class Odd(Leaky):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            spikes, mem = super().forward(x)
            self.mem = torch.zeros_like(mem)
            return spikes, mem

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.act = nn.Linear(4, 4), Odd()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([self.act(self.fc(now))[0] for now in x])

    torch.manual_seed(0)
    sample = torch.rand(20, 2, 4) * 6
    with pytest.raises(TorchError, match=r"differing bins, the first at act, sample \d"):
        nmhw.from_torch(Steps(), sample)
    assert nmhw.from_torch(Steps(), sample, check=False).population("act").model.kind == "lif"


def test_steps_and_meanings_must_agree() -> None:
    sample = torch.rand(2, 5, 4)
    two = Sequential(nn.Linear(4, 4), LIF(dt_s=1e-3), nn.Linear(4, 4), LIF(dt_s=2e-3))
    with pytest.raises(ProfileError, match="another time step"):
        nmhw.from_torch(two, sample)
    two = Sequential(nn.Linear(4, 4), LIF(), nn.Linear(4, 4), LIF(reset="subtract"))
    with pytest.raises(ProfileError, match="differ in their reset"):
        nmhw.from_torch(two, sample)
    with pytest.raises(ProfileError, match="dt must be positive"):
        nmhw.from_torch(two, sample, dt_s=-1.0)
    with pytest.raises(UsageError, match=r"takes a torch\.nn\.Module"):
        nmhw.from_torch(two, np.zeros((2, 5, 4)))
    with pytest.raises(InputError, match="fails on the sample"):
        nmhw.from_torch(two, torch.rand(2, 5, 7))


def test_the_users_module_is_left_as_it_was() -> None:
    net = settle(Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), LIF(**TAU)), (2, 5, 4))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    nmhw.from_torch(net, torch.rand(2, 5, 4))
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
