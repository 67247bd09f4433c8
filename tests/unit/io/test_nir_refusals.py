"""Malformed NIR files: each is refused by its rule, naming file, node and field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nmhw.errors import NirError
from nmhw.io.nir_read import read_nir

Nodes = dict[str, dict[str, Any]]
Edges = list[tuple[str, str]]
WriteNir = Callable[..., Path]


def refused(path: Path) -> NirError:
    with pytest.raises(NirError) as caught:
        read_nir(path)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(path.name)
    return caught.value


def test_the_small_network_itself_is_fine(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    assert read_nir(write_nir(small_nodes, small_edges)).notices == ()


@pytest.mark.parametrize(
    ("node", "field", "value", "rule"),
    [
        ("fc", "weight", np.array([[np.nan, 1, 1], [1, 1, 1]]), "nir.finite"),
        ("lif", "v_threshold", np.array([np.inf, 1]), "nir.finite"),
        ("lif", "tau", np.array([0.0, 0.01]), "nir.tau-positive"),
        ("lif", "tau", np.array([-0.01, 0.01]), "nir.tau-positive"),
        ("fc", "weight", "a string", "nir.numeric-field"),
        ("fc", "weight", np.array([[True, False, True]] * 2), "nir.numeric-field"),
        ("fc", "weight", np.ones((2, 3)) * 1j, "hdf5.type"),
        ("fc", "weight", np.zeros((0, 3)), "nir.empty-field"),
        ("fc", "weight", np.ones(3), "nir.weight-rank"),
        ("fc", "bias", np.ones(3), "nir.bias-length"),
        ("fc", "bias", np.ones(1), "nir.bias-length"),
        ("lif", "r", np.ones(3), "nir.parameter-shapes"),
        ("input", "shape", np.array([3.0]), "nir.integer-field"),
        ("input", "shape", np.array([-3]), "nir.shape-positive"),
        ("input", "shape", np.array([4]), "nir.shape-mismatch"),
        ("input", "shape", np.array([1 << 40]), "nir.integer-field"),
        ("output", "shape", np.array([7]), "nir.shape-mismatch"),
        ("lif", "type", "LIFF", "nir.type-unknown"),
        ("lif", "type", "Identity", "nir.type-unknown"),
        ("lif", "speed", np.ones(2), "nir.field-extra"),
    ],
)
def test_a_bad_value_is_refused_by_its_rule(
    write_nir: WriteNir,
    small_nodes: Nodes,
    small_edges: Edges,
    node: str,
    field: str,
    value: object,
    rule: str,
) -> None:
    small_nodes[node][field] = value
    error = refused(write_nir(small_nodes, small_edges))
    assert error.rule == rule
    assert node in str(error)
    if rule not in ("nir.parameter-shapes", "nir.shape-mismatch"):
        assert field in str(error)


@pytest.mark.parametrize("field", ["tau", "r", "v_leak", "v_threshold"])
def test_a_missing_field_is_named(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges, field: str
) -> None:
    del small_nodes["lif"][field]
    error = refused(write_nir(small_nodes, small_edges))
    assert error.rule == "nir.field-missing"
    assert f"node 'lif': field '{field}'" in str(error)


def test_a_missing_type_is_named_and_a_slash_in_a_name_suspected(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    del small_nodes["fc"]["type"]
    assert refused(write_nir(small_nodes, small_edges)).rule == "nir.type-missing"
    small_nodes["fc"] = {"linear": {"type": "Linear", "weight": np.ones((2, 3))}}
    assert "'/'" in str(refused(write_nir(small_nodes, small_edges)))


@pytest.mark.parametrize(
    ("change", "rule", "says"),
    [
        (lambda e: [], "nir.disconnected", "no edge leads to this node"),
        (lambda e: [*e[:1], *e[2:]], "nir.disconnected", "no edge le"),
        (lambda e: [*e, ("lif", "ghost")], "nir.edge-unknown-node", "ghost"),
        (lambda e: [*e, e[0]], "nir.edge-duplicate", "twice"),
        (lambda e: [*e, ("fc", "fc")], "nir.algebraic-loop", "fc -> fc"),
    ],
)
def test_bad_edges_are_refused(
    write_nir: WriteNir,
    small_nodes: Nodes,
    small_edges: Edges,
    change: Callable[[Edges], Edges],
    rule: str,
    says: str,
) -> None:
    error = refused(write_nir(small_nodes, change(small_edges)))
    assert error.rule == rule
    assert says in str(error)


def test_edges_that_are_missing_or_no_pairs_are_refused(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    path = write_nir(small_nodes, small_edges)
    with h5py.File(path, "a") as file:
        del file["node/edges"]
    assert refused(path).rule == "nir.edges-missing"
    with h5py.File(path, "a") as file:
        file["node/edges"] = np.zeros((3, 2))
    assert refused(path).rule == "nir.edges-form"


def test_a_loop_of_linear_nodes_is_refused_wherever_it_hides(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    square = {"type": "Linear", "weight": np.ones((2, 2))}
    small_nodes |= {"a": square, "b": dict(square), "after": dict(square)}
    edges = [*small_edges[:1], ("fc", "a"), ("a", "b"), ("b", "a"), ("b", "after")]
    error = refused(write_nir(small_nodes, [*edges, ("after", "lif"), *small_edges[2:]]))
    assert error.rule == "nir.algebraic-loop"
    assert "a -> b -> a" in str(error) or "b -> a -> b" in str(error)
    assert "after" not in str(error)


def test_a_graph_that_is_all_one_cycle_has_no_input(
    write_nir: WriteNir, small_nodes: Nodes
) -> None:
    nodes = {"lif": small_nodes["lif"], "w": {"type": "Linear", "weight": np.ones((2, 2))}}
    assert refused(write_nir(nodes, [("lif", "w"), ("w", "lif")])).rule == "nir.no-input"


def test_a_graph_without_output_is_refused(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    del small_nodes["output"]
    assert refused(write_nir(small_nodes, small_edges[:2])).rule == "nir.no-output"


def test_an_input_that_goes_straight_to_an_output_is_refused(
    write_nir: WriteNir, small_nodes: Nodes
) -> None:
    nodes = {"input": small_nodes["input"], "output": {"type": "Output", "shape": np.array([3])}}
    path = write_nir(nodes, [("input", "output")])
    assert refused(path).rule == "nir.output-without-population"


def test_a_neuron_that_nothing_reads_is_refused(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    small_nodes["probe"] = dict(small_nodes["lif"])
    error = refused(write_nir(small_nodes, [*small_edges, ("fc", "probe")]))
    assert error.rule == "nir.disconnected"
    assert "'probe'" in str(error)


def test_an_island_that_feeds_itself_is_refused(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    small_nodes["island"] = dict(small_nodes["lif"])
    small_nodes["w"] = {"type": "Linear", "weight": np.ones((2, 2))}
    edges = [*small_edges, ("island", "w"), ("w", "island"), ("island", "output")]
    error = refused(write_nir(small_nodes, edges))
    assert error.rule == "nir.disconnected"
    assert "no Input reaches" in str(error)


def test_a_file_without_graph_or_with_a_lone_node_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.nir"
    with h5py.File(path, "w") as file:
        file["something"] = np.ones(3)
    assert refused(path).rule == "nir.root"
    with h5py.File(path, "w") as file:
        file["node/type"] = "Linear"
        file["node/weight"] = np.ones((2, 2))
    assert "single node" in str(refused(path))
    with h5py.File(path, "w") as file:
        file["node/nodes/x"] = 1.0
    assert refused(path).rule == "nir.type-missing"


def test_deep_nesting_is_refused(write_nir: WriteNir, small_nodes: Nodes) -> None:
    graph = {"type": "NIRGraph", "nodes": small_nodes, "edges": [["input", "fc"]]}
    for _ in range(10):
        graph = {"type": "NIRGraph", "nodes": {"inner": graph}, "edges": np.zeros((0, 2))}
    assert refused(write_nir({"inner": graph}, [])).rule in ("nir.nesting", "hdf5.depth")


def test_a_tiny_file_that_declares_a_giant_layer_is_refused(
    write_nir: WriteNir, small_nodes: Nodes
) -> None:
    one = {f: np.float64(v) for f, v in (("tau", 0.01), ("r", 1), ("v_leak", 0))}
    nodes: Nodes = {
        "input": {"type": "Input", "shape": np.array([1 << 30])},
        "lif": {"type": "LIF", **one, "v_threshold": np.float64(1)},
        "output": {"type": "Output", "shape": np.array([1 << 30])},
    }
    path = write_nir(nodes, [("input", "lif"), ("lif", "output")])
    assert refused(path).rule == "nir.too-large"


def test_padding_without_end_is_refused(write_nir: WriteNir) -> None:
    nodes: Nodes = {
        "input": {"type": "Input", "shape": np.array([1, 4, 4])},
        "pool": {
            "type": "SumPool2d",
            "kernel_size": np.array(2),
            "stride": np.array(1 << 20),
            "padding": np.array(1 << 20),
        },
        "output": {"type": "Output", "shape": np.array([1, 3, 3])},
    }
    path = write_nir(nodes, [("input", "pool"), ("pool", "output")])
    assert refused(path).rule == "nir.too-large"


def test_external_links_inside_a_graph_are_refused(
    write_nir: WriteNir, small_nodes: Nodes, small_edges: Edges
) -> None:
    path = write_nir(small_nodes, small_edges)
    with h5py.File(path, "a") as file:
        del file["node/nodes/fc/weight"]
        file["node/nodes/fc/weight"] = h5py.ExternalLink("/etc/passwd", "/x")
    error = refused(path)
    assert error.rule == "hdf5.external-link"
    assert "/node/nodes/fc/weight" in str(error)
