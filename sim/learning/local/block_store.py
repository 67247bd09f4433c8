"""BlockStore: the weights of a dense layer, changed block by block, with its own counters."""

from __future__ import annotations

import numpy as np

from nmhw.sim.learning.local.rule import Floats, Ints
from nmhw.values.learning import WeightFormat
from nmhw.values.rng import stream


class BlockStore:
    """Weights as codes on the format's grid, or as floats.

    Attributes
    ----------
    weights : (n_in, n_out) float64
        As stored; not to be changed.
    scale : float
        Weight of one code; 1.0 for floats.
    """

    def __init__(self, weights: Floats, weight_format: WeightFormat, seed: int, name: str) -> None:
        self.format = weight_format
        self.weights = np.array(weights, np.float64)
        self.scale, self._largest = 1.0, 0
        self._rng = stream(seed, "learning.rounding", name)
        self._n_read = self._n_written = self._n_random = 0
        if weight_format.bits is not None:
            self._largest = int(2 ** (weight_format.bits - 1) - 1)
            self.scale = weight_format.max_abs / self._largest
            self._codes = self._clip(np.rint(self.weights / self.scale))
            self.weights[:] = self._codes * self.scale

    def counts(self) -> dict[str, int]:
        """Return reads, writes and random words so far."""
        return {
            "weight_read": self._n_read,
            "weight_write": self._n_written,
            "random_word": self._n_random,
        }

    def apply(self, rows: Ints, cols: Ints, dw: Floats) -> None:
        """Read, change and write back the block rows x cols."""
        block = np.ix_(rows, cols)
        before = self.weights[block]
        if self.format.bits is None:
            after = before + dw
        else:
            codes = self._codes[block] + self._rounded(dw / self.scale)
            self._codes[block] = self._clip(codes)
            after = self._codes[block] * self.scale
        self._n_read += before.size
        is_always = self.format.policy == "always"
        self._n_written += before.size if is_always else int(np.count_nonzero(after != before))
        self.weights[block] = after

    def _rounded(self, steps: Floats) -> Floats:
        if self.format.rounding == "nearest":
            return np.rint(steps)
        self._n_random += steps.size
        return np.floor(steps + self._rng.random(steps.shape))

    def _clip(self, codes: Floats) -> Floats:
        return np.clip(codes, -self._largest, self._largest)
