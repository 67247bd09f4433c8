"""Words of convolution cores: kernel, neuron and bias memories counted in words, not bits.

Where a chip lists a resource in its rule ``power-of-two-memory``, the address is a concatenation of
bit fields and every field is padded to whole bits (Speck data sheet; sinabs.backend.dynapcnn):
K = c 2^(ceil log2(kx ky) + ceil log2 f), N = f 2^(ceil log2 fx + ceil log2 fy).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.grid import map_shape
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec
from nmhw.values.quantized import QuantizedProjection

WORDS = ("kernel_words", "neuron_words", "bias_words")


def counts_words(chip: ChipSpec) -> bool:
    """Whether any budget of ``chip`` is in words."""
    return any(w in g.budget or w in g.soft_budget for g in chip.cores for w in WORDS)


def count_words(
    wiring: Wiring, chip: ChipSpec, members: Mapping[str, NDArray[np.int64]]
) -> dict[str, int]:
    """Return kernel_words, neuron_words and bias_words of a core with ``members``."""
    padded = {
        resource
        for rule in chip.rules
        if rule.kind == "power-of-two-memory"
        for resource in rule.parameters.get("resources", ())
    }
    total = dict.fromkeys(WORDS, 0)
    for name, neurons in members.items():
        n_neurons = wiring.sizes[name]
        _, height, width = map_shape(wiring, name) or (n_neurons, 1, 1)
        channels, pixels = np.divmod(neurons, height * width)
        rows, columns = np.divmod(pixels, width)
        n_channels = int(np.unique(channels).size)
        total["neuron_words"] += n_channels * _fields(
            "neuron_words" in padded, int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
        )
        for wires in wiring.incoming[name]:
            inputs, taps = _kernel(wiring, wires.projection)
            total["kernel_words"] += inputs * _fields("kernel_words" in padded, taps, n_channels)
        if wiring.network.population(name).v_bias[neurons].any():
            total["bias_words"] += n_channels
    return total


def _kernel(wiring: Wiring, projection: QuantizedProjection) -> tuple[int, int]:
    """Return (input channels, taps per channel) of one output channel's kernel."""
    if projection.geometry is not None:
        _, per_group, height, width = projection.weights.shape
        return per_group, height * width
    shape = wiring.network.shapes().get(projection.source, ())
    if projection.pools:
        shape = projection.pools[-1].output_shape
    if len(shape) == 3:
        return shape[0], math.prod(shape[1:])
    return wiring.sizes[projection.source], 1


def _fields(padded: bool, *fields: int) -> int:
    """Return how many words a product of address fields spans."""
    return math.prod(1 << (field - 1).bit_length() if padded else field for field in fields)
