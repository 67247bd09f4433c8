"""Chips that cannot run: exceeded limits are named, else the reason."""

from itertools import pairwise

import numpy as np
import pytest

from nmhw.errors import DoesNotFitError, UnsupportedError
from nmhw.io.chip_file import list_chips, load_chip
from nmhw.mappers.quantize import quantize_network
from nmhw.mappers.sheet_limits import check_sheet, refuse_sheet
from nmhw.values.linear import Conv, Dense, Pool, Reshape
from nmhw.values.network import InputPort, Network, OutputPort, Population, Projection
from nmhw.values.neuron import NeuronModel
from nmhw.values.profile import preset

SHEETS = [chip.name for chip in list_chips() if not chip.is_executable]


def population(name, shape):
    n = int(np.prod(shape))
    model = NeuronModel("if", r=np.ones(n), v_threshold=np.ones(n), v_reset=np.zeros(n))
    return Population(name, shape, model)


def network(inputs, layers, chains):
    """Return inputs > layers[0] > layers[1]... with one chain of operations before each."""
    populations = tuple(population(f"l{k}", shape) for k, shape in enumerate(layers))
    names = ["in", *(p.name for p in populations)]
    projections = tuple(
        Projection(f"{a}>{b}", a, b, tuple(chain))
        for (a, b), chain in zip(pairwise(names), chains, strict=True)
    )
    ports = (InputPort("in", inputs),), (OutputPort("out", layers[-1], (names[-1],)),)
    return Network("net", ports[0], populations, projections, ports[1])


def dense(n_in, n_out):
    return Dense(np.ones((n_out, n_in)))


def fully_connected(*sizes):
    shapes = [(n,) for n in sizes]
    chains = [[dense(a, b)] for a, b in pairwise(sizes)]
    return network(shapes[0], shapes[1:], chains)


def convolution(in_shape, c_out, kernel, **options):
    return Conv(np.ones((c_out, in_shape[0], kernel, kernel)), in_shape, **options)


@pytest.mark.parametrize("name", SHEETS)
def test_small_network_is_refused_with_the_reason_of_the_sheet(name):
    chip = load_chip(name)
    error = refuse_sheet(fully_connected(4, 6, 2), chip)
    assert isinstance(error, UnsupportedError)
    assert error.exit_code == 3
    assert chip.not_executable_because in str(error)


@pytest.mark.parametrize("name", [n for n in SHEETS if n != "akd1000"])
def test_huge_network_exceeds_a_limit_of_every_sheet(name):
    huge = network((4,), [(3_000_000,), (2,)], [[], []])
    error = refuse_sheet(huge, load_chip(name))
    assert isinstance(error, DoesNotFitError)
    assert error.exit_code == 3
    assert all("limit" in text or "compete" in text for text in error.violations)


def test_quantizing_for_a_sheet_raises_that_refusal():
    net = fully_connected(4, 600, 2)
    with pytest.raises(DoesNotFitError, match="602 neurons, limit 522"):
        quantize_network(net, load_chip("anp-i"), preset("sinabs"))
    with pytest.raises(UnsupportedError, match=r"neurons 8 of 522.*\[map\.limits-only\]"):
        quantize_network(fully_connected(4, 6, 2), load_chip("anp-i"), preset("sinabs"))


def test_neurons_and_synapses_are_counted():
    verdict = check_sheet(fully_connected(1024, 512, 10), load_chip("anp-i"))
    assert verdict.counted == ("neurons 522 of 522", "synapses 529,408 of 529,408")
    assert verdict.violations == ()
    verdict = check_sheet(fully_connected(1025, 512, 10), load_chip("anp-i"))
    assert verdict.violations == ("'net': 529,920 synapses, limit 529,408 (budget synapses)",)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_synapses_of_a_convolution_are_those_inside_its_borders(stride, padding):
    op = convolution((2, 5, 7), 3, 3, stride=(stride, 1), padding=(padding, 0, 1, padding))
    net = network((2, 5, 7), [op.output_shape], [[op]])
    (text,) = (t for t in check_sheet(net, load_chip("anp-i")).counted if "synapses" in t)
    assert text == f"synapses {op.to_csr().nnz:,} of 529,408"


def test_layer_sizes_of_xylo():
    found = check_sheet(fully_connected(17, 1001, 9), load_chip("xylo-audio2")).violations
    assert found == (
        "'net': 1,010 neurons, limit 1,008 (budget neurons)",
        "'net': 17 inputs, limit 16 (rule layer-sizes)",
        "'net': 9 outputs, limit 8 (rule layer-sizes)",
        "'net': 1,001 hidden neurons, limit 1,000 (rule layer-sizes)",
    )
    assert check_sheet(fully_connected(16, 1000, 8), load_chip("xylo-audio2")).violations == ()


def test_rule_that_only_warns_refuses_nothing():
    assert check_sheet(fully_connected(16, 100, 32), load_chip("xylo-audio3")).violations == ()


def test_form_of_a_convolution_on_speck():
    op = convolution((2, 200, 200), 4, 17, stride=(3, 3), padding=(8, 8, 8, 8))
    net = network((2, 200, 200), [op.output_shape], [[op]])
    found = " ".join(check_sheet(net, load_chip("speck2f")).violations)
    for text in ("kernel 17", "stride 3", "padding 8, limit 7", "input size 200, limit 128"):
        assert text in found
    assert "output size 67, limit 64" in found


def test_pool_that_speck_does_not_have():
    pool = Pool("sum", (1, 9, 9), (3, 3), (3, 3))
    net = network((1, 9, 9), [(1, 9, 9), (1, 3, 3)], [[], [pool]])
    (text,) = check_sheet(net, load_chip("speck2f")).violations
    assert text == "'l1': pool 3, the chip has 1, 2, 4 (rule layer-form)"


def test_matrix_behind_maps_counts_as_a_convolution_over_the_whole_map():
    chain = [Reshape((16, 8, 8), (1024,)), dense(1024, 128)]
    net = network((2, 8, 8), [(16, 8, 8), (128,)], [[convolution((2, 8, 8), 16, 1)], chain])
    (text,) = check_sheet(net, load_chip("speck2f")).violations
    assert text == (
        "'l1' fits on no core of speck2f; on the closest: kernel words 131,072, limit 65,536"
    )


def test_akida_takes_images_of_one_or_three_channels():
    op = convolution((2, 8, 8), 4, 3)
    net = network((2, 8, 8), [op.output_shape], [[op]])
    (text,) = check_sheet(net, load_chip("akd1000")).violations
    assert text == "'l0': input channels 2, the chip has 1, 3 (rule layer-form)"
    wide = fully_connected(60_000, 2)
    (text,) = check_sheet(wide, load_chip("akd1000")).violations
    assert text == "'l0': input elements 60,000, limit 57,334 (rule layer-form)"


def pooled(pool, behind, *, in_front=False):
    """Return conv > pool > ``behind`` on 8 x 8 maps; the pool before or behind its neurons."""
    op = convolution((1, 8, 8), 4, 3, padding=(1, 1, 1, 1))
    first = [op] if in_front else [op, pool]
    second = [pool, *behind] if in_front else behind
    shape = op.output_shape if in_front else pool.output_shape
    return network((1, 8, 8), [shape, second[-1].output_shape], [first, second])


HALF = Pool("avg", (4, 8, 8), (2, 2), (2, 2))
FLAT = [Reshape((4, 4, 4), (64,)), dense(64, 10)]


@pytest.mark.parametrize("in_front", [False, True])
def test_akida_wants_a_convolution_behind_a_pool(in_front):
    texts = check_sheet(pooled(HALF, FLAT, in_front=in_front), load_chip("akd1000")).violations
    where = "l1" if in_front else "l0"
    wrong = "weights that are no convolution behind pool 2 x 2 (convolution-after-pool)"
    assert texts == (f"{where!r}: {wrong} (rule graph)",)
    kernel = [convolution((4, 4, 4), 2, 3)]
    assert not check_sheet(pooled(HALF, kernel, in_front=in_front), load_chip("akd1000")).violations


def test_akida_pools_leave_no_gaps():
    sparse_pool = Pool("avg", (4, 8, 8), (2, 2), (3, 2))
    (text,) = check_sheet(
        pooled(sparse_pool, [convolution(sparse_pool.output_shape, 2, 1)]), load_chip("akd1000")
    ).violations
    assert "pool 2 x 2 with stride 3 x 2, limit stride 2 x 2 (pool-stride-within-pool)" in text


@pytest.mark.parametrize(("rows", "is_held"), [(2, False), (3, True)])
def test_akida_pools_whole_maps_of_three_rows(rows, is_held):
    pool = Pool("avg", (4, rows, 8), (rows, 8), (rows, 8))
    op = convolution((1, rows, 8), 4, 3, padding=(1, 1, 1, 1))
    chain = [pool, Reshape((4, 1, 1), (4,)), dense(4, 2)]
    net = network((1, rows, 8), [op.output_shape, (2,)], [[op], chain])
    texts = check_sheet(net, load_chip("akd1000")).violations
    assert any("three-rows-before-global-pool" in text for text in texts) is not is_held
    assert not any("convolution-after-pool" in text for text in texts)
