"""Branches, merges, loops, nesting and readouts become populations and projections."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmhw.errors import NirError
from nmhw.io.nir_read import read_nir
from nmhw.values.network import Network

Edges = list[tuple[str, str]]
WriteNir = Callable[..., Path]


def port(kind: str, n: int = 2) -> dict[str, Any]:
    return {"type": kind, "shape": np.array([n])}


def lif(n: int = 2, **changes: float) -> dict[str, Any]:
    values = {"tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0} | changes
    return {"type": "LIF", **{k: np.full(n, v) for k, v in values.items()}}


def linear(value: float = 1.0, bias: float | None = None, n: int = 2) -> dict[str, Any]:
    node: dict[str, Any] = {"type": "Linear", "weight": np.eye(n) * value}
    return node if bias is None else node | {"type": "Affine", "bias": np.full(n, bias)}


def edges(text: str) -> Edges:
    """Read ``a>b>c d>e`` as edges."""
    paths = [path.split(">") for path in text.split()]
    return [(a, b) for path in paths for a, b in pairwise(path)]


def ends(network: Network) -> dict[str, tuple[str, str]]:
    return {p.name: (p.source, p.target) for p in network.projections}


def drive(network: Network, target: str) -> np.ndarray:
    """Sum of the constant drives at a population."""
    size = network.population(target).size
    total = np.zeros(size)
    for p in network.incoming(target):
        total += 0 if p.bias is None else p.bias
    return total


def test_a_residual_connection_is_a_second_projection(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "a": linear(), "l1": lif(), "b": linear(2.0), "l2": lif()}
    network = read_nir(write_nir(nodes | {"out": port("Output")}, edges("in>a>l1>b>l2>out l1>l2")))
    assert ends(network) == {"a": ("in", "l1"), "b": ("l1", "l2"), "l1>l2": ("l1", "l2")}
    assert [p.name for p in network.populations] == ["l1", "l2"]


def test_a_bias_behind_a_merge_is_counted_once(write_nir: WriteNir) -> None:
    nodes = {
        "in": port("Input"),
        "a": linear(2.0, bias=1.0),
        "b": linear(3.0),
        "c": linear(10.0, bias=0.5),
        "l": lif(),
        "out": port("Output"),
    }
    network = read_nir(write_nir(nodes, edges("in>a>c>l>out in>b>c")))
    assert ends(network) == {"a>c": ("in", "l"), "b>c": ("in", "l")}
    assert drive(network, "l").tolist() == [10.5, 10.5]
    x = np.ones((1, 2))
    outputs = {}
    for p in network.projections:
        y = x
        for op in p.ops:
            y = op.apply(y)
        outputs[p.name] = y[0].tolist()
    assert outputs == {"a>c": [20.0, 20.0], "b>c": [30.0, 30.0]}


def test_a_bias_in_front_of_a_fork_reaches_both_ways(write_nir: WriteNir) -> None:
    nodes = {
        "in": port("Input"),
        "a": linear(1.0, bias=1.0),
        "b": linear(2.0),
        "c": linear(5.0),
        "l": lif(),
        "m": lif(),
        "out": port("Output"),
    }
    network = read_nir(write_nir(nodes, edges("in>a>b>l>out a>c>l a>m>l")))
    assert drive(network, "l").tolist() == [7.0, 7.0]
    assert drive(network, "m").tolist() == [1.0, 1.0]


def test_one_matrix_fed_by_two_populations_gives_two_projections_and_one_bias(
    write_nir: WriteNir,
) -> None:
    nodes = {
        "in": port("Input"),
        "l1": lif(),
        "l2": lif(),
        "fc": linear(1.0, bias=0.25),
        "l3": lif(),
        "out": port("Output"),
    }
    network = read_nir(write_nir(nodes, edges("in>l1>fc>l3>out in>l2>fc")))
    assert ends(network) == {
        "in>l1": ("in", "l1"),
        "in>l2": ("in", "l2"),
        "l1>fc>l3": ("l1", "l3"),
        "l2>fc>l3": ("l2", "l3"),
    }
    assert drive(network, "l3").tolist() == [0.25, 0.25]


def test_several_inputs_and_outputs(write_nir: WriteNir) -> None:
    nodes = {"x": port("Input"), "y": port("Input"), "l": lif(), "m": lif()}
    nodes |= {"o1": port("Output"), "o2": port("Output")}
    network = read_nir(write_nir(nodes, edges("x>l>o1 y>m>o2 l>o2")))
    assert [i.name for i in network.inputs] == ["x", "y"]
    assert [(o.name, o.sources) for o in network.outputs] == [("o1", ("l",)), ("o2", ("l", "m"))]


def test_a_linear_readout_is_a_population_without_neuron(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "l": lif(), "fc": linear(1.0, bias=0.5), "out": port("Output")}
    network = read_nir(write_nir(nodes, edges("in>l>fc>out")))
    readout = network.population("fc")
    assert readout.model.kind == "linear"
    assert ends(network) == {"in>l": ("in", "l"), "fc": ("l", "fc")}
    assert network.outputs[0].sources == ("fc",)
    assert drive(network, "fc").tolist() == [0.5, 0.5]


def test_a_matrix_that_feeds_a_neuron_and_an_output_serves_both(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "l": lif(), "fc": linear(2.0), "m": lif()}
    nodes |= {"o1": port("Output"), "o2": port("Output")}
    network = read_nir(write_nir(nodes, edges("in>l>fc>o1 fc>m>o2")))
    assert {(p.source, p.target) for p in network.projections} == {
        ("in", "l"),
        ("l", "fc"),
        ("l", "m"),
    }
    assert len({p.name for p in network.projections}) == 3


def test_a_flatten_in_front_of_an_output_is_seen_through(write_nir: WriteNir) -> None:
    nodes = {
        "in": {"type": "Input", "shape": np.array([2, 3])},
        "l": {"type": "IF", "r": np.ones((2, 3)), "v_threshold": np.ones((2, 3))},
        "flat": {"type": "Flatten", "start_dim": np.array(0), "end_dim": np.array(-1)},
        "out": port("Output", 6),
    }
    network = read_nir(write_nir(nodes, edges("in>l>flat>out")))
    assert network.outputs[0].sources == ("l",)
    assert network.outputs[0].shape == (6,)
    assert network.notices == ()


def nested(recurrent_edges: str) -> dict[str, Any]:
    inner = {"input": port("Input"), "lif": lif(), "w_rec": linear(0.5), "output": port("Output")}
    return {
        "type": "NIRGraph",
        "nodes": inner,
        "edges": [list(e) for e in edges(recurrent_edges)],
    }


def test_nested_and_flat_recurrence_are_the_same_network(write_nir: WriteNir) -> None:
    outer = {"in": port("Input"), "fc": linear(), "out": port("Output")}
    deep = outer | {"l1": nested("input>lif>output lif>w_rec>lif")}
    flat = outer | {"l1.lif": lif(), "l1.w_rec": linear(0.5)}
    a = read_nir(write_nir(deep, edges("in>fc>l1>out"), name="deep.nir"))
    b = read_nir(write_nir(flat, edges("in>fc>l1.lif>out l1.lif>l1.w_rec>l1.lif"), name="flat.nir"))
    assert ends(a) == ends(b) == {"fc": ("in", "l1.lif"), "l1.w_rec": ("l1.lif", "l1.lif")}
    assert [p.name for p in a.populations] == [p.name for p in b.populations] == ["l1.lif"]
    assert a.outputs[0].sources == b.outputs[0].sources == ("l1.lif",)


def test_a_graph_in_a_graph_in_a_graph_is_laid_flat(write_nir: WriteNir) -> None:
    inner = nested("input>lif>output lif>w_rec>lif")
    middle = {
        "type": "NIRGraph",
        "nodes": {"i": port("Input"), "core": inner, "o": port("Output")},
        "edges": [["i", "core"], ["core", "o"]],
    }
    nodes = {"in": port("Input"), "block": middle, "out": port("Output")}
    network = read_nir(write_nir(nodes, edges("in>block>out")))
    assert [p.name for p in network.populations] == ["block.core.lif"]
    assert set(ends(network)) == {"in>block.core.lif", "block.core.w_rec"}


def test_a_subgraph_with_two_inputs_is_refused_when_an_edge_enters_it(write_nir: WriteNir) -> None:
    graph = nested("input>lif>output lif>w_rec>lif more>lif")
    graph["nodes"] |= {"more": port("Input")}
    nodes = {"in": port("Input"), "l1": graph, "out": port("Output")}
    with pytest.raises(NirError, match=r"nir\.subgraph-ports"):
        read_nir(write_nir(nodes, edges("in>l1>out")))


def test_a_flat_name_that_meets_a_nested_one_is_refused(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "l1": nested("input>lif>output lif>w_rec>lif")}
    nodes |= {"l1.lif": lif(), "out": port("Output")}
    with pytest.raises(NirError, match=r"nir\.duplicate-name"):
        read_nir(write_nir(nodes, edges("in>l1>out in>l1.lif>out")))


def test_ports_left_inside_a_flat_graph_are_wires(write_nir: WriteNir) -> None:
    nodes = {
        "in": port("Input"),
        "l1.input": port("Input"),
        "l1.lif": lif(),
        "l1.output": port("Output"),
        "fc": linear(),
        "l2": lif(),
        "out": port("Output"),
    }
    network = read_nir(write_nir(nodes, edges("in>l1.input>l1.lif>l1.output>fc>l2>out")))
    assert ends(network) == {"in>l1.lif": ("in", "l1.lif"), "fc": ("l1.lif", "l2")}
    assert {n.rule for n in network.notices} == {"nir.inner-port"}


def test_populations_follow_the_signal_not_the_alphabet(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "z": lif(), "m": lif(), "a": lif(), "out": port("Output")}
    network = read_nir(write_nir(nodes, edges("in>z>m>a>out a>z")))
    assert [p.name for p in network.populations] == ["z", "m", "a"]


def test_delays_stay_in_the_chain_and_a_bias_in_front_is_an_assumption(
    write_nir: WriteNir,
) -> None:
    nodes = {
        "in": port("Input"),
        "fc": linear(1.0, bias=2.0),
        "wait": {"type": "Delay", "delay": np.array([0.001, 0.002])},
        "l": lif(),
        "out": port("Output"),
    }
    network = read_nir(write_nir(nodes, edges("in>fc>wait>l>out")))
    (projection,) = network.projections
    assert projection.name == "fc>wait"
    assert projection.ops[1].delay_s.tolist() == [0.001, 0.002]  # type: ignore[attr-defined]
    assert [(n.rule, n.kind) for n in network.notices] == [("nir.bias-through-delay", "assumption")]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("I", {"r": 2.0}, "i"),
        ("IF", {"r": 2.0, "v_threshold": 1.0}, "if"),
        ("LI", {"tau": 0.02, "r": 1.0, "v_leak": 0.0}, "li"),
        ("Threshold", {"threshold": 0.5}, "threshold"),
        ("CubaLI", {"tau_syn": 0.01, "tau_mem": 0.02, "r": 1.0, "v_leak": 0.0}, "cubali"),
        (
            "CubaLIF",
            {"tau_syn": 0.01, "tau_mem": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0},
            "cubalif",
        ),
    ],
)
def test_every_neuron_type_keeps_its_parameters(
    write_nir: WriteNir, kind: str, fields: dict[str, float], expected: str
) -> None:
    node = {"type": kind, **{k: np.full(2, v) for k, v in fields.items()}}
    nodes = {"in": port("Input"), "n": node, "out": port("Output")}
    model = read_nir(write_nir(nodes, edges("in>n>out"))).population("n").model
    assert model.kind == expected
    names = {"tau": "tau_mem_s", "tau_mem": "tau_mem_s", "tau_syn": "tau_syn_s"}
    names["threshold"] = "v_threshold"
    for field, value in fields.items():
        assert getattr(model, names.get(field, field)).tolist() == [value, value]
    if kind.startswith("Cuba"):
        assert model.w_in is not None
        assert model.w_in.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tau": 20.1}, "nir.tau-in-steps"),
        ({"tau": 5e-6}, "nir.tau-microseconds"),
        ({"r": 0.0}, "nir.gain-not-positive"),
        ({"v_threshold": -1.0}, "nir.fires-after-reset"),
        ({"v_leak": 2.0}, "nir.fires-at-rest"),
    ],
)
def test_odd_values_are_warned_about(
    write_nir: WriteNir, changes: dict[str, float], rule: str
) -> None:
    nodes = {"in": port("Input"), "l": lif(2, **changes), "out": port("Output")}
    notices = read_nir(write_nir(nodes, edges("in>l>out"))).notices
    assert rule in {n.rule for n in notices}
    assert all(n.where.startswith("net.nir: node 'l': field") for n in notices)


def test_a_later_major_version_is_warned_about(write_nir: WriteNir) -> None:
    nodes = {"in": port("Input"), "l": lif(), "out": port("Output")}
    network = read_nir(write_nir(nodes, edges("in>l>out"), version="2.0.0"))
    assert [n.rule for n in network.notices] == ["nir.version"]


def test_too_many_parallel_paths_are_refused_not_expanded(write_nir: WriteNir) -> None:
    nodes: dict[str, Any] = {"in": port("Input"), "l": lif(), "out": port("Output")}
    found: Edges = []
    before = "in"
    for k in range(16):  # 2 ** 16 paths
        nodes |= {f"a{k}": linear(), f"b{k}": linear(), f"s{k}": linear()}
        found += edges(f"{before}>a{k}>s{k} {before}>b{k}>s{k}")
        before = f"s{k}"
    with pytest.raises(NirError, match=r"nir\.too-many-paths"):
        read_nir(write_nir(nodes, [*found, *edges(f"{before}>l>out")]))
