"""LearningLayer and LearningNetwork: the chain of projections that a gradient rule trains."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nmhw.values.linear import Pool, Shape
from nmhw.values.quantized import ConvGeometry


@dataclass(frozen=True, slots=True)
class LearningLayer:
    """One projection with its targets.

    Attributes
    ----------
    name : str
    kind : "dense" | "conv"
    n_in : int
        Sources that the weights are indexed by (behind the pool, where there is one).
    n_out : int
        Targets.
    geometry : ConvGeometry or None
        Of a "conv".
    weight_shape : tuple of int
        dense: (n_in, n_out); conv: (c_out, c_in / groups, k_h, k_w).
    is_recurrent : bool
        The sources are the layer's own targets, one step earlier. Such a layer stands right behind
        the layer that feeds the same targets.
    pool : Pool or None
        In front of the weights: sums spikes (step code), takes the earliest time (time code).
    target_shape : tuple of int
        Shape of the targets, channels first; (n_out,) if dense.
    """

    name: str
    kind: Literal["dense", "conv"]
    n_in: int
    n_out: int
    geometry: ConvGeometry | None
    weight_shape: tuple[int, ...]
    is_recurrent: bool = False
    pool: Pool | None = None
    target_shape: Shape = ()

    @property
    def n_source(self) -> int:
        """Elements in front of the pool: the targets of the layer before, or the inputs."""
        return self.n_in if self.pool is None else math.prod(self.pool.in_shape)

    @property
    def n_weights(self) -> int:
        """Stored weights (a shared kernel counts once)."""
        return math.prod(self.weight_shape)

    @property
    def fan_in(self) -> int:
        """Inputs of one target, borders aside."""
        return self.n_in if self.kind == "dense" else math.prod(self.weight_shape[1:])


@dataclass(frozen=True, slots=True)
class LearningNetwork:
    """A chain of layers; the last one is the head.

    Attributes
    ----------
    layers : tuple of LearningLayer
        Weights are lists in this order.
    in_shape : tuple of int
    """

    layers: tuple[LearningLayer, ...]
    in_shape: Shape

    @property
    def n_inputs(self) -> int:
        """Number of input elements."""
        return math.prod(self.in_shape)

    @property
    def n_classes(self) -> int:
        """Targets of the head."""
        return self.layers[-1].n_out

    @property
    def names(self) -> tuple[str, ...]:
        """Layer names, in the order of the rows of every count table."""
        return tuple(layer.name for layer in self.layers)

    @property
    def feedforward(self) -> tuple[int, ...]:
        """Positions of the layers that are not recurrent: one per population, head included."""
        return tuple(k for k, layer in enumerate(self.layers) if not layer.is_recurrent)

    def recurrent_of(self, position: int) -> int | None:
        """Return the position of the recurrent layer on the targets of a layer, if there is one."""
        behind = position + 1
        if behind < len(self.layers) and self.layers[behind].is_recurrent:
            return behind
        return None
