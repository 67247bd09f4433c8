"""Network: populations of neurons joined by projections, in the author's names and units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UsageError
from nmhw.values.linear import LinearOp, Shape
from nmhw.values.neuron import NeuronModel
from nmhw.values.notice import Notice
from nmhw.values.profile import Profile

if TYPE_CHECKING:
    from nmhw.values.network_builder import NetworkBuilder


@dataclass(frozen=True, slots=True)
class InputPort:
    """An Input node: where spikes (or values) enter. ``shape`` has no batch and no time axis."""

    name: str
    shape: Shape

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class OutputPort:
    """An Output node and the populations whose outputs (summed) it carries."""

    name: str
    shape: Shape
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Neurons of one NIR node; indices follow C order over ``shape`` (channels first)."""

    name: str
    shape: Shape
    model: NeuronModel

    @property
    def size(self) -> int:
        """Number of neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A chain of linear operations from one input or population to one population.

    Attributes
    ----------
    name : str
        The NIR names of the chain's nodes joined by ``>`` (unique within the network); for an
        empty chain ``source>target``.
    source, target : str
        Names of an InputPort or Population, and of a Population.
    ops : tuple of LinearOp
        Applied left to right; empty = one to one. Contains Delay operations where the file does.
    bias : (n_target,) float64 or None
        Constant drive at the target that the chain's biases add in every step. A bias shared by
        several chains is carried by exactly one of them.
    delay_steps : int
        Extra whole steps on top of the profile's hop (set in code; NIR has Delay nodes in seconds).
    """

    name: str
    source: str
    target: str
    ops: tuple[LinearOp, ...] = ()
    bias: NDArray[np.float64] | None = None
    delay_steps: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A whole network; order of the tuples is topological where the graph has no cycle.

    Attributes
    ----------
    inputs, populations, projections, outputs : tuples
    name : str
        File stem, or the name given in code.
    path, sha256 : str or None
        Of the NIR file, when there is one.
    notices : tuple of Notice
        What the reader warned about.
    profile : Profile or None
        The discrete meaning the user gave when loading; None = not said yet.
    """

    name: str
    inputs: tuple[InputPort, ...]
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    outputs: tuple[OutputPort, ...]
    path: str | None = None
    sha256: str | None = None
    notices: tuple[Notice, ...] = field(default=())
    profile: Profile | None = None

    def population(self, name: str) -> Population:
        """Return the population called ``name``."""
        for population in self.populations:
            if population.name == name:
                return population
        known = ", ".join(p.name for p in self.populations)
        raise UsageError(
            "no such population", got=repr(name), where=self.name, hint=f"one of {known}"
        )

    def sizes(self) -> Mapping[str, int]:
        """Number of elements of every input and population, by name."""
        sizes = {port.name: port.size for port in self.inputs}
        return sizes | {p.name: p.size for p in self.populations}

    def incoming(self, name: str) -> tuple[Projection, ...]:
        """Projections that end at population ``name``."""
        return tuple(p for p in self.projections if p.target == name)

    def outgoing(self, name: str) -> tuple[Projection, ...]:
        """Projections that start at input or population ``name``."""
        return tuple(p for p in self.projections if p.source == name)

    @staticmethod
    def build(name: str = "network") -> NetworkBuilder:
        """Start a network in code: ``Network.build().input(...).population(...)...done()``."""
        from nmhw.values.network_builder import NetworkBuilder

        return NetworkBuilder(name)


def as_parameter(value: Any, size: int) -> NDArray[np.float64]:
    """Broadcast a scalar or an array to float64 of shape (size,)."""
    array = np.asarray(value, dtype=np.float64).ravel()
    if array.size not in (1, size):
        raise UsageError(
            "parameter has the wrong number of values", got=array.size, limit=f"1 or {size}"
        )
    return np.ascontiguousarray(np.broadcast_to(array, (size,)))
