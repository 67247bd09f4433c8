"""Kernels that count and list: the same as plain NumPy, for any flags, cores and classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from nmhw.sim.kernels.count import add_products, count_classes
from nmhw.sim.kernels.neurons import SCAN_SLACK, scan_flags


@njit
def scan(flags: Any, base: int, size: int, out: Any, at: int) -> int:
    return scan_flags(flags, base, size, out, at)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 200), st.integers(0, 3), st.floats(0, 1))
def test_spikes_are_listed_in_order(seed: int, size: int, before: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    base, padded = 64 * before, -(-size // 64) * 64
    flags = np.zeros(base + padded, np.uint8)
    flags[base : base + size] = rng.random(size) < rate
    out = np.zeros(5 + size + SCAN_SLACK, np.uint32)
    n = scan(flags, base, size, out, 5)
    assert out[5 : 5 + n].tolist() == np.flatnonzero(flags[base : base + size]).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 70), st.integers(1, 20))
def test_classes_times_their_rows(seed: int, n_rows: int, n_classes: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    steps, first = 4, int(rng.integers(0, 5))
    n_events = int(rng.integers(0, 100))
    row = np.sort(rng.integers(first, first + n_rows, n_events))
    sample, step = (a.astype(np.int32) for a in np.divmod(row, steps))
    index = rng.integers(0, 30, n_events).astype(np.int32)
    classes = rng.integers(0, n_classes, 30)
    seen = np.zeros((n_rows, n_classes), np.int32)
    count_classes(sample, step, index, steps, first, classes, seen)
    wanted = np.zeros_like(seen)
    np.add.at(wanted, (row - first, classes[index]), 1)
    np.testing.assert_array_equal(seen, wanted)

    weights = rng.integers(-5, 500, (width, n_classes)).astype(np.int32)
    column = int(rng.integers(0, 3))
    out = rng.integers(0, 9, (first + n_rows, column + width + 1)).astype(np.int32)
    after = out.copy()
    after[first:, column : column + width] += seen @ weights.T
    add_products(seen, weights, out, first, column)
    np.testing.assert_array_equal(out, after)
