"""Joint scales use the grid fully, clip nothing, and respect thresholds, states and profiles."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.mappers.quantize.scales import cluster_down, threshold_profiles
from nmhw.values.chip import ChipSpec
from nmhw.values.linear import Conv
from nmhw.values.network import Network
from nmhw.values.profile import Profile

LOIHI, GENERIC = load_chip("loihi1-nahuku"), load_chip("generic")
EULER = Profile("test", dt_s=1e-3)
R = np.random.default_rng(11)


def dense(weights: Any, **parameters: Any) -> Network:
    n_out, n_in = weights.shape
    parameters = {"tau_mem_s": 0.02, **parameters}
    build = Network.build("net").input("in", n_in).population("pop", n_out, "lif", **parameters)
    return build.project("in", "pop", weights).output("out", "pop").done()


def with_arithmetic(chip: ChipSpec, **changes: Any) -> ChipSpec:
    return replace(chip, arithmetic=replace(chip.arithmetic, **changes))


def unequal(n_out: int, n_in: int) -> Any:
    return R.normal(size=(n_out, n_in)) * np.exp(R.normal(size=(n_out, 1)))


def test_every_neuron_of_a_neuron_scoped_chip_uses_its_whole_grid() -> None:
    q = quantize_network(dense(unequal(20, 30)), GENERIC, EULER)
    assert np.abs(q.projections[0].weights).max(axis=0).min() >= 126
    assert q.losses[0].clipped_weights_fraction == 0
    assert q.losses[0].threshold_error < 1e-12


def test_thresholds_are_clustered_into_the_profiles_of_a_core() -> None:
    assert threshold_profiles(LOIHI) == 8
    q = quantize_network(dense(unequal(60, 30)), LOIHI, EULER)
    threshold = q.populations[0].threshold
    assert np.unique(threshold).size == 8
    assert np.unique(q.populations[0].profile_index).size == 8
    assert q.losses[0].clipped_weights_fraction == 0


def test_one_threshold_per_layer_still_scales_neurons_with_other_thresholds() -> None:
    layer = with_arithmetic(GENERIC, threshold_scope="layer")
    q = quantize_network(dense(unequal(9, 8), v_threshold=np.linspace(0.5, 2, 9)), layer, EULER)
    assert np.unique(q.populations[0].threshold).size == 1
    np.testing.assert_allclose(
        q.populations[0].threshold / q.populations[0].scale, np.linspace(0.5, 2, 9)
    )
    assert q.losses[0].clipped_weights_fraction == 0


@pytest.mark.parametrize("n_clusters", [1, 2, 3, 5])
def test_clusters_lose_as_little_precision_as_any_other_choice(n_clusters: int) -> None:
    for seed in range(5):
        values = np.exp(np.random.default_rng(seed).normal(size=9))
        got = cluster_down(values, n_clusters)
        assert np.all(got <= values)
        assert np.unique(got).size <= n_clusters
        ordered = np.sort(values)

        def loss(centers: Any) -> float:
            at = np.searchsorted(centers, values, "right") - 1  # noqa: B023
            return float(np.sum(np.log2(values / np.asarray(centers)[at])))  # noqa: B023

        best = min(
            loss(np.sort([ordered[0], *others]))
            for others in itertools.combinations(ordered[1:], n_clusters - 1)
        )
        assert np.sum(np.log2(values / got)) <= best + 1e-9


def test_channels_of_a_shared_kernel_share_a_scale() -> None:
    conv = Conv(R.normal(size=(5, 2, 3, 3)) * np.exp(R.normal(size=(5, 1, 1, 1))), (2, 6, 6))
    build = Network.build("net").input("in", (2, 6, 6)).population("pop", (5, 4, 4), "if")
    q = quantize_network(
        build.project("in", "pop", conv).output("out", "pop").done(), GENERIC, EULER
    )
    scale = q.populations[0].scale.reshape(5, 16)
    assert np.all(scale == scale[:, :1])
    assert np.unique(scale).size == 5
    assert q.projections[0].storage == "conv"
    assert np.abs(q.projections[0].weights).max(axis=(1, 2, 3)).min() >= 120


def test_small_weights_against_a_large_threshold_use_a_negative_exponent() -> None:
    q = quantize_network(dense(R.normal(size=(4, 6)) * 1e-3), LOIHI, EULER)
    population, projection = q.populations[0], q.projections[0]
    assert population.threshold.max() <= ((1 << 17) - 1) << 6
    assert projection.shift < 0
    assert np.abs(projection.weights).max() >= 100


def test_a_projection_with_small_weights_gets_its_own_exponent() -> None:
    build = Network.build("net").input("a", 6).input("b", 6)
    build.population("pop", 4, "lif", tau_mem_s=0.02)
    build.project("a", "pop", R.normal(size=(4, 6))).project("b", "pop", R.normal(size=(4, 6)) / 64)
    q = quantize_network(build.output("out", "pop").done(), LOIHI, EULER)
    a, b = q.projections
    assert a.shift - b.shift >= 4
    assert min(a.shift, b.shift) >= 0  # no right shift, which loses low bits of the sum
    assert np.abs(b.weights).max() >= 16
    assert q.losses[0].weight_sqnr_db > 38


def test_neurons_without_synapses_do_not_spoil_the_others() -> None:
    weights = unequal(6, 5)
    weights[2] = 0
    q = quantize_network(dense(weights), LOIHI, EULER)
    alone = quantize_network(dense(np.delete(weights, 2, 0)), LOIHI, EULER)
    np.testing.assert_array_equal(
        np.delete(q.populations[0].threshold, 2), alone.populations[0].threshold
    )
    assert not q.projections[0].weights[:, 2].any()


def test_the_worst_case_is_named_where_it_would_not_fit() -> None:
    many = quantize_network(dense(np.abs(R.normal(size=(3, 4000)))), LOIHI, EULER)
    (notice,) = (n for n in many.notices if n.rule == "quantize.headroom-u")
    assert "u would leave its 24 bits and wrap in pop" in notice.text
    assert notice.kind == "warning"
    few = quantize_network(dense(R.normal(size=(3, 5))), LOIHI, EULER)
    assert not any(n.rule.startswith("quantize.headroom") for n in few.notices)


@pytest.mark.parametrize("chip", [LOIHI, GENERIC])
@pytest.mark.parametrize("kind", ["weight of", "threshold"])
def test_absurdly_large_numbers_are_refused_by_name(chip: ChipSpec, kind: str) -> None:
    net = (
        dense(np.full((2, 2), 1e308))
        if kind != "threshold"
        else dense(np.ones((2, 2)), v_threshold=1e200)
    )
    with pytest.raises(UnsupportedError, match=rf"pop: a {kind}.*too large.*1e\+"):
        quantize_network(net, chip, EULER)


def test_weights_that_all_become_zero_are_told_and_bound_no_state() -> None:
    q = quantize_network(dense(np.ones((2, 2)), v_threshold=1e30), LOIHI, EULER)
    assert not q.projections[0].weights.any()
    rules = {n.rule: n for n in q.notices}
    assert "every weight" in rules["quantize.all-zero-weights"].text
    assert "quantize.headroom-u" not in rules
    assert "quantize.headroom-v" not in rules
