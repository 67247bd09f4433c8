"""What run_batch takes, what it refuses, and what it tells about neurons that stay silent."""

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim.learning.event_walk import walk_sample
from nmhw.sim.learning.float_form import check_network, run_batch, silent_fraction
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.sizes import conv_layer
from nmhw.sim.learning.synapses import Synapses


def test_the_gradient_is_the_mean_over_the_batch() -> None:
    net, rule = parse_sizes("6-5-3"), named("std-ed", init_mean=2.0)
    weights = initial_weights(net, rule, 0)
    x, y = np.random.default_rng(0).random((4, 6)), np.array([0, 1, 2, 0])
    whole = run_batch(net, weights, rule, x, y)
    parts = [run_batch(net, weights, rule, x[k : k + 1], y[k : k + 1]) for k in range(4)]
    assert np.isclose(whole.loss, np.mean([p.loss for p in parts]))
    for k in range(2):
        mean = np.mean([p.gradients[k] for p in parts], axis=0)
        np.testing.assert_allclose(whole.gradients[k], mean, atol=1e-15)
    assert whole.counts.values.tolist() == sum(p.counts.values for p in parts).tolist()


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("std-ed", np.zeros((2, 5))),
        ("std-ed", np.full((2, 6), 1.5)),
        ("std-ed", np.full((2, 6), -0.5)),
        ("std-ed", np.full((2, 6), np.nan)),
        ("mpd-ed", np.zeros((2, 6))),
        ("mpd-ed", np.zeros((2, 15, 6))),
        ("mpd-ed", np.full((2, 16, 6), 0.5)),
        ("mpd-ed", np.full((2, 16, 6), np.inf)),
    ],
)
def test_inputs_that_make_no_sense_are_refused(name: str, inputs: Any) -> None:
    net, rule = parse_sizes("6-5-3"), named(name)
    with pytest.raises(InputError):
        run_batch(net, initial_weights(net, rule, 0), rule, inputs, [0, 1])


@pytest.mark.parametrize("labels", [[0], [0, 3], [0, -1], [0.0, 1.0], [[0, 1]]])
def test_labels_that_make_no_sense_are_refused(labels: Any) -> None:
    net, rule = parse_sizes("6-5-3"), named("std-ed")
    with pytest.raises(InputError):
        run_batch(net, initial_weights(net, rule, 0), rule, np.zeros((2, 6)), labels)


def test_weights_of_another_network_are_refused() -> None:
    net, rule = parse_sizes("6-5-3"), named("std-ed")
    weights = initial_weights(net, rule, 0)
    with pytest.raises(UsageError, match="shapes"):
        run_batch(net, weights[:1], rule, np.zeros((1, 6)), [0])
    weights[0][0, 0] = np.inf
    with pytest.raises(InputError, match="finite"):
        walk_sample(net, weights, rule, np.zeros(6), 0)


@pytest.mark.parametrize(
    ("name", "allowed"), [("mpd-ed", True), ("stbp", True), ("std-ed", False), ("srm", False)]
)
def test_recurrent_layers_are_trained_or_refused(name: str, allowed: bool) -> None:
    net, rule = parse_sizes("6-r5-3"), named(name)
    if allowed:
        assert check_network(net, rule) == ()
        return
    with pytest.raises(UnsupportedError, match="no recurrent layers"):
        run_batch(net, initial_weights(net, rule, 0), rule, np.zeros((1, 6)), [0])


@pytest.mark.parametrize(
    ("name", "options", "warned"),
    [
        ("mpd-ed", {"head": "spiking"}, True),
        ("mpd-ed", {"head": "spiking", "mask": "band"}, True),
        ("mpd-ed", {}, False),
        ("stbp", {"head": "spiking"}, False),
        ("std-ed", {"head": "spiking"}, False),
    ],
)
def test_a_masked_spiking_head_is_warned_about(name: str, options: Any, warned: bool) -> None:
    notices = check_network(parse_sizes("6-5-3"), named(name, **options))
    assert [n.rule for n in notices] == (["learning.masked-spiking-head"] if warned else [])


def test_silent_neurons_are_those_that_fire_in_no_sample() -> None:
    fired = [np.array([[True, False, False, False], [False, False, True, False]])]
    assert silent_fraction(fired) == [0.5]


def test_a_dead_masked_spiking_head_gets_no_gradient_and_stbp_does() -> None:
    net = parse_sizes("6-5-3")
    x, y = np.ones((1, 16, 6)), [0]
    for name, is_dead in (("mpd-ed", True), ("stbp", False)):
        rule = named(name, head="spiking", head_gain=1e-3)
        gradients = run_batch(net, initial_weights(net, rule, 0), rule, x, y).gradients
        assert all(not g.any() for g in gradients) is is_dead


@pytest.mark.parametrize("groups", [1, 2])
def test_synapses_of_a_convolution_equal_its_matrix(groups: int) -> None:
    layer = conv_layer("c", (2, 5, 4), (4, 2 // groups, 3, 2), (2, 1), (1, 0, 1, 1), (1, 2), groups)
    synapses, rng = Synapses(layer), np.random.default_rng(0)
    w, x = rng.normal(size=layer.weight_shape), rng.normal(size=(3, layer.n_in))
    e, matrix = rng.normal(size=(3, layer.n_out)), synapses.matrix(w)
    np.testing.assert_allclose(synapses.drive(x, w), x @ matrix, atol=1e-12)
    np.testing.assert_allclose(synapses.carry_back(e, w), e @ matrix.T, atol=1e-12)
    np.testing.assert_allclose(synapses.gradient(x, e), synapses.reduce(x.T @ e), atol=1e-12)
    assert synapses.n_synapses == synapses.exists.sum() == synapses.fan_out.sum()
