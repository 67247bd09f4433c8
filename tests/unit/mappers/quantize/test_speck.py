"""Scales, lowerings and refusals of networks for Speck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.greedy import map_network
from nmhw.mappers.quantize import make_explicit, quantize_network
from nmhw.mappers.quantize.speck import largest_scale
from nmhw.mappers.verify import verify
from nmhw.values.linear import Conv, Dense, Pool, Reshape, Sparse
from nmhw.values.network import Network
from nmhw.values.profile import preset

CHIP = load_chip("speck2f")
SINABS = preset("sinabs")


def stack(*ops_and_shapes: Any, shape: tuple[int, ...] = (1, 8, 8), **cell: Any) -> Network:
    """Return input -> ops -> population -> ops -> population... (pairs of ops and shape)."""
    build, source = Network.build("net").input("in", shape), "in"
    for k, (ops, size) in enumerate(ops_and_shapes):
        name = f"l{k}"
        build.population(name, size, "if", **cell).project(source, name, ops=tuple(ops))
        source = name
    return build.output("out", source).done()


def conv(shape: tuple[int, int, int], n: int, kernel: int = 3, **options: Any) -> Conv:
    return Conv(np.full((n, shape[0], kernel, kernel), 0.5), shape, **options)


def single(op: Any, shape: tuple[int, ...] = (1, 8, 8), **cell: Any) -> Network:
    return stack(([op], op.output_shape), shape=shape, **cell)


def map_it(network: Network) -> Any:
    return map_network(quantize_network(network, CHIP, SINABS), CHIP)


@pytest.mark.parametrize(
    ("values", "bits", "scale"),
    [
        ([0.5, -0.25], 8, 127 / 0.5),
        ([-1.0, 0.25], 8, 128.0),
        ([1.0, -1.003], 8, 127.0),  # -1.003 x 127 still is not below -128
        ([0.0, 0.0], 8, np.inf),
        ([], 8, np.inf),
        ([2.0, -2.0], 16, 32767 / 2),
    ],
)
def test_the_largest_scale_uses_the_one_more_negative_value(
    values: list[float], bits: int, scale: float
) -> None:
    assert largest_scale(np.array(values, np.float32), bits) == pytest.approx(scale, rel=1e-6)


def test_without_a_lower_bound_the_scale_is_free_and_the_state_ends_at_its_width() -> None:
    profile = SINABS.with_(lower_bound="none")
    quantized = quantize_network(single(conv((1, 8, 8), 2)), CHIP, profile)
    (population,) = quantized.populations
    assert population.scale[0] == pytest.approx(254)  # sinabs would stop at 1
    assert population.threshold[0] == 254
    assert population.v_min is not None
    assert set(population.v_min.tolist()) == {-(2**15)}


def test_a_long_threshold_starves_the_weights_as_in_sinabs() -> None:
    quantized = quantize_network(single(conv((1, 8, 8), 2), v_threshold=5000.0), CHIP, SINABS)
    (projection,) = quantized.projections
    assert set(projection.weights.ravel().tolist()) == {3}  # 0.5 x 32767 / 5000
    assert any("the thresholds set it" in n.text for n in quantized.notices)


def test_a_threshold_that_moves_by_one_stays_inside_the_state() -> None:
    profile = SINABS.with_(compare=">")  # the chip fires at v >= t: t + 1
    quantized = quantize_network(single(conv((1, 8, 8), 2), v_threshold=5000.0), CHIP, profile)
    (population,) = quantized.populations
    assert set(population.threshold.tolist()) == {2**15 - 1}


def test_different_thresholds_in_one_layer_are_refused() -> None:
    network = single(conv((1, 8, 8), 1), v_threshold=np.linspace(1, 2, 36))
    with pytest.raises(UnsupportedError, match=r"one threshold per layer.*1 to 2"):
        quantize_network(network, CHIP, SINABS)


def test_a_threshold_that_becomes_0_is_refused() -> None:
    network = single(conv((1, 8, 8), 1), v_threshold=1e-4)
    with pytest.raises(UnsupportedError, match="threshold becomes 0"):
        quantize_network(network, CHIP, SINABS)


def test_given_integers_keep_the_lower_bound_of_the_state() -> None:
    network = single(Conv(np.full((1, 1, 3, 3), 7.0), (1, 8, 8)), v_threshold=100.0)
    quantized = make_explicit(network, CHIP)
    (population,) = quantized.populations
    assert population.v_min is not None
    assert set(population.v_min.tolist()) == {-(2**15)}
    assert set(quantized.projections[0].weights.ravel().tolist()) == {7}


def test_leaky_neurons_are_refused_by_name() -> None:
    network = Network.build("n").input("in", 4).population("p", 4, "lif", tau_mem_s=0.02)
    done = network.project("in", "p", np.eye(4)).output("out", "p").done()
    with pytest.raises(
        UnsupportedError, match=r"p: the chip's neurons have no leak: got 0\.951229"
    ):
        quantize_network(done, CHIP, SINABS.with_(dt_s=1e-3))


def test_weights_behind_weights_are_refused_with_the_chain() -> None:
    first = conv((1, 8, 8), 2)
    chain = [first, conv((2, 6, 6), 2)]
    with pytest.raises(UnsupportedError, match=r"weights follow weights.*Conv > Conv"):
        quantize_network(stack((chain, (2, 4, 4))), CHIP, SINABS)


def test_a_sparse_matrix_is_no_convolution() -> None:
    from scipy.sparse import csr_array

    network = single(Sparse(csr_array(np.eye(4))), shape=(4,))
    with pytest.raises(UnsupportedError, match="no single convolution or linear layer"):
        quantize_network(network, CHIP, SINABS)


def test_a_matrix_is_a_kernel_over_the_whole_map_and_behind_a_flat_layer_1_by_1() -> None:
    maps, flat = Reshape((1, 8, 8), (64,)), Dense(np.arange(320.0).reshape(5, 64) / 400)
    second = Dense(np.ones((3, 5)))
    network = stack(([maps, flat], (5,)), ([second], (3,)))
    quantized = quantize_network(network, CHIP, SINABS)
    shapes = [p.weights.shape for p in quantized.projections]
    assert shapes == [(5, 1, 8, 8), (3, 5, 1, 1)]
    wanted = np.rint(np.float32(flat.weight) * np.float32(127 / flat.weight.max()))
    np.testing.assert_array_equal(quantized.projections[0].weights.reshape(5, 64), wanted)
    mapping = map_network(quantized, CHIP)
    assert verify(quantized, CHIP, mapping).is_legal
    assert len(mapping.cores) == 2


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (conv((1, 20, 20), 1, 17), "kernel 17, the chip has 1, 2"),
        (Conv(np.ones((1, 1, 3, 2)), (1, 8, 8)), "kernel 3 x 2, the chip has square ones"),
        (conv((1, 8, 8), 1, stride=(3, 3)), "stride 3, the chip has 1, 2, 4, 8"),
        (conv((1, 8, 8), 1, padding=(8, 8, 8, 8)), "padding 8, limit 7"),
        (conv((1, 8, 8), 1, padding=(1, 0, 1, 1)), "padding 1, 0, 1, 1, the chip pads"),
        (conv((1, 8, 8), 1, dilation=(2, 2)), "dilation 2, the chip has 1"),
        (Conv(np.ones((2, 1, 3, 3)), (2, 8, 8), groups=2), "2 groups, the chip has 1"),
        (conv((1, 129, 9), 1, 3, stride=(2, 1)), "input size 129, limit 128"),
        (conv((1, 80, 9), 1), "output size 78, limit 64"),
        (conv((1025, 2, 2), 1, 1), "channels 1,025, limit 1,024"),
    ],
)  # fmt: skip
def test_layers_of_another_form_are_refused_with_value_and_limit(op: Conv, text: str) -> None:
    with pytest.raises(DoesNotFitError) as caught:
        map_it(single(op, op.in_shape))
    assert any(text in v and "speck2f (rule layer-form)" in v for v in caught.value.violations)


@pytest.mark.parametrize(
    ("pools", "text"),
    [
        ([(3, 3, 0)], "pool 3, the chip has 1, 2, 4"),
        ([(2, 1, 0)], "pool 2 x 2 with stride 1 x 1 and padding 0"),
        ([(2, 2, 1)], "and padding 1"),
        ([(4, 4, 0), (2, 2, 0)], "pool 8, the chip has 1, 2, 4"),
    ],
)
def test_pools_of_another_form_are_refused(pools: list[tuple[int, int, int]], text: str) -> None:
    first = conv((1, 18, 18), 2)
    ops: list[Any] = []
    shape: Any = first.output_shape
    for kernel, stride, padding in pools:
        ops.append(Pool("sum", shape, (kernel,) * 2, (stride,) * 2, (padding,) * 2))
        shape = ops[-1].output_shape
    ops.append(conv(shape, 1, 1))
    network = stack(([first], first.output_shape), (ops, ops[-1].output_shape), shape=(1, 18, 18))
    with pytest.raises(DoesNotFitError) as caught:
        map_it(network)
    assert any(text in v for v in caught.value.violations)


def test_chained_pools_act_as_one() -> None:
    first = conv((1, 18, 18), 2)
    pools = [Pool("sum", (2, 16, 16), (2, 2), (2, 2)), Pool("avg", (2, 8, 8), (2, 2), (2, 2))]
    last = conv((2, 4, 4), 1, 1)
    network = stack(
        ([first], first.output_shape), ([*pools, last], last.output_shape), shape=(1, 18, 18)
    )
    assert len(map_it(network).cores) == 2


def branches(n: int, *, same_kernel: bool = True) -> Network:
    """Return one layer that n others read, and one that reads all of them."""
    build = Network.build("net").input("in", (1, 6, 6))
    build.population("root", (1, 6, 6), "if").project("in", "root", conv((1, 6, 6), 1, 1))
    build.population("end", (1, 4, 4), "if")
    for k in range(n):
        name = f"b{k}"
        build.population(name, (1, 6, 6), "if").project("root", name, conv((1, 6, 6), 1, 1))
        weight = np.full((1, 1, 3, 3), 0.5 if same_kernel else 0.1 * (k + 1))
        build.project(name, "end", Conv(weight, (1, 6, 6)))
    return build.output("out", "end").done()


def test_two_destinations_and_a_merge_fit_three_do_not() -> None:
    mapping = map_it(branches(2))
    assert len(mapping.cores) == 4
    with pytest.raises(DoesNotFitError, match=r"reaches 3 cores, limit 2 on speck2f \(rule dest"):
        map_it(branches(3))


def test_merging_sources_share_one_kernel_or_are_refused() -> None:
    quantized = quantize_network(branches(2), CHIP, SINABS)
    mapping = map_network(quantized, CHIP)
    (core,) = (part.core for part in mapping.slices if part.population == "end")
    (used,) = (u.resources for u in mapping.utilization if u.core == core)
    assert used["kernel_words"][0] == 16
    with pytest.raises(DoesNotFitError, match="2 different convolutions end there, limit 1"):
        map_it(branches(2, same_kernel=False))


def test_a_flat_layer_cannot_be_read_as_maps() -> None:
    dense = [Reshape((1, 8, 8), (64,)), Dense(np.eye(64)), Reshape((64,), (1, 8, 8))]
    last = conv((1, 8, 8), 1)
    network = stack((dense, (1, 8, 8)), ([last], last.output_shape))
    with pytest.raises(DoesNotFitError, match="reads maps of 1 x 8 x 8, 'l0' sends 64 x 1 x 1"):
        map_it(network)


def test_a_layer_cannot_be_cut_and_the_closest_core_is_named() -> None:
    big = conv((1, 64, 64), 32, 1)
    with pytest.raises(DoesNotFitError, match=r"neuron words 131,072, limit 65,536"):
        map_it(single(big, (1, 64, 64)))


def test_the_verifier_refuses_shared_and_split_cores() -> None:
    from dataclasses import replace

    quantized = quantize_network(branches(2), CHIP, SINABS)
    mapping = map_network(quantized, CHIP)
    moved = tuple(replace(part, core=mapping.slices[0].core) for part in mapping.slices)
    shared = verify(quantized, CHIP, replace(mapping, slices=moved)).violations
    assert any("4 layers (" in text and "limit 1" in text for text in shared)
