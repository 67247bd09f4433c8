"""The bound of spikes per step, which sizes the engine's buffers, holds for every cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmhw.sim.bounds import most_spikes
from nmhw.values.arithmetic import initial_state, step_cell


@given(seed=st.integers(0, 2**32 - 1), largest=st.sampled_from([0, 7, 300, 20_000]))
def test_no_neuron_makes_more_spikes_than_the_bound(
    random_case: Callable[[int], Any], seed: int, largest: int
) -> None:
    network, _, _ = random_case(seed)
    r = np.random.default_rng(seed)
    for population in network.populations:
        if population.spec.summation != "exact":
            continue
        shift = 0 if population.spec.state == "float32" else population.spec.input_shift
        bound = most_spikes(population, largest << shift)
        state = initial_state(population)
        for _ in range(12):
            summed = r.integers(-largest, largest + 1, population.size)
            summed = np.where(r.random(population.size) < 0.3, largest, summed)
            with np.errstate(over="ignore"):
                step = step_cell(population, state, summed)
            assert step.n_spikes.max(initial=0) <= bound
            state = step.state
