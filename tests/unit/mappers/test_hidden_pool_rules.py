"""Rules of chips with one hidden pool: each violation names its rule and the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import nmhw
from nmhw.errors import DoesNotFitError
from nmhw.mappers.hidden_pool_rules import count_hidden_ends, count_recurrent_entries
from nmhw.values.discretize import resolve_profile

TIMES = {"tau_mem_s": 16e-3, "tau_syn_s": 4e-3}


class Wires:
    """A network of named layers; every call adds one projection."""

    def __init__(self, n_inputs: int = 4) -> None:
        self.build = nmhw.Network.build("net").input("in", n_inputs)
        self.sizes = {"in": n_inputs}

    def layer(self, name: str, n: int) -> Wires:
        self.build.population(name, n, "cubalif", **TIMES)
        self.sizes[name] = n
        return self

    def wire(self, source: str, target: str, weights: np.ndarray | None = None) -> Wires:
        shape = (self.sizes[target], self.sizes[source])
        delay = int(source != "in")
        weights = np.full(shape, 0.1) if weights is None else weights
        self.build.project(source, target, weights, delay_steps=delay)
        return self

    def done(self, *outputs: str) -> nmhw.Network:
        for name in outputs:
            self.build.output(f"out {name}", name)
        network = self.build.done()
        return replace(network, profile=resolve_profile(network, "rockpool", 1e-3))


def sentences(network: nmhw.Network, chip: str = "xylo-audio2") -> str:
    with pytest.raises(DoesNotFitError) as caught:
        nmhw.deploy(network, chip)
    return str(caught.value)


def sparse(n_target: int, n_source: int, per_source: int) -> np.ndarray:
    """Return weights with so many targets per source."""
    weights = np.zeros((n_target, n_source))
    for k in range(n_source):
        weights[(k + np.arange(per_source)) % n_target, k] = 0.1
    return weights


def test_a_network_of_one_layer_is_refused() -> None:
    text = sentences(Wires().layer("o", 3).wire("in", "o").done("o"))
    assert "0 hidden and 1 output layers, at least 1 of each (hidden-and-output)" in text
    assert "inputs reach hidden neurons alone (input-to-hidden)" in text
    assert "(rule graph)" in text


def test_a_recurrent_output_is_refused() -> None:
    net = Wires().layer("h", 5).layer("o", 3)
    net.wire("in", "h").wire("h", "o").wire("o", "o")
    assert "limit 0 weights (output-not-recurrent)" in sentences(net.done("o"))


def test_an_output_that_feeds_a_hidden_layer_is_refused() -> None:
    net = Wires().layer("h", 5).layer("o", 3)
    net.wire("in", "h").wire("h", "o").wire("o", "h")
    assert "outputs reach nothing" in sentences(net.done("o"))


@pytest.mark.parametrize(
    ("chip", "sizes", "what"),
    [
        ("xylo-audio2", (17, 20, 3), "17 inputs, limit 16"),
        ("xylo-audio2", (4, 20, 9), "9 outputs, limit 8"),
        ("xylo-audio2", (4, 1001, 3), "1,001 hidden neurons, limit 1,000"),
        ("xylo-audio3", (4, 129, 3), "129 hidden neurons with input, limit 128"),
        ("xylo-audio3", (4, 129, 3), "129 hidden neurons that feed outputs, limit 128"),
        ("xylo-imu", (4, 20, 17), "17 outputs, limit 16"),
    ],
)
def test_sizes_beyond_the_sheet_are_refused(
    chip: str, sizes: tuple[int, int, int], what: str
) -> None:
    net = Wires(sizes[0]).layer("h", sizes[1]).layer("o", sizes[2])
    text = sentences(net.wire("in", "h").wire("h", "o").done("o"), chip)
    assert what in text
    assert "(rule layer-sizes)" in text


def test_neurons_without_input_do_not_count_against_the_input_limit() -> None:
    net = Wires().layer("h", 200).layer("o", 3)
    some = np.zeros((200, 4))
    some[:128] = 0.1
    few = np.zeros((3, 200))
    few[:, 100:200] = 0.1
    nmhw.deploy(net.wire("in", "h", some).wire("h", "o", few).done("o"), "xylo-audio3")


def test_two_hidden_layers_share_one_recurrent_pool() -> None:
    def net(per_source: int) -> nmhw.Network:
        wires = Wires().layer("a", 400).layer("b", 400).layer("o", 3)
        wires.wire("in", "a").wire("a", "b", sparse(400, 400, per_source))
        return wires.wire("b", "b", sparse(400, 400, 20)).wire("b", "o").done("o")

    nmhw.deploy(net(60), "xylo-audio2")
    assert "neuron 0 has 65 recurrent targets, limit 64" in sentences(net(65))
    text = sentences(net(62))
    assert "32,800 recurrent targets of synapse 0, limit 32,000" in text


def test_output_weights_are_no_part_of_the_pool() -> None:
    net = Wires().layer("h", 100).layer("o", 8)
    net.wire("in", "h").wire("h", "h", sparse(100, 100, 64)).wire("h", "o")
    quantized = nmhw.deploy(net.done("o"), "xylo-audio2").quantized
    assert count_recurrent_entries(quantized) == 6400
    assert count_hidden_ends(quantized) == (100, 100)


def test_above_16_outputs_audio3_warns() -> None:
    net = Wires().layer("h", 20).layer("o", 17)
    deployed = nmhw.deploy(net.wire("in", "h").wire("h", "o").done("o"), "xylo-audio3")
    texts = [notice["text"] for notice in deployed.summary()["notices"]]
    assert any("17 outputs, limit 16" in text for text in texts)
