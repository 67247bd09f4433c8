"""Soft reset on Loihi 1: two compartments equal the plain "subtract, one step later"."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.mappers.verify import verify
from nmhw.values.quantized import QuantizedNetwork

CHIPS = ("loihi1-d18", "loihi1-nahuku")
N_IN, N_STEPS, N_SAMPLES = 4, 40, 2


def network(seed: int, kind: str, *, is_recurrent: bool) -> nmhw.Network:
    rng = np.random.default_rng([5, seed])
    sizes = {"a": int(rng.integers(1, 9)), "b": int(rng.integers(1, 6))}
    build, before = nmhw.Network.build("soft").input("in", N_IN), ("in", N_IN)
    for name, n in sizes.items():
        times = {} if kind == "if" else {"tau_mem_s": rng.uniform(2e-3, 3e-2, n)}
        gain = {} if kind == "if" else {"r": times["tau_mem_s"] / 1e-3}
        build.population(name, n, kind, v_threshold=rng.uniform(0.2, 4.0, n), **times, **gain)
        build.project(before[0], name, rng.normal(0.4, 1.0, (n, before[1])))
        if is_recurrent:
            build.project(name, name, rng.normal(0, 0.4, (n, n)), name=f"{name} loop")
        before = (name, n)
    meaning = {"dt_s": 1e-3, "reset": "subtract", "reset_delay": 1}
    return give_meaning(build.output("out", "b").done(), "spyx", **meaning)


def plain_run(q: QuantizedNetwork, x: np.ndarray) -> dict[str, np.ndarray]:
    """State the profile step by step in the author's time, with q's integers and no lowering.

    z = v > threshold, of the step before; v = decay(v) + input - threshold * z.
    """
    fired = {"in": x.astype(np.int64)}
    for p in q.populations:
        fired[p.name] = np.zeros((len(x), p.size), np.int64)
    v = {p.name: np.zeros(p.size, np.int64) for p in q.populations}
    for step in range(len(x)):
        for p in q.populations:
            fired[p.name][step] = v[p.name] > p.threshold
        for p in q.populations:
            total = np.zeros(p.size, np.int64)
            for projection in q.projections:
                if projection.target == p.name and "(reset)" not in projection.name:
                    weights = projection.weights.astype(np.int64)
                    total += (fired[projection.source][step] @ weights) << (projection.shift + 6)
            kept = v[p.name]
            if p.spec.v_decay == "mulshift":
                kept = np.sign(kept) * (np.abs(kept) * p.v_keep >> 12)
            v[p.name] = kept + total - fired[p.name][step] * p.threshold
            assert (np.abs(v[p.name]) < 2**23).all()
    return fired


@given(
    seed=st.integers(0, 10**6),
    kind=st.sampled_from(["if", "lif"]),
    is_recurrent=st.booleans(),
    chip=st.sampled_from(CHIPS),
)
def test_every_bin_equals_the_plain_statement(
    seed: int, kind: str, is_recurrent: bool, chip: str
) -> None:
    x = (np.random.default_rng(seed).random((N_SAMPLES, N_STEPS, N_IN)) < 0.3).astype(np.uint8)
    deployed = nmhw.deploy(network(seed, kind, is_recurrent=is_recurrent), chip)
    assert not verify(deployed.quantized, deployed.chip, deployed.mapping).violations
    runs = [deployed.run(x, backend=b, compare_float=False) for b in ("reference", "numba")]
    for sample in range(N_SAMPLES):
        expected = plain_run(deployed.quantized, x[sample])
        for run in runs:
            for name in ("a", "b"):
                found = run.result.windowed(name).dense()[sample]
                np.testing.assert_array_equal(found, expected[name], err_msg=name)
    first, second = (run.result.counters for run in runs)
    assert first is not None
    assert second is not None
    for kind_of_event, counts in first.totals.items():
        np.testing.assert_array_equal(counts, second.totals[kind_of_event])
    assert first.steps is not None
    assert second.steps is not None
    for kind_of_event, table in first.steps.items():
        np.testing.assert_array_equal(table, second.steps[kind_of_event])
        np.testing.assert_array_equal(table.sum(axis=0), first.totals[kind_of_event])


@pytest.mark.parametrize("kind", ["if", "lif"])
@pytest.mark.parametrize("is_recurrent", [False, True])
def test_in_fine_integers_no_bin_differs_from_the_float_run(kind: str, is_recurrent: bool) -> None:
    top = (1 << 21) - 1
    chip = nmhw.chip("generic")
    arithmetic = replace(
        chip.arithmetic,
        resets=("zero",),
        reset_delays=(0,),
        max_compartments=2,
        compares=(">",),
        hop_steps=1,
        weight_bits=(22,),
        weight_min=-top,
        weight_max=top,
        weight_exponent=(-20, 20),
        decay_bits=24,
        u_bits=39,
        v_bits=39,
        threshold_bits=38,
        bias_bits=38,
    )
    fine = replace(
        chip,
        arithmetic=arithmetic,
        encodings=tuple(replace(e, weight_bits=(22,)) for e in chip.encodings),
    )
    x = (np.random.default_rng(3).random((N_SAMPLES, 80, N_IN)) < 0.4).astype(np.uint8)
    n_spikes = 0
    for seed in range(4):
        net = network(seed, kind, is_recurrent=is_recurrent)
        run, floats = nmhw.deploy(net, fine).run(x), nmhw.run_float(net, x)
        for name in ("a", "b"):
            expected = floats.result.windowed(name).dense()
            n_spikes += int(expected.sum())
            np.testing.assert_array_equal(run.result.windowed(name).dense(), expected)
    assert n_spikes > 500
