"""Counters of random networks on random mappings equal a count over every expanded synapse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, reject
from hypothesis import strategies as st

from nmhw.errors import UnsupportedError
from nmhw.sim import step_tables
from nmhw.sim.chip_run import run_chip
from nmhw.values.chip import ArithmeticSpec, BoardSpec, ChipSpec, CoreSpec, MeshSpec
from nmhw.values.connectivity import synapse_counts
from nmhw.values.mapping import Mapping, Slice
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.result import RunResult

CHIP = ChipSpec(
    name="grid",
    title="three by two tiles of two cores, two by one chips",
    describes="board",
    arithmetic=ArithmeticSpec("generic", "none"),
    mesh=MeshSpec(3, 2, 2, port=(1, 1)),
    cores=(CoreSpec("all", 12, {}),),
    encodings=(),
    costs={},
    default_costs=None,
    pace="free",
    sources={},
    board=BoardSpec(2, 1),
)

#: Limits under which the counts per step are made from rows of that kind.
LIMITS = {
    "sparse": {"MAX_CLASSES": 0, "MIN_SPARSITY": 0},
    "dense": {"MAX_CLASSES": 0, "MIN_SPARSITY": 10**9},
    "tables": {"MAX_CLASSES": 0, "MIN_SPARSITY": 10**9, "MAX_DENSE_TABLE": 0},
}


def random_mapping(r: np.random.Generator, network: QuantizedNetwork) -> Mapping:
    """Spread every population over a few random cores; encodings at random."""
    slices, encodings = [], {}
    for population in network.populations:
        some = r.permutation(CHIP.n_cores)[: int(r.integers(1, 5))]
        core = r.choice(some, population.size)
        if r.random() < 0.5:
            core = np.sort(core)
        for used in np.unique(core).tolist():
            neurons = np.flatnonzero(core == used).astype(np.int64)
            slices.append(Slice(population.name, neurons, int(used)))
    for projection in network.projections:
        for core in range(CHIP.n_cores):
            kind = str(r.choice(["dense", "sparse", "shared"]))
            encodings[projection.name, core] = kind
    return Mapping("grid", tuple(slices), encodings, ())


def brute_force(
    network: QuantizedNetwork, mapping: Mapping, result: RunResult, continuous: bool
) -> Counter[tuple[str, int, int]]:
    """Count (kind, row, core) event by event and synapse by synapse."""
    total = result.n_steps + result.drain_steps
    n_rows = result.n_samples * total
    sizes = network.sizes()
    core = {p.name: mapping.core_of(p.name, p.size) for p in network.populations}
    found: Counter[tuple[str, int, int]] = Counter()

    def place(at: int) -> tuple[int, int, int]:
        chip, x, y = CHIP.position(at)
        return chip, x + 3 * chip, y

    for source, n in sizes.items():
        outgoing = [q for q in network.projections if q.source == source]
        tables = [synapse_counts(q, n, sizes[q.target]).toarray() for q in outgoing]
        events = result.spikes[source]
        for sample, step, index in zip(events.sample, events.step, events.index, strict=True):
            row = int(sample) * total + int(step)
            home = int(core[source][index]) if source in core else None
            if home is not None:
                found["neuron.spike", row, home] += 1
            first: dict[int, int] = {}
            for q, table in zip(outgoing, tables, strict=True):
                arrives = row + q.delay_steps
                inside = arrives < n_rows if continuous else step + q.delay_steps < total
                for target in np.flatnonzero(table[index]):
                    to = int(core[q.target][target])
                    first[to] = min(first.get(to, 99), q.delay_steps)
                    if inside:
                        kind = "synop." + mapping.encodings[q.name, to]
                        found[kind, arrives, to] += int(table[index, target])
            for to, delay in first.items():
                arrives = row + delay
                if arrives < n_rows if continuous else step + delay < total:
                    found["axon.in", arrives, to] += 1
                start = (0, 1, 1) if home is None else place(home)
                end, booked = place(to), to if home is None else home
                if home is not None:
                    found["axon.out", row, home] += 1
                found["hop.x", row, booked] += abs(start[1] - end[1])
                found["hop.y", row, booked] += abs(start[2] - end[2])
                found["hop.local", row, booked] += start == end
                found["link.crossing", row, booked] += abs(start[0] - end[0])
    for population in network.populations:
        for at in core[population.name]:
            for row in range(n_rows):
                found["neuron.visit", row, int(at)] += 1
    return found


@example(seed=803, continuous=True, form="classes")  # a delay longer than a sample
@given(
    seed=st.integers(0, 2**32 - 1),
    continuous=st.booleans(),
    form=st.sampled_from(["classes", *LIMITS]),
)
def test_counters_equal_a_count_over_expanded_synapses(
    random_case: Callable[[int], Any], seed: int, continuous: bool, form: str
) -> None:
    network, events, _ = random_case(seed)
    mapping = random_mapping(np.random.default_rng(seed), network)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in LIMITS.get(form, {}).items():
                patch.setattr(step_tables, name, value)
            result = run_chip(network, mapping, CHIP, events, continuous=continuous)
    except UnsupportedError as refusal:  # sums of many spikes per step may be too wide
        if refusal.rule == "sim.sum-width":
            reject()
        raise
    expected = brute_force(network, mapping, result, continuous)
    counters = result.counters
    assert counters is not None
    assert counters.steps is not None
    n_rows = counters.n_samples * counters.n_steps
    column = {core: k for k, core in enumerate(counters.cores.tolist())}
    totals = {kind: np.zeros(len(column), np.int64) for kind in counters.totals}
    steps = {kind: np.zeros((n_rows, len(column)), np.int64) for kind in counters.steps}
    for (kind, row, core), n in expected.items():
        totals[kind][column[core]] += n
        if kind in steps:
            steps[kind][row, column[core]] += n
    computed = ("neuron.active", "neuron.idle")
    for kind, counts in counters.totals.items():
        if kind not in computed:
            np.testing.assert_array_equal(counts, totals[kind], kind)
    for kind, table in counters.steps.items():
        assert table.shape == (n_rows, len(column))
        np.testing.assert_array_equal(table.sum(axis=0), counters.totals[kind], kind)
        if kind not in computed:
            np.testing.assert_array_equal(table, steps[kind], kind)
    synops = sum(n for (kind, _, _), n in expected.items() if kind.startswith("synop."))
    assert counters.total("synop") == synops == counters.connections
    visits = counters.totals["neuron.active"] + counters.totals["neuron.idle"]
    np.testing.assert_array_equal(visits, counters.totals["neuron.visit"])
