"""The register has the longest period, and both ways to draw words agree with its definition."""

import numpy as np
import pytest

from nmhw.sim.lava.worker.nmhw_lava import shift_register
from nmhw.sim.learning.lfsr import seeded_states


def power(state_map: list[int], exponent: int) -> list[int]:
    """Return a linear map over 32 bits (image of every bit) applied ``exponent`` times."""

    def apply(columns: list[int], x: int) -> int:
        out = 0
        for bit in range(32):
            out ^= columns[bit] if x >> bit & 1 else 0
        return out

    result = [1 << bit for bit in range(32)]
    while exponent:
        if exponent & 1:
            result = [apply(state_map, x) for x in result]
        state_map = [apply(state_map, x) for x in state_map]
        exponent >>= 1
    return result


def test_every_state_but_zero_is_met_once() -> None:
    one_step = [shift_register.step(1 << bit) for bit in range(32)]
    identity = [1 << bit for bit in range(32)]
    period = 2**32 - 1
    assert power(one_step, period) == identity
    for prime in (3, 5, 17, 257, 65537):
        assert period % prime == 0
        assert power(one_step, period // prime) != identity


@pytest.mark.parametrize("n", [0, 1, 2, 3, 64, 1000])
def test_words_are_sixteen_steps_apart(n: int) -> None:
    state = 0xDEADBEEF
    words, after = shift_register.draw_words(state, n)
    expected = []
    for _ in range(n):
        for _ in range(16):
            state = shift_register.step(state)
        expected.append(state & 0xFFFF)
    assert words.tolist() == expected
    assert after == state


def test_the_byte_table_makes_eight_steps() -> None:
    table = shift_register.byte_table()
    state = expected = 0x12345678
    for _ in range(50):
        for _ in range(8):
            expected = shift_register.step(expected)
        state = (state >> 8) ^ int(table[state & 255])
        assert state == expected


def test_words_are_uniform_and_not_correlated() -> None:
    words, _ = shift_register.draw_words(1, 100_000)
    x = words[100:] / 2**16
    assert abs(x.mean() - 0.5) < 0.005
    assert abs(x.var() - 1 / 12) < 0.002
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.01


def test_layers_and_seeds_have_registers_of_their_own() -> None:
    states = seeded_states(3, 5)
    assert len(set(states.tolist())) == 5
    assert (states != 0).all()
    assert states.tolist() == seeded_states(3, 5).tolist()
    assert states.tolist() != seeded_states(4, 5).tolist()
