"""Seeded linear feedback shift registers: the random words of stochastic rounding.

One register of 32 bits per layer, in Galois form with the feedback polynomial
``x^32 + x^22 + x^2 + x + 1`` (primitive: every state but 0 is met once in 2^32 - 1 steps). One
step: ``s -> (s >> 1) ^ (s & 1) * 0x80200003``. A word is the lower half of the register after 16
steps more; 16 and 2^32 - 1 have no common factor, so that words, too, repeat only after 2^32 - 1.
nmhw's weight store and the learning processes of Lava both use this file: it imports NumPy alone.

Sources
-------
Polynomial: P. Alfke, "Efficient Shift Registers, LFSR Counters, and Long Pseudo-Random Sequence
Generators", Xilinx XAPP052, 1996 (taps 32, 22, 2, 1).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

FEEDBACK = 0x80200003
STEPS_PER_WORD = 16
WORD_BITS = 16


def step(state: int) -> int:
    """Return the register one step later: the definition."""
    return (state >> 1) ^ (FEEDBACK if state & 1 else 0)


@cache
def byte_table() -> Words:
    """Return (256,): eight steps are ``s -> (s >> 8) ^ byte_table()[s & 255]``."""
    table = np.zeros(256, np.uint32)
    for low in range(256):
        state = low
        for _ in range(8):
            state = step(state)
        table[low] = state
    return table


def draw_words(state: int, n: int) -> tuple[Words, int]:
    """Return the next ``n`` words of a register and its state behind them.

    The states are made by doubling: those from m to 2 m are the first m, each 16 m steps later. A
    jump is linear over the bits, so four tables of 256 entries make it for all of them at once.
    """
    states = np.empty(n + 1, np.uint32)
    states[0] = state
    known, jump = 1, 0
    while known <= n:
        more = min(known, n + 1 - known)
        states[known : known + more] = _apply(_jump_tables(jump), states[:more])
        known += more
        jump += 1
    return states[1:] & np.uint32(2**WORD_BITS - 1), int(states[n])


def _apply(tables: Words, states: Words) -> Words:
    out = tables[0][states & np.uint32(255)]
    for byte in range(1, 4):
        out = out ^ tables[byte][(states >> np.uint32(8 * byte)) & np.uint32(255)]
    return out


@cache
def _jump_tables(power: int) -> Words:
    """Return (4, 256): what each value of each byte becomes 16 * 2**power steps later."""
    columns = np.array([1 << bit for bit in range(32)], np.uint32)
    if power == 0:
        for _ in range(STEPS_PER_WORD):
            columns = np.array([step(int(column)) for column in columns], np.uint32)
    else:
        half = _jump_tables(power - 1)
        columns = _apply(half, _apply(half, columns))
    tables = np.zeros((4, 256), np.uint32)
    for bit, column in enumerate(columns):
        byte, place = divmod(bit, 8)
        has_bit = (np.arange(256) >> place & 1).astype(bool)
        tables[byte][has_bit] ^= column
    return tables
