"""Write a Network as a NIR file that the ``nir`` package reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.io.atomic import replacing
from nmhw.values.linear import Conv, Delay, Dense, LinearOp, Pool, Reshape, Scale, Sparse
from nmhw.values.network import Network, Population, Projection
from nmhw.values.neuron import NeuronModel

Floats = NDArray[np.float64]

#: Who wrote a file, in its metadata: such a file may be replaced by the next export.
GENERATOR = "nmhw"

#: NIR's node and its fields for every kind of neuron; ``linear`` populations are no nodes.
_NODES: dict[str, tuple[str, dict[str, str]]] = {
    "if": ("IF", {"r": "r", "v_threshold": "v_threshold", "v_reset": "v_reset"}),
    "lif": ("LIF", {"tau": "tau_mem_s", "r": "r", "v_leak": "v_leak",
                    "v_threshold": "v_threshold", "v_reset": "v_reset"}),
    "cubalif": ("CubaLIF", {"tau_mem": "tau_mem_s", "tau_syn": "tau_syn_s", "r": "r",
                            "w_in": "w_in", "v_leak": "v_leak", "v_threshold": "v_threshold",
                            "v_reset": "v_reset"}),
    "i": ("I", {"r": "r"}),
    "li": ("LI", {"tau": "tau_mem_s", "r": "r", "v_leak": "v_leak"}),
    "cubali": ("CubaLI", {"tau_mem": "tau_mem_s", "tau_syn": "tau_syn_s", "r": "r",
                          "w_in": "w_in", "v_leak": "v_leak"}),
    "threshold": ("Threshold", {"threshold": "v_threshold"}),
}  # fmt: skip


def write_nir(network: Network, path: str | Path) -> None:
    """Write a network; an existing file is replaced only by a complete one.

    Node names are kept where a projection came from a file; the profile is not part of NIR and is
    not written. Weights are written in float64.

    Raises
    ------
    UnsupportedError
        For what NIR 1.0 cannot say: initial states, refractory times, extra delays in steps,
        ramp or graded neurons, sums of averages over uneven padding.
    UsageError
        When the file cannot be written.
    """
    import nir

    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    for port in network.inputs:
        nodes[port.name] = nir.Input({"input": np.array(port.shape)})
    for population in network.populations:
        if population.model.kind != "linear":
            nodes[population.name] = _neurons(nir, population)
    for projection in network.projections:
        _add_chain(nir, network, projection, nodes, edges)
    for output in network.outputs:
        nodes[output.name] = nir.Output({"output": np.array(output.shape)})
        edges += [(source, output.name) for source in output.sources]
    # nir 1.0.8 infers wrong shapes for oblong kernels and groups, and would refuse them here
    graph = nir.NIRGraph(nodes, edges, metadata={"generator": GENERATOR}, type_check=False)
    with replacing(path) as temporary:
        nir.write(str(temporary), graph)


def is_written_here(path: Path) -> bool:
    """Whether a file is one that ``write_nir`` made."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            mark = file["node/metadata/generator"]
            return isinstance(mark, h5py.Dataset) and mark.asstr()[()] == GENERATOR
    except (OSError, KeyError, TypeError, ValueError):
        return False


def _neurons(nir: Any, population: Population) -> Any:
    model = population.model
    extra = [f for f in ("v0", "refractory_s", "v_min") if getattr(model, f) is not None]
    if extra or (model.threshold_law, model.psp_form, model.output) != (
        "constant", "delta", "binary",
    ):  # fmt: skip
        raise UnsupportedError(
            "NIR 1.0 has no such neuron", got=", ".join(extra) or "a law of its own",
            where=population.name, rule="nir-write.neuron",
        )  # fmt: skip
    node, fields = _NODES[model.kind]
    values = {name: _shaped(model, field, population) for name, field in fields.items()}
    return getattr(nir, node)(**values)


def _shaped(model: NeuronModel, field: str, population: Population) -> Any:
    return np.asarray(getattr(model, field)).reshape(population.shape)


def _add_chain(
    nir: Any,
    network: Network,
    projection: Projection,
    nodes: dict[str, Any],
    edges: list[tuple[str, str]],
) -> None:
    """Add the nodes of one projection and join them; the last dense or conv takes the bias."""
    if projection.delay_steps:
        raise UnsupportedError(
            "NIR states delays in seconds, not in steps", got=projection.delay_steps,
            where=projection.name, rule="nir-write.delay-steps",
        )  # fmt: skip
    ends_here = network.population(projection.target).model.kind == "linear"
    last = projection.source
    for name, node in _named_nodes(nir, projection, projection.target if ends_here else None):
        unique = name
        while unique in nodes and nodes[unique] is not node:
            unique += "_"
        nodes[unique] = node
        edges.append((last, unique))
        last = unique
    if not ends_here:
        edges.append((last, projection.target))


def _named_nodes(
    nir: Any, projection: Projection, last_name: str | None
) -> Iterator[tuple[str, Any]]:
    given = projection.name.split(">")
    ops = projection.ops
    names = given if len(given) == len(ops) else _invented(projection, len(ops))
    if last_name is not None and ops:
        names = [*names[:-1], last_name]
    carrier = max((k for k, op in enumerate(ops) if isinstance(op, Dense | Conv)), default=-1)
    bias = projection.bias if projection.bias is not None and np.any(projection.bias) else None
    if bias is not None:
        bias = _bias_at(ops, carrier, bias, projection.name)
    for k, (name, op) in enumerate(zip(names, ops, strict=True)):
        yield name, _node(nir, op, bias if k == carrier else None, projection.name)


def _bias_at(ops: tuple[LinearOp, ...], carrier: int, bias: Floats, where: str) -> Floats:
    """Return the bias of the last weights that makes ``bias`` behind the pools and scales.

    Those keep channels apart and the order of elements, so every element behind them is the
    bias of its channel times what the operations make of a map of ones.
    """
    behind = ops[carrier + 1 :]
    depthwise = (Pool, Scale, Reshape)
    if carrier >= 0 and all(isinstance(op, depthwise) for op in behind):
        shape = ops[carrier].output_shape
        ones = np.ones((1, *shape))
        for op in behind:
            ones = op.apply(ones)
        gains, wanted = (a.reshape(shape[0], -1) for a in (ones, bias))
        if np.all(gains):
            each = wanted / gains
            if np.allclose(each, each[:, :1], rtol=1e-12, atol=0):
                return np.broadcast_to(each[:, :1], (shape[0], math.prod(shape[1:])))
    raise UnsupportedError(
        "a bias is written with the weights in front of it", where=where,
        hint="a Linear or Conv there, not a pool or a scale alone", rule="nir-write.bias",
    )  # fmt: skip


def _invented(projection: Projection, n_ops: int) -> list[str]:
    base = f"{projection.source}_{projection.target}"
    return [base if n_ops == 1 else f"{base}_{k}" for k in range(n_ops)]


def _node(nir: Any, op: LinearOp, bias: Any, where: str) -> Any:
    if isinstance(op, Dense):
        return nir.Linear(op.weight) if bias is None else nir.Affine(op.weight, np.ravel(bias))
    if isinstance(op, Sparse) and bias is None:
        return nir.Linear(op.matrix.toarray().T)
    if isinstance(op, Conv):
        return _conv(nir, op, bias, where)
    if isinstance(op, Pool):
        kind = nir.SumPool2d if op.kind == "sum" else nir.AvgPool2d
        sizes = (np.array(s) for s in (op.kernel, op.stride, op.padding))
        return kind(*sizes)
    if isinstance(op, Scale):
        return nir.Scale(op.scale)
    if isinstance(op, Delay):
        return nir.Delay(op.delay_s)
    if isinstance(op, Reshape) and len(op.output_shape) == 1:
        return nir.Flatten({"input": np.array(op.input_shape)}, 0, -1)
    raise UnsupportedError(
        "NIR 1.0 has no node for this operation", got=type(op).__name__, where=where,
        rule="nir-write.operation",
    )  # fmt: skip


def _same_padding(op: Conv) -> tuple[int, ...] | None:
    """Return what 'same' pads where that is not even on both sides (which numbers say better)."""
    totals = [d * (k - 1) for d, k in zip(op.dilation, op.weight.shape[2:], strict=True)]
    pads = tuple(p for t in totals for p in (t // 2, t - t // 2))
    return pads if any(t % 2 for t in totals) else None


def _conv(nir: Any, op: Conv, bias: Any, where: str) -> Any:
    top, bottom, left, right = op.padding
    padding: Any = (top, left)
    if op.stride == (1, 1) and op.padding == _same_padding(op):
        padding = "same"
    elif top != bottom or left != right:
        raise UnsupportedError(
            "NIR 1.0 pads both sides alike", got=op.padding, where=where, rule="nir-write.padding"
        )
    c_out = op.weight.shape[0]
    per_channel = np.zeros(c_out)
    if bias is not None:
        maps = np.asarray(bias).reshape(c_out, -1)
        if not (maps == maps[:, :1]).all():
            raise UnsupportedError(
                "NIR's convolution has one bias per channel", where=where, rule="nir-write.bias"
            )
        per_channel = maps[:, 0]
    _, height, width = op.in_shape
    if op.is_1d:
        return nir.Conv1d(
            width,
            op.weight[:, :, 0],
            op.stride[1],
            padding if padding == "same" else left,
            op.dilation[1],
            op.groups,
            per_channel,
        )
    return nir.Conv2d(
        (height, width), op.weight, op.stride, padding, op.dilation, op.groups, per_channel
    )
