"""Layers to different cores: matching against brute force, and what is said when it fails."""

from itertools import permutations

import numpy as np
import pytest

from nmhw.io.chip_file import load_chip
from nmhw.mappers.core_assignment import assign_layers, blocking_set

SPECK = load_chip("speck2f")


def words(kernel, neuron):
    return {"kernel_words": kernel, "neuron_words": neuron, "bias_words": 0}


def has_matching(fits):
    n_layers, n_cores = fits.shape
    return n_layers <= n_cores and any(
        all(fits[layer, core] for layer, core in enumerate(cores))
        for cores in permutations(range(n_cores), n_layers)
    )


@pytest.mark.parametrize("seed", range(60))
def test_blocking_set_is_empty_exactly_where_a_matching_exists(seed):
    rng = np.random.default_rng(seed)
    fits = rng.random((rng.integers(1, 6), rng.integers(1, 6))) < rng.uniform(0.2, 0.9)
    layers, cores = blocking_set(fits)
    assert bool(layers) != has_matching(fits)
    if layers:
        assert set(np.flatnonzero(fits[layers].any(axis=0))) == set(cores)
        assert len(layers) == len(cores) + 1


def test_nine_layers_of_the_cores_own_sizes_fit():
    needs = {
        f"l{core}": words(
            SPECK.core_spec(core).budget["kernel_words"],
            SPECK.core_spec(core).budget["neuron_words"],
        )
        for core in reversed(range(9))
    }
    assert assign_layers(SPECK, needs) == []


def test_layer_that_no_core_holds_is_named_with_the_closest_core():
    (text,) = assign_layers(SPECK, {"small": words(1, 1), "wide": words(65536, 20000)})
    assert text == (
        "'wide' fits on no core of speck2f; on the closest: neuron words 20,000, limit 16,384"
    )


def test_layers_that_compete_for_the_same_cores_are_named():
    needs = {f"deep{k}": words(40000, 100) for k in range(3)} | {"easy": words(1, 1)}
    (text,) = assign_layers(SPECK, needs)
    assert text == "3 layers ('deep0', 'deep1', 'deep2') compete for 2 cores (5, 6) of speck2f"


def test_ten_small_layers_compete_for_nine_cores():
    (text,) = assign_layers(SPECK, {f"l{k}": words(1, 1) for k in range(10)})
    assert text.startswith("10 layers (")
    assert "for 9 cores" in text
