"""Crossbar chips: copies of sources with both signs, shared rows, floors and constant leaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.mappers.rules import check_rules
from nmhw.values.connectivity import stored_synapses


def network(
    n_hidden: int = 30, n_out: int = 5, *, kind: str = "lif", out: str = "lif", **changes: Any
) -> Any:
    times = {"tau_mem_s": 10e-3} if kind == "lif" else {}
    last: dict[str, Any] = {"tau_mem_s": 10e-3} if out in ("lif", "li") else {}
    if out != "li":
        last["v_threshold"] = 1.0
    r = np.random.default_rng(5)
    w1, w2 = r.normal(0.3, 0.4, (n_hidden, 20)), r.normal(0.2, 0.3, (n_out, n_hidden))
    build = nmhw.Network.build("x").input("in", (4, 5)).population("h", n_hidden, kind, **times)
    build.population("o", n_out, out, **last)
    build.project("in", "h", w1).project("h", "o", w2)
    return give_meaning(build.output("out", "o").done(), "snntorch", dt_s=1e-3, **changes)


X = (np.random.default_rng(6).random((3, 30, 4, 5)) < 0.3).astype(np.uint8)


def test_results_are_the_authors_neurons_and_counts_those_of_the_chip() -> None:
    deployed = nmhw.deploy(network(), "odin")
    q = deployed.quantized
    n_copies = q.copies["h"].size - 30
    assert 0 < n_copies <= 30
    assert q.population("h").size == 30 + n_copies
    run = deployed.run(X, probes={"h": ["v"]})
    other = deployed.run(X, backend="reference")
    assert run.spikes["in"].shape == (4, 5)
    assert run.spikes["h"].shape == (30,)
    assert run.probes["h"]["v"].shape == (3, 30, 30)
    np.testing.assert_array_equal(run.spikes["h"].dense(), other.spikes["h"].dense())
    assert run.facts["spikes"]["h"] == run.spikes["h"].dense().sum() > 0
    row = next(row for row in run.facts["layers"] if row["name"] == "h")
    assert (row["neurons"], row["copies"]) == (30 + n_copies, n_copies)
    assert run.facts["neuron_updates"] == 3 * 30 * (30 + n_copies + 5)
    assert run.facts["spikes_per_neuron_sample"] == sum(run.facts["spikes"].values()) / (3 * 35)


def test_copies_carry_one_sign_and_sum_to_the_weights() -> None:
    q = nmhw.quantize(network(), "odin")
    origin = {"in": q.copies["in"], "h": q.copies["h"], "o": np.arange(5)}
    plain = nmhw.quantize(network(), "tinyodin")
    assert not plain.copies
    for projection in q.projections:
        n_target = q.sizes()[projection.target]
        matrix = stored_synapses(projection, n_target).toarray()
        signs = np.stack([(matrix > 0).any(axis=1), (matrix < 0).any(axis=1)])
        assert not signs.all(axis=0).any()
        joint = np.zeros((origin[projection.source].max() + 1, n_target), np.int64)
        np.add.at(joint, origin[projection.source], matrix)
        copied = origin[projection.target]
        np.testing.assert_array_equal(joint, joint[:, : copied.max() + 1][:, copied])


def test_every_copy_is_said_with_its_cost() -> None:
    q = nmhw.quantize(network(), "odin")
    notes = {n.where: n.text for n in q.notices if n.rule == "quantize.copies"}
    assert "more input axons, whose events the host sends as well" in notes["in"]
    assert f"{q.copies['h'].size - 30} more neurons" in notes["h"]


def test_neurons_and_inputs_share_the_rows() -> None:
    deployed = nmhw.deploy(network(), "odin")
    violations, _ = check_rules(deployed.quantized, deployed.chip, deployed.mapping)
    assert violations == []
    with pytest.raises(DoesNotFitError, match="limit 256 rows"):
        nmhw.deploy(network(95, 40), "odin")
    with pytest.raises(DoesNotFitError, match=r"copies its axons need: at least .* of 256"):
        nmhw.deploy(network(200), "odin")


def test_what_is_approximated_is_said() -> None:
    q = nmhw.quantize(network(), "odin")
    text = {n.rule: n.text for n in q.notices if n.where == "h"}
    assert "never goes below 0" in text["quantize.floor"]
    assert "constant leak" in text["quantize.decay"]
    h = q.population("h")
    assert h.spec.v_decay == "subtract"
    assert h.v_min is not None
    assert not h.v_min.any()
    assert np.all(np.abs(h.v_keep - 0.05 * (h.threshold - 1)) <= 0.5 + 1e-9)
    assert all(loss.decay_error > 0 for loss in q.losses)
    exact = nmhw.quantize(network(kind="if", out="if"), "tinyodin")
    assert exact.population("h").spec.v_decay == "none"


def test_what_cannot_be_honored_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="fires when it reaches its threshold"):
        nmhw.quantize(network(out="li"), "odin")
    with pytest.raises(UnsupportedError, match="soft reset"):
        nmhw.quantize(network(reset="subtract"), "tinyodin")
    build = nmhw.Network.build("loop").input("in", 3).population("h", 4, "if")
    build.project("in", "h", np.ones((4, 3))).project("h", "h", np.ones((4, 4)))
    loop = give_meaning(build.output("out", "h").done(), "lava", dt_s=1e-3)
    with pytest.raises(UnsupportedError, match="delay"):
        nmhw.quantize(loop, "odin")


def test_calibration_rates_reach_the_copies() -> None:
    deployed = nmhw.deploy(network(), "odin", calibration=X)
    assert deployed.mapping.metrics["packets"] > 0


def test_events_run_from_end_to_end() -> None:
    deployed = nmhw.deploy(network(kind="lif", out="lif"), "odin")
    run = deployed.run(X, timing="events")
    plain = deployed.run(X, timing="events", backend="reference")
    assert run.spikes["h"].shape == (30,)
    np.testing.assert_array_equal(run.spikes["h"].dense(), plain.spikes["h"].dense())
    assert run.facts["synops"] == plain.facts["synops"] > 0
    assert "run.leak-clock" in {n["rule"] for n in run.facts["notices"]}
    summed = deployed.run(X)
    assert "run.stepwise" in {n["rule"] for n in summed.facts["notices"]}
    spikes = [int(r.spikes["h"].dense().sum()) for r in (run, summed)]
    assert min(spikes) > 0.5 * max(spikes)


@pytest.mark.parametrize(("chip", "largest"), [("odin", 255), ("tinyodin", 2047)])
@pytest.mark.parametrize("profile", ["nengo", "spikingjelly"])
def test_weak_weights_leave_a_threshold_that_the_register_holds(
    chip: str, largest: int, profile: str
) -> None:
    # v > t is v >= t + 1 on these chips: the largest register must hold t + 1
    weight = np.full((4, 8), 0.2)
    build = nmhw.Network.build("weak").input("in", 8).population("p", 4, "if", v_threshold=1.0)
    network = build.project("in", "p", weight, name="w").output("out", "p").done()
    ready = give_meaning(network, profile, dt_s=1e-3)
    (population,) = nmhw.quantize(ready, chip).populations
    assert population.threshold.tolist() == [largest] * 4
