"""Every preset against single layers of its framework (origin: tests/data/framework-traces)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.sim.float_run import run_float
from nmhw.values.discretize import resolve_profile
from nmhw.values.network import Network
from nmhw.values.probe import Probe

TRACES = np.load(Path(__file__).parents[1] / "data" / "framework-traces" / "traces.npz")
DT_S = 1e-3


def lif(tau_steps: float, r: float = 1.0, **more: float) -> dict[str, Any]:
    return {"kind": "lif", "tau_mem_s": tau_steps * DT_S, "r": r, **more}


def cubalif(tau_syn_steps: float, tau_mem_steps: float, w_in: float, r: float) -> dict[str, Any]:
    return {
        "kind": "cubalif",
        "tau_syn_s": tau_syn_steps * DT_S,
        "tau_mem_s": tau_mem_steps * DT_S,
        "w_in": w_in,
        "r": r,
    }


# what the framework's own exporter writes, or what its importer expects
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sinabs.if", {"kind": "if"}, {}),
    ("sinabs.lif", lif(20), {}),
    ("rockpool.cubalif", cubalif(10, 20, 1, 20 * np.exp(-1 / 20)), {}),
    ("rockpool.recurrent", cubalif(10, 20, 1, 20 * np.exp(-1 / 20)), {}),
    ("spikingjelly.if", {"kind": "if", "r": 1 / DT_S}, {}),
    ("spikingjelly.lif", lif(4, 4), {}),
    ("spikingjelly.lif_decay_input", lif(4, v_threshold=0.25), {}),
    ("snntorch.lif_zero", lif(2, 2), {}),
    ("snntorch.lif_subtract", lif(2, 2), {"reset": "subtract", "overshoot_rule": True}),
    ("snntorch.cubalif", cubalif(2, 4, 2, 4), {}),
    ("norse.lif", lif(4, v_threshold=0.25, v_leak=0.125), {}),
    ("spyx.if", {"kind": "if"}, {}),
    ("spyx.lif", lif(2, 2), {}),
    ("spyx.cubalif", cubalif(2, 4, 2, 4), {}),
    ("spyx.recurrent", cubalif(2, 4, 2, 4), {}),
]


@pytest.mark.parametrize(("case", "neuron", "overrides"), CASES, ids=[c[0] for c in CASES])
def test_preset_reproduces_its_framework(
    case: str, neuron: dict[str, Any], overrides: dict[str, Any]
) -> None:
    x, z, v = (TRACES[f"{case}.{key}"] for key in "xzv")
    n = x.shape[1]
    build = Network.build(case).input("in", n).population("p", n, **neuron).project("in", "p")
    if f"{case}.w" in TRACES:
        build.project("p", "p", TRACES[f"{case}.w"])
    network = build.output("out", "p").done()
    profile = resolve_profile(network, case.split(".")[0], dt_s=DT_S, **overrides)
    run = run_float(network, profile, x[None], probes=[Probe("p", "v")])
    np.testing.assert_array_equal(run.spikes["p"].dense()[0], z)
    # rockpool computes in float32, and so does sinabs its decay
    in_float32 = case.startswith("rockpool") or case == "sinabs.lif"
    tolerance = (1e-6 if in_float32 else 1e-12) * np.abs(v).max()
    np.testing.assert_allclose(run.probes["p", "v"].values[0], v, rtol=0, atol=tolerance)
    assert z.sum() > 20


def test_comparison_is_exercised_at_equality() -> None:
    # without membranes that meet the threshold exactly, > and >= would both pass
    for case, other in (("spikingjelly.if", ">"), ("sinabs.if", ">"), ("snntorch.lif_zero", ">=")):
        x, z = TRACES[f"{case}.x"], TRACES[f"{case}.z"]
        neuron = dict(next(c for c in CASES if c[0] == case)[1])
        build = Network.build(case).input("in", x.shape[1]).population("p", x.shape[1], **neuron)
        network = build.project("in", "p").output("out", "p").done()
        profile = resolve_profile(network, case.split(".")[0], dt_s=DT_S, compare=other)
        run = run_float(network, profile, x[None])
        assert (run.spikes["p"].dense()[0] != z).any(), case


def test_every_framework_preset_is_covered() -> None:
    covered = {case.split(".")[0] for case, _, _ in CASES}
    assert covered == {"sinabs", "rockpool", "spikingjelly", "snntorch", "norse", "spyx"}
