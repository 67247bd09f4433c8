"""How large the sums of one step can become: Lava's stock processes add in 32 bits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection

Ints = NDArray[np.int64]


def largest_sum(projection: QuantizedProjection, n_source: int, n_target: int) -> int:
    """Return max over the targets of the sum of |weight| behind the pools, before the shift."""
    stored = abs(stored_synapses(projection, n_target))
    if projection.pools:
        stored = pooled_map(projection, n_source).astype(np.int64) @ stored
    sums = np.asarray(stored.sum(axis=0)).ravel()
    return int(sums.max(initial=0))


def shifted_sums(quantized: QuantizedNetwork, most: Mapping[str, int]) -> dict[str, int]:
    """Return the largest shifted |sum| that every projection can deliver in one step.

    Parameters
    ----------
    most : mapping of input or population to int
        Most events of one element in one step.
    """
    sizes = quantized.sizes()
    sums = {}
    for q in quantized.projections:
        bound = largest_sum(q, sizes[q.source], sizes[q.target]) * most[q.source]
        sums[q.name] = bound << q.shift if q.shift >= 0 else (bound >> -q.shift) + 1
    return sums
