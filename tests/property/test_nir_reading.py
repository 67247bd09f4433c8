"""Graphs written by nir's own writer come back right; damaged files never end in a traceback."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmhw.errors import NirError
from nmhw.io.nir_read import read_nir
from nmhw.values.network import Network

CASES = Path(__file__).parents[1] / "data" / "nir-cases"

Pair = tuple[int, int]


def window_starts(size: int, kernel: int, stride: int, pads: Pair, dilation: int) -> list[int]:
    """Every place where a window lies inside of the padded axis, by trying all of them."""
    reach = dilation * (kernel - 1)
    places = range(-pads[0], size + pads[1])
    return [p for p in places if (p + pads[0]) % stride == 0 and p + reach <= size + pads[1] - 1]


@dataclass(frozen=True)
class Window:
    """A convolution or a pool as plain numbers; weight (out, in / groups, ky, kx)."""

    weight: np.ndarray
    stride: Pair
    pads: tuple[Pair, Pair]
    dilation: Pair
    groups: int

    def apply(self, x: np.ndarray) -> np.ndarray:
        """Sum tap by tap, skipping what falls outside of the data."""
        c_out, c_group, ky, kx = self.weight.shape
        _, h, w = x.shape
        ys = window_starts(h, ky, self.stride[0], self.pads[0], self.dilation[0])
        xs = window_starts(w, kx, self.stride[1], self.pads[1], self.dilation[1])
        y = np.zeros((c_out, len(ys), len(xs)))
        taps = itertools.product(range(c_out), range(c_group), range(ky), range(kx))
        for o, i, a, b in taps:
            channel = o // (c_out // self.groups) * c_group + i
            for (r, top), (c, left) in itertools.product(enumerate(ys), enumerate(xs)):
                at = (top + a * self.dilation[0], left + b * self.dilation[1])
                if 0 <= at[0] < h and 0 <= at[1] < w:
                    y[o, r, c] += self.weight[o, i, a, b] * x[channel, at[0], at[1]]
        return y


@st.composite
def convolutions(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[nir.NIRNode, Window]:
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if shape[0] % g == 0]))
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in shape[1:])
    pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
    stride = draw(pairs)
    dilation = tuple(
        draw(st.integers(1, max(1, (n - 1) // max(k - 1, 1))))
        for n, k in zip(shape[1:], kernel, strict=True)
    )
    padding = draw(st.sampled_from(["same", "valid", "numbers"]))
    if padding == "same":
        totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        pads = [(t // 2, t - t // 2) for t in totals]
        stored: Any = "same"
    else:
        stored = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        stored = "valid" if padding == "valid" else stored
        pads = [(0, 0)] * 2 if padding == "valid" else [(p, p) for p in stored]
    c_out = groups * draw(st.integers(1, 2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    weight = rng.normal(size=(c_out, shape[0] // groups, *kernel))
    bias = rng.normal(size=c_out)
    node = nir.Conv2d(np.array(shape[1:]), weight, stride, stored, dilation, groups, bias)
    return node, Window(weight, stride, (pads[0], pads[1]), dilation, groups)


@st.composite
def pools(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[nir.NIRNode, Window]:
    kernel = tuple(draw(st.integers(1, min(3, n))) for n in shape[1:])
    stride = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    is_sum = draw(st.booleans())
    node_type = nir.SumPool2d if is_sum else nir.AvgPool2d
    node = node_type(np.array(kernel), np.array(stride), np.array(padding))
    one = np.full(kernel, 1.0 if is_sum else 1 / math.prod(kernel))
    weight = np.broadcast_to(one, (shape[0], 1, *kernel))
    pads = ((padding[0], padding[0]), (padding[1], padding[1]))
    return node, Window(weight, stride, pads, (1, 1), shape[0])


@st.composite
def windowed_networks(draw: st.DrawFn) -> tuple[nir.NIRGraph, list[Window], tuple[int, ...]]:
    """Input -> up to three windows -> Flatten -> Affine -> LIF -> Output."""
    first = (draw(st.integers(1, 4)), draw(st.integers(2, 7)), draw(st.integers(2, 7)))
    shape: tuple[int, ...] = first
    nodes: dict[str, nir.NIRNode] = {"in": nir.Input(np.array(first))}
    windows = []
    for k in range(draw(st.integers(1, 3))):
        node, window = draw(st.one_of(convolutions(shape), pools(shape)))
        nodes[f"w{k}"] = node
        windows.append(window)
        shape = window.apply(np.zeros(shape)).shape
    start = draw(st.sampled_from([0, 1]))  # 1 is torch's habit of counting the batch axis
    nodes["flat"] = nir.Flatten({"input": np.array(shape)}, start, -1)
    size = math.prod(shape)
    nodes["fc"] = nir.Affine(np.random.default_rng(size).normal(size=(2, size)), np.zeros(2))
    ones = np.ones(2)
    nodes["lif"] = nir.LIF(ones * 0.01, ones, ones * 0, ones, ones * 0)
    nodes["out"] = nir.Output(np.array([2]))
    edges = list(itertools.pairwise(nodes))
    return nir.NIRGraph(nodes, edges, type_check=False), windows, first


def chain_values(network: Network, x: np.ndarray) -> np.ndarray:
    (projection,) = network.projections
    y = x[None]
    for op in projection.ops:
        assert op.input_shape == y.shape[1:]
        y = op.apply(y)
        assert op.output_shape == y.shape[1:]
    bias = 0 if projection.bias is None else projection.bias
    return y[0] + bias


@given(windowed_networks(), st.integers(0, 99))
@settings(max_examples=60)
def test_windows_written_by_nir_have_the_shapes_and_values_of_brute_force(
    tmp_path_factory: pytest.TempPathFactory,
    case: tuple[nir.NIRGraph, list[Window], tuple[int, ...]],
    seed: int,
) -> None:
    graph, windows, shape = case
    path = tmp_path_factory.mktemp("nir") / "net.nir"
    nir.write(path, graph)
    network = read_nir(path)
    x = np.random.default_rng(seed).normal(size=shape)
    y = x
    for k, window in enumerate(windows):
        y = window.apply(y)
        node = graph.nodes[f"w{k}"]
        if isinstance(node, nir.Conv2d):
            y = y + node.bias[:, None, None]
    expected = graph.nodes["fc"].weight @ y.ravel()
    np.testing.assert_allclose(chain_values(network, x), expected, rtol=1e-9, atol=1e-9)


@st.composite
def layered_graphs(draw: st.DrawFn) -> nir.NIRGraph:
    """Random graphs of matrices and neurons: forks, merges, skips, loops; all of width 3."""
    n = draw(st.integers(1, 6))
    seed = draw(st.integers(0, 999))
    rng = np.random.default_rng(seed)
    ones = np.ones(3)
    nodes: dict[str, nir.NIRNode] = {"in": nir.Input(np.array([3]))}
    for k in range(n):
        if draw(st.booleans()):
            nodes[f"n{k}"] = nir.LIF(ones * 0.01, ones, ones * 0, ones, ones * 0)
        else:
            nodes[f"n{k}"] = nir.Affine(rng.normal(size=(3, 3)), rng.normal(size=3))
    nodes["last"] = nir.LI(ones * 0.01, ones, ones * 0)
    nodes["out"] = nir.Output(np.array([3]))
    names = [name for name in nodes if name != "out"]
    edges = set(itertools.pairwise(names)) | {("last", "out")}
    forward = [(a, b) for a, b in itertools.combinations(names, 2) if b != "in"]
    edges |= draw(st.sets(st.sampled_from(forward), max_size=5))
    neurons = [k for k in names if isinstance(nodes[k], nir.LIF)]
    if neurons:
        loops = [(a, b) for a in neurons for b in neurons]
        edges |= draw(st.sets(st.sampled_from(loops), max_size=2))
    return nir.NIRGraph(nodes, sorted(edges), type_check=False)


def drive_by_evaluation(graph: nir.NIRGraph, outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Input of every neuron for given outputs of ports and neurons, node by node."""
    known = dict(outputs)

    def value(name: str) -> np.ndarray:
        if name not in known:
            node = graph.nodes[name]
            known[name] = node.weight @ arriving(name) + node.bias
        return known[name]

    def arriving(name: str) -> np.ndarray:
        return sum((value(a) for a, b in graph.edges if b == name), np.zeros(3))

    neurons = (n for n, node in graph.nodes.items() if isinstance(node, nir.LIF | nir.LI))
    return {name: arriving(name) for name in neurons}


@given(layered_graphs(), st.integers(0, 99))
@settings(max_examples=100)
def test_projections_and_biases_drive_every_neuron_as_the_graph_does(
    tmp_path_factory: pytest.TempPathFactory, graph: nir.NIRGraph, seed: int
) -> None:
    path = tmp_path_factory.mktemp("nir") / "net.nir"
    nir.write(path, graph)
    network = read_nir(path)
    rng = np.random.default_rng(seed)
    sizes = network.sizes()
    outputs = {name: rng.normal(size=n) for name, n in sizes.items()}
    got = {p.name: np.zeros(3) for p in network.populations}
    for p in network.projections:
        y = outputs[p.source][None]
        for op in p.ops:
            y = op.apply(y)
        got[p.target] = got[p.target] + y[0] + (0 if p.bias is None else p.bias)
    expected = drive_by_evaluation(graph, outputs)
    assert set(got) == set(expected)
    for name, drive in expected.items():
        np.testing.assert_allclose(got[name], drive, rtol=1e-9, atol=1e-9)
    assert len({p.name for p in network.projections}) == len(network.projections)


SOURCES = {
    name: (CASES / name).read_bytes()
    for name in ("01_lif/lif_norse.nir", "quirks/braille_subgraph_dangling_edge.nir")
}
# most of a small HDF5 file is zero padding; aim where something is stored
PLACES = {
    name: [k for k in range(len(b)) if b[max(0, k - 8) : k + 8].strip(b"\0")]
    for name, b in SOURCES.items()
}


@given(
    st.sampled_from(sorted(SOURCES)),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=6),
    st.one_of(st.none(), st.integers(0, 1 << 20)),
)
@settings(max_examples=300)
def test_a_damaged_file_is_refused_or_read_but_never_crashes(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    flips: list[Pair],
    cut: int | None,
) -> None:
    content = bytearray(SOURCES[name])
    for place, mask in flips:
        content[PLACES[name][place % len(PLACES[name])]] ^= mask
    if cut is not None:
        content = content[: cut % len(content)]
    path = tmp_path_factory.mktemp("nir") / "damaged.nir"
    path.write_bytes(content)
    outcome = network_or_error(path)
    if isinstance(outcome, NirError):
        assert outcome.rule is not None
        assert str(outcome).isprintable()
    else:
        assert outcome.populations
        assert all(p.size >= 1 for p in outcome.populations)


def network_or_error(path: Path) -> Network | NirError:
    try:
        return read_nir(path)
    except NirError as error:
        return error
