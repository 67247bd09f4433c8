"""Known faults of exporters that a file itself shows, put right with a notice."""

from __future__ import annotations

from dataclasses import replace

from nmhw.io.nir_nodes import NEURON_TYPES, RawGraph, place
from nmhw.values.notice import Notice


def straighten_loop(graph: RawGraph, file: str, path: str) -> tuple[RawGraph, list[Notice]]:
    """Let the input of a recurrent subgraph lead to its neurons, not through the loop's weights.

    Spyx 1.0.0, and scripts for snnTorch and Lava, write a recurrent layer as a subgraph of Input,
    weights, neurons and Output with the edge input -> weights (neuromorphs/NIR, paper/03_rnn).
    The layer they mean, and the only one that they read such a subgraph as, adds its input to the
    neurons.
    """
    kinds = {name: node.type for name, node in graph.nodes.items()}
    found = {
        role: [n for n, kind in kinds.items() if kind in types]
        for role, types in (
            ("input", {"Input"}), ("output", {"Output"}), ("neurons", NEURON_TYPES),
            ("weights", {"Linear", "Affine"}),
        )
    }  # fmt: skip
    if len(kinds) != 4 or any(len(names) != 1 for names in found.values()):
        return graph, []
    source, sink, neurons, weights = (names[0] for names in found.values())
    loop = {(weights, neurons), (neurons, weights), (neurons, sink)}
    if set(graph.edges) != loop | {(source, weights)}:
        return graph, []
    edges = tuple((a, neurons) if (a, b) == (source, weights) else (a, b) for a, b in graph.edges)
    text = (
        "the input of this recurrent subgraph leads through the weights of its loop, as Spyx "
        "writes it; read as an input to the neurons"
    )
    return replace(graph, edges=edges), [Notice("nir.recurrent-input", place(file, path), text)]
