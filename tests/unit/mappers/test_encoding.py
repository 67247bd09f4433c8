import numpy as np
import pytest

from nmhw.mappers.encoding import block_bits, cheapest_encoding, index_width, legal_encodings
from nmhw.mappers.footprint import load_slice
from nmhw.mappers.wiring import wire
from nmhw.values.chip import EncodingSpec


def block_of(network, population, neurons):
    load = load_slice(wire(network), population, np.asarray(neurons, np.int64))
    (block,) = load.blocks.values()
    return block


@pytest.fixture
def dense_block(build):
    network = build.network(
        {"in": (3,)}, [build.population("a", (100,))], [build.dense("in", "a", 3, 100)]
    )
    return block_of(network, "a", range(100))


@pytest.mark.parametrize(
    ("layout", "bits"),
    [
        ({}, 3 * 800),
        ({"header_bits": 10}, 3 * 810),
        ({"header_bits": 10, "word_bits": 64}, 3 * 832),  # 13 words of 64 bits
        ({"extra_bits": 2}, 3 * 1000),
        ({"axon_bits": 7}, 3 * 807),
        # blocks of 60 and 40 synapses: 490 -> 512 and 330 -> 384 bits
        ({"header_bits": 10, "word_bits": 64, "max_synapses_per_block": 60}, 3 * (512 + 384)),
        # exactly two full blocks and no empty third one: 2 x (10 + 400 -> 448)
        ({"header_bits": 10, "word_bits": 64, "max_synapses_per_block": 50}, 3 * 2 * 448),
    ],
)
def test_dense_rows_take_headers_words_and_blocks(dense_block, layout, bits):
    assert block_bits(EncodingSpec("dense", (8,), **layout), 8, dense_block, 100) == bits


def test_an_index_is_as_wide_as_the_neurons_of_the_core_need(dense_block):
    spec = EncodingSpec("sparse", (8,), (0, 6, 7, 8), 0, 10, 64)
    assert [index_width(spec, n) for n in (1, 2, 64, 65, 128, 256, 257)] == [
        0,
        6,
        6,
        7,
        7,
        8,
        None,
    ]
    # 100 targets among 100 neurons: 7-bit index; 10 + 100 x 15 = 1510 -> 1536 bits
    assert block_bits(spec, 8, dense_block, 100) == 3 * 1536
    # the same synapses on a core with 200 neurons: 8-bit index, 1610 -> 1664 bits
    assert block_bits(spec, 8, dense_block, 200) == 3 * 1664
    assert block_bits(spec, 8, dense_block, 257) is None


def test_a_shared_kernel_is_stored_once_for_the_channels_on_the_core(build):
    projection = build.conv("in", "a", (2, 8, 8), 4, 3, pad=1)
    network = build.network({"in": (2, 8, 8)}, [build.population("a", (4, 8, 8))], [projection])
    spec = EncodingSpec("shared", (8,), word_bits=64, axon_bits=5)
    whole = block_of(network, "a", range(256))
    # 4 x 2 x 9 weights of 8 bits = 576 = 9 words; 128 sources
    assert block_bits(spec, 8, whole, 256) == 576 + 128 * 5
    one_channel = block_of(network, "a", range(64, 128))
    assert block_bits(spec, 8, one_channel, 64) == 192 + 128 * 5  # 144 -> 3 words


def test_missing_border_synapses_of_a_convolution_are_not_stored_with_an_index(build):
    projection = build.conv("in", "a", (1, 3, 3), 1, 3, pad=1)
    network = build.network({"in": (1, 3, 3)}, [build.population("a", (1, 3, 3))], [projection])
    block = block_of(network, "a", range(9))
    assert block.n_synapses == 49  # 4 corners x 4 + 4 edges x 6 + 9
    spec = EncodingSpec("sparse", (8,), (4,))
    assert block_bits(spec, 8, block, 9) == 49 * 12


def test_the_cheapest_legal_format_wins(build):
    chip = build.chip()
    projection = build.dense("in", "a", 3, 100)
    network = build.network({"in": (3,)}, [build.population("a", (100,))], [projection])
    best = cheapest_encoding(chip, block_of(network, "a", range(100)), 100)
    assert (best.encoding.kind, best.bits) == ("dense", 3 * 832)
    assert best.format == ("dense", 8, 0)


def test_weights_take_the_next_width_that_the_format_has(build):
    chip = build.chip()
    widths = {
        bits: {
            width
            for _, width in legal_encodings(chip, build.dense("i", "a", 1, 1, weight_bits=bits))
        }
        for bits in (1, 6, 7, 8, 9)
    }
    assert widths == {1: {1}, 6: {6}, 7: {8}, 8: {8}, 9: set()}


def test_a_sparse_projection_is_padded_to_rows_only_without_an_index_format(build):
    matrix = np.zeros((2, 10), int)
    matrix[0, [1, 4]] = 1
    matrix[1, 9] = 1
    projection = build.sparse("in", "a", matrix)
    network = build.network({"in": (2,)}, [build.population("a", (10,))], [projection])
    block = block_of(network, "a", range(10))
    crossbar = build.chip(encodings=(EncodingSpec("dense", (8,)),))
    assert cheapest_encoding(crossbar, block, 10).bits == 2 * 10 * 8
    assert {e.kind for e, _ in legal_encodings(build.chip(), projection)} == {"sparse"}
