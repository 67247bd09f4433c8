"""Stored runs of lava-nc 0.10.0's fixed_pt models, replayed in nmhw bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import UnsupportedError, UsageError
from nmhw.io.chip_file import list_chips, load_chip
from nmhw.values.connectivity import stored_synapses
from nmhw.values.discretize import resolve_profile
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation, QuantizedProjection

N_NETWORKS = 24
CHIPS = ("loihi1-d18", "loihi1-nahuku", "loihi2")
EVERY_NETWORK = pytest.mark.parametrize("number", range(N_NETWORKS))


@pytest.fixture(scope="module")
def recordings(lava_vectors: ModuleType, data_dir: Path) -> list[Any]:
    return list(lava_vectors.read_recordings(data_dir / "lava-fixed-pt" / "vectors.npz"))


@EVERY_NETWORK
@pytest.mark.parametrize("backend", ["reference", "numba"])
@pytest.mark.parametrize("lean", [False, True], ids=["with-current", "without-idle-current"])
def test_u_v_and_spikes_equal_lava_in_every_step(
    recordings: list[Any], lava_vectors: ModuleType, number: int, backend: str, lean: bool
) -> None:
    recording = recordings[number]
    quantized = lava_vectors.quantize(recording.network, lean=lean)
    differences = lava_vectors.count_differences(quantized, recording, backend)
    assert lean or differences.keys() == recording.states.keys()
    assert differences == dict.fromkeys(differences, 0)


def test_no_other_chip_makes_the_claim() -> None:
    claims = {chip.name: load_chip(chip.name).arithmetic.claim for chip in list_chips()}
    assert {name for name, claim in claims.items() if "lava-nc" in claim} == set(CHIPS)


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip_that_claims_it_equals_lava(
    recordings: list[Any], lava_vectors: ModuleType, chip: str
) -> None:
    for recording in recordings:
        quantized = lava_vectors.quantize(recording.network, chip_name=chip)
        differences = lava_vectors.count_differences(quantized, recording, "numba")
        assert differences == dict.fromkeys(recording.states, 0), recording.network["seed"]


@pytest.mark.parametrize("number", [2, 11, 20, 23])
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_a_mapped_deployment_equals_lava(
    recordings: list[Any], lava_vectors: ModuleType, number: int, backend: str
) -> None:
    recording = recordings[number]
    widths = load_chip("loihi1-nahuku").arithmetic.weight_bits
    network, explicit = lava_vectors.write_network(recording.network, widths=widths)
    profile = resolve_profile(network, "lava", dt_s=lava_vectors.DT_S)
    network = replace(network, profile=profile)
    deployment = nmhw.deploy(network, "loihi1-nahuku", explicit=explicit)
    names = [p.name for p in network.populations]
    run = deployment.run(
        recording.spikes_in[None].astype(np.int64),
        backend=backend,
        probes=[f"{name}:{variable}" for name in names for variable in "uv"],
        compare_float=False,
    )
    n = lava_vectors.N_STEPS
    for name in names:
        spikes = run.result.spikes[name].dense()[0, :n]
        np.testing.assert_array_equal(spikes, recording.states[name, "s"])
        for variable in "uv":
            values = run.result.probes[name, variable].values[0, :n]
            np.testing.assert_array_equal(values, recording.states[name, variable])


def test_stored_networks_cover_the_arithmetic(recordings: list[Any]) -> None:
    projections = [p for r in recordings for p in r.network["projections"]]
    populations = [p for r in recordings for p in r.network["populations"]]
    assert {p["weight_bits"] for p in projections} == set(range(1, 9))
    assert {p["weight_exp"] for p in projections} == set(range(-4, 8))
    modes = {None, "mixed", "excitatory", "inhibitory"}
    assert {p["sign_mode"] for p in projections} == modes
    kinds = {"Dense", "Sparse", "DelayDense", "DelaySparse"}
    assert {p["process"] for p in projections} == kinds
    assert {np.max(p["delays"]) for p in projections if p["delays"]} >= {1, 4, 62}
    assert any(p["source"] == p["target"] for p in projections)
    for register in ("du", "dv", "vth", "bias_mant", "bias_exp"):
        assert any(len(set(p[register])) > 1 for p in populations), register
    exponents = [
        [p["weight_exp"] for p in r.network["projections"] if p["target"] == target["name"]]
        for r in recordings
        for target in r.network["populations"]
    ]
    assert sum(len(set(e)) > 1 for e in exponents) >= 20
    assert sum(max(e.count(k) for k in e if k < 0) > 1 for e in exponents if min(e) < 0) >= 5
    n_saturated = sum((abs(s) == 2**23 - 1).sum() for r in recordings for s in r.states.values())
    n_beyond = sum((abs(s) > 2**23).sum() for r in recordings for s in r.states.values())
    assert n_saturated > 1000
    assert n_beyond > 100  # u after one wrap of more than 2^24
    spiking = [s.sum() > 10 for r in recordings for (_, x), s in r.states.items() if x == "s"]
    assert sum(spiking) > 30


def in_populations(
    change: Callable[[QuantizedPopulation], QuantizedPopulation],
) -> Callable[[QuantizedNetwork], QuantizedNetwork]:
    return lambda q: replace(q, populations=tuple(change(p) for p in q.populations))


def with_spec(**fields: Any) -> Callable[[QuantizedNetwork], QuantizedNetwork]:
    return in_populations(lambda p: replace(p, spec=replace(p.spec, **fields)))


def floor_once(q: QuantizedNetwork) -> QuantizedNetwork:
    """Join parallel projections that are shifted right: floor of the sum, not sum of the floors."""
    joined: dict[Any, QuantizedProjection] = {}
    for p in q.projections:
        if p.shift >= 0:
            joined[p.name] = p
            continue
        place = (p.source, p.target, p.delay_steps)
        weights = stored_synapses(p, q.sizes()[p.target]).toarray().astype(np.int32)
        p = replace(p, storage="dense", weights=weights, indptr=None, indices=None)
        if place in joined:
            other = joined[place]
            shift = min(p.shift, other.shift)
            total = (weights << (p.shift - shift)) + (other.weights << (other.shift - shift))
            p = replace(p, weights=total, shift=shift)
        joined[place] = p
    return replace(q, projections=tuple(joined.values()))


OTHER_RULES = {
    "u as wide as it likes": (with_spec(u_bits=40), 5),
    "u saturates": (with_spec(u_overflow="saturate"), 5),
    "v as wide as it likes": (with_spec(v_bits=40), 5),
    "v wraps": (with_spec(v_overflow="wrap"), 5),
    "decay is floored": (with_spec(rounding="floor"), 15),
    "v reaches the threshold": (with_spec(compare=">="), 2),
    "no reset": (with_spec(reset="none"), 15),
    "du without its offset": (in_populations(lambda p: replace(p, u_keep=p.u_keep + 1)), 20),
    "dv with an offset": (in_populations(lambda p: replace(p, v_keep=p.v_keep - 1)), 20),
    "one floor for all Dense": (floor_once, 2),
    "every hop a step later": (
        lambda q: replace(
            q,
            projections=tuple(replace(p, delay_steps=p.delay_steps + 1) for p in q.projections),
        ),
        20,
    ),
}


@pytest.mark.parametrize("rule", OTHER_RULES)
def test_any_other_rule_differs_from_lava(
    recordings: list[Any], lava_vectors: ModuleType, rule: str
) -> None:
    change, at_least = OTHER_RULES[rule]
    n_differing = 0
    for recording in recordings:
        changed = change(lava_vectors.quantize(recording.network))
        n_differing += any(lava_vectors.count_differences(changed, recording, "reference").values())
    assert n_differing >= at_least


def cut(weights: Any, mode: str | None, bits: int) -> Any:
    """Clip to the mode's range and drop low bits, as docs/arithmetic.md says."""
    w = np.array(weights)
    if mode is None:
        mode = "excitatory" if w.min() >= 0 else "inhibitory" if w.max() <= 0 else "mixed"
    sign = -1 if mode == "inhibitory" else 1
    w = np.clip(sign * w, -256 if mode == "mixed" else 0, 255)
    n = 8 - bits + (mode == "mixed")
    return sign * (w >> n << n)


@EVERY_NETWORK
def test_stored_weights_follow_the_written_rule(recordings: list[Any], number: int) -> None:
    for p in recordings[number].network["projections"]:
        wanted = cut(p["weights"], p["sign_mode"], p["weight_bits"])
        np.testing.assert_array_equal(p["stored"], wanted)


def test_weights_off_the_grid_are_refused(recordings: list[Any], lava_vectors: ModuleType) -> None:
    network, explicit = lava_vectors.write_network(recordings[5].network)
    given = recordings[5].network["projections"][0]
    assert given["weights"] != given["stored"]
    profile = resolve_profile(network, "lava", dt_s=lava_vectors.DT_S)
    explicit["w0.d0"]["weight"] = np.array(given["weights"])
    with pytest.raises(UsageError, match=r"a weight is not on the chip's grid"):
        nmhw.quantize(replace(network, profile=profile), "loihi1-d18", explicit=explicit)


def test_seven_bits_are_refused(recordings: list[Any], lava_vectors: ModuleType) -> None:
    network, explicit = lava_vectors.write_network(recordings[5].network)
    profile = resolve_profile(network, "lava", dt_s=lava_vectors.DT_S)
    explicit["w0.d0"]["bits"] = 7
    with pytest.raises(UnsupportedError, match=r"no such weight width: got 7 \(limit 1, .* 6, 8\)"):
        nmhw.quantize(replace(network, profile=profile), "loihi1-d18", explicit=explicit)
