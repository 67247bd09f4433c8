"""Read a NIR file into a Network: guard, raw graph, flat graph, rules, shapes, chains.

Format: Pedersen et al., "Neuromorphic intermediate representation", Nature Communications 15
(2024), doi:10.1038/s41467-024-52259-9; fields as in nir 1.0.8 (neuroir.org).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nmhw.io.hdf5_dataset import Hdf5Limits
from nmhw.io.nir_flatten import flatten
from nmhw.io.nir_hdf5 import read_raw
from nmhw.io.nir_network import build_network
from nmhw.io.nir_nodes import RawGraph
from nmhw.io.nir_rules import check_connected, check_loops, check_values, check_version
from nmhw.io.nir_shapes import infer_shapes
from nmhw.values.network import Network


def read_nir(path: str | Path, limits: Hdf5Limits | None = None) -> Network:
    """Read and validate a NIR file.

    Parameters
    ----------
    path : str or Path
    limits : Hdf5Limits, optional
        What the file may ask of this machine; default 2 GiB in all.

    Returns
    -------
    Network
        Names, parameters and units of the file; ``notices`` holds what was odd or put right.

    Raises
    ------
    NirError
        With the broken rule (``hdf5.*`` or ``nir.*``), file, node and field.
    """
    raw, sha256 = read_raw(path, limits)
    network = network_from_raw(raw, Path(path).name)
    return replace(network, name=Path(path).stem, path=str(path), sha256=sha256)


def network_from_raw(raw: RawGraph, file: str) -> Network:
    """Return the network that a raw graph states; ``file`` is used in messages.

    Raises
    ------
    NirError
        With the broken rule, node and field.
    """
    graph, notices = flatten(raw, file)
    notices += check_version(file, raw.version)
    before, after = graph.predecessors(), graph.successors()
    check_connected(file, graph.nodes, before, after, graph.inputs, graph.outputs)
    check_loops(file, graph.nodes, after)
    for name in sorted(graph.nodes):
        notices += check_values(file, name, graph.nodes[name])
    shaped, shape_notices = infer_shapes(graph)
    network = build_network(graph, shaped, file)
    return replace(network, notices=(*notices, *shape_notices, *network.notices))
