"""Linear operations between populations: shapes, float evaluation, expansion to a sparse matrix.

Shapes are those of NIR: no batch and no time axis, channels first. ``apply`` takes and returns
arrays with one leading batch axis. ``to_csr`` gives the matrix of the whole operation, rows =
source elements, columns = target elements, both in C order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Shape = tuple[int, ...]


class LinearOp(Protocol):
    """What every operation in a projection's chain offers."""

    @property
    def input_shape(self) -> Shape: ...
    @property
    def output_shape(self) -> Shape: ...
    def apply(self, x: Floats) -> Floats: ...
    def to_csr(self) -> csr_array: ...


@dataclass(frozen=True, slots=True, eq=False)
class Dense:
    """y = W x with ``weight`` of shape (n_out, n_in)."""

    weight: Floats

    @property
    def input_shape(self) -> Shape:
        return (int(self.weight.shape[1]),)

    @property
    def output_shape(self) -> Shape:
        return (int(self.weight.shape[0]),)

    def apply(self, x: Floats) -> Floats:
        return x @ self.weight.T

    def to_csr(self) -> csr_array:
        from scipy.sparse import csr_array

        return csr_array(self.weight.T)


@dataclass(frozen=True, slots=True, eq=False)
class Sparse:
    """y = x M with ``matrix`` a scipy CSR array of shape (n_in, n_out); zeros are not stored."""

    matrix: Any

    @property
    def input_shape(self) -> Shape:
        return (int(self.matrix.shape[0]),)

    @property
    def output_shape(self) -> Shape:
        return (int(self.matrix.shape[1]),)

    def apply(self, x: Floats) -> Floats:
        return np.asarray((self.matrix.T @ x.T).T)

    def to_csr(self) -> csr_array:
        from scipy.sparse import csr_array

        return csr_array(self.matrix)


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Cross-correlation as in PyTorch, always held in two spatial dimensions.

    Attributes
    ----------
    weight : (c_out, c_in / groups, k_h, k_w)
    in_shape : (c_in, h, w); a Conv1d has h = 1 and ``is_1d`` set, and then its shapes are (c, w).
    stride, dilation : (y, x)
    padding : (top, bottom, left, right); 'same' may pad unevenly
    """

    weight: Floats
    in_shape: tuple[int, int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    is_1d: bool = False

    @property
    def out_spatial(self) -> tuple[int, int]:
        """Output height and width."""
        _, h, w = self.in_shape
        top, bottom, left, right = self.padding
        kh, kw = self.weight.shape[2:]
        oh = (h + top + bottom - self.dilation[0] * (kh - 1) - 1) // self.stride[0] + 1
        ow = (w + left + right - self.dilation[1] * (kw - 1) - 1) // self.stride[1] + 1
        return oh, ow

    @property
    def input_shape(self) -> Shape:
        c, h, w = self.in_shape
        return (c, w) if self.is_1d else (c, h, w)

    @property
    def output_shape(self) -> Shape:
        oh, ow = self.out_spatial
        c = int(self.weight.shape[0])
        return (c, ow) if self.is_1d else (c, oh, ow)

    def apply(self, x: Floats) -> Floats:
        batch = x.shape[0]
        c_in, h, w = self.in_shape
        top, bottom, left, right = self.padding
        c_out, c_group, kh, kw = self.weight.shape
        oh, ow = self.out_spatial
        padded = np.pad(
            x.reshape(batch, c_in, h, w), ((0, 0), (0, 0), (top, bottom), (left, right))
        )
        per_group = c_out // self.groups
        y = np.zeros((batch, self.groups, per_group, oh, ow))
        grouped = padded.reshape(batch, self.groups, c_group, *padded.shape[2:])
        kernels = self.weight.reshape(self.groups, per_group, c_group, kh, kw)
        for ky in range(kh):
            for kx in range(kw):
                y0, x0 = ky * self.dilation[0], kx * self.dilation[1]
                y1 = y0 + (oh - 1) * self.stride[0] + 1
                x1 = x0 + (ow - 1) * self.stride[1] + 1
                patch = grouped[:, :, :, y0 : y1 : self.stride[0], x0 : x1 : self.stride[1]]
                y += np.einsum("bgiyx,goi->bgoyx", patch, kernels[:, :, :, ky, kx])
        return y.reshape(batch, *self.output_shape)

    def to_csr(self) -> csr_array:
        rows, cols, taps = self.synapse_indices()
        from scipy.sparse import csr_array

        shape = (math.prod(self.input_shape), math.prod(self.output_shape))
        return csr_array((self.weight.ravel()[taps], (rows, cols)), shape=shape)

    def synapse_indices(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Source index, target index and flat kernel index of every synapse inside the borders."""
        _, h, w = self.in_shape
        c_out, c_group, kh, kw = self.weight.shape
        oh, ow = self.out_spatial
        o, i, ky, kx, y, x = np.meshgrid(
            *(np.arange(n) for n in (c_out, c_group, kh, kw, oh, ow)), indexing="ij", sparse=True
        )
        iy = y * self.stride[0] + ky * self.dilation[0] - self.padding[0]
        ix = x * self.stride[1] + kx * self.dilation[1] - self.padding[2]
        channel = (o // (c_out // self.groups)) * c_group + i
        full = (c_out, c_group, kh, kw, oh, ow)
        inside = np.broadcast_to((iy >= 0) & (iy < h) & (ix >= 0) & (ix < w), full)
        source = np.broadcast_to((channel * h + iy) * w + ix, full)[inside]
        target = np.broadcast_to((o * oh + y) * ow + x, full)[inside]
        tap = np.broadcast_to(((o * c_group + i) * kh + ky) * kw + kx, full)[inside]
        return source.astype(np.int64), target.astype(np.int64), tap.astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Sum or average pooling; averages count the padding (as PyTorch's default does)."""

    kind: Literal["sum", "avg"]
    in_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)

    def as_conv(self) -> Conv:
        """Return the depthwise convolution that does the same."""
        c = self.in_shape[0]
        value = 1.0 if self.kind == "sum" else 1.0 / (self.kernel[0] * self.kernel[1])
        weight = np.full((c, 1, *self.kernel), value)
        py, px = self.padding
        return Conv(weight, self.in_shape, self.stride, (py, py, px, px), (1, 1), groups=c)

    @property
    def input_shape(self) -> Shape:
        return self.in_shape

    @property
    def output_shape(self) -> Shape:
        return self.as_conv().output_shape

    def apply(self, x: Floats) -> Floats:
        return self.as_conv().apply(x)

    def to_csr(self) -> csr_array:
        return self.as_conv().to_csr()


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Elementwise product; ``scale`` has the shape of the data."""

    scale: Floats

    @property
    def input_shape(self) -> Shape:
        return tuple(self.scale.shape)

    @property
    def output_shape(self) -> Shape:
        return tuple(self.scale.shape)

    def apply(self, x: Floats) -> Floats:
        return x * self.scale

    def to_csr(self) -> csr_array:
        from scipy.sparse import csr_array

        n = self.scale.size
        return csr_array((self.scale.ravel(), (np.arange(n), np.arange(n))), shape=(n, n))


@dataclass(frozen=True, slots=True, eq=False)
class Reshape:
    """Flatten and friends: the same elements in the same C order under another shape."""

    input_shape: Shape
    output_shape: Shape

    def apply(self, x: Floats) -> Floats:
        return x.reshape(x.shape[0], *self.output_shape)

    def to_csr(self) -> csr_array:
        from scipy.sparse import csr_array, eye_array

        return csr_array(eye_array(math.prod(self.input_shape)))


@dataclass(frozen=True, slots=True, eq=False)
class Delay:
    """y(t) = x(t - delay), elementwise; ``delay_s`` has the shape of the data, in seconds.

    ``to_csr`` and ``apply`` are the identity: the time shift is the simulator's work.
    """

    delay_s: Floats

    @property
    def input_shape(self) -> Shape:
        return tuple(self.delay_s.shape)

    @property
    def output_shape(self) -> Shape:
        return tuple(self.delay_s.shape)

    def apply(self, x: Floats) -> Floats:
        return x

    def to_csr(self) -> csr_array:
        return Reshape(self.input_shape, self.output_shape).to_csr()


def compose_csr(ops: Sequence[LinearOp], n_elements: int) -> csr_array:
    """Return the matrix (n_source, n_target) of a chain; an empty chain is the identity."""
    from scipy.sparse import csr_array, eye_array

    matrix = csr_array(eye_array(n_elements))
    for op in ops:
        matrix = csr_array(matrix @ op.to_csr())
    return matrix
