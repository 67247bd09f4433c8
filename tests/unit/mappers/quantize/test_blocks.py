"""Weights are quantized in blocks: the integers and the loss do not depend on the blocks."""

import numpy as np
import pytest
from scipy.sparse import random_array

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.mappers.quantize import lower
from nmhw.values.linear import Conv


@pytest.mark.parametrize("chip", ["generic", "loihi1-nahuku", "spinnaker2"])
def test_the_size_of_blocks_changes_nothing(chip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    matrix = random_array((40, 30), density=0.3, format="csr", rng=rng)
    matrix.data = rng.normal(0, 1, matrix.nnz)
    build = nmhw.Network.build("mixed").input("in", (2, 4, 5))
    build.population("conv", (3, 4, 5), "lif", tau_mem_s=0.02, v_threshold=1.0)
    kernel = rng.normal(0, 1, (3, 2, 3, 3))
    build.project("in", "conv", ops=(Conv(kernel, (2, 4, 5), (1, 1), (1, 1, 1, 1)),))
    build.population("sparse", 30, "lif", tau_mem_s=0.02, v_threshold=2.0)
    build.project("in", "sparse", matrix)
    build.population("out", 7, "lif", tau_mem_s=0.02, v_threshold=1.0)
    build.project("conv", "out", rng.normal(0, 1, (7, 60)))
    build.project("sparse", "out", rng.normal(0, 1, (7, 30)))
    network = give_meaning(build.output("o", "out").done(), "lava", dt_s=1e-3)
    whole = nmhw.quantize(network, chip)
    monkeypatch.setattr(lower, "_BLOCK", 11)
    parts = nmhw.quantize(network, chip)
    assert whole.losses == parts.losses
    for one, other in zip(whole.projections, parts.projections, strict=True):
        np.testing.assert_array_equal(one.weights, other.weights)
        np.testing.assert_array_equal(one.weight_scale, other.weight_scale)
        assert (one.shift, one.weights.dtype) == (other.shift, other.weights.dtype)
    for a, b in zip(whole.populations, parts.populations, strict=True):
        np.testing.assert_array_equal(a.threshold, b.threshold)
