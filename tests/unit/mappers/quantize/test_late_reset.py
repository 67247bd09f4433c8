"""Two compartments per neuron: what they cost, what is exact, what stays refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import UnsupportedError, UsageError
from nmhw.mappers.quantize import make_explicit
from nmhw.mappers.verify import verify
from nmhw.values.profile import Profile

LATE = {"dt_s": 1e-3, "reset": "subtract", "reset_delay": 1}


def network(n: int = 5, kind: str = "if", threshold: Any = 1.0, **meaning: Any) -> nmhw.Network:
    times = {"tau_mem_s": 0.02} if kind != "if" else {}
    times |= {"tau_syn_s": 0.01} if kind == "cubalif" else {}
    build = nmhw.Network.build("net").input("in", 3)
    build.population("pop", n, kind, v_threshold=threshold, **times)  # type: ignore[arg-type]
    build.project("in", "pop", np.random.default_rng(0).normal(size=(n, 3)))
    return give_meaning(build.output("out", "pop").done(), "spyx", **{**LATE, **meaning})


def test_a_synapse_per_neuron_weighs_exactly_its_threshold() -> None:
    q = nmhw.quantize(network(threshold=[0.3, 1.0, 2.0, 7.0, 40.0]), "loihi1-d18")
    (pop,) = q.populations
    assert (pop.spec.reset, pop.n_compartments, pop.is_added) == ("none", 2, False)
    assert q.lowering["pop"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    weighed = np.zeros(5, np.int64)
    for p in q.projections[1:]:
        assert p.name.startswith("pop>pop (reset)")
        assert (p.source, p.target, p.delay_steps, p.sign_mode) == ("pop", "pop", 1, "inhibitory")
        assert p.indptr is not None
        assert p.indices is not None
        assert np.flatnonzero(np.diff(p.indptr)).tolist() == p.indices.tolist()
        mantissa = p.weights.astype(np.int64) << p.shift
        assert (mantissa % (1 << max(0, p.shift)) == 0).all()
        weighed[p.indices] += mantissa << 6
    np.testing.assert_array_equal(weighed, -pop.threshold)
    np.testing.assert_allclose(pop.threshold / pop.scale, [0.3, 1.0, 2.0, 7.0, 40.0])


def test_twice_the_compartments_and_their_updates_are_counted() -> None:
    plain = nmhw.deploy(network(600, reset="zero", reset_delay=0), "loihi1-nahuku")
    deployed = nmhw.deploy(network(600), "loihi1-nahuku")
    used = [e.resources["neurons"] for e in deployed.mapping.utilization]
    assert sum(n for n, _ in used) == 1200
    assert all(n <= limit == 1024 for n, limit in used)
    assert (len(plain.mapping.cores), len(deployed.mapping.cores)) == (1, 2)
    assert not verify(deployed.quantized, deployed.chip, deployed.mapping).violations
    assert sum(e.resources["neuron_profiles"][0] for e in deployed.mapping.utilization) == 4
    x = np.ones((2, 10, 3), np.uint8)
    steps = 10 + deployed.quantized.drain_steps
    for backend in ("numba", "reference"):
        run = deployed.run(x, backend=backend)
        assert run.summary()["neuron_updates"] == 2 * 600 * 2 * steps
        assert set(run.spikes) == {"in", "pop"}
        spikes = run.summary()["spikes"]["pop"]
        assert run.result.counters is not None
        by_name = run.result.counters.synops_by_projection
        back = sum(n for name, n in by_name.items() if "(reset)" in name)
        assert 0 < back <= spikes


def test_the_cost_is_a_notice() -> None:
    q = nmhw.quantize(network(), "loihi1-d18")
    (notice,) = (n for n in q.notices if n.rule == "quantize.late-reset")
    assert (notice.where, notice.kind) == ("pop", "assumption")
    assert "5 neurons take 10 compartments and 5 more synapses" in notice.text


def test_maps_convolutions_too() -> None:
    from nmhw.values.linear import Conv

    kernel = np.random.default_rng(1).normal(size=(4, 2, 3, 3))
    conv = Conv(kernel, (2, 20, 20), (1, 1), (1, 1, 1, 1), (1, 1), 1)
    build = nmhw.Network.build("conv").input("in", (2, 20, 20)).population("pop", (4, 20, 20), "if")
    net = give_meaning(build.project("in", "pop", ops=(conv,)).output("out", "pop").done(), **LATE)
    deployed = nmhw.deploy(net, "loihi1-nahuku")
    assert not verify(deployed.quantized, deployed.chip, deployed.mapping).violations
    assert sum(e.resources["neurons"][0] for e in deployed.mapping.utilization) == 3200
    x = (np.random.default_rng(2).random((1, 12, 2, 20, 20)) < 0.2).astype(np.uint8)
    fast, slow = (deployed.run(x, backend=b, compare_float=False) for b in ("numba", "reference"))
    assert fast.spikes["pop"].dense().sum() > 100
    np.testing.assert_array_equal(fast.spikes["pop"].dense(), slow.spikes["pop"].dense())


def test_in_the_step_of_the_spike_it_stays_refused_naming_the_profile_that_runs() -> None:
    with pytest.raises(UnsupportedError, match=r"in the step of the spike.*try: reset_delay=1"):
        nmhw.quantize(network(reset_delay=0), "loihi1-d18")


def test_a_synaptic_current_is_refused_because_the_reset_would_linger_in_it() -> None:
    with pytest.raises(UnsupportedError, match="where there is a synaptic current") as caught:
        nmhw.quantize(network(kind="cubalif"), "loihi1-d18")
    assert (caught.value.exit_code, caught.value.rule) == (3, "quantize.reset")


def test_a_chip_without_compartments_keeps_refusing() -> None:
    with pytest.raises(UnsupportedError, match=r"soft reset \(by subtraction\): got reset"):
        nmhw.quantize(network(), "loihi2")


def test_at_or_above_becomes_above_and_says_so() -> None:
    q = nmhw.quantize(network(compare=">="), "loihi1-d18")
    (notice,) = (n for n in q.notices if n.rule == "quantize.compare")
    assert notice.text.endswith("they differ where both are equal")
    np.testing.assert_allclose(q.populations[0].threshold / q.populations[0].scale, 1.0)


def test_a_given_threshold_beyond_eight_significant_bits_is_refused() -> None:
    chip, meaning = nmhw.chip("loihi1-d18"), Profile("x", **LATE)
    build = nmhw.Network.build("net").input("in", 1)
    build.population("pop", 2, "if", v_threshold=[128.0, 257 * 64.0])
    build.project("in", "pop", np.full((2, 1), 2.0))
    net = build.output("out", "pop").done()
    with pytest.raises(UsageError, match=r"neuron 1.*got 16448; try: 16384, the next one below"):
        make_explicit(net, chip, profile=meaning)


def test_names_of_the_author_are_never_taken() -> None:
    build = nmhw.Network.build("net").input("in", 1).population("pop", 1, "if")
    build.project("in", "pop", np.ones((1, 1)), name="pop>pop (reset)")
    q = nmhw.quantize(give_meaning(build.output("out", "pop").done(), **LATE), "loihi1-d18")
    assert [p.name for p in q.projections] == ["pop>pop (reset)", "pop>pop (reset) 2"]
