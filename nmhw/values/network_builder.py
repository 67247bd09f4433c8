"""Networks written in code, with dense, convolutional or scipy CSR projections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.linear import Dense, LinearOp, Reshape, Shape, Sparse
from nmhw.values.network import InputPort, Network, OutputPort, Population, Projection, as_parameter
from nmhw.values.neuron import NeuronKind, NeuronModel

_FIELDS: dict[str, tuple[str, ...]] = {
    "if": ("r", "v_threshold", "v_reset"),
    "lif": ("tau_mem_s", "r", "v_leak", "v_threshold", "v_reset"),
    "cubalif": ("tau_mem_s", "tau_syn_s", "r", "w_in", "v_leak", "v_threshold", "v_reset"),
    "i": ("r",),
    "li": ("tau_mem_s", "r", "v_leak"),
    "cubali": ("tau_mem_s", "tau_syn_s", "r", "w_in", "v_leak"),
    "threshold": ("v_threshold",),
    "linear": (),
}
_DEFAULTS = {"r": 1.0, "w_in": 1.0, "v_leak": 0.0, "v_reset": 0.0, "v_threshold": 1.0}


def make_neuron(kind: NeuronKind, size: int, **parameters: Any) -> NeuronModel:
    """Return a NeuronModel with every parameter broadcast to (size,).

    Raises
    ------
    UsageError
        For an unknown kind, a parameter the kind does not have, or a missing time constant.
    """
    if kind not in _FIELDS:
        raise UsageError("no such neuron kind", got=repr(kind), hint=", ".join(_FIELDS))
    allowed = (*_FIELDS[kind], "v0", "refractory_s", "v_min")
    for name in parameters:
        if name not in allowed:
            raise UsageError(f"{kind} has no such parameter", got=name, hint=", ".join(allowed))
    values = {f: parameters.get(f, _DEFAULTS.get(f)) for f in _FIELDS[kind]}
    for name, value in (*values.items(), *parameters.items()):
        if value is None:
            raise UsageError(f"{kind} needs {name}", hint=f"{name}=...")
        _check_numbers(value, name)
    extra = {k: v for k, v in parameters.items() if k not in values}
    arrays: dict[str, Any] = {k: as_parameter(v, size) for k, v in {**values, **extra}.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all() or (name.startswith("tau") and (array <= 0).any()):
            raise UsageError(f"{name} must be finite" + (" and positive" if name[0] == "t" else ""))
    return NeuronModel(kind, **arrays)


class NetworkBuilder:
    """Collects nodes; ``done()`` checks and returns the frozen Network."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._inputs: list[InputPort] = []
        self._populations: list[Population] = []
        self._projections: list[Projection] = []
        self._outputs: list[OutputPort] = []

    def input(self, name: str, shape: int | Shape) -> NetworkBuilder:
        """Add an input port."""
        self._refuse_duplicate(name)
        self._inputs.append(InputPort(name, _as_shape(shape)))
        return self

    def population(
        self, name: str, shape: int | Shape, kind: NeuronKind, **parameters: Any
    ) -> NetworkBuilder:
        """Add neurons; parameters (tau_mem_s, r, v_threshold...) are scalars or arrays."""
        self._refuse_duplicate(name)
        full = _as_shape(shape)
        size = int(np.prod(full))
        model = make_neuron(kind, size, **parameters)
        self._populations.append(Population(name, full, model))
        return self

    def project(
        self,
        source: str,
        target: str,
        weights: Any = None,
        *,
        ops: tuple[LinearOp, ...] | None = None,
        bias: Any = None,
        delay_steps: int = 0,
        name: str | None = None,
    ) -> NetworkBuilder:
        """Join two nodes.

        Parameters
        ----------
        weights : (n_source, n_target) scipy sparse, (n_target, n_source) ndarray, or LinearOp
            A dense ndarray follows NIR's Linear (out, in); scipy CSR is rows = source.
        ops : tuple of LinearOp, optional
            A whole chain in place of ``weights``.
        bias : (n_target,) or scalar, optional
        delay_steps : int
            Extra steps on top of the profile's hop.
        """
        shapes = self._shapes()
        for node in (source, target):
            if node not in shapes:
                raise UsageError("no such node", got=repr(node), where=self._name)
        if any(port.name == target for port in self._inputs):
            raise UsageError("nothing can be projected into an input", got=f"{source}>{target}")
        chain = (
            ops
            if ops is not None
            else _as_chain(weights, shapes[source], shapes[target], f"{source}>{target}: weights")
        )
        _check_chain(chain, shapes[source], shapes[target], f"{source}>{target}")
        is_number = isinstance(delay_steps, int | float | np.number)
        if not is_number or not delay_steps >= 0 or delay_steps % 1 != 0:
            raise UsageError("delay_steps must be a whole number >= 0", got=repr(delay_steps))
        size = int(np.prod(shapes[target]))
        _check_numbers(0.0 if bias is None else bias, f"{source}>{target}: bias")
        drive = None if bias is None else as_parameter(bias, size)
        label = name or self._unique(f"{source}>{target}")
        self._projections.append(Projection(label, source, target, chain, drive, int(delay_steps)))
        return self

    def output(self, name: str, *sources: str) -> NetworkBuilder:
        """Add an output port that carries one or more populations."""
        self._refuse_duplicate(name)
        shapes = {p.name: p.shape for p in self._populations}
        if not sources:
            raise UsageError("an output needs at least one population", where=name)
        for source in sources:
            if source not in shapes:
                raise UsageError("no such population", got=repr(source), where=name)
        self._outputs.append(OutputPort(name, shapes[sources[0]], sources))
        return self

    def done(self) -> Network:
        """Check and return the Network."""
        if not self._inputs or not self._populations or not self._outputs:
            raise UsageError(
                "a network needs an input, a population and an output", where=self._name
            )
        return Network(
            self._name,
            tuple(self._inputs),
            tuple(self._populations),
            tuple(self._projections),
            tuple(self._outputs),
        )

    def projection_names(self) -> set[str]:
        """Return the names that are taken."""
        return {p.name for p in self._projections}

    def _shapes(self) -> dict[str, Shape]:
        shapes = {port.name: port.shape for port in self._inputs}
        return shapes | {p.name: p.shape for p in self._populations}

    def _refuse_duplicate(self, name: str) -> None:
        if not isinstance(name, str) or not name:
            raise UsageError("a node's name is a text", got=repr(name), where=self._name)
        if name in self._shapes() or any(o.name == name for o in self._outputs):
            raise UsageError("two nodes have the same name", got=repr(name), where=self._name)

    def _unique(self, label: str) -> str:
        taken = {p.name for p in self._projections}
        if label not in taken:
            return label
        return next(f"{label}#{k}" for k in range(2, len(taken) + 3) if f"{label}#{k}" not in taken)


def _as_shape(shape: int | Shape) -> Shape:
    sizes = np.atleast_1d(np.asarray(shape))
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or not sizes.size or sizes.min() < 1:
        raise UsageError("a shape needs positive whole sizes", got=repr(shape))
    return tuple(int(n) for n in sizes)


def _check_numbers(value: Any, where: str) -> None:
    """Refuse text, complex numbers, ragged lists, NaN and infinite values."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError("not a rectangular array", where=where) from error
    if array.dtype.kind not in "biuf":
        got = repr(value) if isinstance(value, str) else f"dtype {array.dtype}"
        raise UsageError("not real numbers", got=got, where=where)
    if not np.isfinite(array).all():
        raise UsageError(f"{where} must be finite", got=array[~np.isfinite(array)].flat[0])


def _as_chain(weights: Any, source: Shape, target: Shape, where: str) -> tuple[LinearOp, ...]:
    if weights is None:
        return ()
    if hasattr(weights, "to_csr"):
        return (weights,)
    if hasattr(weights, "tocsr"):
        from scipy.sparse import csr_array

        _check_numbers(weights.data, where)
        op: LinearOp = Sparse(csr_array(weights))
    else:
        _check_numbers(weights, where)
        op = Dense(_matrix(weights, where))
    flat_in, flat_out = (int(np.prod(source)),), (int(np.prod(target)),)
    chain: list[LinearOp] = [op]
    if source != flat_in:
        chain.insert(0, Reshape(source, flat_in))
    if target != flat_out:
        chain.append(Reshape(flat_out, target))
    return tuple(chain)


def _matrix(weights: Any, where: str) -> NDArray[np.float64]:
    array = np.asarray(weights, np.float64)
    if array.ndim != 2:
        raise UsageError(
            "dense weights have two axes",
            got=array.shape,
            limit="(n_target, n_source)",
            where=where,
        )
    return array


def _check_chain(chain: tuple[LinearOp, ...], source: Shape, target: Shape, where: str) -> None:
    shape = source
    for op in chain:
        if not hasattr(op, "input_shape"):
            raise UsageError("this is no linear operation", got=repr(op), where=where)
        if op.input_shape != shape:
            raise UsageError("shapes do not fit", got=shape, limit=op.input_shape, where=where)
        shape = op.output_shape
    if shape != target:
        raise UsageError("shapes do not fit", got=shape, limit=target, where=where)
