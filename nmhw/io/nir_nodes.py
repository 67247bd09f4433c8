"""The node types of NIR 1.0.8, their fields, and the graph exactly as a file states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import NirError
from nmhw.io.display import display

FieldKind = Literal["real", "int", "ints", "padding", "shape"]
Ints: TypeAlias = tuple[int, ...]
FieldValue: TypeAlias = "NDArray[Any] | int | Ints | str"

_MAX_INT = 2**31 - 1


class NodeField(NamedTuple):
    """One field of a node type."""

    kind: FieldKind
    required: bool = True


def _reals(*required: str, **optional: bool) -> dict[str, NodeField]:
    fields = {name: NodeField("real") for name in required}
    return fields | {name: NodeField("real", required=False) for name in optional}


_PORT = {"shape": NodeField("shape")}
_CONV = {
    "input_shape": NodeField("ints", required=False),
    "weight": NodeField("real"),
    "stride": NodeField("ints"),
    "padding": NodeField("padding"),
    "dilation": NodeField("ints"),
    "groups": NodeField("int"),
    "bias": NodeField("real", required=False),
}
_POOL = {name: NodeField("ints") for name in ("kernel_size", "stride", "padding")}

# v_reset appeared after 1.0.4 and w_in has a default: both may be missing
NODE_FIELDS: Mapping[str, Mapping[str, NodeField]] = {
    "Input": _PORT,
    "Output": _PORT,
    "Linear": _reals("weight"),
    "Affine": _reals("weight", "bias"),
    "Scale": _reals("scale"),
    "Conv1d": _CONV,
    "Conv2d": _CONV,
    "SumPool2d": _POOL,
    "AvgPool2d": _POOL,
    "Flatten": {
        "input_type": NodeField("ints", required=False),
        "start_dim": NodeField("int", required=False),
        "end_dim": NodeField("int", required=False),
    },
    "Delay": _reals("delay"),
    "Threshold": _reals("threshold"),
    "I": _reals("r"),
    "IF": _reals("r", "v_threshold", v_reset=False),
    "LI": _reals("tau", "r", "v_leak"),
    "LIF": _reals("tau", "r", "v_leak", "v_threshold", v_reset=False),
    "CubaLI": _reals("tau_syn", "tau_mem", "r", "v_leak", w_in=False),
    "CubaLIF": _reals(
        "tau_syn", "tau_mem", "r", "v_leak", "v_threshold", v_reset=False, w_in=False
    ),
    "NIRGraph": {},
}
NEURON_TYPES = frozenset({"Threshold", "I", "IF", "LI", "LIF", "CubaLI", "CubaLIF"})


@dataclass(frozen=True, slots=True, eq=False)
class RawNode:
    """One node as stored; ``graph`` is set for a nested NIRGraph and then ``fields`` is empty."""

    type: str
    fields: Mapping[str, FieldValue] = field(default_factory=dict)
    graph: RawGraph | None = None

    def real(self, name: str) -> NDArray[Any]:
        """Return a numeric array field."""
        return np.asarray(self.fields[name])

    def ints(self, name: str) -> Ints:
        """Return a field of whole numbers as a tuple."""
        value = self.fields[name]
        return (value,) if isinstance(value, int) else tuple(int(n) for n in value)


@dataclass(frozen=True, slots=True, eq=False)
class RawGraph:
    """Nodes and edges as stored; names are those of the file and safe to print."""

    nodes: Mapping[str, RawNode]
    edges: tuple[tuple[str, str], ...]
    version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def place(file: str, node: str | None = None, name: str | None = None) -> str:
    """Return the ``where`` of a message: file, node, field."""
    parts = [display(file)]
    if node is not None:
        parts.append(f"node '{display(node)}'")
    if name is not None:
        parts.append(f"field '{display(name)}'")
    return ": ".join(parts)


def parse_field(kind: FieldKind, value: NDArray[Any], where: str) -> FieldValue:
    """Return a stored value in the form its kind asks for.

    Raises
    ------
    NirError
        ``nir.numeric-field``, ``nir.integer-field`` or ``nir.padding``.
    """
    if kind == "padding" and value.dtype == object:
        text = str(value.item()) if value.size == 1 else display(value.tolist())
        if text not in ("same", "valid"):
            raise NirError(
                "padding must be whole numbers, 'same' or 'valid'",
                got=repr(display(text)),
                where=where,
                rule="nir.padding",
            )
        return text
    if value.dtype.kind not in "iuf":
        got = {"b": "true/false values", "O": "text"}.get(value.dtype.kind, str(value.dtype))
        raise NirError(
            "the field must hold real numbers",
            got=got,
            where=where,
            hint="export the node again",
            rule="nir.numeric-field",
        )
    if kind == "real":
        return value
    if kind == "int" and value.size == 1:
        return _whole_numbers(value, where)[0]
    if kind == "int" or value.ndim > 1:
        raise NirError(
            "the field must be one whole number" if kind == "int" else "the field must be a list",
            got=f"shape {value.shape}",
            where=where,
            rule="nir.integer-field",
        )
    return _whole_numbers(value, where)


def _whole_numbers(value: NDArray[Any], where: str) -> Ints:
    flat = value.ravel()
    if flat.size > 32 or value.dtype.kind == "f" or (np.abs(flat.astype(float)) > _MAX_INT).any():
        raise NirError(
            "the field must hold whole numbers",
            got=display(flat[:8].tolist()) + f" ({value.dtype})",
            limit=f"at most 32 integers up to {_MAX_INT}",
            where=where,
            rule="nir.integer-field",
        )
    return tuple(int(n) for n in flat)
