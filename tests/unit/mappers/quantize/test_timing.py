"""Delays on the chip keep the meaning of the profile, or the network is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.io.chip_file import load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.values.chip import ChipSpec
from nmhw.values.network import Network
from nmhw.values.profile import Profile
from nmhw.values.quantized import QuantizedNetwork

GENERIC = load_chip("generic")
ZERO_HOP = Profile("zero-hop", dt_s=1e-3)
ONE_HOP = Profile("one-hop", dt_s=1e-3, hop_steps=1)


def chip(hop: int, extra: int, **changes: Any) -> ChipSpec:
    arithmetic = replace(GENERIC.arithmetic, hop_steps=hop, max_extra_delay_steps=extra, **changes)  # type: ignore[arg-type]
    return replace(GENERIC, arithmetic=arithmetic)


def network(*edges: tuple[str, str] | tuple[str, str, int], kind: Any = "if") -> Network:
    names = sorted({n for e in edges for n in e[:2]} - {"in"})
    build = Network.build("net").input("in", 1)
    for name in names:
        build.population(name, 1, kind, **({"tau_mem_s": 0.01} if kind == "lif" else {}))
    for edge in edges:
        delay = edge[2] if len(edge) == 3 else 0
        build.project(edge[0], edge[1], np.ones((1, 1)), delay_steps=delay)
    return build.output("out", names[-1]).done()


def delays(quantized: QuantizedNetwork) -> dict[str, int]:
    return {p.name: p.delay_steps for p in quantized.projections}


def depths(quantized: QuantizedNetwork) -> dict[str, int]:
    return {p.name: p.depth for p in quantized.populations}


SKIP = (("in", "a"), ("a", "b"), ("b", "c"), ("a", "c"), ("in", "c"))


def test_a_chain_is_shifted_by_one_step_per_hop() -> None:
    q = quantize_network(network(("in", "a"), ("a", "b")), chip(1, 0), ZERO_HOP)
    assert (delays(q), depths(q), q.drain_steps) == (
        {"in>a": 1, "a>b": 1},
        {"a": 1, "b": 2},
        2,
    )
    assert any(n.rule == "quantize.hop" and "2 steps" in n.text for n in q.notices)


def test_skips_are_aligned_with_synaptic_delay() -> None:
    q = quantize_network(network(*SKIP), chip(1, 2), ZERO_HOP)
    assert delays(q) == {"in>a": 1, "a>b": 1, "b>c": 1, "a>c": 2, "in>c": 3}


def test_skips_are_refused_with_both_lengths_where_the_delay_is_missing() -> None:
    text = (
        r"c \(a>c\): generic has no synaptic delay to align paths of different length: 2 steps "
        r"through a, 3 through b: got delay_steps 1 extra steps \(limit 0 extra steps\)"
    )
    with pytest.raises(UnsupportedError, match=text):
        quantize_network(network(*SKIP), chip(1, 0), ZERO_HOP)
    allowed = quantize_network(network(*SKIP), chip(1, 0), ZERO_HOP, allow={"delay_steps"})
    assert set(delays(allowed).values()) == {1}


def test_skips_need_nothing_on_a_chip_without_hop() -> None:
    q = quantize_network(network(*SKIP), chip(0, 0), ZERO_HOP)
    assert set(delays(q).values()) == {0}
    assert q.drain_steps == 0


def test_skips_of_a_profile_with_hops_are_not_aligned() -> None:
    for hop, extra in ((1, 0), (0, 1)):
        q = quantize_network(network(*SKIP), chip(hop, extra), ONE_HOP)
        assert set(delays(q).values()) == {1}
        assert depths(q) == {"a": 1, "b": 2, "c": 3}


def test_a_self_loop_keeps_its_one_step() -> None:
    q = quantize_network(network(("in", "a"), ("a", "a"), ("a", "b")), chip(1, 0), ZERO_HOP)
    assert delays(q)["a>a"] == 1


def test_a_loop_through_two_populations_is_refused_on_a_chip_with_hops() -> None:
    net = network(("in", "a"), ("a", "b"), ("b", "a"))
    text = (
        r"(a > b > a|b > a > b): generic needs 2 steps for the 2 hops of this loop, which takes 1 "
        r"under profile zero-hop: got hop_steps 0 \(1 steps around the loop\) \(limit 1 \(2 s"
    )
    with pytest.raises(UnsupportedError, match=text):
        quantize_network(net, chip(1, 5), ZERO_HOP)
    assert set(delays(quantize_network(net, chip(0, 5), ZERO_HOP)).values()) == {0, 1}
    allowed = quantize_network(net, chip(1, 5), ZERO_HOP, allow={"hop_steps"})
    assert delays(allowed)["a>b"] == delays(allowed)["b>a"] == 1
    one_hop = quantize_network(net, chip(1, 0), ONE_HOP)
    assert set(delays(one_hop).values()) == {1}


def test_a_loop_with_delay_of_its_own_hides_the_hops() -> None:
    net = network(("in", "a"), ("a", "b"), ("b", "a", 3))
    q = quantize_network(net, chip(1, 5), ZERO_HOP)
    assert delays(q)["a>b"] + delays(q)["b>a"] == 3
    assert depths(q) == {"a": 1, "b": 2}


def test_delays_of_the_network_are_kept_and_refused_beyond_the_chip() -> None:
    net = network(("in", "a", 4), ("a", "b"))
    q = quantize_network(net, chip(1, 3), ZERO_HOP)
    assert delays(q) == {"in>a": 4, "a>b": 1}
    assert depths(q) == {"a": 4, "b": 5}
    with pytest.raises(UnsupportedError, match=r"too little synaptic delay.*3 extra steps"):
        quantize_network(net, chip(1, 2), ZERO_HOP)


def test_spikes_that_leave_a_step_late_are_the_same_as_a_hop() -> None:
    late = ZERO_HOP.with_(reset_delay=1)
    net = network(("in", "a"), ("a", "b"), ("b", "a"))
    q = quantize_network(net, chip(1, 0), late)
    assert set(delays(q).values()) == {1}
    assert {p.spec.reset_delay for p in q.populations} == {0}
    # both runs show the spikes of the first population in the same step
    assert depths(q) == {"a": 0, "b": 0}


def test_a_chip_without_hop_resets_late_itself_unless_a_loop_has_no_delay() -> None:
    late = ZERO_HOP.with_(reset_delay=1)
    both = chip(0, 1, reset_delays=(0, 1))
    native = quantize_network(network(("in", "a"), ("a", "b")), both, late)
    assert {p.spec.reset_delay for p in native.populations} == {1}
    assert delays(native) == {"in>a": 0, "a>b": 0}
    loop = quantize_network(network(("in", "a"), ("a", "b"), ("b", "a")), both, late)
    assert {p.spec.reset_delay for p in loop.populations} == {0}
    assert delays(loop) == {"in>a": 0, "a>b": 1, "b>a": 1}


def test_biases_that_act_before_the_first_input_are_named() -> None:
    build = Network.build("net").input("in", 1).population("a", 1, "if").population("b", 1, "if")
    build.project("in", "a", np.ones((1, 1))).project("a", "b", np.ones((1, 1)), bias=0.1)
    q = quantize_network(build.output("out", "b").done(), chip(1, 0), ZERO_HOP)
    (notice,) = (n for n in q.notices if n.rule == "quantize.first-steps")
    assert (notice.where, notice.kind) == ("b", "approximation")
    assert "2 steps before" in notice.text


def test_hops_of_the_profile_that_the_chip_does_not_have_are_a_shift() -> None:
    chain = network(("in", "a"), ("a", "b"))
    q = quantize_network(chain, chip(0, 0), ONE_HOP)
    assert delays(q) == {"in>a": 0, "a>b": 0}
    assert [p.depth for p in q.populations] == [0, 0]
    (note,) = (n.text for n in q.notices if n.rule == "quantize.hop")
    assert "up to 2 steps earlier than under the profile" in note
    with pytest.raises(UnsupportedError, match="no synaptic delay"):  # paths of different length
        quantize_network(network(("in", "a"), ("a", "b"), ("in", "b")), chip(0, 0), ONE_HOP)
    with pytest.raises(UnsupportedError, match="no synaptic delay"):  # a delay of the network's own
        quantize_network(network(("in", "a", 3)), chip(0, 0), ONE_HOP)
    with pytest.raises(UnsupportedError, match="no synaptic delay"):
        quantize_network(network(("in", "a"), ("a", "a")), chip(0, 0), ONE_HOP)
