"""Networks from sizes, and their initial weights."""

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.network import initial_weights, parse_sizes


def test_dense_sizes() -> None:
    net = parse_sizes("64-128-10")
    assert [layer.weight_shape for layer in net.layers] == [(64, 128), (128, 10)]
    assert net.names == ("layer1", "head")
    assert (net.n_inputs, net.n_classes) == (64, 10)


def test_convolutions_and_pools() -> None:
    net = parse_sizes("1x8x8-c4k3p1-p2-c6k3s2-p1-10")
    first, second, head = net.layers
    assert first.target_shape == (4, 8, 8)
    assert second.pool is not None
    assert (second.n_source, second.n_in) == (256, 64)
    assert second.target_shape == (6, 1, 1)
    assert second.weight_shape == (6, 4, 3, 3)
    assert (head.n_in, head.n_out) == (6, 10)


def test_recurrent_layers_stand_behind_their_feed() -> None:
    net = parse_sizes("7-r5-3")
    assert net.names == ("layer1", "layer1.recurrent", "head")
    assert net.feedforward == (0, 2)
    assert net.recurrent_of(0) == 1
    assert net.recurrent_of(2) is None


@pytest.mark.parametrize(
    "text",
    ["", "64", "64-", "64-0-10", "0-10", "64-c4k3-10", "1x8x8-c4k9-10", "1x8x8-p9-10",
     "1x8x8-p2-p2-10", "1x8x8-c4k3", "64-x-10", "1x8-10", "1x8x8-c4k3s0-10", "64--10"],
)  # fmt: skip
def test_sizes_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_sizes(text)


def test_initial_weights_have_the_stated_spread_and_mean() -> None:
    net = parse_sizes("400-300-10")
    rule = named("mpd-ed", init_gain=2.0, init_mean=8.0, head_gain=0.5)
    hidden, head = initial_weights(net, rule, 3)
    assert hidden.shape == (400, 300)
    assert np.isclose(hidden.std(), 2.0 / 20, rtol=0.02)
    assert np.isclose(hidden.mean(), 8.0 / 400, rtol=0.05)
    assert np.isclose(head.std(), 0.5 * 2.0 / np.sqrt(300), rtol=0.05)


def test_initial_weights_depend_on_the_seed_alone() -> None:
    net = parse_sizes("1x6x6-c3k3-4")
    one, two = (initial_weights(net, named("std-ed"), 1) for _ in range(2))
    other = initial_weights(net, named("std-ed"), 2)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert not np.array_equal(one[0], other[0])
