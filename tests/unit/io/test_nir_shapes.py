"""Shape inference where nir 1.0.8 has known faults, and the slips of exporters it puts right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.errors import NirError
from nmhw.io.nir_read import read_nir
from nmhw.io.nir_shapes import flatten_shape, settle
from nmhw.values.linear import Conv, Sparse
from nmhw.values.network import Network

WriteNir = Callable[..., Path]


def conv(weight: tuple[int, ...], **changes: Any) -> dict[str, Any]:
    node = {
        "type": f"Conv{len(weight) - 2}d",
        "weight": np.arange(1.0, 1 + np.prod(weight)).reshape(weight),
        "stride": np.array(1),
        "padding": np.array(0),
        "dilation": np.array(1),
        "groups": np.array(1),
        "bias": np.zeros(weight[0]),
    }
    return node | changes


def neuron() -> dict[str, Any]:
    return {"type": "IF", "r": np.float64(1), "v_threshold": np.float64(1)}


def chain(
    write_nir: WriteNir, shape: tuple[int, ...], *nodes: dict[str, Any], out: tuple[int, ...]
) -> Network:
    """Read input -> nodes -> scalar IF -> output of shape ``out``."""
    named = {f"n{k}": node for k, node in enumerate(nodes)}
    ends = {"if": neuron(), "out": {"type": "Output", "shape": np.array(out)}}
    content = {"in": {"type": "Input", "shape": np.array(shape)}, **named, **ends}
    return read_nir(write_nir(content, list(pairwise(content))))


def test_a_kernel_that_is_not_square_shrinks_each_axis_by_its_own_size(write_nir: WriteNir) -> None:
    network = chain(write_nir, (1, 8, 8), conv((2, 1, 3, 5)), out=(2, 6, 4))
    assert network.populations[0].shape == (2, 6, 4)


def test_grouped_convolution_takes_all_channels(write_nir: WriteNir) -> None:
    node = conv((6, 1, 3, 3), groups=np.array(3))
    network = chain(write_nir, (3, 5, 5), node, out=(6, 3, 3))
    assert network.populations[0].shape == (6, 3, 3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"padding": "same"}, (2, 7, 7)),
        ({"padding": "valid"}, (2, 5, 5)),
        ({"padding": np.array([1, 0])}, (2, 7, 5)),
        ({"stride": np.array([2, 3])}, (2, 3, 2)),
        ({"dilation": np.array([2, 1])}, (2, 3, 5)),
        ({"padding": "same", "dilation": np.array(3)}, (2, 7, 7)),
    ],
)
def test_convolution_shapes(
    write_nir: WriteNir, changes: dict[str, Any], expected: tuple[int, ...]
) -> None:
    network = chain(write_nir, (1, 7, 7), conv((2, 1, 3, 3), **changes), out=expected)
    assert network.populations[0].shape == expected


def test_same_padding_of_an_even_kernel_is_uneven_and_strided_is_an_assumption(
    write_nir: WriteNir,
) -> None:
    node = conv((1, 1, 2, 4), padding="same", stride=np.array(2))
    network = chain(write_nir, (1, 6, 6), node, out=(1, 3, 3))
    op = network.projections[0].ops[0]
    assert isinstance(op, Conv)
    assert op.padding == (0, 1, 1, 2)
    assert op.output_shape == (1, 3, 3)
    assert "nir.same-padding-stride" in {n.rule for n in network.notices if n.kind == "assumption"}


def test_convolution_in_one_dimension(write_nir: WriteNir) -> None:
    node = conv((4, 2, 3), stride=np.array([2]), input_shape=np.array(9))
    network = chain(write_nir, (2, 9), node, out=(4, 4))
    assert network.populations[0].shape == (4, 4)
    x = np.random.default_rng(0).normal(size=(1, 2, 9))
    windows = np.stack([x[0, :, s : s + 3] for s in (0, 2, 4, 6)])
    expected = np.einsum("sik,oik->os", windows, node["weight"])
    np.testing.assert_allclose(network.projections[0].ops[0].apply(x)[0], expected)


def test_the_bias_of_a_convolution_is_spread_over_its_map(write_nir: WriteNir) -> None:
    node = conv((2, 1, 2, 2), bias=np.array([1.0, -2.0]))
    pool = {"type": "SumPool2d", "kernel_size": np.array(2), "stride": np.array([2, 2])}
    pool["padding"] = np.array([0, 0])
    network = chain(write_nir, (1, 5, 5), node, pool, out=(2, 2, 2))
    bias = network.projections[0].bias
    assert bias is not None
    assert bias.tolist() == [4.0] * 4 + [-8.0] * 4  # four summed by the pool behind it


@pytest.mark.parametrize("kind", ["SumPool2d", "AvgPool2d"])
@pytest.mark.parametrize("kernel", [np.array(3), np.array([3, 3])])
def test_pools_take_one_number_or_two(write_nir: WriteNir, kind: str, kernel: np.ndarray) -> None:
    node = {"type": kind, "kernel_size": kernel, "stride": np.array(2), "padding": np.array(1)}
    network = chain(write_nir, (2, 6, 6), node, out=(2, 3, 3))
    assert network.populations[0].shape == (2, 3, 3)
    ones = network.projections[0].ops[0].apply(np.ones((1, 2, 6, 6)))[0]
    assert ones[0, 0, 0] == pytest.approx(4 if kind == "SumPool2d" else 4 / 9)


def test_a_weight_of_three_axes_is_blocks_side_by_side(write_nir: WriteNir) -> None:
    weight = np.random.default_rng(1).normal(size=(3, 2, 4))
    weight[0, 0, 0] = 0.0
    network = chain(write_nir, (3, 4), {"type": "Linear", "weight": weight}, out=(3, 2))
    assert network.populations[0].shape == (3, 2)
    x = np.random.default_rng(2).normal(size=(1, 3, 4))
    y = x
    for op in network.projections[0].ops:
        y = op.apply(y)
    np.testing.assert_allclose(y[0], np.einsum("goi,gi->go", weight, x[0]))
    (sparse,) = (op for op in network.projections[0].ops if isinstance(op, Sparse))
    assert sparse.matrix.nnz == weight.size  # a zero weight stays a stored synapse


@pytest.mark.parametrize(
    ("shape", "start", "end", "expected"),
    [
        ((2, 3, 4), 0, -1, (24,)),
        ((2, 3, 4), 1, -1, (2, 12)),
        ((2, 3, 4), 0, 1, (6, 4)),
        ((2, 3, 4), -2, -1, (2, 12)),
        ((2, 3, 4), 3, -1, None),
        ((2, 3, 4), 2, 1, None),
    ],
)
def test_flatten_shapes(
    shape: tuple[int, ...], start: int, end: int, expected: tuple[int, ...] | None
) -> None:
    assert flatten_shape(shape, start, end) == expected


def test_flatten_is_left_alone_where_what_follows_agrees(write_nir: WriteNir) -> None:
    flat = {"type": "Flatten", "start_dim": np.array(1), "end_dim": np.array(-1)}
    blocks = {"type": "Linear", "weight": np.ones((2, 3, 12))}
    network = chain(write_nir, (2, 3, 4), flat, blocks, out=(2, 3))
    assert "nir.flatten-batch" not in {n.rule for n in network.notices}
    dense = {"type": "Linear", "weight": np.ones((3, 24))}
    network = chain(write_nir, (2, 3, 4), flat, dense, out=(3,))
    assert "nir.flatten-batch" in {n.rule for n in network.notices}


def test_a_batch_axis_is_only_dropped_where_it_is_one() -> None:
    assert settle((1, 3, 4), (3, 4)) == (3, 4)
    assert settle((2, 3, 4), (3, 4)) is None
    assert settle((3, 4), (1, 3, 4)) is None
    assert settle(None, (5,)) == (5,)


def test_a_real_channel_axis_of_one_is_kept(write_nir: WriteNir) -> None:
    network = chain(write_nir, (1, 8, 8), conv((1, 1, 3, 3)), out=(1, 6, 6))
    assert network.inputs[0].shape == (1, 8, 8)
    assert network.populations[0].shape == (1, 6, 6)


def test_a_time_axis_in_the_input_is_named_as_such(write_nir: WriteNir) -> None:
    with pytest.raises(NirError, match="batch or time: store \\(12,\\)"):
        chain(write_nir, (256, 12), {"type": "Linear", "weight": np.ones((2, 12))}, out=(2,))


@pytest.mark.parametrize(
    ("node", "rule"),
    [
        (conv((2, 1, 9, 3)), "nir.window"),
        (conv((2, 1, 3, 3), stride=np.array(0)), "nir.window"),
        (conv((2, 1, 3, 3), dilation=np.array([1, 1, 1])), "nir.window"),
        (conv((2, 1, 3, 3), padding=np.array(-1)), "nir.window"),
        (conv((2, 1, 3, 3), padding="full"), "nir.padding"),
        (conv((2, 1, 3, 3), groups=np.array(3)), "nir.conv-groups"),
        (conv((2, 1, 3, 3), groups=np.array(0)), "nir.conv-groups"),
        (conv((2, 1, 3, 3)) | {"weight": np.ones((2, 1, 3))}, "nir.conv-weight"),
        (conv((2, 2, 3, 3)), "nir.shape-mismatch"),
        (conv((2, 1, 3, 3), input_shape=np.array([6, 7])), "nir.shape-mismatch"),
        (conv((2, 1, 3, 3), bias=np.ones(3)), "nir.bias-length"),
    ],
)
def test_bad_windows_are_refused(write_nir: WriteNir, node: dict[str, Any], rule: str) -> None:
    with pytest.raises(NirError) as caught:
        chain(write_nir, (1, 7, 7), node, out=(1,))
    assert caught.value.rule == rule
    assert "'n0'" in str(caught.value)


def test_scalars_are_spread_with_a_warning_in_scale_and_delay(write_nir: WriteNir) -> None:
    scale = {"type": "Scale", "scale": np.array([2.0])}
    delay = {"type": "Delay", "delay": np.float64(0.003)}
    network = chain(
        write_nir, (3,), {"type": "Linear", "weight": np.eye(3)}, scale, delay, out=(3,)
    )
    warned = {n.where.split("'")[1] for n in network.notices if n.rule == "nir.scalar-parameters"}
    assert warned == {"n1", "n2", "if"}
    assert network.projections[0].ops[1].apply(np.ones((1, 3))).tolist() == [[2.0, 2.0, 2.0]]
    assert network.projections[0].ops[2].delay_s.tolist() == [0.003] * 3  # type: ignore[attr-defined]
