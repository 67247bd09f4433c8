"""Seeded states of the shift registers whose words round weights stochastically."""

from __future__ import annotations

import numpy as np

from nmhw.sim.lava.worker.nmhw_lava.shift_register import Words
from nmhw.values.rng import stream


def seeded_states(seed: int, n_layers: int) -> Words:
    """Return the first state of every layer's register, never 0."""
    draws = [stream(seed, "learning.lfsr", k).integers(1, 2**32) for k in range(n_layers)]
    return np.array(draws, np.uint32)
