"""Weights made of axons: how many fit, what they weigh, what is refused and printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import DoesNotFitError, UnsupportedError, UsageError
from nmhw.mappers.quantize.axon_grids import pick_peaks
from nmhw.mappers.quantize.crossbar import split_by_type, type_weights
from nmhw.mappers.quantize.grid import axon_grid
from nmhw.mappers.quantize.lower import LoweredProjection
from nmhw.mappers.rules import check_rules
from nmhw.values.profile import Profile

CHIP = nmhw.chip("truenorth")


def network(n_in: int, n_hidden: int = 12, *, bias: float = 0.0, out: str = "lif") -> Any:
    r = np.random.default_rng(8)
    build = nmhw.Network.build("x").input("in", n_in)
    build.population("h", n_hidden, "lif", tau_mem_s=10e-3)
    last = {"v_threshold": 1.0} if out == "lif" else {}
    build.population("o", 3, out, tau_mem_s=10e-3, **last)
    build.project("in", "h", r.normal(0.1, 0.3, (n_hidden, n_in)), bias=bias)
    build.project("h", "o", r.normal(0.2, 0.3, (3, n_hidden)))
    return give_meaning(build.output("out", "o").done(), "snntorch", dt_s=1e-3)


@pytest.mark.parametrize(("n_axons", "low", "high"), [(2, -1, 1), (3, -4, 3), (4, -8, 7)])
def test_planes_have_one_weight_and_sum_to_the_matrix(n_axons: int, low: int, high: int) -> None:
    assert (axon_grid(n_axons).minimum, axon_grid(n_axons).maximum) == (low, high)
    matrix = csr_array(np.arange(low, high + 1)[:, None])
    planes = split_by_type(matrix, n_axons)
    assert len(planes) == n_axons
    for plane, weight in zip(planes, type_weights(n_axons), strict=True):
        assert set(plane.data.tolist()) == {weight}
    np.testing.assert_array_equal(sum(p.toarray() for p in planes), matrix.toarray())


@pytest.mark.parametrize(("n_in", "n_axons"), [(64, 4), (65, 3), (85, 3), (86, 2), (128, 2)])
def test_fan_in_decides_how_many_axons_a_source_takes(n_in: int, n_axons: int) -> None:
    q = nmhw.quantize(network(n_in), CHIP)
    assert q.copies["in"].size <= n_axons * n_in <= 256
    (text,) = (n.text for n in q.notices if n.rule == "quantize.axon-types" and n.where == "h")
    assert text.startswith(f"each source takes {n_axons} axons")


def test_a_fan_in_above_128_is_refused_with_numbers() -> None:
    with pytest.raises(DoesNotFitError, match=r"129 sources, which need 2 .* 258 in all"):
        nmhw.quantize(network(129), CHIP)


def test_all_weights_into_a_population_share_four_values_per_neuron() -> None:
    q = nmhw.quantize(network(40), CHIP)
    for projection in q.projections:
        assert projection.weight_bits == 1
        assert set(np.unique(projection.weights).tolist()) <= {1, 2, 4, -8}
        assert 0 <= projection.shift <= 4


def test_groups_fill_cores_and_are_mapped_as_they_are() -> None:
    r = np.random.default_rng(10)
    build = nmhw.Network.build("wide").input("in", 64).population("h", 300, "if")
    build.project("in", "h", r.normal(0.1, 0.3, (300, 64)))
    deployed = nmhw.deploy(build.output("out", "h").done(), CHIP)
    group = deployed.quantized.population("h").group
    assert group is not None
    assert np.bincount(group).tolist() == [256, 44]
    for part in deployed.mapping.slices:
        if part.population == "h":
            assert np.unique(group[part.neurons]).size == 1


def test_coarse_grids_take_the_scale_of_least_squared_error() -> None:
    weights = np.array([[1.0], *[[w] for w in (0.3, -0.3, 0.28, 0.31) * 3]])
    p = LoweredProjection("p", "a", "b", "dense", weights, 1)
    grid = axon_grid(2)
    (peak,) = pick_peaks([p], [grid], CHIP.arithmetic)
    assert peak[0] < 1

    def error(scale: float) -> float:
        return float(np.sum((weights - grid.round(weights / scale)[0] * scale) ** 2))

    assert error(peak[0]) <= min(error(s) for s in np.linspace(0.2, 1, 33)) + 1e-12
    assert pick_peaks([p], [grid], nmhw.chip("generic").arithmetic)[0][0] == 1.0


def test_leak_is_reversal_or_with_a_bias_a_constant_and_a_floor() -> None:
    h = nmhw.quantize(network(20), CHIP).population("h")
    assert h.spec.v_decay == "converge"
    assert h.v_min is None
    biased = nmhw.quantize(network(20, bias=0.2), CHIP).population("h")
    assert biased.spec.v_decay == "none"
    assert biased.v_min is not None
    assert not biased.v_min.any()
    leak = 0.1 * biased.threshold / 2
    np.testing.assert_allclose(biased.v_bias, 0.2 * biased.scale * 0.1 - leak, atol=1.5)
    ranc = nmhw.quantize(network(20), "ranc").population("h")
    assert (ranc.spec.v_decay, ranc.spec.lower) == ("none", "reset")
    assert (ranc.v_bias < 0).all()


def test_what_the_cores_cannot_do_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="fires when it reaches its threshold"):
        nmhw.quantize(network(20, out="li"), CHIP)
    deployed = nmhw.deploy(network(20), CHIP)
    x = np.zeros((1, 5, 20), np.uint8)
    with pytest.raises(UnsupportedError, match="cannot read membranes"):
        deployed.run(x, readout="v-last")
    with pytest.raises(UsageError, match="share a register"):
        nmhw.quantize(network(20), CHIP, explicit={"h": {"v_leak": 2, "bias_mantissa": 3}})
    with pytest.raises(UsageError, match="no negative threshold"):
        nmhw.quantize(network(20), "odin", explicit={"h": {"v_min": -3}})


def test_loops_whose_copies_never_end_are_refused() -> None:
    r = np.random.default_rng(9)
    build = nmhw.Network.build("loop").input("in", 4).population("h", 50, "if")
    build.project("in", "h", r.normal(size=(50, 4)), delay_steps=1)
    build.project("h", "h", r.normal(size=(50, 50)), delay_steps=1)
    profile = Profile("p", dt_s=1.0, input_gain="unit", current_gain="unit", compare=">=")
    net = build.output("out", "h").done()
    small = nmhw.chip("truenorth").with_(budget={"neurons": 128})
    from nmhw.mappers.quantize import quantize_network

    with pytest.raises(DoesNotFitError, match="neurons with the copies its axons need"):
        quantize_network(net, small, profile)
    assert quantize_network(net, CHIP, profile).copies["h"].size <= 256


@pytest.mark.parametrize("n_hidden", [8, 30, 60])
def test_populations_that_share_a_core_share_its_four_types(n_hidden: int) -> None:
    deployed = nmhw.deploy(network(20, n_hidden), CHIP)
    assert check_rules(deployed.quantized, CHIP, deployed.mapping) == ([], [])
    held = [part.core for part in deployed.mapping.slices]
    if n_hidden == 30:  # both populations and their axons fit one core
        assert len(set(held)) < len(held)
