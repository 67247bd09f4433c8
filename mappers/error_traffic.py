"""Error packets on a chip's network: who sends how many words, over how many hops, how wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.route import count_crossings, count_hops, tile_positions
from nmhw.values.chip import ChipSpec
from nmhw.values.mapping import Mapping

#: Width of the error value in a packet, beside address and time.
VALUE_BITS = 16


@dataclass(frozen=True, slots=True)
class ErrorTraffic:
    """What error packets of some samples cost the network.

    Attributes
    ----------
    packets, hops, bit_hops : int
        A packet within a core has no hops; one that changes the chip counts each crossing as a hop.
    packet_bits : tuple of int
        Width per layer, nearest to the input first.
    """

    packets: int
    hops: int
    bit_hops: int
    packet_bits: tuple[int, ...]


def count_error_traffic(
    mapping: Mapping,
    chip: ChipSpec,
    populations: Sequence[str],
    error_packets: Sequence[NDArray[np.int64]],
    n_steps: int,
) -> ErrorTraffic:
    """Route every error word from the cores that hold a layer's weights to its sources.

    The weights of a layer lie with its targets. The sum of w_ij e_j over the targets j of one core
    is formed there, so every core of the layer sends its part of each packet that neuron i is told
    to the core of neuron i: address, time and value wide.

    Parameters
    ----------
    populations : (n_layers,) names in the mapping, nearest to the input first, the head last
    error_packets : (n_layers,) arrays (n_neurons,)
        Packets that each neuron of each population is told (those of the head are not sent on).
    n_steps : int
        Steps or ticks that a packet's time distinguishes.
    """
    packets = hops = bit_hops = 0
    widths = []
    for layer in range(len(populations) - 1):
        events = np.asarray(error_packets[layer], np.int64)
        cores = [s.neurons for s in mapping.slices if s.population == populations[layer]]
        n = max([events.size, *(int(part.max()) + 1 for part in cores if part.size)])
        homes = mapping.core_of(populations[layer], n)[: events.size]  # behind them: added neurons
        senders = sorted({s.core for s in mapping.slices if s.population == populations[layer + 1]})
        width = VALUE_BITS + _bits(events.size) + _bits(n_steps)
        widths.append(width)
        for core in np.unique(homes):
            n_events = int(events[homes == core].sum())
            far = _distances(chip, senders, int(core))
            packets += n_events * len(senders)
            hops += n_events * far
            bit_hops += n_events * far * width
    return ErrorTraffic(packets, hops, bit_hops, tuple(widths))


def _bits(n_values: int) -> int:
    return max(1, int(n_values - 1).bit_length())


def _distances(chip: ChipSpec, senders: Sequence[int], home: int) -> int:
    """Return the sum of router-to-router steps and border crossings from the senders."""
    start = tile_positions(chip, np.asarray(senders, np.int64))
    end = tile_positions(chip, np.array([home]))
    return int((count_hops(start, end) + count_crossings(chip, start, end)).sum())
