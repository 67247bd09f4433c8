"""LoweredProjection: a projection's weights in the chip's storage form, still as floats."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nmhw.values.linear import Pool
from nmhw.values.quantized import ConvGeometry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Weights that are worked on at once.
_BLOCK = 1 << 20
_ALL = slice(None)


@dataclass(frozen=True, slots=True, eq=False)
class LoweredProjection:
    """One projection before quantization.

    Attributes
    ----------
    storage : "dense" | "sparse" | "conv"
    weights : dense (n_in, n_target), conv (c_out, c_in / groups, k_h, k_w), sparse (n_synapses,)
    indptr, indices : CSR over (pooled) sources, sparse only; int64, int32
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
    indices: NDArray[np.int32] | None = None
    geometry: ConvGeometry | None = None
    pools: tuple[Pool, ...] = ()
    is_bias: bool = False

    @property
    def n_positions(self) -> int:
        """Targets that share one kernel (1 unless conv)."""
        if self.geometry is None:
            return 1
        return self.geometry.out_shape[1] * self.geometry.out_shape[2]

    def blocks(self) -> Iterator[slice]:
        """Yield slices of the weights' first axis, so that temporaries stay small."""
        n = self.weights.shape[0]
        step = max(1, _BLOCK * n // max(1, self.weights.size))
        return (slice(first, first + step) for first in range(0, n, step))

    def multiply(
        self, per_target: Floats, rows: slice = _ALL, values: Floats | None = None
    ) -> Floats:
        """Return the weights times a factor (n_target,) per target (conv: one per channel).

        ``rows`` chooses a part of the first axis, ``values`` replace its weights.
        """
        weights = self.weights[rows] if values is None else values
        if self.storage == "dense":
            return weights * per_target
        if self.storage == "conv":
            return weights * per_target[:: self.n_positions][rows, None, None, None]
        assert self.indices is not None
        return weights * per_target[self.indices[rows]]

    def with_gain(self, gain: Floats) -> LoweredProjection:
        """Return the projection with weights in membrane units.

        A kernel whose targets have different gains within a channel is unrolled.
        """
        projection = self
        if self.storage == "conv" and not is_constant(gain, self.n_positions):
            projection = self.unrolled()
        if projection.weights.dtype == np.float64 and np.all(gain == 1):
            return projection
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
            indices=matrix.indices.astype(np.int32),
            geometry=None,
        )

    def peak(self) -> Floats:
        """Return max |w| (n_target,) of each target's synapses (0 without any)."""
        if self.storage == "conv":
            magnitude = np.abs(self.weights).max(axis=(1, 2, 3), initial=0.0)
            return np.repeat(magnitude, self.n_positions)
        peak = np.zeros(self.n_target)
        for rows in self.blocks():
            magnitude = np.abs(self.weights[rows])
            if self.indices is None:
                np.maximum(peak, magnitude.max(axis=0, initial=0.0), out=peak)
            else:
                np.maximum.at(peak, self.indices[rows], magnitude)
        return peak

    def most_input(self) -> tuple[Floats, Floats]:
        """Return the largest and (negated) smallest sum (n_target,) that one step can bring.

        Every source fires once; borders of a convolution are ignored (an upper bound), and so is
        the overlap of pools that keeps some elements below their count.
        """
        fold = 1.0
        for pool in self.pools:
            fold *= pool.kernel[0] * pool.kernel[1]
        high, low = (self._sum_above_zero(sign) for sign in (1, -1))
        return high * fold, low * fold

    def _sum_above_zero(self, sign: int) -> Floats:
        """Return (n_target,) sums of the weights of one sign, as magnitudes."""
        if self.storage == "sparse":
            assert self.indices is not None
            total = np.zeros(self.n_target)
            for rows in self.blocks():  # one by one: the order decides the last bits of a sum
                np.add.at(total, self.indices[rows], np.maximum(sign * self.weights[rows], 0))
            return total
        part = np.maximum(self.weights if sign > 0 else -self.weights, 0)
        if self.storage == "dense":
            return np.asarray(part.sum(axis=0))
        return np.repeat(part.sum(axis=(1, 2, 3)), self.n_positions)


def is_constant(values: Floats, run: int) -> bool:
    """Whether ``values`` are equal within every run of ``run`` neighbors."""
    if run == 1:
        return True
    rows = values.reshape(-1, run)
    return bool(np.all(rows == rows[:, :1]))
