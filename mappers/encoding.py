"""Synapse encodings: how many bits a group of axons takes in each of a chip's formats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.values.chip import ChipSpec, EncodingSpec
from nmhw.values.quantized import QuantizedProjection

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class AxonBlock:
    """One projection's synapses into one core, as much as storing them depends on.

    Attributes
    ----------
    sources : (n_axons,) int32
        Source elements with a synapse here, ascending.
    n_targets : int
        Neurons of the target population on the core.
    list_lengths, list_counts : int64
        Distinct numbers of synapses per axon, and how many axons have each.
    row_lengths, row_counts : int64
        The same for rows padded to all ``n_targets``, which a chip without an index stores.
    n_kernel_elements : int
        Of the output channels on this core; 0 unless the projection is a convolution.
    """

    projection: QuantizedProjection
    sources: NDArray[np.int32]
    n_targets: int
    list_lengths: Ints
    list_counts: Ints
    row_lengths: Ints
    row_counts: Ints
    n_kernel_elements: int

    @property
    def n_synapses(self) -> int:
        """Synapses of all axons."""
        return int(self.list_lengths @ self.list_counts)


def legal_encodings(
    chip: ChipSpec, projection: QuantizedProjection
) -> tuple[tuple[EncodingSpec, int], ...]:
    """Return the (encoding, stored weight bits) in which ``projection`` may be stored.

    Dense matrices are stored as rows or with an index, convolutions as shared kernels or with an
    index, sparse matrices with an index; a chip that has no such format pads rows with zeros.
    """
    wanted = {
        "dense": ("dense", "sparse"),
        "sparse": ("sparse",),
        "conv": ("shared", "sparse"),
    }[projection.storage]
    if not any(e.kind in wanted for e in chip.encodings):
        wanted = ("dense",)
    legal = []
    for encoding in chip.encodings:
        widths = [w for w in encoding.weight_bits if w >= projection.weight_bits]
        if encoding.kind in wanted and widths:
            legal.append((encoding, min(widths)))
    return tuple(legal)


def index_width(encoding: EncodingSpec, n_neurons: int) -> int | None:
    """Return the narrowest allowed index that addresses ``n_neurons``; None if there is none."""
    widths = [w for w in encoding.index_bits if (1 << w) >= n_neurons]
    return min(widths) if widths else None


def block_bits(
    encoding: EncodingSpec, weight_bits: int, block: AxonBlock, n_neurons: int
) -> int | None:
    """Return the bits of ``block`` on a core with ``n_neurons``; None where it is impossible."""
    n_axons = block.sources.size
    if encoding.kind == "shared":
        kernel = weight_bits * block.n_kernel_elements if n_axons else 0
        return _round_up(kernel, encoding.word_bits) + n_axons * encoding.axon_bits
    if encoding.kind == "sparse":
        index = index_width(encoding, n_neurons)
        if index is None:
            return None
        lengths, counts = block.list_lengths, block.list_counts
    else:
        index = 0
        lengths, counts = block.row_lengths, block.row_counts
    bits = list_bits(encoding, weight_bits + index + encoding.extra_bits, lengths)
    return int(bits @ counts)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block in its format: encoding, (kind, weight bits, index bits), and the bits it takes."""

    encoding: EncodingSpec
    format: tuple[str, int, int]
    bits: int


def cheapest_encoding(chip: ChipSpec, block: AxonBlock, n_neurons: int) -> StoredBlock | None:
    """Return ``block`` in the cheapest legal format (the first of equals), or None."""
    best: StoredBlock | None = None
    for encoding, weight_bits in legal_encodings(chip, block.projection):
        bits = block_bits(encoding, weight_bits, block, n_neurons)
        if bits is not None and (best is None or bits < best.bits):
            index = index_width(encoding, n_neurons) if encoding.kind == "sparse" else 0
            best = StoredBlock(encoding, (encoding.kind, weight_bits, index or 0), bits)
    return best


def list_bits(encoding: EncodingSpec, synapse_bits: int, lengths: Ints) -> Ints:
    """Return the bits of axons with ``lengths`` synapses (each at least 1)."""
    longest = encoding.max_synapses_per_block
    if longest is None:
        words = _round_up(encoding.header_bits + lengths * synapse_bits, encoding.word_bits)
        return words + encoding.axon_bits
    full, rest = np.divmod(lengths, longest)
    full_bits = _round_up(encoding.header_bits + longest * synapse_bits, encoding.word_bits)
    rest_bits = _round_up(encoding.header_bits + rest * synapse_bits, encoding.word_bits)
    return full * full_bits + np.where(rest > 0, rest_bits, 0) + encoding.axon_bits


def _round_up(bits, word_bits: int):  # type: ignore[no-untyped-def]
    """Round (scalars or arrays) up to whole words."""
    return -(-bits // word_bits) * word_bits
