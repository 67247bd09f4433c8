"""What the store keeps, how it rounds, and that it counts every read, write and random word."""

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.lava.worker.nmhw_lava.shift_register import draw_words
from nmhw.sim.learning.lfsr import seeded_states
from nmhw.sim.learning.weight_store import WeightStore
from nmhw.values.learning import OPERATION_INDEX, WeightFormat


def make_store(seed: int = 0, **changes: Any) -> WeightStore:
    rng = np.random.default_rng(5)
    weights = [rng.normal(0, 0.5, (4, 3)), rng.normal(0, 0.5, (2, 1, 3, 3))]
    return WeightStore(weights, WeightFormat(**changes), seed)


def counted(store: WeightStore, layer: int, operation: str) -> int:
    return int(store.counts[layer, OPERATION_INDEX[operation]])


def test_initial_weights_are_the_nearest_codes_inside_the_range() -> None:
    store = WeightStore([np.array([0.0, 0.0059, 0.006, -9.0, 9.0])], WeightFormat())
    assert store.scale == 1.5 / 127
    assert store.codes(0).tolist() == [0, 0, 1, -127, 127]
    assert store.values(0).tolist() == [c * store.scale for c in (0, 0, 1, -127, 127)]


def test_stochastic_rounding_is_floor_of_code_plus_change_plus_word() -> None:
    store = make_store(seed=9)
    before = store.codes(0).ravel().astype(int)
    index, change = np.array([1, 4, 7]), np.array([30000, -70000, 5])
    words, after = draw_words(int(seeded_states(9, 2)[0]), 3)
    expected = before.copy()
    for i, d, r in zip(index, change, words.tolist(), strict=True):
        expected[i] += (int(d) + r) // 65536
    changed = store.add_fixed(0, index, change)
    assert store.codes(0).ravel().tolist() == expected.tolist()
    assert changed.tolist() == np.flatnonzero(expected != before).tolist()
    assert store.registers.tolist() == [after, int(seeded_states(9, 2)[1])]


def test_stochastic_rounding_keeps_the_mean_where_nearest_loses_it() -> None:
    change, n = 0.3, 20000
    store = WeightStore([np.zeros(n)], WeightFormat(), 1)
    store.add(0, np.arange(n), np.full(n, change * store.scale))
    assert abs(store.codes(0).mean() - change) < 0.02
    nearest = WeightStore([np.zeros(n)], WeightFormat(rounding="nearest"), 1)
    nearest.add(0, np.arange(n), np.full(n, change * nearest.scale))
    assert not nearest.codes(0).any()
    assert counted(nearest, 0, "random_word") == 0


def test_fixed_point_and_float_changes_are_the_same_where_both_can_say_them() -> None:
    one, other = make_store(3), make_store(3)
    index = np.arange(0, 12, 2)
    change = np.array([7, -90000, 65536, 0, 123456, -1])
    one.add_fixed(0, index, change)
    other.add(0, index, change / 65536 * other.scale)
    assert one.codes(0).tolist() == other.codes(0).tolist()


def test_codes_are_clipped_symmetrically() -> None:
    store = make_store(bits=4)
    store.add_fixed(1, np.arange(18), np.where(np.arange(18) % 2, 1, -1) * (100 << 16))
    assert set(store.codes(1).ravel().tolist()) == {-7, 7}


@pytest.mark.parametrize(("policy", "writes"), [("always", 4), ("if-changed", 2)])
def test_reads_writes_and_words_are_counted(policy: Any, writes: int) -> None:
    store = make_store(policy=policy, rounding="stochastic")
    store.add_fixed(0, np.arange(4), np.array([0, 1 << 16, 0, -(2 << 16)]))
    assert counted(store, 0, "weight_read") == 4
    assert counted(store, 0, "weight_write") == writes
    assert counted(store, 0, "random_word") == 4
    assert not store.counts[1].any()
    assert store.take_counts().sum() == 8 + writes
    assert not store.counts.any()


def test_without_a_grid_floats_are_added_and_no_word_is_drawn() -> None:
    store = make_store(bits=None)
    before = store.values(0)
    store.add(0, np.array([2]), np.array([1e-9]))
    assert store.values(0).ravel()[2] == before.ravel()[2] + 1e-9
    assert counted(store, 0, "random_word") == 0
    with pytest.raises(UsageError, match="no codes"):
        store.codes(0)
    with pytest.raises(UsageError, match="need a grid"):
        store.add_fixed(0, np.array([2]), np.array([1]))


def test_a_restored_store_continues_bit_for_bit() -> None:
    store, other = make_store(1), make_store(2)
    store.add(0, np.arange(12), np.full(12, 0.01))
    other.restore(store.state())
    for s in (store, other):
        s.add(0, np.arange(12), np.full(12, 0.01))
        s.add(1, np.arange(18), np.full(18, -0.01))
    assert store.flat_codes.tolist() == other.flat_codes.tolist()
    assert store.flat_values.tolist() == other.flat_values.tolist()
    assert store.registers.tolist() == other.registers.tolist()


def test_states_of_other_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="codes"):
        make_store().restore(make_store(bits=None).state())


@pytest.mark.parametrize("index", [[1, 1], [-1, 0], [11, 12]])
def test_positions_given_twice_or_outside_are_refused(index: list[int]) -> None:
    with pytest.raises(UsageError, match="none twice"):
        make_store().add(0, np.array(index), np.zeros(2))


@pytest.mark.parametrize(
    "changes",
    [{"bits": 1}, {"bits": 17}, {"max_abs": 0.0}, {"rounding": "up"}, {"policy": "never"},
     {"accumulate": "batch"}, {"skip_confidence": 1.5}, {"skip_error": -0.1}],
)  # fmt: skip
def test_formats_that_make_no_sense_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_store(**changes)
