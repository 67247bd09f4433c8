"""The operations on the way between two populations, as they are met."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import TorchError
from nmhw.values.linear import LinearOp, Reshape, Shape, Sparse
from nmhw.values.notice import Notice

Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Chain:
    """Operations from a source of some shape on; ``bias`` has the shape reached.

    ``part`` is set between a ``torch.cat`` and the layer that takes it: the data are those of
    ``part[0]`` on along the first axis of a whole with ``part[1]`` elements there.
    """

    shape: Shape
    ops: list[LinearOp] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    bias: Floats | None = None
    notices: list[Notice] = field(default_factory=list)
    part: tuple[int, int] | None = None

    @property
    def whole(self) -> Shape:
        """Shape of what the next layer sees."""
        return self.shape if self.part is None else (self.part[1], *self.shape[1:])

    def add(self, op: LinearOp, name: str, bias: Floats | None = None) -> None:
        """Append an operation; what was added before passes through it."""
        if self.bias is not None:
            self.bias = op.apply(self.bias[None])[0]
        self.ops.append(op)
        self.names.append(name)
        self.shape = op.output_shape
        if bias is not None:
            self.drive(bias)

    def drive(self, bias: Floats) -> None:
        """Add a constant in every step."""
        self.bias = bias if self.bias is None else self.bias + bias

    def reshape(self, shape: Shape, name: str) -> None:
        """Give the whole another shape of the same size; one name per change."""
        if shape == self.whole:
            return
        if self.part is not None and shape == (math.prod(self.whole),):
            inner = math.prod(self.shape[1:])
            self.part = (self.part[0] * inner, self.part[1] * inner)
            shape = (math.prod(self.shape),)
        else:
            self.embed(name)
        self.add(Reshape(self.shape, shape), f"{name}_shape")

    def place(self, offset: int, size: int, rank: int, name: str) -> None:
        """Note that the data are a part of ``size`` elements along their first axis.

        Raises
        ------
        TorchError
            For tensors that are joined along another axis.
        """
        if rank != len(self.shape):
            raise TorchError(
                "tensors are joined along an axis that is not that of the channels",
                got=f"the axis {rank} from the end", limit=f"{len(self.shape)} from the end",
                where=name, hint="torch.cat along the channels or features",
                rule="torch.joined",
            )  # fmt: skip
        self.part = (offset + (0 if self.part is None else self.part[0]), size)

    def take_part(self) -> slice:
        """Return which inputs of the next layer the data are; they are no part behind it."""
        if self.part is None:
            return slice(None)
        offset, self.part = self.part[0], None
        return slice(offset, offset + self.shape[0])

    def embed(self, name: str) -> None:
        """Put zeros around a part, where the next layer cannot be cut to it."""
        if self.part is None:
            return
        from scipy.sparse import csr_array

        whole, size, inner = self.whole, math.prod(self.shape), math.prod(self.shape[1:])
        places = self.part[0] * inner + np.arange(size)
        self.part = None
        if len(whole) > 1:
            self.add(Reshape(self.shape, (size,)), f"{name}_flat")
        ones = (np.ones(size), (np.arange(size), places))
        self.add(Sparse(csr_array(ones, shape=(size, math.prod(whole)))), f"{name}_place")
        if len(whole) > 1:
            self.add(Reshape(self.shape, whole), f"{name}_whole")

    def note(self, rule: str, name: str, text: str, kind: str = "assumption") -> None:
        """Record what was folded, dropped or approximated."""
        self.notices.append(Notice(rule, name, text, kind, about=name))
