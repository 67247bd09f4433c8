"""Message timing: the kernel equals its plain twin to the picosecond, and keeps its bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from nmhw.errors import UnsupportedError
from nmhw.sim.chip_run import run_chip
from nmhw.sim.fanout import build_fan_out
from nmhw.sim.kernels import noc as k
from nmhw.sim.noc import choose_rows, gather_events, time_steps
from nmhw.sim.noc_reference import time_step
from nmhw.sim.noc_tables import NocTables, noc_tables
from nmhw.sim.timing import RECEIVE_KINDS, SEND_KINDS, estimate_latency
from nmhw.values.chip import (
    ArithmeticSpec,
    ChipSpec,
    CoreSpec,
    CostTable,
    Figure,
    MeshSpec,
    NocSpec,
)
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.noc import PS_PER_S, NocTimes
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

KINDS = (*SEND_KINDS, *RECEIVE_KINDS, "hop.x", "hop.y", "hop.local")


def random_chip(r: np.random.Generator) -> ChipSpec:
    """Return a small mesh whose latencies range from nothing to a queue in every buffer."""
    scale = float(r.choice([0.0, 0.3, 5.0, 40.0]))

    def figure(largest: float, unit: str = "ns") -> Figure:
        return Figure(round(float(r.uniform(0, largest)), 1), unit, "test")

    latency = {kind: figure(20 if r.random() < 0.8 else 0.0) for kind in KINDS}
    depths = [Figure(int(r.choice([1, 2, 3, 16])), "messages", "test") for _ in range(2)]
    width, height, per_tile = (int(r.integers(1, high)) for high in (5, 4, 4))
    port = (int(r.integers(width)), int(r.integers(height)))
    return ChipSpec(
        name="grid",
        title="a mesh",
        describes="chip",
        arithmetic=ArithmeticSpec("generic", "none"),
        mesh=MeshSpec(width, height, per_tile, port=port),
        cores=(CoreSpec("all", width * height * per_tile, {}),),
        encodings=(),
        costs={"t": CostTable("t", "t", {}, latency, {})},
        default_costs="t",
        pace="free",
        sources={},
        noc=NocSpec(figure(scale), *depths),
    )


def random_mapping(r: np.random.Generator, network: QuantizedNetwork, chip: ChipSpec) -> Mapping:
    slices, encodings = [], {}
    for population in network.populations:
        core = r.integers(0, chip.n_cores, population.size)
        for used in np.unique(core).tolist():
            neurons = np.flatnonzero(core == used).astype(np.int64)
            slices.append(Slice(population.name, neurons, int(used)))
    for projection in network.projections:
        for core in range(chip.n_cores):
            kind = str(r.choice(["dense", "sparse", "shared"]))
            encodings[projection.name, core] = kind
    return Mapping("grid", tuple(slices), encodings, ())


def make_run(seed: int, case: Any) -> tuple[NocTables, RunResult, NocTimes]:
    """Return tables, run and times of a random network; reject what the kernels refuse."""
    network, inputs, _ = case
    r = np.random.default_rng(seed)
    chip = random_chip(r)
    mapping = random_mapping(r, network, chip)
    try:
        result = run_chip(network, mapping, chip, inputs)
    except UnsupportedError:
        reject()
    fan_out = build_fan_out(network, mapping)
    table = chip.costs["t"]
    tables = noc_tables(network, fan_out, chip, table)
    return tables, result, time_steps(result, network, fan_out, chip, table)


def plain_rows(tables: NocTables, result: RunResult, rows: Any) -> list[Any]:
    """Return every row by the plain twin."""
    assert result.counters is not None
    assert result.counters.steps is not None
    active = result.counters.steps["neuron.active"]
    events, starts, ends = gather_events(tables, result.spikes, rows, result)
    found = []
    for j, row in enumerate(rows.tolist()):
        bounds = zip(starts[:, j], ends[:, j], strict=True)
        spikes = np.concatenate([events[a:b] for a, b in bounds]).tolist()
        found.append(time_step(tables, spikes, active[row].tolist()))
    return found


@given(st.integers(0, 2**32))
def test_kernel_equals_plain_twin(random_case: Callable[[int], Any], seed: int) -> None:
    tables, result, times = make_run(seed, random_case(seed))
    plain = plain_rows(tables, result, times.rows)
    assert times.step_ps.tolist() == [step.step_ps for step in plain]
    assert times.floor_ps.tolist() == [step.floor_ps for step in plain]
    assert times.blocked_ps.tolist() == [step.blocked_ps for step in plain]
    assert times.messages.tolist() == [step.messages for step in plain]
    for field in ("link_messages", "link_wait_ps", "receiver_ps"):
        total = getattr(times, field)
        sums = np.zeros_like(total)
        for step in plain:
            for place, value in getattr(step, field).items():
                sums[place] += value
        assert total.tolist() == sums.tolist()


@given(st.integers(0, 2**32))
def test_links_serve_in_order_and_nobody_waits_without_a_reason(
    random_case: Callable[[int], Any], seed: int
) -> None:
    """Every entry is exactly as early as link, buffer and those who asked before allow."""
    tables, result, times = make_run(seed, random_case(seed))
    units = tables.units.tolist()
    for step in plain_rows(tables, result, times.rows):
        for link, entries in step.entries.items():
            exits, hop = step.exits[link], units[k.HOP_X if link % 4 < 2 else k.HOP_Y]
            assert len(exits) == len(entries)
            assert entries == sorted(entries)
            assert exits == sorted(exits)
            for n, (asked, entered) in enumerate(entries):
                free = entries[n - 1][1] + units[k.LINK] if n else 0
                place = exits[n - units[k.BUFFER]][1] if n >= units[k.BUFFER] else 0
                assert entered == max(asked, free, place)
                before = exits[n - 1][1] if n else 0
                assert exits[n][0] == max(entered + hop, before)
                assert exits[n][1] >= exits[n][0]


@given(st.integers(0, 2**32))
def test_between_the_slowest_core_and_everything_in_turn(
    random_case: Callable[[int], Any], seed: int
) -> None:
    tables, result, times = make_run(seed, random_case(seed))
    assert (times.step_ps >= times.floor_ps).all()
    assert result.counters is not None
    assert result.counters.steps is not None
    units, totals = tables.units, result.counters.totals
    assert times.messages.sum() >= totals["axon.out"].sum()
    work = int(times.receiver_ps.sum())
    for place, kind in zip((k.VISIT, k.ACTIVE, k.IDLE, k.SPIKE, k.OUT), SEND_KINDS, strict=True):
        work += int(units[place]) * int(totals[kind].sum())
    stages = int(times.link_messages.sum()) * max(*units[[k.HOP_X, k.HOP_Y, k.LINK]].tolist())
    stages += int(times.messages.sum()) * max(*units[[k.LOCAL, k.LINK]].tolist())
    assert times.step_ps.sum() <= work + stages


@given(st.integers(0, 2**32))
def test_no_step_is_below_the_analytic_one(random_case: Callable[[int], Any], seed: int) -> None:
    """Where nothing is delayed both models see the same senders and receivers in a step."""
    network, inputs, n_steps = random_case(seed)
    names = [*inputs, *sorted(p.name for p in network.populations)]
    forward = tuple(
        replace(q, delay_steps=0)
        for q in network.projections
        if names.index(q.source) < names.index(q.target)
    )
    case = (replace(network, projections=forward), inputs, n_steps)
    _, result, times = make_run(seed, case)
    table = random_chip(np.random.default_rng(seed)).costs["t"]
    assert result.counters is not None
    analytic = estimate_latency(result.counters, table, "free", None)
    mean = float(times.floor_ps.mean()) / PS_PER_S
    assert analytic.free_step_s == pytest.approx(mean, rel=1e-9)
    assert analytic.free_p99_step_s == pytest.approx(
        float(np.quantile(times.floor_ps, 0.99)) / PS_PER_S, rel=1e-9
    )
    assert (times.step_ps >= times.floor_ps).all()


@given(st.integers(0, 10**6), st.integers(1, 10**4))
def test_sampled_rows_ascend_without_repeats(n_rows: int, wanted: int) -> None:
    rows = choose_rows(n_rows, wanted)
    assert rows.size == min(n_rows, wanted)
    assert (np.diff(rows) > 0).all()
    assert not rows.size or (rows[0] >= 0 and rows[-1] < n_rows)
