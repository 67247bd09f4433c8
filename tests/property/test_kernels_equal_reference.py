"""The Numba kernels and the NumPy twin agree in every spike, state and count of every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.program import build_program
from nmhw.sim.reference import ReferenceOutput, run_reference
from nmhw.values.probe import Probe


def assert_equal(engine: EngineOutput, reference: ReferenceOutput) -> None:
    assert engine.spikes.keys() == reference.spikes.keys()
    for name, expected in reference.spikes.items():
        got = engine.spikes[name]
        assert (got.n_samples, got.n_steps, got.shape) == (
            expected.n_samples,
            expected.n_steps,
            expected.shape,
        )
        for field in ("sample", "step", "index"):
            np.testing.assert_array_equal(getattr(got, field), getattr(expected, field), name)
    for key, data in reference.probes.items():
        np.testing.assert_array_equal(engine.probes[key].steps, data.steps)
        np.testing.assert_array_equal(engine.probes[key].values, data.values, str(key))
    for name, state in reference.states.items():
        for field in ("u", "v", "refractory", "u2"):
            got, want = getattr(engine.states[name], field), getattr(state, field)
            if want is None:
                assert got is None
                continue
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want, f"{name}.{field}")
        np.testing.assert_array_equal(engine.active_updates[name], reference.active_updates[name])
        assert engine.saturations[name] == reference.saturations[name], name


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans(), every=st.integers(1, 3))
def test_every_spike_state_and_count_is_equal(
    random_case: Callable[[int], Any], seed: int, continuous: bool, every: int
) -> None:
    network, events, n_steps = random_case(seed)
    probes = [Probe(p.name, variable, every) for p in network.populations for variable in "uv"]
    options: dict[str, Any] = {"n_steps": n_steps, "probes": probes, "continuous": continuous}
    with np.errstate(over="ignore"):
        reference = run_reference(network, events, **options)
    engine = run_program(build_program(network), events, **options)
    assert_equal(engine, reference)
    for name, total in engine.spike_totals.items():
        spikes = reference.spikes[name]
        np.testing.assert_array_equal(total, spikes.counts().sum(axis=0))
        per_step = np.zeros(engine.step_counts[name].shape, np.int64)
        np.add.at(per_step, (spikes.sample, spikes.step), 1)
        np.testing.assert_array_equal(engine.step_counts[name], per_step)


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans())
def test_sums_that_saturate_event_by_event_are_equal(
    saturating_case: Callable[[int], Any], seed: int, continuous: bool
) -> None:
    network, events, n_steps = saturating_case(seed)
    probes = [Probe(p.name, variable) for p in network.populations for variable in "uv"]
    probes += [Probe(p.name, "u2") for p in network.populations if p.u2_keep is not None]
    options: dict[str, Any] = {"n_steps": n_steps, "probes": probes, "continuous": continuous}
    reference = run_reference(network, events, **options)
    assert_equal(run_program(build_program(network), events, **options), reference)
