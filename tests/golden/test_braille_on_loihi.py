"""The Braille network has biases on its synaptic currents; Loihi has them on membranes alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nmhw
from nmhw.mappers.verify import verify

CASE = Path(__file__).parents[1] / "data" / "nir-cases" / "03_rnn"
HIDDEN, OUT = "lif1.lif", "lif2"


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """(1, 256, 12) spikes of a letter A."""
    return np.load(CASE / "braille_input_letterA_256x12.npy")[None]


def load(profile: str) -> nmhw.Network:
    return nmhw.load(CASE / "braille_noDelay_bias_zero.nir", profile=profile, dt_s=1e-4)


def fine_chip() -> nmhw.ChipSpec:
    """Loihi's hop and places for a bias, with integers in which no rounding shows."""
    top = (1 << 21) - 1
    chip = nmhw.chip("generic")
    arithmetic = replace(
        chip.arithmetic,
        weight_bits=(22,),
        weight_min=-top,
        weight_max=top,
        weight_exponent=(-20, 20),
        decay_bits=24,
        u_bits=39,
        v_bits=39,
        threshold_bits=38,
        bias_bits=38,
        bias_on=("membrane",),
        hop_steps=1,
    )
    formats = tuple(replace(e, weight_bits=(22,)) for e in chip.encodings)
    return replace(chip, arithmetic=arithmetic, encodings=formats)


def differing_bins(run: nmhw.Run, floats: nmhw.FloatRun, name: str) -> int:
    return int((run.result.windowed(name).dense() != floats.result.windowed(name).dense()).sum())


def test_it_deploys_on_loihi_without_allowing_anything(x: np.ndarray) -> None:
    network = load("snntorch")
    deployed = nmhw.deploy(network, "loihi1-nahuku")
    assert not verify(deployed.quantized, deployed.chip, deployed.mapping).violations
    delays = {p.name: p.delay_steps for p in deployed.quantized.projections if "(" in p.name}
    assert delays == {"(bias)>lif1.lif": 1, "(bias)>lif2": 2}
    # the bias neuron is a neuron: nothing enters from the host in its name
    assert [port.name for port in deployed.quantized.inputs] == ["input"]
    assert deployed.quantized.constant_inputs == ()
    run, reference = (deployed.run(x, backend=b) for b in ("numba", "reference"))
    for name in (HIDDEN, OUT):
        np.testing.assert_array_equal(run.spikes[name].dense(), reference.spikes[name].dense())
    assert run.summary()["neuron_updates"] == 46 * (256 + 2)  # 38 + 7 neurons and the bias neuron
    # 8-bit weights move spikes, on a chip with the bias (generic: 85 bins) as much as on this one
    floats = nmhw.run_float(network, x)
    n_float, n_chip = (len(r.result.windowed(HIDDEN)) for r in (floats, run))
    assert n_float == 119
    assert abs(n_chip - n_float) <= 6
    assert differing_bins(run, floats, HIDDEN) <= 100
    assert int(run.predictions[0]) == int(floats.predictions[0]) == 1


@pytest.mark.parametrize("profile", ["snntorch", "norse"])
def test_in_fine_integers_no_bin_differs(profile: str, x: np.ndarray) -> None:
    # norse adds recurrent biases from the second step on
    network, chip = load(profile), fine_chip()
    floats = nmhw.run_float(network, x)
    run = nmhw.deploy(network, chip).run(x)
    assert [differing_bins(run, floats, name) for name in (HIDDEN, OUT)] == [0, 0]
    # the steady-state bias acts before the first input and without the current's rise
    allow = ("bias", "recurrent_bias_from_step")
    steady = nmhw.deploy(network, chip, allow=allow).run(x)
    assert differing_bins(steady, floats, HIDDEN) > 20
