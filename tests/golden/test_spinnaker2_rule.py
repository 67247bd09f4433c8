"""Random recurrent CubaLIF networks on spinnaker2 equal a plain script of its rule in every bin."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.api.reading import give_meaning

DT_S = 1e-3
N_STEPS, N_SAMPLES = 60, 2
SIZES = {"in": 5, "a": 7, "b": 4}
#: Every population hears itself, and b's spikes come back to a.
EDGES = (("in", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", "a"))


def draw(seed: int, rule: ModuleType) -> tuple[list[Any], np.ndarray]:
    """Return the layers of a random network and (samples, steps, n) input spikes."""
    rng = np.random.default_rng([2, seed])
    layers = []
    for name in ("a", "b"):
        n = SIZES[name]
        weights = {
            s: rng.normal(0.25, 1.0, (n, SIZES[s])) * rng.choice([0.3, 1.0])
            for s, t in EDGES
            if t == name
        }
        layers.append(
            rule.Layer(
                name,
                tau_mem_s=rng.uniform(3e-3, 4e-2, n).tolist(),
                tau_syn_s=rng.uniform(1.5e-3, 1e-2, n).tolist(),
                r=rng.uniform(4.0, 20.0, n).tolist(),
                w_in=rng.uniform(0.5, 2.0, n).tolist(),
                v_threshold=rng.uniform(0.3, 1.5, n).tolist(),
                weights_from={s: w.tolist() for s, w in weights.items()},
            )
        )
    return layers, (rng.random((N_SAMPLES, N_STEPS, SIZES["in"])) < 0.3).astype(np.uint8)


def build(layers: list[Any]) -> nmhw.Network:
    builder = nmhw.Network.build("random").input("in", SIZES["in"])
    for layer in layers:
        fields = ("tau_mem_s", "tau_syn_s", "r", "w_in", "v_threshold")
        builder.population(
            layer.name, len(layer.r), "cubalif", **{f: getattr(layer, f) for f in fields}
        )
    for layer in layers:
        for source, weights in layer.weights_from.items():
            builder.project(source, layer.name, np.array(weights))
    return builder.output("out", "b").done()


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@pytest.mark.parametrize("seed", range(50))
def test_no_bin_differs(seed: int, reset: str, spinnaker2_rule: ModuleType) -> None:
    layers, x = draw(seed, spinnaker2_rule)
    network = give_meaning(build(layers), "spinnaker2", dt_s=DT_S, reset=reset)
    deployed = nmhw.deploy(network, "spinnaker2")
    runs = {b: deployed.run(x, backend=b, compare_float=False) for b in ("reference", "numba")}
    drain = deployed.quantized.drain_steps
    padded = np.pad(x, ((0, 0), (0, drain), (0, 0)))
    n_spikes = 0
    for sample in range(N_SAMPLES):
        expected = spinnaker2_rule.run_rule(
            layers, {"in": padded[sample].tolist()}, dt_s=DT_S, soft_reset=reset == "subtract"
        )
        for layer in layers:
            raster = np.array(expected[layer.name])
            n_spikes += int(raster.sum())
            for backend, run in runs.items():
                found = run.spikes[layer.name].dense()[sample]
                assert int((found != raster).sum()) == 0, (backend, layer.name)
    neurons = sum(len(layer.r) for layer in layers)
    assert 0.02 < n_spikes / (neurons * padded.shape[1] * N_SAMPLES) < 0.9


def test_the_script_truncates_toward_zero_and_knows_one_scale(spinnaker2_rule: ModuleType) -> None:
    one = [1.0]
    layer = spinnaker2_rule.Layer(
        "p", one, one, one, one, one, {"a": [[0.5, -2.0]], "p": [[-0.999]]}
    )
    weights, scale = spinnaker2_rule.truncate_weights(layer)
    assert weights == {"a": [[31, -127]], "p": [[-63]]}
    assert scale == 63.5
