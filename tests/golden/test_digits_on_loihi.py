"""The shipped digits network and its four sisters (training seeds) on loihi1-nahuku."""

import gzip

import numpy as np
import pytest

import nmhw
from nmhw.api.demo import _read, deploy_demo, load_demo_images, load_demo_network


@pytest.fixture(scope="module")
def images():
    return load_demo_images()


def test_mean_over_five_training_seeds_loses_at_most_one_point(images, data_dir, tmp_path):
    calibration = _read("digits_calibration.npz").events
    deployed, in_float = [], []
    for seed in range(5):
        path = tmp_path / f"digits_seed{seed}.nir"
        packed = data_dir / "digits_seeds" / f"digits_seed{seed}.nir.gz"
        path.write_bytes(gzip.decompress(packed.read_bytes()))
        network = nmhw.load(path, profile="snntorch")
        deployment = nmhw.deploy(network, "loihi1-nahuku", calibration=calibration)
        run = deployment.run(images.events, images.labels)
        deployed.append(run.accuracy)
        in_float.append(run.facts["float_accuracy"])
    assert images.n_samples >= 360
    assert np.mean(deployed) >= 0.95
    assert np.mean(in_float) - np.mean(deployed) <= 0.01


def test_float_run_equals_torch_in_every_output_count(images, data_dir):
    reference = np.load(data_dir / "digits_seeds" / "torch_reference.npz")
    shipped = int(np.flatnonzero(reference["seed"] == 3)[0])
    run = nmhw.run_float(load_demo_network(), images.events, images.labels)
    counts = run.result.windowed("lif3").counts()
    np.testing.assert_array_equal(counts, reference["output_counts"][shipped])


def test_numba_and_reference_give_the_same_report(images):
    few = {name: events.samples(0, 12) for name, events in images.events.items()}
    deployment = deploy_demo("loihi1-nahuku")
    probes = ("lif1:v", "lif3:v:every=3")
    runs = [
        deployment.run(few, images.labels[:12], backend=backend, probes=probes)
        for backend in ("numba", "reference")
    ]
    fast, slow = (run.summary() for run in runs)
    assert fast.pop("backend") == "numba"
    assert slow.pop("backend") == "reference"
    assert fast == slow
    for key, probe in runs[0].result.probes.items():
        np.testing.assert_array_equal(probe.values, runs[1].result.probes[key].values)


def test_calibration_images_in_the_test_set_are_a_warning():
    calibration = _read("digits_calibration.npz")
    run = deploy_demo("loihi1-nahuku").run(calibration.events, calibration.labels)
    rules = [notice["rule"] for notice in run.summary()["notices"]]
    assert "run.calibration-overlap" in rules
