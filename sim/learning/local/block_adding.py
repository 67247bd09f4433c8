"""Blocks through a WeightStore by a compiled loop: the codes and words of its ``add``."""

from __future__ import annotations

import numpy as np

from nmhw.sim.lava.worker.nmhw_lava.shift_register import byte_table
from nmhw.sim.learning.local.kernels_block import add_block as add_compiled
from nmhw.sim.learning.local.rule import Floats, Ints
from nmhw.sim.learning.weight_store import WeightStore


def add_block(store: WeightStore, layer: int, rows: Ints, cols: Ints, dw: Floats) -> None:
    """Add ``dw`` to ``weights[rows][:, cols]`` of a store with a grid; rows and cols ascend."""
    is_stochastic = store.format.rounding == "stochastic"
    state = store.registers[layer] if is_stochastic else np.uint32(0)
    state, n_changed = add_compiled(
        store.flat_codes, store.flat_values, store.starts[layer], store.shapes[layer][1],
        rows, cols, np.ascontiguousarray(dw), store.scale, store.max_code, state, byte_table(),
    )  # fmt: skip
    if is_stochastic:
        store.registers[layer] = state
    store.tally[layer] += (rows.size * cols.size, n_changed)
