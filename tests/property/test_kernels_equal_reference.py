"""The Numba kernels and the NumPy twin agree in every spike, state and count of every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.bounds import choose_update
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.kernels import fields as f
from nmhw.sim.parameters import lane_variant
from nmhw.sim.program import build_program
from nmhw.sim.reference import ReferenceOutput, run_reference
from nmhw.values.events import SpikeEvents
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.probe import Probe
from nmhw.values.profile import preset
from nmhw.values.quantized import (
    CellSpec,
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)

Case = tuple[QuantizedNetwork, dict[str, SpikeEvents], int]


def saturating_population(r: np.random.Generator, name: str, n: int) -> QuantizedPopulation:
    """Return a population whose sums saturate event by event, in few bits half of the time."""
    bits = int(r.choice([16, 9, 7]))
    spec = CellSpec(
        has_current=bool(r.random() < 0.9),
        is_spiking=bool(r.random() < 0.9),
        u_decay=str(r.choice(["shift-tail", "shift-tail", "shift", "none"])),  # type: ignore[arg-type]
        v_decay=str(r.choice(["shift-tail", "shift-tail", "shift", "clear"])),  # type: ignore[arg-type]
        u_bits=bits,
        v_bits=bits,
        u_overflow=str(r.choice(["saturate-full", "saturate"])),  # type: ignore[arg-type]
        v_overflow="saturate-full",
        compare=str(r.choice([">", ">="])),  # type: ignore[arg-type]
        reset=str(r.choice(["zero", "value", "subtract", "none"])),  # type: ignore[arg-type]
        max_spikes_per_step=int(r.choice([1, 4, 31])),
        summation="saturating",
    )
    zeros = np.zeros(n, np.int64)
    return QuantizedPopulation(
        name,
        (n,),
        spec,
        u_keep=r.integers(0, 6, n),
        v_keep=r.integers(0, 6, n),
        u_bias=zeros,
        v_bias=r.integers(-9, 12, n) if r.random() < 0.5 else zeros,
        threshold=r.integers(1, 60, n),
        v_reset=r.integers(-20, 20, n),
        v0=r.integers(-30, 30, n) if r.random() < 0.3 else zeros,
        scale=np.ones(n),
        profile_index=zeros,
        depth=0,
        u2_keep=r.integers(0, 6, n) if r.random() < 0.6 else None,
        alias=r.integers(-1, n, n) if r.random() < 0.6 else None,
    )


def make_saturating_case(seed: int) -> tuple[QuantizedNetwork, dict[str, SpikeEvents], int]:
    """Return a network of cells that add event by event, two currents and aliases included."""
    r = np.random.default_rng([7, seed])
    sizes = {"in0": int(r.integers(1, 12)), "in1": int(r.integers(1, 5))}
    inputs = tuple(InputPort(name, (n,)) for name, n in sizes.items())
    populations = [
        saturating_population(r, f"pop{k}", int(r.integers(1, 80)))
        for k in range(int(r.integers(1, 4)))
    ]
    sizes |= {p.name: p.size for p in populations}
    projections = []
    for k in range(int(r.integers(2, 8))):
        source = str(r.choice(list(sizes)))
        target = populations[int(r.integers(len(populations)))]
        low = int(r.choice([-128, -128, -3]))
        weights = r.integers(low, 128, (sizes[source], target.size))
        projections.append(
            QuantizedProjection(
                f"{k}:{source}>{target.name}",
                source,
                target.name,
                "dense",
                np.where(r.random(weights.shape) < r.random(), 0, weights),
                delay_steps=int(r.choice([0, 1])) if source in ("in0", "in1") else 1,
                shift=int(r.choice([0, 0, 1, 3])),
                synapse=int(target.u2_keep is not None and r.random() < 0.5),  # type: ignore[arg-type]
            )
        )
    last = populations[-1]
    network = QuantizedNetwork(
        f"saturating-{seed}",
        "generic",
        "generic",
        preset("lava"),
        inputs,
        tuple(populations),
        tuple(projections),
        (OutputPort("out", last.shape, (last.name,)),),
        0,
    )
    n_samples, n_steps = int(r.integers(1, 3)), int(r.integers(1, 30))
    events = {}
    for port in inputs:
        raster = (r.random((n_samples, n_steps, port.size)) < 0.4).astype(np.int64)
        raster *= r.integers(1, 16, raster.shape)
        events[port.name] = SpikeEvents.from_dense(raster, port.shape)
    return network, events, n_steps


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
        assert engine.saturations[name] == reference.saturations[name], name


def random_cores(network: QuantizedNetwork, seed: int) -> dict[str, NDArray[np.int64]]:
    """Return a core of every neuron: runs of any length, from one neuron to all."""
    r = np.random.default_rng(seed)
    cores = {}
    for p in network.populations:
        column = r.integers(0, 3, p.size)
        cores[p.name] = np.repeat(column, int(r.integers(1, p.size + 1)))[: p.size]
    return cores


def assert_active_equal(
    engine: EngineOutput,
    reference: ReferenceOutput,
    network: QuantizedNetwork,
    cores: dict[str, NDArray[np.int64]],
) -> None:
    assert engine.core_active is not None
    n_columns = 1 + max(int(c.max()) for c in cores.values())
    per_row = np.zeros((engine.core_active.shape[0], n_columns), np.int64)
    for p in network.populations:
        active = reference.is_active[p.name].astype(np.int64)
        totals = np.zeros(n_columns, np.int64)
        np.add.at(totals, cores[p.name], active.sum(axis=0))
        np.testing.assert_array_equal(engine.active_updates[p.name], totals)
        np.add.at(per_row.T, cores[p.name], p.n_compartments * active.T)
    np.testing.assert_array_equal(engine.core_active, per_row)


def check_every_count(case: Case, seed: int, continuous: bool, every: int) -> None:
    network, events, n_steps = case
    probes = [Probe(p.name, variable, every) for p in network.populations for variable in "uv"]
    options: dict[str, Any] = {"n_steps": n_steps, "probes": probes, "continuous": continuous}
    with np.errstate(over="ignore"):
        reference = run_reference(network, events, **options)
    cores = random_cores(network, seed)
    options |= {"core_columns": cores, "core_steps": True}
    try:
        engine = run_program(build_program(network), events, **options)
    except UnsupportedError as refusal:  # sums of many spikes per step may be too wide
        if refusal.rule == "sim.sum-width":
            reject()
        raise
    assert_equal(engine, reference)
    assert_active_equal(engine, reference, network, cores)
    for name, total in engine.spike_totals.items():
        spikes = reference.spikes[name]
        np.testing.assert_array_equal(total, spikes.counts().sum(axis=0))
        per_step = np.zeros(engine.step_counts[name].shape, np.int64)
        np.add.at(per_step, (spikes.sample, spikes.step), 1)
        np.testing.assert_array_equal(engine.step_counts[name], per_step)


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans(), every=st.integers(1, 3))
def test_every_spike_state_and_count_is_equal(
    random_case: Callable[[int], Case], seed: int, continuous: bool, every: int
) -> None:
    check_every_count(random_case(seed), seed, continuous, every)


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans(), every=st.integers(1, 3))
def test_the_lanes_of_the_vector_form_are_equal(
    lane_case: Callable[[int], Case], seed: int, continuous: bool, every: int
) -> None:
    check_every_count(lane_case(seed), seed, continuous, every)


def test_the_lane_cases_reach_every_variant_and_repeat_spikes(
    lane_case: Callable[[int], Case],
) -> None:
    variants: set[int] = set()
    counts: set[int] = set()
    for seed in range(80):
        network, events, n_steps = lane_case(seed)
        for p in network.populations:
            if choose_update(p, 1000, n_steps) == f.UPDATE_LANES:
                variants.add(lane_variant(p))
        if seed < 10:
            output = run_reference(network, events, n_steps=n_steps)
            for p in network.populations:
                spikes = output.spikes[p.name]
                place = (spikes.sample, spikes.step, spikes.index)
                counts |= set(np.unique(np.unique(place, axis=1, return_counts=True)[1]).tolist())
    decays = (f.V_SHIFT, f.V_FACTOR, f.V_SUBTRACT, f.V_CONVERGE)
    decays += (f.V_CURRENT + f.V_SHIFT, f.V_CURRENT + f.V_FACTOR)
    assert variants == {
        decay + late + rests
        for decay in decays
        for late in (0, f.V_LATE)
        for rests in (0, f.V_RESTS)
    }
    assert {1, 2, 3, 15} <= counts


@given(seed=st.integers(0, 2**32 - 1), continuous=st.booleans())
def test_sums_that_saturate_event_by_event_are_equal(seed: int, continuous: bool) -> None:
    network, events, n_steps = make_saturating_case(seed)
    probes = [Probe(p.name, variable) for p in network.populations for variable in "uv"]
    probes += [Probe(p.name, "u2") for p in network.populations if p.u2_keep is not None]
    options: dict[str, Any] = {"n_steps": n_steps, "probes": probes, "continuous": continuous}
    reference = run_reference(network, events, **options)
    cores = random_cores(network, seed)
    options |= {"core_columns": cores, "core_steps": True}
    engine = run_program(build_program(network), events, **options)
    assert_equal(engine, reference)
    assert_active_equal(engine, reference, network, cores)
