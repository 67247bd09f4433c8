"""The kernel's read-modify-write equals the WeightStore's to the last bit of a change."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from nmhw.sim.kernels.compiled import OPTIONS
from nmhw.sim.lava.worker.nmhw_lava.fixed_point import code_changes
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.kernels.arithmetic import rewrite
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import WeightFormat

N = 1_000_000  # a last bit decides one rounding in 65536


@njit(**OPTIONS)
def rewrite_all(store: Any, gradient: Any, a: Any) -> None:
    for w in range(gradient.size):
        rewrite(store, 0, w, gradient[w], 1, a)


@pytest.mark.parametrize("rounding", ["stochastic", "nearest"])
def test_integer_changes_are_the_same_to_the_last_bit(rounding: Any) -> None:
    rule, net = named("mpd-ed"), parse_sizes("1000-1000-2")
    weights = initial_weights(net, rule, 0)
    store = WeightFormat(rounding=rounding)
    engine = Engine(net, weights, rule, store, mode="integer", lr=0.013, seed=5)
    arithmetic: Any = engine.arithmetic()
    gradient = np.random.default_rng(1).integers(-(2**20), 2**20, N)
    rewrite_all(engine._store_arrays(), gradient, arithmetic)
    expected = WeightStore(weights, store, 5)
    expected.add_fixed(0, np.arange(N), code_changes(gradient, 1, arithmetic))
    assert (engine.store.flat_codes == expected.flat_codes).all()
    assert (engine.store.flat_values == expected.flat_values).all()
    assert engine.store.counts.tolist() == expected.counts.tolist()
    assert engine.store.registers.tolist() == expected.registers.tolist()


def test_float_changes_are_the_same() -> None:
    rule, net = named("mpd-ed"), parse_sizes("100-100-2")
    weights = initial_weights(net, rule, 0)
    engine = Engine(net, weights, rule, WeightFormat(), mode="float", lr=0.013, seed=5)
    gradient = np.random.default_rng(1).normal(0, 1, 10_000)
    rewrite_all(engine._store_arrays(), gradient, engine.arithmetic())
    expected = WeightStore(weights, WeightFormat(), 5)
    expected.add(0, np.arange(10_000), -0.013 * gradient)
    assert (engine.store.flat_codes == expected.flat_codes).all()
    assert engine.store.registers.tolist() == expected.registers.tolist()
