"""EVT 2.0 and EVT 3.0, the words of Prophesee's ``.raw`` files, decoded without a loop over events.

EVT 2.0 (32 bits): type in bits 28-31; 0 / 1 OFF / ON event: bits 22-27 the low 6 bits of its time,
11-21 x, 0-10 y; 8 the upper 28 bits of the time.
EVT 3.0 (16 bits): type in bits 12-15; 0 y of the events that follow, 2 one event: x and, in bit 11,
polarity; 3 base x and polarity of 12 (type 4) or 8 (type 5) neighbors given as a mask, after which
the base moves on by as many; 6 / 8 low / high 12 bits of the time in microseconds.
Triggers, continuations and vendor words are skipped and counted, and so are events before the first
high part of a time, or before a y.
https://docs.prophesee.ai/stable/data/encoding_formats
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.io.recordings.recording import EventChunk, event_chunk

Ints = NDArray[np.int64]

_Y, _X, _BASE, _MASK12, _MASK8, _LOW, _HIGH = 0, 2, 3, 4, 5, 6, 8
_OTHERS = (0x7, 0xA, 0xE, 0xF)
_HIGH_BITS_2 = 28
_HIGH_BITS_3 = 12


def decode_evt2(blocks: Iterator[NDArray[Any]]) -> Iterator[EventChunk]:
    """Yield the events of 32-bit words."""
    high, turns = -1, 0
    for block in blocks:
        words = block.astype(np.int64)
        kind = words >> 28
        highs, turns = _unwrapped(words, kind == 8, high, turns, _HIGH_BITS_2)
        high = int(highs[-1])
        is_event = kind <= 1
        known = is_event & (highs >= 0)
        w = words[known]
        skipped = int((~known & (kind != 8)).sum())
        t = highs[known] << 6 | w >> 22 & 0x3F
        yield event_chunk(t, w >> 11 & 0x7FF, w & 0x7FF, kind[known], skipped, words.size)


def decode_evt3(blocks: Iterator[NDArray[Any]]) -> Iterator[EventChunk]:
    """Yield the events of 16-bit words."""
    high, turns, low, y, base, base_p = -1, 0, 0, -1, 0, 0
    for block in blocks:
        words = block.astype(np.int64)
        kind, value = words >> 12, words & 0xFFF
        highs, turns = _unwrapped(words, kind == _HIGH, high, turns, _HIGH_BITS_3)
        # a new high part comes with a low part of 0, until the next word tells it
        fresh = np.diff(highs, prepend=high) != 0
        lows = _held(np.where(fresh, 0, value), fresh | (kind == _LOW), low)
        ys = _held(value & 0x7FF, kind == _Y, y)
        bases, polarities = _bases(kind, value, base, base_p)
        is_x = kind == _X
        mask = np.where(is_x, 1, value & np.where(kind == _MASK8, 0xFF, 0xFFF))
        start = np.where(is_x, value & 0x7FF, bases)
        p = np.where(is_x, value >> 11, polarities)
        carries = is_x | (kind == _MASK12) | (kind == _MASK8)
        known = carries & (highs >= 0) & (ys >= 0)
        row, bit = np.nonzero(mask[known, None] >> np.arange(12) & 1)
        lost = mask[carries & ~known, None] >> np.arange(12) & 1
        skipped = int(lost.sum()) + int(np.isin(kind, _OTHERS).sum())
        t = (highs << 12 | lows)[known][row]
        x = start[known][row] + bit
        yield event_chunk(t, x, ys[known][row], p[known][row], skipped, words.size)
        high, low, y = int(highs[-1]), int(lows[-1]), int(ys[-1])
        base, base_p = int(bases[-1]) + _moved(kind[-1:])[0], int(polarities[-1])


#: Header text -> (decoder, dtype of its words).
EVT_FORMATS: dict[str, tuple[Callable[..., Iterator[EventChunk]], np.dtype[Any]]] = {
    "evt 2.0": (decode_evt2, np.dtype("<u4")),
    "evt 3.0": (decode_evt3, np.dtype("<u2")),
}


def _held(values: Ints, is_new: NDArray[np.bool_], before: int) -> Ints:
    """Return at every word the latest new value up to it, ``before`` without any."""
    at = np.maximum.accumulate(np.where(is_new, np.arange(values.size), -1))
    return np.where(at >= 0, values[np.maximum(at, 0)], before)


def _unwrapped(
    words: Ints, is_high: NDArray[np.bool_], before: int, turns: int, bits: int
) -> tuple[Ints, int]:
    """Return the latest upper part of the time at every word, turns of its counter included."""
    raw = words[is_high] & ((1 << bits) - 1)
    last = before & ((1 << bits) - 1) if before >= 0 else 0
    # a fall by half the range is the counter's; a smaller one is left for the check of the order
    falls = np.diff(raw, prepend=last) < -(1 << (bits - 1))
    count = turns + np.cumsum(falls)
    values = np.zeros(words.size, np.int64)
    values[is_high] = raw + (count << bits)
    return _held(values, is_high, before), int(count[-1]) if count.size else turns


def _moved(kind: Ints) -> Ints:
    return np.where(kind == _MASK12, 12, np.where(kind == _MASK8, 8, 0))


def _bases(kind: Ints, value: Ints, base: int, base_p: int) -> tuple[Ints, Ints]:
    """Return base x and polarity at every word; each mask moves the base for those behind it."""
    is_base = kind == _BASE
    moves = _moved(kind)
    moved = np.cumsum(moves) - moves
    origin = _held(np.where(is_base, (value & 0x7FF) - moved, 0), is_base, base)
    return origin + moved, _held(value >> 11, is_base, base_p)
