"""Synapses by source, read event by event."""

from __future__ import annotations

from typing import Any

import numpy as np


class EventRows:
    """CSR rows of synapses, with rows of pooled elements in front of them if there are pools.

    Parameters
    ----------
    arrays : mapping
        ``weights``, ``indices``, ``indptr``; with pools also ``pool_indices``, ``pool_indptr``.
    shift : int
        Of the sum of one step: left if >= 0, else right (floor).
    """

    def __init__(self, arrays: Any, shift: int) -> None:
        self.weights = arrays["weights"].astype(np.int64)
        self.indices, self.indptr = arrays["indices"], arrays["indptr"]
        self.pools = None
        if "pool_indptr" in arrays:
            self.pools = (arrays["pool_indices"], arrays["pool_indptr"])
        self.shift = shift

    def deliver(self, counts: Any, n_target: int) -> tuple[Any, int]:
        """Return the shifted sum (n_target,) int64 of all events and the synapses they read.

        Parameters
        ----------
        counts : (n_source,) events per source, or None for none
        """
        summed, n_read = np.zeros(n_target, np.int64), 0
        if counts is not None and counts.any():
            for source, count in self._pooled(counts):
                row = slice(self.indptr[source], self.indptr[source + 1])
                np.add.at(summed, self.indices[row], count * self.weights[row])
                n_read += count * (row.stop - row.start)
        if self.shift >= 0:
            return summed << self.shift, int(n_read)
        return summed >> -self.shift, int(n_read)

    def _pooled(self, counts: Any) -> Any:
        """Return (element, events) pairs behind the pools."""
        (sources,) = np.nonzero(counts)
        if self.pools is None:
            return zip(sources.tolist(), counts[sources].tolist(), strict=True)
        indices, indptr = self.pools
        found: dict[int, int] = {}
        for source in sources.tolist():
            for element in indices[indptr[source] : indptr[source + 1]].tolist():
                found[element] = found.get(element, 0) + int(counts[source])
        return found.items()
