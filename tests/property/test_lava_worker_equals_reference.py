"""The Lava worker's own arithmetic, without Lava, equals the NumPy reference in every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmhw.sim.lava.describe import _population, _projection
from nmhw.sim.lava.stock import lif_parameters
from nmhw.sim.lava.worker.nmhw_lava.cell_step import Cell
from nmhw.sim.lava.worker.nmhw_lava.event_rows import EventRows
from nmhw.values.arithmetic import initial_state, step_cell
from nmhw.values.connectivity import pooled_map, stored_synapses, synapse_counts
from nmhw.values.quantized import CellSpec, QuantizedPopulation


def assert_steps_are_equal(population: QuantizedPopulation, inputs: list[np.ndarray]) -> None:
    """Compare every state, spike and mask of a run."""
    entry, arrays = _population(population, 2**40)  # a bound that no stock process serves
    assert entry["process"] == "CellPopulation"
    cell, state = Cell(entry["spec"], arrays), initial_state(population)
    for summed in inputs:
        step = step_cell(population, state, summed)
        spikes = cell.step(summed)
        state = step.state
        np.testing.assert_array_equal(spikes, step.n_spikes)
        np.testing.assert_array_equal(cell.is_active, step.is_active)
        assert cell.n_saturated == int(step.is_saturated.sum())
        for mine, wanted in ((cell.u, state.u), (cell.v, state.v)):
            assert mine.dtype == wanted.dtype
            np.testing.assert_array_equal(mine, wanted)
        np.testing.assert_array_equal(cell.refractory, state.refractory)


@given(seed=st.integers(0, 2**32 - 1))
def test_cells_of_every_form(random_case: Callable[[int], Any], seed: int) -> None:
    network, _, _ = random_case(seed)
    r = np.random.default_rng([seed, 1])
    for population in network.populations:
        scale = int(r.choice([3, 60, 2000]))
        inputs = [r.integers(-scale, 2 * scale, population.size) for _ in range(12)]
        inputs[5] *= 0
        assert_steps_are_equal(population, inputs)


FORMS: list[dict[str, Any]] = [
    {"lower": "reset", "reset": "zero"},
    {"lower": "reset", "reset": "value"},
    {"lower": "reset", "reset": "subtract"},
    {"lower": "reset", "reset": "none"},
    {"v_decay": "converge"},
    {"v_decay": "shift-tail", "u_decay": "shift-tail", "has_current": True},
    {"v_bits": 6, "sum_bits": 9},
    {"v_bits": 6, "sum_bits": 9, "reset": "subtract", "reset_delay": 1},
    {"v_overflow": "saturate-full", "v_bits": 7},
    {"v_overflow": "wrap", "v_bits": 7, "u_overflow": "wrap", "u_bits": 7, "has_current": True},
    {"max_spikes_per_step": 5, "compare": ">=", "reset": "subtract"},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(map(str, form.values())))
def test_forms_that_random_networks_lack(form: dict[str, Any]) -> None:
    r = np.random.default_rng(5)
    n = 40
    zeros = np.zeros(n, np.int64)
    population = QuantizedPopulation(
        "p", (n,), replace(CellSpec(), **form),
        u_keep=r.integers(0, 5, n), v_keep=r.integers(0, 5, n),
        u_bias=zeros, v_bias=r.integers(-3, 4, n),
        threshold=r.integers(4, 30, n), v_reset=r.integers(-6, 6, n), v0=r.integers(-9, 9, n),
        scale=np.ones(n), profile_index=zeros, depth=0,
        v_min=r.integers(-25, -2, n), refractory_steps=r.integers(0, 3, n),
    )  # fmt: skip
    assert_steps_are_equal(population, [r.integers(-40, 45, n) for _ in range(60)])


@given(seed=st.integers(0, 2**32 - 1))
def test_event_rows_deliver_and_count_every_synapse(
    random_case: Callable[[int], Any], seed: int
) -> None:
    network, _, _ = random_case(seed)
    r = np.random.default_rng([seed, 2])
    sizes = network.sizes()
    for q in network.projections:
        n_source, n_target = sizes[q.source], sizes[q.target]
        # a bound beyond 32 bits: no stock process
        _, arrays = _projection(network, q, 1, {q.name: 2**31})
        counts = r.integers(0, 3, n_source) * (r.random(n_source) < 0.4)
        summed, n_read = EventRows(arrays, q.shift).deliver(counts, n_target)
        matrix = pooled_map(q, n_source).astype(np.int64) @ stored_synapses(q, n_target)
        expected = matrix.T @ counts
        expected = expected << q.shift if q.shift >= 0 else expected >> -q.shift
        np.testing.assert_array_equal(summed, expected)
        assert n_read == int((synapse_counts(q, n_source, n_target).T @ counts).sum())


@given(bias=st.lists(st.integers(-(2**19), 2**19), min_size=1, max_size=5))
def test_biases_are_mantissas_or_left_to_the_own_process(bias: list[int]) -> None:
    values = np.array(bias, np.int64)
    zeros = np.zeros(values.size, np.int64)
    loihi = CellSpec(
        has_current=True, u_decay="mulshift", v_decay="mulshift", input_shift=6, u_bits=24,
        v_bits=24, u_overflow="wrap",
    )  # fmt: skip
    population = QuantizedPopulation(
        "p", (values.size,), loihi, zeros + 4000, zeros + 4096, zeros, values, zeros + 64, zeros,
        zeros, np.ones(values.size), zeros, 0,
    )  # fmt: skip
    found = lif_parameters(population, 1000)
    fits = all(
        any(b % 2**e == 0 and abs(b >> e) <= 4095 for e in range(8)) for b in values.tolist()
    )
    assert (found is not None) == fits
    if found is not None:
        np.testing.assert_array_equal(found["bias_mant"] << found["bias_exp"], values)


def test_drives_that_pile_up_beyond_int32_are_left_to_the_own_process() -> None:
    """A constant drive x above 2^24 leaves x - 2^24 per step in Lava's u until it decays."""
    zeros = np.zeros(1, np.int64)
    for keep, drive, is_served in (
        (4095, 2**24, True),
        (4095, 2**24 + 2**19, False),  # 2^19 * 4096 = 2^31
        (4095, 2**24 + 2**18, True),
        (0, 2**29, True),
        (0, 2**31, False),
    ):
        loihi = CellSpec(
            has_current=True, u_decay="mulshift", v_decay="mulshift", input_shift=6, u_bits=24,
            v_bits=24, u_overflow="wrap",
        )  # fmt: skip
        population = QuantizedPopulation(
            "p", (1,), loihi, zeros + keep, zeros + 4096, zeros, zeros, zeros + 64, zeros, zeros,
            np.ones(1), zeros, 0,
        )  # fmt: skip
        assert (lif_parameters(population, drive >> 6) is not None) == is_served, (keep, drive)
        u = largest = 0
        for _ in range(100_000 if is_served else 0):  # what Lava's u reaches, without its width
            u = (u * keep >> 12) + drive
            largest = max(largest, u)
            u -= 2**24 * (u > 2**23)
        assert largest < 2**31
