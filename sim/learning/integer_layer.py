"""One layer of the integer specification: codes as a matrix, and what a sample does to them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.lava.worker.nmhw_lava.fixed_point import code_changes
from nmhw.sim.learning.kernels.layout import IntegerArithmetic
from nmhw.sim.learning.layer import LearningLayer
from nmhw.sim.learning.synapses import Pooling, Synapses
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class IntegerLayer:
    """Synapses in codes, gradients that wait for the update, and counts.

    Parameters
    ----------
    layer : LearningLayer
    position : int
        In the network.
    store : WeightStore
    is_frozen, is_stream : bool
        No gradients at all; every contribution changes its weight at once.
    """

    def __init__(
        self,
        layer: LearningLayer,
        position: int,
        store: WeightStore,
        is_frozen: bool,
        is_stream: bool,
    ) -> None:
        self.layer, self.position, self.store = layer, position, store
        self.is_frozen, self.is_stream = is_frozen, is_stream
        synapses, self.pooling = Synapses(layer), Pooling(layer)
        self.source, self.target, self.tap = synapses.indices
        self.exists = synapses.exists.astype(np.int64)
        self.cover = self.pooling.cover.toarray().astype(np.int64)
        self.gradient = np.zeros(layer.n_weights, np.int64)
        self.touched = np.zeros(layer.n_weights, bool)
        self.counts = np.zeros(len(OPERATIONS), np.int64)

    def count(self, operation: str, n: int | np.int64) -> None:
        """Add to a counter."""
        self.counts[OPERATION_INDEX[operation]] += int(n)

    def matrix(self) -> Ints:
        """Return the codes as (n_in, n_out), 0 where there is no synapse."""
        matrix = np.zeros((self.layer.n_in, self.layer.n_out), np.int64)
        codes = self.store.codes(self.position).ravel().astype(np.int64)
        matrix[self.source, self.target] = codes[self.tap]
        return matrix

    def fan_out(self, live: Bools) -> Ints:
        """Return how many live targets each (pooled) source has."""
        return self.exists @ live.astype(np.int64)

    def learn(self, values: Ints, errors: Ints, live: Bools, a: IntegerArithmetic) -> None:
        """Take in the contributions value_i * error_ij of (pooled) sources with a value.

        In order of source, then target. ``errors`` and ``live`` are (n_out,) or (n_in, n_out).
        """
        if self.is_frozen:
            return
        shape = self.exists.shape
        errors, live = np.broadcast_to(errors, shape), np.broadcast_to(live, shape)
        order = np.lexsort((self.target, self.source))
        for i in np.flatnonzero(values):
            row = order[self.source[order] == i]
            row = row[live[i, self.target[row]]]
            tap, part = self.tap[row], values[i] * errors[i, self.target[row]]
            if self.is_stream:
                self.store.add_fixed(self.position, tap, code_changes(part, 1, a))
            else:
                self.gradient[tap] += part
                self.touched[tap] = True

    def update(self, n: int, a: IntegerArithmetic) -> None:
        """Rewrite touched weights, in order of position, from gradients of ``n`` samples."""
        if self.is_frozen:
            return
        at = np.flatnonzero(self.touched)
        self.store.add_fixed(self.position, at, code_changes(self.gradient[at], n, a))
        self.gradient[:] = 0
        self.touched[:] = False
