"""Blocks of steps, tiles of weights and any cut between them change no spike and no state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
from hypothesis import given, reject
from hypothesis import strategies as st

from nmhw.errors import UnsupportedError
from nmhw.sim.engine import run_program
from nmhw.sim.engine_output import EngineOutput
from nmhw.sim.kernels import fields as f
from nmhw.sim.program import build_program
from nmhw.sim.reference import ReferenceOutput, run_reference
from nmhw.sim.threads import run_samples
from nmhw.sim.workspace import RunSize, allocate
from nmhw.values.events import SpikeEvents
from nmhw.values.linear import Pool
from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import preset
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

Case = tuple[QuantizedNetwork, dict[str, SpikeEvents], int]
Cells = Callable[[np.random.Generator, str, tuple[int, ...]], QuantizedPopulation]

SEEDS = st.integers(0, 2**32 - 1)
WIDTHS = (7, 64, 100, 128, 190, 256, 300)


def wide_case(cells: Cells, seed: int) -> Case:
    """Return a network without feedback whose dense rows are one tile, several, or parts of one."""
    r = np.random.default_rng([3, seed])
    shapes: dict[str, tuple[int, ...]] = {"in": (2, 6, 6)}
    populations, projections = [], []
    for k in range(int(r.integers(1, 4))):
        name, shape = f"pop{k}", (int(r.choice(WIDTHS)),)
        for j in range(int(r.integers(1, 3))):
            source = str(r.choice(list(shapes)))
            pooled = source == "in" and r.random() < 0.3
            n = 18 if pooled else int(np.prod(shapes[source]))
            largest = int(r.choice([3, 60, 128, 4000]))
            weights = r.integers(-largest, min(largest, 4000), (n, shape[0]))
            projections.append(
                QuantizedProjection(
                    f"{j}:{source}>{name}", source, name, "dense",
                    weights.astype(np.int8 if largest <= 128 else np.int16),
                    delay_steps=int(r.choice([0, 0, 1, 3])), shift=int(r.choice([0, 0, 1, 2])),
                    pools=(Pool("sum", (2, 6, 6), (2, 2), (2, 2)),) if pooled else (),
                )
            )  # fmt: skip
        populations.append(cells(r, name, shape))
        shapes[name] = shape
    network = QuantizedNetwork(
        f"wide-{seed}", "generic", "generic", preset("lava"), (InputPort("in", shapes["in"]),),
        tuple(populations[:: 1 if r.random() < 0.5 else -1]), tuple(projections),
        (OutputPort("out", shapes[f"pop{k}"], (f"pop{k}",)),), int(r.integers(0, 3)),
    )  # fmt: skip
    n_samples, n_steps = int(r.integers(1, 4)), int(r.integers(1, 20))
    raster = (r.random((n_samples, n_steps, 72)) < r.choice([0.05, 0.4])).astype(np.int64)
    events = {"in": SpikeEvents.from_dense(raster, shapes["in"])}
    return network, events, n_steps + network.drain_steps


def assert_equal(engine: EngineOutput, reference: ReferenceOutput) -> None:
    for name, expected in reference.spikes.items():
        for field in ("sample", "step", "index"):
            got = getattr(engine.spikes[name], field)
            np.testing.assert_array_equal(got, getattr(expected, field), name)
    for name, state in reference.states.items():
        for field in ("u", "v", "refractory"):
            got = getattr(engine.states[name], field)
            np.testing.assert_array_equal(got, getattr(state, field), f"{name}.{field}")
        assert engine.saturations[name] == reference.saturations[name]
        active = reference.is_active[name].sum()
        assert engine.active_updates[name].sum() == active


def check(case: Case, continuous: bool, longest: int, cut: int) -> None:
    network, events, n_steps = case
    options: dict[str, Any] = {"n_steps": n_steps, "continuous": continuous}
    with np.errstate(over="ignore"):
        reference = run_reference(network, events, **options)
    program = build_program(network)
    with (
        mock.patch("nmhw.sim.blocks.MAX_STEPS", longest),
        mock.patch("nmhw.sim.engine.FIRST_CHUNK", cut),
        mock.patch("nmhw.sim.engine.CHUNK_S", 1e-9),
    ):
        try:
            engine = run_program(program, events, **options)
        except UnsupportedError as refusal:  # sums of many spikes per step may be too wide
            if refusal.rule == "sim.sum-width":
                reject()
            raise
        assert_equal(engine, reference)
        if not continuous:
            assert_equal(run_samples(program, events, n_steps=n_steps, threads=3), reference)


@given(SEEDS, st.booleans(), st.sampled_from([1, 2, 5, 128]), st.sampled_from([1, 3, 256]))
def test_wide_dense_layers_are_equal(
    random_cells: Cells, seed: int, continuous: bool, longest: int, cut: int
) -> None:
    check(wide_case(random_cells, seed), continuous, longest, cut)


@given(SEEDS, st.booleans(), st.sampled_from([2, 5, 128]), st.sampled_from([1, 3, 256]))
def test_any_network_is_equal_in_blocks(
    random_case: Callable[[int], Case], seed: int, continuous: bool, longest: int, cut: int
) -> None:
    check(random_case(seed), continuous, longest, cut)


def test_the_cases_reach_tiles_blocks_and_steps(random_cells: Cells) -> None:
    kinds: set[int] = set()
    strides: set[bool] = set()
    for seed in range(30):
        network, _, n_steps = wide_case(random_cells, seed)
        program = build_program(network)
        space = allocate(program, RunSize(1, n_steps, False), multiplicity={"in": 1})
        assert space.control[f.C_BLOCK] == n_steps
        kinds |= set(space.projections[:, f.J_KIND].tolist())
        strides |= set((space.pops[:, f.P_BLOCK] > 0).tolist())
    assert {f.KIND_DENSE8, f.KIND_DENSE_TILES, f.KIND_DENSE16} <= kinds
    assert strides == {False, True}
