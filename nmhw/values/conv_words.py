"""Memory words of a convolution core whose addresses are concatenated bit fields (Speck).

Every field is rounded up to a power of two, so that a 3 x 3 kernel takes 16 words per channel.
This is the one statement of both formulas; mappers, ``verify`` and sheet checks gather the layer's
dimensions each in their own way and ask here.

Sources
-------
sinabs 3.1.3, backend/dynapcnn (memory summary of a layer), https://github.com/synsense/sinabs;
the chip's overview page states the neuron memory without rounding, the code rounds it.
"""

from __future__ import annotations

from nmhw.values.chip import ChipSpec

#: Resources of a core that are counted in words.
WORDS = ("kernel_words", "neuron_words", "bias_words")


def padded_resources(chip: ChipSpec) -> frozenset[str]:
    """Return the resources in words whose address fields the chip pads to whole bits."""
    return frozenset(
        resource
        for rule in chip.rules
        if rule.kind == "power-of-two-memory"
        for resource in rule.parameters.get("resources", ())
    )


def padded(n: int) -> int:
    """Return the smallest power of two that is not below ``n`` (at least 1)."""
    return 1 << (max(n, 1) - 1).bit_length()


def kernel_words(
    n_in_channels: int, n_out_channels: int, height: int, width: int, *, is_padded: bool = True
) -> int:
    """Return c * 2^(ceil log2(kx ky) + ceil log2 f): 8-bit words of a layer's kernels.

    ``is_padded`` False: c * kx * ky * f, for cores that store kernels without gaps.
    """
    taps, targets = height * width, n_out_channels
    return n_in_channels * (padded(taps) * padded(targets) if is_padded else taps * targets)


def neuron_words(n_out_channels: int, height: int, width: int, *, is_padded: bool = True) -> int:
    """Return f * 2^(ceil log2 fx + ceil log2 fy): 16-bit words of a layer's states.

    ``height`` and ``width`` are those of the convolution's output, before the sum pool;
    ``is_padded`` False: f * fx * fy.
    """
    return n_out_channels * (padded(height) * padded(width) if is_padded else height * width)


def synops_per_s(
    spikes_per_s: float, n_out_channels: int, kernel: tuple[int, int], stride: tuple[int, int]
) -> float:
    """Return the synaptic operations per second that a rate of input events causes in a layer."""
    taps = kernel[0] * kernel[1] / (stride[0] * stride[1])
    return spikes_per_s * n_out_channels * taps
