"""Words of a convolution core with padded address fields."""

import pytest

from nmhw.values.conv_words import kernel_words, neuron_words, padded, synops_per_s


@pytest.mark.parametrize(("n", "power"), [(1, 1), (2, 2), (3, 4), (9, 16), (16, 16), (17, 32)])
def test_field_is_padded_to_whole_bits(n, power):
    assert padded(n) == power


def test_three_by_three_kernel_takes_sixteen_words():
    assert kernel_words(1, 1, 3, 3) == 16
    assert kernel_words(8, 16, 3, 3) == 8 * 16 * 16
    assert kernel_words(8, 17, 3, 3) == 8 * 16 * 32


def test_input_channels_are_not_padded():
    assert kernel_words(3, 4, 2, 2) == 3 * 4 * 4


def test_neuron_words_pad_height_and_width_but_not_channels():
    assert neuron_words(3, 5, 6) == 3 * 8 * 8
    assert neuron_words(16, 16, 16) == 16 * 16 * 16


def test_layers_of_the_published_nmnist_network():
    layers = [(2, 16, 5, 16), (16, 16, 3, 16), (16, 8, 3, 8)]
    assert [kernel_words(c, f, k, k) for c, f, k, _ in layers] == [1024, 4096, 2048]
    assert [neuron_words(f, n, n) for _, f, _, n in layers] == [4096, 4096, 512]


def test_rate_of_synaptic_operations():
    assert synops_per_s(1000, 16, (3, 3), (1, 1)) == 144_000
    assert synops_per_s(1000, 16, (4, 4), (2, 2)) == 64_000
