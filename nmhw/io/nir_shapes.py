"""Shape inference: what every node takes and gives, checked on every edge.

Nothing the file derives is trusted (``input_type`` of a Flatten, the shape of an Output): shapes
follow from the Inputs, the weights and the neuron parameters. Known slips of exporters (a batch
axis of 1, a Flatten that counts it, scalar parameters) are put right with a named warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from nmhw.errors import NirError
from nmhw.io.nir_flatten import FlatGraph
from nmhw.io.nir_nodes import NEURON_TYPES, NODE_FIELDS, RawNode, place
from nmhw.io.nir_ops import (
    Floats,
    build_bias,
    build_ops,
    check_size,
    conv_channels,
    weight_input_shape,
    window_notices,
)
from nmhw.values.linear import LinearOp, Reshape, Shape
from nmhw.values.notice import Notice

_PORTS = frozenset({"Input", "Output"})
# nodes whose stored arrays must have the shape of the data
_ELEMENTWISE = NEURON_TYPES | {"Scale", "Delay"}


@dataclass(frozen=True, slots=True, eq=False)
class ShapedNode:
    """A node with what arrives and leaves; neurons and ports have no ops."""

    node: RawNode
    input_shape: Shape
    output_shape: Shape
    ops: tuple[LinearOp, ...] = ()
    bias: Floats | None = None


@dataclass(slots=True, eq=False)
class _Inference:
    graph: FlatGraph
    before: dict[str, list[str]]
    after: dict[str, list[str]]
    done: dict[str, ShapedNode] = field(default_factory=dict)
    notices: list[Notice] = field(default_factory=list)
    n_elements: int = 0

    def run(self) -> None:
        for name in _flow_order(self.graph, self.after):
            arriving = [self.done[p].output_shape for p in self.before[name] if p in self.done]
            node = self.graph.nodes[name]
            if name in self.graph.inputs:
                shape = self.input_shape(name, node)
                self.done[name] = ShapedNode(node, shape, shape)
            else:
                self.done[name] = self.shaped(name, node, arriving[0])
        for name, shaped in self.done.items():
            for source in self.before[name]:
                self.check_edge(source, name, self.done[source].output_shape, shaped.input_shape)
        for name in self.graph.inputs:
            self.check_proof(name)

    def shaped(self, name: str, node: RawNode, arriving: Shape) -> ShapedNode:
        demand = self.demand(name, node)
        shape = settle(demand, arriving)
        if shape is None:
            raise self.mismatch(self.before[name][0], name, arriving, demand or ())
        self.n_elements += math.prod(shape)
        check_size(self.n_elements, place(self.graph.file, name))
        self.note_settled(name, node, demand, shape)
        where = place(self.graph.file, name)
        if node.type in _PORTS:
            return self.shaped_port(name, node, shape)
        if node.type in NEURON_TYPES:
            return ShapedNode(node, shape, shape)
        if node.type == "Flatten":
            return self.shaped_flatten(name, node, shape)
        self.notices += window_notices(node, where)
        ops = build_ops(node, shape, self.graph.file, name)
        out = ops[-1].output_shape
        bias = build_bias(node, out, place(self.graph.file, name, "bias"))
        return ShapedNode(node, shape, out, ops, bias)

    def demand(self, name: str, node: RawNode) -> Shape | None:
        """Return the shape that the node's own data ask for; None where they fit any."""

        def where(field_name: str) -> str:
            return place(self.graph.file, name, field_name)

        if node.type in ("Linear", "Affine"):
            weight = node.real("weight")
            if weight.ndim < 2:
                raise NirError(
                    "a weight has at least two axes (out, in)",
                    got=f"shape {weight.shape}",
                    where=where("weight"),
                    rule="nir.weight-rank",
                )
            return weight_input_shape(weight.shape)
        if node.type in ("Conv1d", "Conv2d"):
            channels = conv_channels(node, where)
            if "input_shape" in node.fields:
                return (channels, *node.ints("input_shape"))
            return None
        if node.type in _ELEMENTWISE:
            return self.common_shape(name, node)
        return None

    def common_shape(self, name: str, node: RawNode) -> Shape | None:
        """Return the one shape of a node's arrays, those of a single value left out."""
        shapes = {f: node.real(f).shape for f in NODE_FIELDS[node.type] if f in node.fields}
        full = {f: s for f, s in shapes.items() if math.prod(s) != 1}
        if len(set(full.values())) > 1:
            raise NirError(
                "the parameters of one node must have one shape",
                got=", ".join(f"{f} {s}" for f, s in full.items()),
                where=place(self.graph.file, name),
                rule="nir.parameter-shapes",
            )
        return next(iter(full.values()), None)

    def note_settled(self, name: str, node: RawNode, demand: Shape | None, shape: Shape) -> None:
        where = place(self.graph.file, name)
        if demand is not None and demand != shape:
            text = f"shape {demand} has a batch axis; read as {shape}"
            self.notices.append(Notice("nir.batch-axis", where, text))
        if node.type not in _ELEMENTWISE or math.prod(shape) == 1:
            return
        single = [f for f in NODE_FIELDS[node.type] if f in node.fields and _is_single(node, f)]
        if single:
            text = (
                f"{', '.join(single)} hold one value for {math.prod(shape)} elements: shared by all"
            )
            self.notices.append(Notice("nir.scalar-parameters", where, text))

    def shaped_port(self, name: str, node: RawNode, shape: Shape) -> ShapedNode:
        """An Output, or a port of a subgraph: the data pass whatever shape it declares."""
        declared = node.ints("shape")
        if declared != shape:
            where = place(self.graph.file, name, "shape")
            if math.prod(declared) != math.prod(shape):
                raise self.mismatch(self.before[name][0], name, shape, declared)
            text = f"declared {declared}, but {shape} arrives: the declaration is ignored"
            self.notices.append(Notice("nir.output-shape", where, text))
        return ShapedNode(node, shape, shape)

    def shaped_flatten(self, name: str, node: RawNode, shape: Shape) -> ShapedNode:
        start = node.ints("start_dim")[0] if "start_dim" in node.fields else 1
        end = node.ints("end_dim")[0] if "end_dim" in node.fields else -1
        out = flatten_shape(shape, start, end)
        if out is None or not self.all_accept(name, out):
            # counted with the batch axis, as torch.nn.Flatten does
            shifted = flatten_shape(shape, start - 1, end - 1 if end > 0 else end)
            if start > 0 and shifted is not None and self.all_accept(name, shifted):
                text = f"start_dim {start} counts a batch axis: read as {start - 1}, to {shifted}"
                where = place(self.graph.file, name, "start_dim")
                self.notices.append(Notice("nir.flatten-batch", where, text))
                out = shifted
        if out is None:
            raise NirError(
                "the axes to flatten do not exist",
                got=f"start_dim {start}, end_dim {end} on shape {shape}",
                where=place(self.graph.file, name, "start_dim"),
                rule="nir.flatten-axes",
            )
        ops = (Reshape(shape, out),) if out != shape else ()
        return ShapedNode(node, shape, out, ops)

    def input_shape(self, name: str, node: RawNode) -> Shape:
        """Return an Input's shape, without a leading batch axis where the network says so."""
        where = place(self.graph.file, name, "shape")
        shape = node.ints("shape") or (1,)
        if min(shape) < 1:
            raise NirError(
                "a shape needs positive sizes",
                got=shape,
                where=where,
                hint="infer the shapes before exporting",
                rule="nir.shape-positive",
            )
        check_size(math.prod(shape), where)
        short = shape[1:]
        may_be_batch = len(shape) > 1 and shape[0] == 1 and not self.all_accept(name, shape)
        if may_be_batch and self.all_accept(name, short):
            text = f"shape {shape} has a batch axis; read as {short}"
            self.notices.append(Notice("nir.batch-axis", where, text))
            return short
        return shape

    def all_accept(self, name: str, shape: Shape) -> bool:
        """Whether everything behind a node can take ``shape``, as far as one can tell."""
        waiting = [(target, shape) for target in self.after[name]]
        visited: set[tuple[str, Shape]] = set()
        while waiting:
            target, arriving = waiting.pop()
            if (target, arriving) in visited:
                continue
            visited.add((target, arriving))
            node = self.graph.nodes[target]
            settled = settle(self.demand(target, node), arriving)
            if settled is None or not _rank_fits(node, settled, self.graph.file, target):
                return False
            if node.type in _ELEMENTWISE or (node.type in _PORTS and self.after[target]):
                waiting += [(following, settled) for following in self.after[target]]
        return True

    def check_edge(self, source: str, target: str, arriving: Shape, wanted: Shape) -> None:
        if settle(wanted, arriving) != wanted:
            raise self.mismatch(source, target, arriving, wanted)

    def mismatch(self, source: str, target: str, arriving: Shape, wanted: Shape) -> NirError:
        hint = "check the weights of both nodes and the edge between them"
        if len(arriving) > len(wanted) and arriving[-len(wanted) :] == wanted:
            hint = f"{arriving[: -len(wanted)]} looks like axes of batch or time: store {wanted}"
        return NirError(
            f"shapes do not fit on the edge '{source}' -> '{target}'",
            got=arriving,
            limit=wanted,
            where=place(self.graph.file, target),
            hint=hint,
            rule="nir.shape-mismatch",
        )

    def check_proof(self, name: str) -> None:
        """Warn about an Input whose size no weight and no parameter confirms."""
        shape = self.done[name].output_shape
        waiting, seen = [*self.after[name]], {name}
        while waiting:
            target = waiting.pop()
            if target in seen:
                continue
            seen.add(target)
            node = self.graph.nodes[target]
            if node.type.startswith("Conv") or self.demand(target, node) is not None:
                return
            waiting += self.after[target]
        if math.prod(shape) > 1:
            text = (
                f"only this shape, {shape}, says how many neurons there are; early exporters put "
                "the number of time steps here"
            )
            where = place(self.graph.file, name, "shape")
            hint = "store neuron parameters in full length"
            self.notices.append(Notice("nir.input-shape-unproved", where, text, hint=hint))


def infer_shapes(graph: FlatGraph) -> tuple[dict[str, ShapedNode], list[Notice]]:
    """Return every node with its shapes and operations, and what had to be put right.

    Every node must be reachable from an Input.

    Raises
    ------
    NirError
        ``nir.shape-mismatch``, ``nir.shape-positive``, ``nir.weight-rank``,
        ``nir.parameter-shapes``, ``nir.flatten-axes`` and those of ``build_ops``.
    """
    inference = _Inference(graph, graph.predecessors(), graph.successors())
    inference.run()
    return inference.done, inference.notices


def settle(demand: Shape | None, arriving: Shape) -> Shape | None:
    """Return the shape at a node: what arrives, if its own demand can be read that way."""
    if demand is None or demand == arriving:
        return arriving
    extra = len(demand) - len(arriving)
    is_batch = extra > 0 and set(demand[:extra]) == {1} and demand[extra:] == arriving
    return arriving if is_batch else None


def flatten_shape(shape: Shape, start: int, end: int) -> Shape | None:
    """Return the shape with the axes start..end (inclusive) joined; None if they do not exist."""
    rank = len(shape)
    first, last = (axis + rank if axis < 0 else axis for axis in (start, end))
    if not 0 <= first <= last < rank:
        return None
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def _is_single(node: RawNode, name: str) -> bool:
    return bool(np.size(node.real(name)) == 1)


def _rank_fits(node: RawNode, shape: Shape, file: str, name: str) -> bool:
    if node.type == "Output":
        declared = node.ints("shape")
        return settle(declared, shape) is not None
    if node.type in ("SumPool2d", "AvgPool2d"):
        return len(shape) == 3
    if node.type in ("Conv1d", "Conv2d"):
        channels = conv_channels(node, lambda f: place(file, name, f))
        return len(shape) == (2 if node.type == "Conv1d" else 3) and shape[0] == channels
    return True


def _flow_order(graph: FlatGraph, after: dict[str, list[str]]) -> list[str]:
    """Return the nodes so that each but the Inputs follows at least one of its sources.

    Without cycles every source comes first (reverse postorder of a depth-first search).
    """
    finished: list[str] = []
    seen: set[str] = set()
    for root in graph.inputs:
        if root in seen:
            continue
        seen.add(root)
        path: list[tuple[str, Iterator[str]]] = [(root, iter(after[root]))]
        while path:
            name, targets = path[-1]
            following = next((t for t in targets if t not in seen), None)
            if following is None:
                path.pop()
                finished.append(name)
            else:
                seen.add(following)
                path.append((following, iter(after[following])))
    return finished[::-1]
