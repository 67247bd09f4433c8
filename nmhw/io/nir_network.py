"""From shaped nodes to a Network: neurons become populations, the rest chains between them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nmhw.errors import NirError
from nmhw.io.nir_flatten import FlatGraph
from nmhw.io.nir_nodes import NEURON_TYPES, RawNode, place
from nmhw.io.nir_ops import Floats
from nmhw.io.nir_shapes import ShapedNode
from nmhw.values.linear import Delay, LinearOp
from nmhw.values.network import InputPort, Network, OutputPort, Population, Projection
from nmhw.values.network_builder import make_neuron
from nmhw.values.neuron import NeuronKind, NeuronModel
from nmhw.values.notice import Notice
from nmhw.values.topology import topological_order

MAX_PATHS = 10_000

_KINDS: Mapping[str, NeuronKind] = {
    "Threshold": "threshold",
    "I": "i",
    "IF": "if",
    "LI": "li",
    "LIF": "lif",
    "CubaLI": "cubali",
    "CubaLIF": "cubalif",
}
_PARAMETERS = {
    "tau": "tau_mem_s",
    "tau_mem": "tau_mem_s",
    "tau_syn": "tau_syn_s",
    "threshold": "v_threshold",
}


def build_network(graph: FlatGraph, shaped: Mapping[str, ShapedNode], name: str) -> Network:
    """Return the network of a checked graph.

    A chain of linear nodes in front of an Output that no neuron closes becomes a population of
    kind ``linear``, named after the chain's last node. Every path of linear nodes between two
    populations is one projection; paths that meet are summed by the target. A node's bias is
    carried by the first of the paths through it, so that each target receives it once.

    Raises
    ------
    NirError
        ``nir.output-without-population``, ``nir.duplicate-path``, ``nir.too-many-paths``.
    """
    return _Builder(graph, shaped, graph.predecessors()).build(name)


@dataclass(frozen=True, slots=True, eq=False)
class _Path:
    """A chain on its way back from its target: what lies between ``node`` and the target."""

    node: str
    ops: tuple[LinearOp, ...] = ()
    names: tuple[str, ...] = ()
    bias: Floats | None = None


@dataclass(slots=True, eq=False)
class _Builder:
    graph: FlatGraph
    shaped: Mapping[str, ShapedNode]
    before: Mapping[str, Sequence[str]]
    notices: list[Notice] = field(default_factory=list)

    def build(self, name: str) -> Network:
        outputs = tuple(self.output(n) for n in self.graph.outputs)
        linear = {s for o in outputs for s in o.sources} - self.neurons()
        members = sorted(self.neurons() | linear)
        populations = {n: self.population(n) for n in members}
        projections = [p for n in members for p in self.projections(n, linear)]
        inputs = tuple(InputPort(n, self.shaped[n].output_shape) for n in self.graph.inputs)
        network = Network(
            name, inputs, tuple(populations.values()), tuple(_named(projections)), outputs
        )
        order = {n: k for k, n in enumerate(topological_order(network))}
        ordered = tuple(sorted(network.projections, key=lambda p: (order[p.target], p.name)))
        return replace(
            network,
            populations=tuple(populations[n] for n in order),
            projections=ordered,
            notices=tuple(self.notices),
        )

    def neurons(self) -> set[str]:
        return {n for n, s in self.shaped.items() if s.node.type in NEURON_TYPES}

    def output(self, name: str) -> OutputPort:
        """Return the port with the populations behind it, seen through mere reshapes."""
        sources: list[str] = []
        waiting = list(self.before[name])
        while waiting:
            source = waiting.pop()
            kind = self.shaped[source].node.type
            if source in self.graph.inputs:
                raise NirError(
                    "an Input leads straight to an Output: nothing is computed on the way",
                    got=f"'{source}' -> '{name}'",
                    where=place(self.graph.file, name),
                    hint="remove the Output or put a node between them",
                    rule="nir.output-without-population",
                )
            if kind in ("Flatten", "Input", "Output"):
                waiting += self.before[source]
            elif source in sources:
                raise NirError(
                    "a population reaches one Output twice",
                    got=f"'{source}'",
                    where=place(self.graph.file, name),
                    hint="keep one of the ways; scale it by 2 if the sum was meant",
                    rule="nir.duplicate-path",
                )
            else:
                sources.append(source)
        return OutputPort(name, self.shaped[name].input_shape, tuple(sorted(sources)))

    def population(self, name: str) -> Population:
        shaped = self.shaped[name]
        model = NeuronModel("linear")
        if shaped.node.type in NEURON_TYPES:
            model = _neuron_model(shaped.node, math.prod(shaped.output_shape))
        return Population(name, shaped.output_shape, model)

    def projections(self, target: str, linear: set[str]) -> Iterator[Projection]:
        """Yield every chain that ends at ``target``, walking against the edges."""
        starts = [target] if target in linear else self.before[target]
        waiting = [_Path(n) for n in reversed(starts)]
        n_paths = 0
        while waiting:
            path = waiting.pop()
            if path.node in self.graph.inputs or self.shaped[path.node].node.type in NEURON_TYPES:
                label = ">".join(path.names) or f"{path.node}>{target}"
                bias = None if path.bias is None else path.bias.ravel()
                yield Projection(label, path.node, target, path.ops, bias)
            else:
                waiting += self.step_back(path)
            n_paths += 1
            if n_paths > MAX_PATHS:
                raise NirError(
                    "too many paths of linear nodes lead to one node",
                    limit=MAX_PATHS,
                    where=place(self.graph.file, target),
                    hint="merge parallel linear nodes before exporting",
                    rule="nir.too-many-paths",
                )

    def step_back(self, path: _Path) -> list[_Path]:
        """Return the paths that go on from the sources of a linear node, last one first."""
        shaped = self.shaped[path.node]
        bias = path.bias
        if shaped.bias is not None:
            drive = self.carry(shaped.bias, path)
            bias = drive if bias is None else bias + drive
        is_wire = shaped.node.type in ("Input", "Output")
        names = path.names if is_wire else (path.node, *path.names)
        ops = (*shaped.ops, *path.ops)
        sources = self.before[path.node]
        # the first source's path takes the bias along, the others go without
        first = _Path(sources[0], ops, names, bias)
        return [*(_Path(n, ops, names) for n in reversed(sources[1:])), first]

    def carry(self, bias: Floats, path: _Path) -> Floats:
        """Return a bias as the target feels it, behind the operations still to come."""
        drive = bias[None]
        for op in path.ops:
            drive = op.apply(drive)
        if any(isinstance(op, Delay) and op.delay_s.any() for op in path.ops):
            text = "the bias lies in front of a delay; it is taken as constant from the first step"
            where = place(self.graph.file, path.node, "bias")
            self.notices.append(Notice("nir.bias-through-delay", where, text, kind="assumption"))
        return drive[0]


def _neuron_model(node: RawNode, size: int) -> NeuronModel:
    parameters = {_PARAMETERS.get(f, f): node.real(f) for f in node.fields}
    return make_neuron(_KINDS[node.type], size, **parameters)


def _named(projections: Sequence[Projection]) -> Iterator[Projection]:
    """Yield the projections under unique names: a shared label gains its source and target."""
    n_uses = Counter(p.name for p in projections)
    taken: set[str] = set()
    for p in projections:
        name = p.name
        if n_uses[name] > 1:
            name = name if name == f"{p.source}>{p.target}" else f"{p.source}>{name}>{p.target}"
        plain, k = name, 1
        while name in taken:
            k += 1
            name = f"{plain}#{k}"
        taken.add(name)
        yield replace(p, name=name)
