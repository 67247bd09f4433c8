"""Named sets of unit prices for learning operations: parameters with sources, not measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Unit actions that carry a price, in pJ.
UNITS = (
    "add",
    "mac",  # one multiplication and one addition
    "weight_read",
    "weight_write",
    "state_word",  # a neuron-state, log or history word read or written
    "table_read",  # a small table: decay powers, exponentials
    "division",
    "random_word",  # of a linear-feedback shift register
    "bit_hop",  # one bit over one router-to-router link
)


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """Picojoules, with the range a reader may assume and where the value comes from."""

    value: float
    low: float
    high: float
    source: str


@dataclass(frozen=True, slots=True)
class CostSet:
    """One set of unit prices.

    Attributes
    ----------
    name, title : str
    source : str
        The published table behind it.
    prices : mapping of unit to UnitPrice, complete over ``UNITS``
    """

    name: str
    title: str
    source: str
    prices: Mapping[str, UnitPrice]

    def price_vectors(self) -> tuple[NDArray[np.float64], ...]:
        """Return (values, lows, highs), each (len(UNITS),), in pJ."""
        columns = [(p.value, p.low, p.high) for p in (self.prices[unit] for unit in UNITS)]
        return tuple(np.array(columns, np.float64).T)


_HOROWITZ = "M. Horowitz, Computing's energy problem, ISSCC 2014, doi:10.1109/ISSCC.2014.6757323"
_SHARED = {
    "random_word": UnitPrice(0.02, 0.0, 0.1, "assumed: a few flip-flops toggle per bit"),
    "bit_hop": UnitPrice(0.1, 0.02, 0.5, "assumed: about 3 pJ per hop of a 32-bit packet (Loihi)"),
}


def _arithmetic_set(
    name: str, title: str, add: UnitPrice, mac: UnitPrice, word: tuple[float, float, float]
) -> CostSet:
    """Build a 45 nm set: every memory word costs the same, tables a quarter, divisions 4 MACs."""
    note = "SRAM of 8 kB (value), half of it (low), of 32 kB (high)"
    memory = UnitPrice(*word, note)
    quarter = UnitPrice(word[0] / 4, 0.0, word[0], "assumed: a table of at most 1 kB")
    division = UnitPrice(
        4 * mac.value, mac.value, 16 * mac.value, "assumed: table and one Newton step"
    )
    prices = {"add": add, "mac": mac, "table_read": quarter, "division": division, **_SHARED}
    for unit in ("weight_read", "weight_write", "state_word"):
        prices[unit] = memory
    return CostSet(name, title, _HOROWITZ, prices)


COST_SETS: Mapping[str, CostSet] = {
    "horowitz-32bit": _arithmetic_set(
        "horowitz-32bit",
        "45 nm, 32-bit floating point, 8 kB SRAM",
        UnitPrice(0.9, 0.1, 0.9, "fp32 add 0.9 pJ; int32 add 0.1 pJ (low)"),
        UnitPrice(4.6, 3.2, 4.6, "fp32 multiply 3.7 + add 0.9 pJ; int32 3.1 + 0.1 pJ (low)"),
        (5.0, 2.5, 10.0),
    ),
    "horowitz-8bit": _arithmetic_set(
        "horowitz-8bit",
        "45 nm, 8-bit integers, 8 kB SRAM read byte by byte",
        UnitPrice(0.03, 0.03, 0.1, "int8 add 0.03 pJ; int32 accumulator 0.1 pJ (high)"),
        UnitPrice(0.23, 0.23, 0.3, "int8 multiply 0.2 + add 0.03 pJ; int32 accumulator (high)"),
        (1.25, 0.6, 2.5),
    ),
    "sop-1.5pj": CostSet(
        "sop-1.5pj",
        "1.5 pJ per synaptic operation, of which 1.2 pJ is memory (assumed split)",
        "peak efficiency in the title of ANP-I: A 28-nm 1.5-pJ/SOP Asynchronous Spiking Neural "
        "Network Processor, IEEE JSSC 2024; how it splits into memory and arithmetic is assumed",
        {
            "add": UnitPrice(0.3, 0.1, 0.6, "assumed: a fifth of a synaptic operation"),
            "mac": UnitPrice(0.5, 0.2, 1.0, "assumed"),
            "weight_read": UnitPrice(1.2, 0.9, 1.4, "assumed: four fifths of an operation"),
            "weight_write": UnitPrice(1.2, 0.9, 2.4, "assumed: as a read (high: twice)"),
            "state_word": UnitPrice(1.2, 0.6, 2.4, "assumed: as a weight"),
            "table_read": UnitPrice(0.3, 0.0, 1.2, "assumed: a quarter of a weight"),
            "division": UnitPrice(2.0, 0.5, 8.0, "assumed: four multiply-accumulates"),
            **_SHARED,
        },
    ),
}
