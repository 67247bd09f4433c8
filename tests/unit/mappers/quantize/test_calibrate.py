"""Calibration: what the states really do sets their headroom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.float_run import run_float
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.probe import Probe
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.runner import Activity

LOIHI = load_chip("loihi1-nahuku")
EULER = Profile("test", dt_s=1e-3)
R = np.random.default_rng(4)
N_IN = 400


def network() -> Network:
    build = Network.build("net").input("in", N_IN)
    build.population("pop", 8, "cubalif", tau_mem_s=0.05, tau_syn_s=0.02, v_threshold=0.3)
    build.population("read", 3, "li", tau_mem_s=0.05)
    build.project("in", "pop", R.normal(size=(8, N_IN))).project(
        "pop", "read", R.normal(size=(3, 8))
    )
    return build.output("out", "read").done()


def run_activity(
    net: Network | QuantizedNetwork, inputs: Mapping[str, Any]
) -> Mapping[str, Activity]:
    assert isinstance(net, Network)
    wanted = [(p, v) for p in net.populations for v in ("uv" if p.model.has_current else "v")]
    run = run_float(net, EULER, inputs, probes=[Probe(p.name, v, 1) for p, v in wanted])
    peaks = {(p.name, v): np.zeros(p.size) for p in net.populations for v in "uv"}
    for p, v in wanted:
        peaks[p.name, v] = np.abs(run.probes[p.name, v].values).max(axis=(0, 1))
    activity = {
        p.name: Activity(peaks[p.name, "u"], peaks[p.name, "v"], np.zeros(p.size))
        for p in net.populations
    }
    return activity


def inputs() -> dict[str, SpikeEvents]:
    return {"in": SpikeEvents.from_dense(R.random((2, 50, N_IN)) < 0.05, (N_IN,))}


def test_calibration_raises_the_scale_of_a_readout_that_the_worst_case_held_back() -> None:
    net = network()
    worst = quantize_network(net, LOIHI, EULER)
    calibrated = quantize_network(net, LOIHI, EULER, calibration=inputs(), runner=run_activity)
    assert any(n.rule.startswith("quantize.headroom") for n in worst.notices)
    assert not any(n.rule.startswith("quantize.headroom") for n in calibrated.notices)
    assert calibrated.populations[1].scale[0] >= 2 * worst.populations[1].scale[0]


def test_calibrated_states_leave_a_factor_of_two() -> None:
    net, events = network(), inputs()
    q = quantize_network(net, LOIHI, EULER, calibration=events, runner=run_activity)
    activity = run_activity(net, events)
    for population in q.populations:
        peak = activity[population.name].peak_v.max() * population.scale.max()
        assert 2 * peak <= (1 << 23)


@pytest.mark.parametrize("v_bits", [7, 9, 12])
def test_calibration_never_makes_a_coarse_membrane_coarser(v_bits: int) -> None:
    generic = load_chip("generic")
    chip = replace(generic, arithmetic=replace(generic.arithmetic, v_bits=v_bits))
    net = network()
    worst = quantize_network(net, chip, EULER).populations[0]
    events = inputs()
    calibrated = quantize_network(net, chip, EULER, calibration=events, runner=run_activity)
    population = calibrated.populations[0]
    assert population.threshold.min() >= min(64, worst.threshold.min())
    peak = run_activity(net, events)["pop"].peak_v.max() * population.scale.max()
    fits = 2 * peak <= 1 << (v_bits - 1)
    assert fits or population.threshold.min() < 128  # room is given up for fine thresholds alone


def test_calibration_inputs_need_a_runner() -> None:
    with pytest.raises(UsageError, match="calibration inputs need a runner"):
        quantize_network(network(), LOIHI, EULER, calibration=inputs())


def test_a_state_that_never_moved_keeps_its_worst_case() -> None:
    silent = {"in": SpikeEvents.from_dense(np.zeros((1, 10, N_IN)), (N_IN,))}
    net = network()
    worst = quantize_network(net, LOIHI, EULER)
    calibrated = quantize_network(net, LOIHI, EULER, calibration=silent, runner=run_activity)
    for a, b in zip(worst.populations, calibrated.populations, strict=True):
        np.testing.assert_array_equal(a.threshold, b.threshold)
        np.testing.assert_array_equal(a.scale, b.scale)
