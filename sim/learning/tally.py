"""Tally: operations counted one by one as a walk makes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.learning.layer import LearningNetwork
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS, OperationCounts


class Tally:
    """Counters per layer, and the stored weights that were touched.

    Parameters
    ----------
    net : LearningNetwork
    accumulate : "sample" | "stream"
        Whether a weight that several contributions touch is read and written once, or each time.
    """

    def __init__(self, net: LearningNetwork, accumulate: str = "sample") -> None:
        self._net = net
        self._accumulate = accumulate
        self._values = np.zeros((len(net.layers), len(OPERATIONS)), dtype=np.int64)
        self._touched: list[set[int]] = [set() for _ in net.layers]
        self._n_contributions = [0] * len(net.layers)

    def add(self, layer: int, operation: str, n: int = 1) -> None:
        """Count ``n`` operations."""
        self._values[layer, OPERATION_INDEX[operation]] += n

    def touch(self, layer: int, weights: NDArray[np.int64]) -> None:
        """Note contributions to stored weights, by flat index."""
        self._n_contributions[layer] += weights.size
        self._touched[layer].update(weights.tolist())

    def counts(self) -> OperationCounts:
        """Return the counts of one sample."""
        values = self._values.copy()
        for k, touched in enumerate(self._touched):
            n = len(touched) if self._accumulate == "sample" else self._n_contributions[k]
            values[k, OPERATION_INDEX["weight_read"]] = n
            values[k, OPERATION_INDEX["weight_write"]] = n
        return OperationCounts(self._net.names, values, 1)
