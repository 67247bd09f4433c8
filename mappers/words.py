"""Words of convolution cores: kernel, neuron and bias memories counted in words, not bits.

Where a chip lists a resource in its rule ``power-of-two-memory``, its address fields are padded;
the formulas are those of ``nmhw.values.conv_words``.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from nmhw.mappers.grid import map_shape
from nmhw.mappers.wiring import Wiring
from nmhw.values.chip import ChipSpec
from nmhw.values.conv_words import WORDS, kernel_words, neuron_words, padded_resources
from nmhw.values.quantized import QuantizedProjection, has_same_kernel


def counts_words(chip: ChipSpec) -> bool:
    """Whether any budget of ``chip`` is in words."""
    return any(w in g.budget or w in g.soft_budget for g in chip.cores for w in WORDS)


def count_words(
    wiring: Wiring, chip: ChipSpec, members: Mapping[str, NDArray[np.int64]]
) -> dict[str, int]:
    """Return kernel_words, neuron_words and bias_words of a core with ``members``."""
    padded = padded_resources(chip)
    total = dict.fromkeys(WORDS, 0)
    for name, neurons in members.items():
        n_neurons = wiring.sizes[name]
        _, height, width = map_shape(wiring, name) or (n_neurons, 1, 1)
        channels, pixels = np.divmod(neurons, height * width)
        rows, columns = np.divmod(pixels, width)
        n_channels = int(np.unique(channels).size)
        outline = (int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1)
        total["neuron_words"] += neuron_words(
            n_channels, *outline, is_padded="neuron_words" in padded
        )
        seen: list[QuantizedProjection] = []
        for wires in wiring.incoming[name]:
            if any(has_same_kernel(wires.projection, other) for other in seen):
                continue  # sources that merge share the kernel
            seen.append(wires.projection)
            inputs, *taps = _kernel(wiring, wires.projection)
            total["kernel_words"] += kernel_words(
                inputs, n_channels, *taps, is_padded="kernel_words" in padded
            )
        if wiring.network.population(name).v_bias[neurons].any():
            total["bias_words"] += n_channels
    return total


def _kernel(wiring: Wiring, projection: QuantizedProjection) -> tuple[int, int, int]:
    """Return (input channels, height, width) of one output channel's kernel."""
    if projection.geometry is not None:
        _, per_group, height, width = projection.weights.shape
        return per_group, height, width
    shape = wiring.network.shapes().get(projection.source, ())
    if projection.pools:
        shape = projection.pools[-1].output_shape
    if len(shape) == 3:
        return shape[0], shape[1], shape[2]
    return wiring.sizes[projection.source], 1, 1
