"""LoweredProjection: a projection's weights in the chip's storage form, still as floats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.values.linear import Pool
from nmhw.values.quantized import ConvGeometry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LoweredProjection:
    """One projection before quantization.

    Attributes
    ----------
    storage : "dense" | "sparse" | "conv"
    weights : dense (n_in, n_target), conv (c_out, c_in / groups, k_h, k_w), sparse (n_synapses,)
    indptr, indices : CSR over (pooled) sources, sparse only
    geometry : conv only
    pools : sum pools in front
    n_target : int
    is_bias : bool
        Comes from the neuron that fires in every step.
    """

    name: str
    source: str
    target: str
    storage: Literal["dense", "sparse", "conv"]
    weights: Floats
    n_target: int
    indptr: Ints | None = None
    indices: Ints | None = None
    geometry: ConvGeometry | None = None
    pools: tuple[Pool, ...] = ()
    is_bias: bool = False

    @property
    def n_positions(self) -> int:
        """Targets that share one kernel (1 unless conv)."""
        if self.geometry is None:
            return 1
        return self.geometry.out_shape[1] * self.geometry.out_shape[2]

    def multiply(self, per_target: Floats) -> Floats:
        """Return the weights times a factor (n_target,) per target (conv: one per channel)."""
        if self.storage == "dense":
            return self.weights * per_target
        if self.storage == "conv":
            return self.weights * per_target[:: self.n_positions, None, None, None]
        assert self.indices is not None
        return self.weights * per_target[self.indices]

    def with_gain(self, gain: Floats) -> LoweredProjection:
        """Return the projection with weights in membrane units.

        A kernel whose targets have different gains within a channel is unrolled.
        """
        projection = self
        if self.storage == "conv" and not is_constant(gain, self.n_positions):
            projection = self.unrolled()
        return replace(projection, weights=projection.multiply(gain))

    def unrolled(self) -> LoweredProjection:
        """Return a convolution as sparse synapses."""
        assert self.geometry is not None
        matrix = self.geometry.as_conv(self.weights).to_csr()
        matrix.sort_indices()
        return replace(
            self,
            storage="sparse",
            weights=np.asarray(matrix.data, np.float64),
            indptr=matrix.indptr.astype(np.int64),
            indices=matrix.indices.astype(np.int64),
            geometry=None,
        )

    def peak(self) -> Floats:
        """Return max |w| (n_target,) of each target's synapses (0 without any)."""
        magnitude = np.abs(self.weights)
        if self.storage == "dense":
            return magnitude.max(axis=0, initial=0.0)
        if self.storage == "conv":
            return np.repeat(magnitude.max(axis=(1, 2, 3), initial=0.0), self.n_positions)
        assert self.indices is not None
        peak = np.zeros(self.n_target)
        np.maximum.at(peak, self.indices, magnitude)
        return peak

    def most_input(self) -> tuple[Floats, Floats]:
        """Return the largest and (negated) smallest sum (n_target,) that one step can bring.

        Every source fires once; borders of a convolution are ignored (an upper bound), and so is
        the overlap of pools that keeps some elements below their count.
        """
        fold = 1.0
        for pool in self.pools:
            fold *= pool.kernel[0] * pool.kernel[1]
        parts = (np.maximum(self.weights, 0), np.maximum(-self.weights, 0))
        if self.storage == "dense":
            high, low = (part.sum(axis=0) for part in parts)
        elif self.storage == "conv":
            high, low = (np.repeat(p.sum(axis=(1, 2, 3)), self.n_positions) for p in parts)
        else:
            assert self.indices is not None
            high, low = (np.bincount(self.indices, p, self.n_target) for p in parts)
        return high * fold, low * fold


def is_constant(values: Floats, run: int) -> bool:
    """Whether ``values`` are equal within every run of ``run`` neighbors."""
    if run == 1:
        return True
    rows = values.reshape(-1, run)
    return bool(np.all(rows == rows[:, :1]))
