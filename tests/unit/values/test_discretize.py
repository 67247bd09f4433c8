from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import ProfileError, UnsupportedError
from nmhw.values.discretize import discretize, infer_dt, needs_dt, resolve_profile
from nmhw.values.network import Network
from nmhw.values.profile import PRESETS, Profile


def network(*layers: dict[str, Any]) -> Network:
    build = Network.build("net").input("x", 1)
    source = "x"
    for k, layer in enumerate(layers):
        name = f"l{k}"
        build.population(name, 2 if k == 0 else 1, **layer)
        shape = (2, 1) if k == 0 else (1, 2 if k == 1 else 1)
        build.project(source, name, np.ones(shape))
        source = name
    return build.output("y", source).done()


def lif(tau: Any, r: Any = 1.0, **more: Any) -> dict[str, Any]:
    return {"kind": "lif", "tau_mem_s": tau, "r": r, **more}


def test_gain_of_one_everywhere_proves_dt() -> None:
    beta = np.float32([0.9, 0.5])
    tau = (np.float32(1e-3) / (1 - beta)).astype(np.float32)
    net = network(lif(tau, tau / np.float32(1e-3)), lif(0.02, 20.0))
    dt_s, notices = infer_dt(net)
    assert dt_s == 1e-3
    assert [n.rule for n in notices] == ["profile.dt-inferred"]
    assert resolve_profile(net, "snntorch").dt_s == 1e-3


def test_synaptic_gain_takes_part_in_the_proof() -> None:
    cuba = {"kind": "cubalif", "tau_mem_s": 1e-3, "tau_syn_s": 2e-3, "r": 10.0, "w_in": 20.0}
    assert infer_dt(network(cuba))[0] == 1e-4
    with pytest.raises(ProfileError, match=r"l0 \(tau_mem_s / r\).*l0 \(tau_syn_s / w_in\)"):
        infer_dt(network({**cuba, "w_in": 5.0}))


def test_layers_that_disagree_are_both_named() -> None:
    net = network(lif(0.01, 10.0), lif(0.01, 100.0))
    with pytest.raises(ProfileError, match=r"l0 .* gives 0\.001 s, l1 .* gives 0\.0001 s") as error:
        resolve_profile(net, "snntorch")
    assert error.value.rule == "profile.dt-disagrees"
    assert "--dt" in str(error.value)
    assert resolve_profile(net, "snntorch", dt_s=1e-4).dt_s == 1e-4


def test_layer_in_physical_units_contradicts_a_proof() -> None:
    with pytest.raises(ProfileError, match=r"l1 \(tau_mem_s / r\) gives 0\.005 s"):
        infer_dt(network(lif(0.01, 10.0), lif(0.005)))


def test_leak_of_zero_agrees_with_the_proof() -> None:
    net = network(lif(0.01, 10.0), lif(0.001))
    assert infer_dt(net)[0] == 1e-3
    assert discretize(net, resolve_profile(net, "snntorch"))["l1"].v_keep.tolist() == [0.0]


def test_physical_units_prove_nothing_and_dt_is_asked_for() -> None:
    net = network(lif([0.01, 0.02]))
    assert infer_dt(net) == (None, [])
    with pytest.raises(ProfileError, match=r"--dt SECONDS") as error:
        resolve_profile(net, "norse")
    assert (error.value.rule, error.value.exit_code) == ("profile.dt-missing", 2)


def test_integrate_and_fire_needs_no_dt_unless_its_gain_is_physical() -> None:
    net = network({"kind": "if"})
    assert resolve_profile(net, "sinabs").dt_s is None
    assert needs_dt(net, PRESETS["spikingjelly"])
    with pytest.raises(ProfileError, match="how long a step is"):
        resolve_profile(net, "spikingjelly")


def test_given_dt_that_the_file_contradicts_is_noticed() -> None:
    net = network(lif(0.01, 10.0))
    dt_s, notices = infer_dt(net, Profile("p", dt_s=5e-3))
    assert dt_s == 5e-3
    assert [n.rule for n in notices] == ["profile.dt-differs"]


@pytest.mark.parametrize(
    ("tau", "rule"), [(20.1, "profile.tau-in-steps"), (5e-6, "profile.tau-microseconds")]
)
def test_implausible_time_constants_are_noticed(tau: float, rule: str) -> None:
    _, notices = infer_dt(network(lif(tau)))
    assert [n.rule for n in notices] == [rule]
    assert "l0" in str(notices[0])


@pytest.mark.parametrize("dt_s", [0.0, -1.0, float("nan"), float("inf"), "1e-3", True])
def test_dt_must_be_a_positive_number(dt_s: Any) -> None:
    with pytest.raises(ProfileError, match="dt must be"):
        resolve_profile(network(lif(0.01)), "norse", dt_s=dt_s)


def test_euler_step_longer_than_tau_is_refused() -> None:
    net = network(lif([0.01, 0.002]))
    with pytest.raises(ProfileError, match=r"l0: dt is longer.*tau_mem_s = 0\.002 s"):
        resolve_profile(net, "norse", dt_s=0.005)
    assert resolve_profile(net, "nengo", dt_s=0.005).dt_s == 0.005


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"resett": "zero"}, "no such profile field"),
        ({"reset": "soft"}, "reset has no such value.*one of zero, value, subtract, none"),
        ({"hop_steps": 2}, "hop_steps has no such value"),
        ({"multi_spike": "yes"}, "multi_spike is true or false"),
        ({"recurrent_bias_from_step": -1}, "whole number"),
    ],
)
def test_wrong_overrides_are_refused(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        resolve_profile(network(lif(0.01)), "norse", dt_s=1e-3, **overrides)


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(ProfileError, match="one of snntorch, norse"):
        resolve_profile(network(lif(0.01)), "brian")


KEEP = float(np.exp(-0.1))
COEFFICIENTS = [
    ({"kind": "if", "r": 3.0}, {}, {"v_keep": 1, "v_gain": 3, "drive": 0}),
    ({"kind": "if", "r": 3.0}, {"if_gain": "physical"}, {"v_keep": 1, "v_gain": 0.003}),
    ({"kind": "i", "r": 2.0}, {}, {"v_keep": 1, "v_gain": 2, "threshold": np.inf}),
    (lif(0.01, 2.0, v_leak=3.0), {}, {"v_keep": 0.9, "v_gain": 0.2, "drive": 0.3}),
    (
        lif(0.01, 2.0, v_leak=3.0),
        {"integrator": "exponential", "input_gain": "zoh"},
        {"v_keep": KEEP, "v_gain": 2 * (1 - KEEP), "drive": 3 * (1 - KEEP)},
    ),
    (lif(0.01, 2.0), {"input_gain": "unit"}, {"v_keep": 0.9, "v_gain": 1}),
    (
        {"kind": "li", "tau_mem_s": 0.01, "r": 2.0},
        {},
        {"v_keep": 0.9, "v_gain": 0.2, "threshold": np.inf},
    ),
    (
        {"kind": "cubalif", "tau_mem_s": 0.01, "tau_syn_s": 0.005, "w_in": 2.0},
        {},
        {"v_keep": 0.9, "v_gain": 0.1, "u_keep": 0.8, "u_gain": 0.4},
    ),
    (
        {"kind": "cubali", "tau_mem_s": 0.01, "tau_syn_s": 0.01, "w_in": 2.0},
        {"integrator": "exponential", "current_gain": "unit"},
        {"v_keep": KEEP, "u_keep": KEEP, "u_gain": 1, "threshold": np.inf},
    ),
    ({"kind": "threshold", "v_threshold": 0.5}, {}, {"v_keep": 0, "v_gain": 1, "threshold": 0.5}),
    ({"kind": "linear"}, {}, {"v_keep": 0, "v_gain": 1, "u_gain": 1, "threshold": np.inf}),
]


@pytest.mark.parametrize(("layer", "fields", "expected"), COEFFICIENTS)
def test_step_coefficients_of_every_kind(
    layer: dict[str, Any], fields: dict[str, Any], expected: dict[str, float]
) -> None:
    cell = discretize(network(layer), Profile("p", dt_s=1e-3, **fields))["l0"]
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(cell, name), np.full(2, value), rtol=1e-12)
    assert cell.is_spiking == np.isfinite(cell.threshold).all()


def test_gain_written_in_float32_is_exactly_one() -> None:
    net = network(lif(0.0010000000474974513, 9.99999762))
    cell = discretize(net, resolve_profile(net, "snntorch"))["l0"]
    assert cell.v_gain.tolist() == [1.0, 1.0]


def test_lower_bound_applies_to_integrate_and_fire_alone() -> None:
    net = network({"kind": "if", "v_threshold": 2.0, "v_min": -1.0}, lif(0.02))
    cells = discretize(net, resolve_profile(net, "sinabs", dt_s=1e-3))
    assert cells["l0"].v_min.tolist() == [-1.0, -1.0]
    assert cells["l1"].v_min.tolist() == [-np.inf]
    free = network({"kind": "if", "v_threshold": 2.0})
    assert discretize(free, PRESETS["sinabs"])["l0"].v_min.tolist() == [-2.0, -2.0]


def test_discretize_without_dt_is_refused() -> None:
    with pytest.raises(ProfileError, match="need a step length"):
        discretize(network(lif(0.01)), Profile("p"))


def test_multi_spike_with_a_threshold_of_zero_is_refused() -> None:
    net = network({"kind": "if", "v_threshold": 0.0})
    with pytest.raises(ProfileError, match=r"l0: several spikes.*multi_spike=False"):
        discretize(net, PRESETS["sinabs"])


def test_refractory_time_is_refused_by_name() -> None:
    net = network(lif(0.01, refractory_s=2e-3))
    with pytest.raises(UnsupportedError, match="l0: refractory time"):
        discretize(net, Profile("p", dt_s=1e-3))
