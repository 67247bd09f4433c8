"""The linear part of the float run: one projection applied to many (step, sample) rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.float_product import SparseProduct
from nmhw.values.linear import Conv, Delay, Dense, LinearOp, Reshape, Scale, compose_csr
from nmhw.values.network import Projection

Floats = NDArray[np.float64]

# Above this many synapses a chain is applied operation by operation and never expanded.
_MAX_EXPANDED = 30_000_000

# Rows of which at most one part in so many is not 0 are multiplied as spikes: to the same bits,
# because every target's sum has the order of the sources in both.
_SPARSE = 4


class LinearMap:
    """y = M x for rows x, with M kept in whichever form is cheapest.

    Spikes come as scipy CSR rows and cost one addition per synapse they reach; dense rows cost a
    matrix product. float32 weights times spike counts are summed exactly in float64 (24 bits of
    weight leave 29 for carries), so neither the form nor the batch size changes a spike.
    """

    def __init__(self, projection: Projection, n_source: int, n_target: int) -> None:
        chain = [op for op in projection.ops if not isinstance(op, Delay | Reshape)]
        self._ops = projection.ops
        self._n_target = n_target
        self._matrix: Any = None
        self._dense: Floats | None = None
        self.is_identity = not chain
        if self.is_identity:
            return
        dense = [op for op in chain if isinstance(op, Dense)]
        if len(dense) == 1 and len(chain) == 1:
            self._dense = np.ascontiguousarray(dense[0].weight.T)
        elif not dense and _expanded_size(chain) <= _MAX_EXPANDED:
            self._matrix = compose_csr(projection.ops, n_source)
            self._transposed = self._matrix.T.tocsr()
            shape = chain[-1].output_shape if isinstance(chain[-1], Conv) else ()
            self._product = SparseProduct(self._matrix, shape)

    def of_rows(self, rows: Floats) -> Floats:
        """Apply to (n_rows, n_source) dense values."""
        if self.is_identity:
            return rows
        if self._dense is not None:
            return rows @ self._dense
        if self._matrix is not None:
            return np.asarray((self._transposed @ rows.T).T)
        x = rows.reshape(rows.shape[0], *self._ops[0].input_shape)
        for op in self._ops:
            x = op.apply(x)
        return x.reshape(rows.shape[0], self._n_target)

    def of_sent(self, rows: Floats) -> Floats:
        """Apply to dense values most of which may be 0, as those of spiking neurons are."""
        if self._matrix is None or rows.size < _SPARSE * np.count_nonzero(rows):
            return self.of_rows(rows)
        from scipy.sparse import csr_array

        return self._product.of_events(csr_array(rows))

    def of_events(self, events: Any) -> Floats:
        """Apply to spikes, a CSR array (n_rows, n_source)."""
        if self._dense is not None:
            return np.asarray(events @ self._dense)
        if self._matrix is not None:
            return self._product.of_events(events)
        return self.of_rows(events.toarray())


def _expanded_size(chain: Sequence[LinearOp]) -> int:
    """Upper bound of the synapses of a chain of local operations."""
    size = 0
    reach = 1
    for op in chain:
        if isinstance(op, Scale):
            continue
        if isinstance(op, Conv):
            fan_in = int(np.prod(op.weight.shape[1:]))
        elif hasattr(op, "as_conv"):
            fan_in = int(np.prod(op.as_conv().weight.shape[1:]))
        else:
            fan_in = max(1, op.to_csr().nnz // max(1, int(np.prod(op.output_shape))))
        reach *= fan_in
        size = max(size, reach * int(np.prod(op.output_shape)))
    return size
