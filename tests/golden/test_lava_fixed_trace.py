"""Lava's published fixed-point LIF trace, bit for bit in the chip's integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.io.chip_file import load_chip
from nmhw.io.nir_read import read_nir
from nmhw.mappers.quantize import quantize_network
from nmhw.sim.engine import run_program
from nmhw.sim.program import build_program
from nmhw.sim.reference import run_reference
from nmhw.values.discretize import resolve_profile
from nmhw.values.events import SpikeEvents
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedNetwork

CASE = Path(__file__).parents[1] / "data" / "nir-cases" / "01_lif"
INTEGERS = {"1": {"threshold": 25, "v_decay": 163}, "0": {"weight": 10}}


def deploy(chip: str, **changes: Any) -> QuantizedNetwork:
    network = read_nir(CASE / "lif_norse.nir")
    profile = resolve_profile(network, "lava", dt_s=1e-4)
    explicit = {name: {**entry, **changes.get(name, {})} for name, entry in INTEGERS.items()}
    return quantize_network(network, load_chip(chip), profile, explicit=explicit)


def trace() -> tuple[SpikeEvents, Any, Any]:
    columns = np.loadtxt(CASE / "lif_lava_cpu_fixed.csv", delimiter=",")
    return SpikeEvents.from_dense(columns[None, :, :1], (1,)), columns[:, 1], columns[:, 2]


@pytest.mark.parametrize("chip", ["loihi1-d18", "loihi1-nahuku"])
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_lava_fixed_point_trace_is_reproduced_bit_for_bit(chip: str, backend: str) -> None:
    quantized = deploy(chip)
    population, projection = quantized.populations[0], quantized.projections[0]
    assert population.threshold.tolist() == [25 * 64]
    assert population.v_keep.tolist() == [4096 - 163]
    assert (projection.weights.tolist(), projection.shift, projection.delay_steps) == ([[10]], 0, 1)
    events, v, spikes = trace()
    options: dict[str, Any] = {"n_steps": 1000, "probes": [Probe("1", "v", 1)]}
    if backend == "reference":
        run = run_reference(quantized, {"input": events}, **options)
    else:
        run = run_program(build_program(quantized), {"input": events}, **options)
    assert spikes.sum() == 4
    np.testing.assert_array_equal(run.spikes["1"].dense()[0, :, 0], spikes)
    np.testing.assert_array_equal(run.probes["1", "v"].values[0, :, 0], v)


@pytest.mark.parametrize(
    "other", [{"1": {"threshold": 26}}, {"1": {"v_decay": 164}}, {"0": {"weight": 12}}]
)
def test_other_integers_give_another_trace(other: dict[str, Any]) -> None:
    events, v, _ = trace()
    run = run_reference(
        deploy("loihi1-d18", **other), {"input": events}, n_steps=1000, probes=[Probe("1", "v", 1)]
    )
    assert np.any(run.probes["1", "v"].values[0, :, 0] != v)
