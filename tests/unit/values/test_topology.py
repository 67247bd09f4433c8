from __future__ import annotations

import numpy as np
import pytest

from nmhw.errors import ProfileError, UnsupportedError
from nmhw.values.delays import split_by_delay
from nmhw.values.linear import Delay, Dense, compose_csr
from nmhw.values.network import Network
from nmhw.values.profile import Profile
from nmhw.values.topology import (
    closing_projections,
    delay_in_steps,
    depths,
    evaluation_order,
    is_recurrent,
    output_delay,
    projection_delays,
    strong_components,
    topological_order,
)

ZERO_HOP = Profile("zero-hop")
ONE_HOP = Profile("one-hop", hop_steps=1)
ONE = np.array([[1.0]])


def graph(*edges: str, populations: str = "abcd", delays: dict[str, int] | None = None) -> Network:
    """Edges such as "xa" (x is the input); every population is one IF neuron."""
    build = Network.build("graph").input("x", 1)
    for name in populations:
        build.population(name, 1, "if")
    for edge in edges:
        steps = (delays or {}).get(edge, 0)
        build.project(edge[0], edge[1], ONE, name=edge, delay_steps=steps)
    return build.output("y", populations[-1]).done()


def test_back_edge_closes_the_loop() -> None:
    network = graph("xa", "ab", "bc", "ca", "cd")
    assert closing_projections(network) == {"ca"}
    assert strong_components(network) == (("a", "b", "c"), ("d",))
    assert [p.name for p in network.projections if is_recurrent(network, p)] == ["ab", "bc", "ca"]


def test_self_loop_closes_itself() -> None:
    network = graph("xa", "aa", "ab", populations="ab")
    assert closing_projections(network) == {"aa"}
    assert is_recurrent(network, network.projections[1])
    assert projection_delays(network, ZERO_HOP) == {"xa": 0, "aa": 1, "ab": 0}


def test_names_break_ties_and_not_the_order_of_the_file() -> None:
    # both a and b are fed by the input and feed each other: a comes first, so b>a closes
    for edges in (("xa", "xb", "ab", "ba"), ("ba", "ab", "xb", "xa")):
        network = graph(*edges, populations="ab")
        assert closing_projections(network) == {"ba"}
        assert projection_delays(network, ZERO_HOP) == {"xa": 0, "xb": 0, "ab": 0, "ba": 1}


def test_loop_that_no_input_reaches_is_closed_too() -> None:
    network = graph("xa", "bc", "cb", "cd", "ad")
    assert closing_projections(network) == {"cb"}


def test_loop_with_its_own_delay_gets_no_other() -> None:
    network = graph("xa", "ab", "ba", populations="ab", delays={"ab": 3})
    delays = projection_delays(network, ZERO_HOP)
    assert delays == {"xa": 0, "ab": 3, "ba": 0}
    # b must be updated before a within a step, although the loop is closed by b>a
    assert evaluation_order(network, ZERO_HOP, delays) == ("b", "a")
    assert depths(network, delays) == {"x": 0, "a": 0, "b": 3}


def test_two_loops_through_one_edge_are_both_cut() -> None:
    network = graph("xa", "ab", "bc", "ca", "ba")
    assert closing_projections(network) == {"ca", "ba"}
    delays = projection_delays(network, ZERO_HOP)
    assert [n for n, d in delays.items() if d] == ["ca", "ba"]


def test_hop_profile_delays_every_projection_once() -> None:
    network = graph("xa", "ab", "ba", "aa", populations="ab", delays={"ab": 2})
    delays = projection_delays(network, ONE_HOP)
    assert delays == {"xa": 1, "ab": 3, "ba": 1, "aa": 1}
    assert depths(network, delays) == {"x": 0, "a": 1, "b": 4}


def test_late_spikes_close_their_loop_without_delay() -> None:
    network = graph("xa", "ab", "ba", populations="ab")
    spyx = Profile("spyx", reset="subtract", reset_delay=1)
    delays = projection_delays(network, spyx)
    assert delays["ba"] == 0
    assert set(evaluation_order(network, spyx, delays)) == {"a", "b"}


def test_depth_is_the_longest_path_and_output_delay_the_longest_output() -> None:
    network = graph("xa", "ab", "bc", "ac", "cd", delays={"ac": 5})
    delays = projection_delays(network, ONE_HOP)
    depth = depths(network, delays)
    assert depth == {"x": 0, "a": 1, "b": 2, "c": 7, "d": 8}
    assert output_delay(network, depth) == 8


def test_topological_order_ignores_the_order_of_the_file() -> None:
    network = graph("cd", "bc", "ab", "xa", "ad", populations="dcba")
    assert topological_order(network) == ("a", "b", "c", "d")
    assert strong_components(network) == (("a",), ("b",), ("c",), ("d",))


def test_algebraic_loop_is_named_when_nothing_is_ignored() -> None:
    with pytest.raises(ProfileError, match=r"a, b: a loop without any delay"):
        topological_order(graph("xa", "ab", "ba", populations="ab"), frozenset())


def test_a_thousand_layers_need_no_recursion() -> None:
    build = Network.build("deep").input("x", 1)
    for k in range(1500):
        build.population(f"p{k}", 1, "if")
        build.project("x" if k == 0 else f"p{k - 1}", f"p{k}", ONE)
    network = build.output("y", "p1499").done()
    assert closing_projections(network) == frozenset()
    assert depths(network, projection_delays(network, ONE_HOP))["p1499"] == 1500


def delayed(delay_s: list[float], steps: int = 0) -> Network:
    build = Network.build("delayed").input("x", 2).population("a", 3, "if")
    weight = Dense(np.arange(1.0, 7.0).reshape(3, 2))
    ops = (Delay(np.array(delay_s)), weight)
    build.project("x", "a", ops=ops, bias=1.0, delay_steps=steps, name="w")
    return build.output("y", "a").done()


def test_delay_in_seconds_becomes_whole_steps() -> None:
    network = delayed([3e-3, 3e-3], steps=2)
    assert projection_delays(network, Profile("p", dt_s=1e-3)) == {"w": 5}
    with pytest.raises(ProfileError, match=r"w: a delay must be a whole number.*3\.75 steps"):
        projection_delays(network, Profile("p", dt_s=8e-4))
    with pytest.raises(ProfileError, match="needs a step length"):
        projection_delays(network, Profile("p"))


def test_mixed_delays_are_split_into_projections_of_one_delay() -> None:
    network = delayed([0.0, 2e-3], steps=1)
    with pytest.raises(UnsupportedError, match="split_by_delay"):
        projection_delays(network, Profile("p", dt_s=1e-3))
    parts = split_by_delay(network, 1e-3).projections
    assert [(p.name, p.delay_steps) for p in parts] == [("w#d0", 1), ("w#d2", 3)]
    assert parts[0].bias is not None
    assert parts[1].bias is None
    matrices = [compose_csr(p.ops, 2).toarray() for p in parts]
    np.testing.assert_array_equal(matrices[0], [[1, 3, 5], [0, 0, 0]])
    np.testing.assert_array_equal(matrices[1], [[0, 0, 0], [2, 4, 6]])


def test_equal_delays_are_folded_into_delay_steps() -> None:
    (part,) = split_by_delay(delayed([2e-3, 2e-3], steps=1), 1e-3).projections
    assert (part.name, part.delay_steps, len(part.ops)) == ("w", 3, 1)


def test_endless_delays_are_refused_by_name() -> None:
    network = graph("xa", "ab", "bc", "cd", delays={"ab": 10**12})
    with pytest.raises(ProfileError, match=r"ab: the delay is too long.*1000000000000 steps"):
        projection_delays(network, ZERO_HOP)
    for seconds in (1000.0, 1e308):
        with pytest.raises(ProfileError, match="delay-too-long"):
            delay_in_steps(seconds, 1e-4, "p")
    assert delay_in_steps(100.0, 1e-4, "p") == 1_000_000


def test_delays_that_add_up_to_an_endless_run_are_refused() -> None:
    network = graph("xa", "ab", "bc", "cd", delays={"ab": 600_000, "bc": 600_000})
    depth = depths(network, projection_delays(network, ZERO_HOP))
    with pytest.raises(ProfileError, match="1200000 steps from the inputs"):
        output_delay(network, depth)
