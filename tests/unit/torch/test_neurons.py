"""Neuron modules: their spikes are those of the float run, and they can be trained."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import InputError, ProfileError, UsageError
from nmhw.torch import IF, LI, LIF, CubaLI, CubaLIF, I, Neurons, Sequential
from nmhw.torch.surrogate import surrogate_derivative
from nmhw.values.linear import Dense
from nmhw.values.profile import PRESETS, Profile

N_IN, N_OUT = 12, 9
MEANINGS: list[Profile] = [
    *(p for p in PRESETS.values() if not p.hop_steps),
    Profile("zero bound", reset="subtract", lower_bound="minus-threshold"),
    Profile("snntorch subtract", reset="subtract", overshoot_rule=True),
    Profile("snntorch late subtract", reset="subtract", reset_lag=1),
    Profile("late zero", reset_delay=1),
    Profile("no reset", reset="none"),
]
LAYERS: list[tuple[type[Neurons], dict[str, Any]]] = [
    (IF, {"v_threshold": 1.25}),
    (LIF, {"tau_mem_s": 7e-3, "v_leak": 0.25, "v_reset": -0.25}),
    (LIF, {"tau_mem_s": np.linspace(2e-3, 9e-3, N_OUT), "v_threshold": 0.7}),
    (CubaLIF, {"tau_mem_s": 7e-3, "tau_syn_s": 3e-3}),
    (I, {}),
    (LI, {"tau_mem_s": 7e-3}),
    (CubaLI, {"tau_mem_s": 7e-3, "tau_syn_s": 3e-3}),
]


def network_of(layer: Neurons, weight: Any) -> nmhw.Network:
    """Write the same layer by hand, not by from_torch."""
    given = layer.parameters_given
    build = nmhw.Network.build().input("input", N_IN).population("n", N_OUT, layer.kind, **given)
    return build.project("input", "n", ops=(Dense(weight),)).output("output", "n").done()


@pytest.mark.parametrize("profile", MEANINGS, ids=lambda p: p.name)
@pytest.mark.parametrize(("kind", "parameters"), LAYERS)
def test_forward_equals_the_float_run(
    kind: type[Neurons], parameters: dict[str, Any], profile: Profile
) -> None:
    rng = np.random.default_rng(7)
    layer = kind(dt_s=1e-3, profile=profile, **parameters)
    weight = rng.normal(0.15, 0.5, (N_OUT, N_IN)).astype(np.float32).astype(np.float64)
    x = (rng.random((3, 40, N_IN)) < 0.3).astype(np.float64)
    network = give_meaning(network_of(layer, weight), layer.profile)
    run = nmhw.run_float(network, x, readout=None if layer.kind[-1] == "f" else "v-last")
    out = layer(torch.from_numpy(x @ weight.T)).numpy()
    if layer.kind in ("if", "lif", "cubalif"):
        expected = run.spikes["n"].dense()
        assert expected.sum() > 0
        np.testing.assert_array_equal(out, expected)
    else:
        np.testing.assert_array_equal(out, run.probes["n"]["v"])


def test_per_channel_parameters_broadcast_over_the_maps() -> None:
    tau = np.array([2e-3, 8e-3]).reshape(2, 1, 1)
    both = LIF(tau)(torch.full((1, 9, 2, 3, 3), 0.3)).sum((0, 1, 3, 4))
    alone = [LIF(t)(torch.full((1, 9, 3, 3), 0.3)).sum() for t in (2e-3, 8e-3)]
    assert both.tolist() == [float(a) for a in alone]
    assert both[0] != both[1]
    with pytest.raises(UsageError, match="do not fit its features"):
        LIF(tau).neuron_model((3, 3, 3))


@pytest.mark.parametrize("name", ["atan", "triangle"])
def test_surrogates_enclose_an_area_of_one_and_reach_the_weights(name: str) -> None:
    x = torch.linspace(-400, 400, 800_001, dtype=torch.float64)
    area = torch.trapezoid(surrogate_derivative(x, name, 0.5), x)
    assert area == pytest.approx(1.0, abs=2e-3)
    torch.manual_seed(0)
    net = Sequential(nn.Linear(4, 5), LIF(5e-3, surrogate=name), nn.Linear(5, 2), LI(5e-3))
    net((torch.rand(2, 10, 4) < 0.5).float()).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_steps_join_the_samples_for_stateless_layers() -> None:
    torch.manual_seed(1)
    net = Sequential(nn.Conv2d(1, 2, 3), nn.Sequential(nn.BatchNorm2d(2), LIF(5e-3)), nn.Flatten())
    out = net(torch.rand(3, 6, 1, 5, 5))
    assert out.shape == (3, 6, 18)
    assert net.get_submodule("1.0").num_batches_tracked == 1


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(InputError, match="samples, steps"):
        LIF()(torch.rand(3, 4))
    with pytest.raises(ProfileError, match="within the step"):
        LIF(profile="lava")
    with pytest.raises(ProfileError, match="longer than a time constant"):
        LIF(1e-4, dt_s=1e-3)
    with pytest.raises(UsageError, match="no such surrogate"):
        LIF(surrogate="sigmoid")
    with pytest.raises(UsageError, match="must be finite and positive"):
        LIF(-1.0)
