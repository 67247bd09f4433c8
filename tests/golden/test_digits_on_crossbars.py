"""The digits network, not retrained, on chips whose weights are made of axons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nmhw
import nmhw.data
from nmhw.api.demo import deploy_demo, load_demo_images, load_demo_network
from nmhw.errors import DoesNotFitError

DATA = Path(nmhw.data.__file__).parent
N_SAMPLES = 400


def load() -> tuple[Any, np.ndarray, np.ndarray]:
    with np.load(DATA / "digits_test.npz") as test:
        x = np.zeros((N_SAMPLES, int(test["n_steps"]), 64), np.uint8)
        np.add.at(x, (test["sample"], test["step"], test["index"]), 1)
        return nmhw.load(DATA / "digits.nir"), x, test["labels"]


@pytest.mark.parametrize(
    ("chip", "v_bits", "accuracy"),
    [("truenorth", 20, 0.985), ("ranc", 9, 0.97), ("ranc", 16, 0.98)],
)
def test_three_cores_and_the_documented_accuracy(chip: str, v_bits: int, accuracy: float) -> None:
    network, x, labels = load()
    variant = nmhw.chip(chip).with_(arithmetic={"v_bits": v_bits})
    deployed = nmhw.deploy(network, variant)
    assert len(deployed.mapping.cores) == 3
    copies = deployed.quantized.copies
    assert copies["input"].size == 256
    assert (copies["lif1"].size, copies["lif2"].size) <= (256, 256)
    run = deployed.run(x, labels=labels, compare_float=False)
    assert run.accuracy == pytest.approx(accuracy, abs=0.0101)
    few = deployed.run(x[:8], backend="reference", compare_float=False)
    np.testing.assert_array_equal(few.predictions, run.predictions[:8])


@pytest.mark.parametrize(
    ("chip", "v_bits", "accuracy"),
    [("truenorth", 20, 0.985), ("ranc", 9, 0.97), ("generic", 9, 0.9925)],
)
def test_the_demo_is_as_accurate_with_its_calibration(
    chip: str, v_bits: int, accuracy: float
) -> None:
    images = load_demo_images()
    deployed = deploy_demo(nmhw.chip(chip).with_(arithmetic={"v_bits": v_bits}))
    run = deployed.run(images.events, labels=images.labels, compare_float=False)
    assert run.accuracy == pytest.approx(accuracy, abs=0.0101)


def test_a_wrapping_potential_with_a_floor_never_wraps_even_in_the_worst_case() -> None:
    rules = {n.rule for n in nmhw.deploy(load_demo_network(), "ranc").quantized.notices}
    assert "quantize.headroom-v" not in rules


def test_odin_has_too_few_neurons_for_it() -> None:
    network, _, _ = load()
    with pytest.raises(DoesNotFitError, match="limit"):
        nmhw.deploy(network, "tinyodin")
    with pytest.raises(DoesNotFitError, match="copies its axons need: at least 394 of 256"):
        nmhw.deploy(network, "odin")
