"""The float run against traces and spikes that other simulators published (origin: tests/data)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nmhw.io.nir_read import read_nir
from nmhw.sim.float_run import run_float
from nmhw.values.discretize import infer_dt, resolve_profile
from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.probe import Probe

CASES = Path(__file__).parents[1] / "data" / "nir-cases"
DT_S = 1e-4


def lif_network() -> Network:
    return read_nir(CASES / "01_lif" / "lif_norse.nir")


def braille_network() -> Network:
    return read_nir(CASES / "03_rnn" / "braille_noDelay_bias_zero.nir")


def lif_trace(name: str) -> np.ndarray:
    return np.loadtxt(CASES / "01_lif" / f"{name}.csv", delimiter=",")


def run_lif(trace: np.ndarray, profile: str, **overrides: object) -> tuple[np.ndarray, np.ndarray]:
    network = lif_network()
    meaning = resolve_profile(network, profile, dt_s=DT_S, **overrides)
    spikes_in = SpikeEvents.from_dense(trace[None, :, :1])
    run = run_float(network, meaning, spikes_in, probes=[Probe("1", "v")])
    v = run.probes["1", "v"].values[0, :, 0]
    return v, run.spikes["1"].dense()[0, :, 0]


# v of snnTorch is in units of dt/tau, v of Nengo in units of the threshold
@pytest.mark.parametrize(
    ("name", "profile", "scale"),
    [("lif_norse", "norse", 1), ("lif_snntorch", "snntorch", 25), ("lif_nengo", "nengo", 10)],
)
def test_single_neuron_trace_is_reproduced(name: str, profile: str, scale: float) -> None:
    trace = lif_trace(name)
    v, spikes = run_lif(trace, profile)
    assert np.flatnonzero(spikes).tolist() == [460, 510, 710, 760]
    np.testing.assert_array_equal(spikes, trace[:, 2])
    assert np.abs(scale * v - trace[:, 1]).max() <= 5e-7 * np.abs(trace[:, 1]).max()


def test_lava_float_trace_is_reproduced_one_step_later() -> None:
    trace = lif_trace("lif_lava_cpu_float")
    v, spikes = run_lif(trace, "lava")
    assert v.size == len(trace) + 1  # T + D
    assert np.flatnonzero(spikes).tolist() == [461, 511, 711, 761]
    np.testing.assert_array_equal(spikes[:-1], trace[:, 2])
    assert np.abs(v[:-1] - trace[:, 1]).max() <= 5e-7 * np.abs(trace[:, 1]).max()


def test_continuous_time_solution_has_the_same_spike_steps_and_v_within_1_percent() -> None:
    # exact exponential decay on the grid, reset by subtraction; the published solution puts the
    # spikes between the steps, which is all that differs
    trace = lif_trace("lif_exact")
    v, spikes = run_lif(trace, "nengo", reset="subtract")
    np.testing.assert_array_equal(np.flatnonzero(spikes), np.flatnonzero(trace[:, 2]))
    assert np.abs(v - trace[:, 1]).max() <= 0.01 * np.abs(trace[:, 1]).max()


@pytest.mark.parametrize(
    ("profile", "n_spikes"), [("snntorch", 119), ("norse", 118), ("spyx", 151)]
)
def test_braille_hidden_spikes_differ_in_no_bin(profile: str, n_spikes: int) -> None:
    network = braille_network()
    x = np.load(CASES / "03_rnn" / "braille_input_letterA_256x12.npy")
    published = np.load(CASES / "03_rnn" / f"{profile}_activity_noDelay_bias_zero.npy")
    run = run_float(network, resolve_profile(network, profile), SpikeEvents.from_dense(x[None]))
    hidden = run.spikes["lif1.lif"]
    assert len(hidden) == n_spikes == int(published.sum())
    np.testing.assert_array_equal(hidden.dense()[0], published)
    if profile != "spyx":  # both call the letter A
        assert int(run.spikes["lif2"].counts()[0].argmax()) == 1


def test_braille_file_proves_its_time_step() -> None:
    dt_s, notices = infer_dt(braille_network())
    assert dt_s == DT_S
    assert [n.rule for n in notices] == ["profile.dt-inferred"]


def test_physical_units_prove_no_time_step() -> None:
    assert infer_dt(lif_network()) == (None, [])
