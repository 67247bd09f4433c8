"""Stored runs of sinabs 3.1.3's quantized DYNAP-CNN network, replayed in nmhw bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import nmhw
from nmhw.errors import DoesNotFitError
from nmhw.io.chip_file import list_chips, load_chip
from nmhw.mappers.greedy import map_network
from nmhw.mappers.rule_counts import recount_words
from nmhw.mappers.sheet_limits import check_sheet
from nmhw.mappers.verify import verify

N_NETWORKS = 24
CHIPS = ("speck2e", "speck2f")
EVERY_NETWORK = pytest.mark.parametrize("number", range(N_NETWORKS))


@pytest.fixture(scope="module")
def recordings(sinabs_vectors: ModuleType, data_dir: Path) -> list[Any]:
    return list(sinabs_vectors.read_recordings(data_dir / "sinabs-dynapcnn" / "vectors.npz"))


@EVERY_NETWORK
def test_quantizer_makes_the_integers_of_sinabs(
    recordings: list[Any], sinabs_vectors: ModuleType, number: int
) -> None:
    recording = recordings[number]
    for chip in CHIPS:
        quantized = sinabs_vectors.quantize(recording.stack, chip)
        differing = sinabs_vectors.count_integer_differences(quantized, recording)
        assert differing == dict.fromkeys(differing, 0), chip


@EVERY_NETWORK
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_spikes_and_states_equal_sinabs_in_every_step(
    recordings: list[Any], sinabs_vectors: ModuleType, number: int, backend: str
) -> None:
    recording = recordings[number]
    quantized = sinabs_vectors.quantize(recording.stack)
    differing = sinabs_vectors.count_state_differences(quantized, recording, backend)
    assert len(differing) == 2 * len(recording.stack["layers"])
    assert differing == dict.fromkeys(differing, 0)


@EVERY_NETWORK
def test_words_and_fit_of_every_layer_are_those_of_sinabs(
    recordings: list[Any], sinabs_vectors: ModuleType, number: int
) -> None:
    stack = recordings[number].stack
    quantized, chip = sinabs_vectors.quantize(stack), load_chip("speck2e")
    assert stack["has_mapping"]
    mapping = map_network(quantized, chip)
    for k, layer in enumerate(stack["layers"]):
        (core,) = (part.core for part in mapping.slices if part.population == f"l{k}")
        (used,) = (u.resources for u in mapping.utilization if u.core == core)
        recounted = recount_words(quantized, mapping, core, ("kernel_words", "neuron_words"))
        for key in ("kernel_words", "neuron_words"):
            assert used[key][0] == recounted[key] == layer["integers"][key]
    assert check_sheet(sinabs_vectors.write_network(stack), chip).violations == ()


def test_the_recordings_exercise_what_they_are_for(recordings: list[Any]) -> None:
    layers = [layer for r in recordings for layer in r.stack["layers"]]
    spikes = [a.sum() for r in recordings for (_, key), a in r.found.items() if key == "spikes"]
    most = [a.max() for r in recordings for (_, key), a in r.found.items() if key == "spikes"]
    assert len(recordings) == N_NETWORKS
    assert sum(n > 100 for n in spikes) > N_NETWORKS
    assert sum(n > 1 for n in most) > N_NETWORKS // 2
    assert {layer["pool_kind"] for layer in layers if layer["pool"] > 1} == {"sum", "avg"}
    assert {layer["reset"] for layer in layers} == {"subtract", "zero"}
    assert {layer["kind"] for layer in layers} == {"conv", "linear"}
    assert any(layer["bias"] for layer in layers)


@pytest.mark.parametrize("altered", ["compare", "v_min", "max_spikes_per_step", "reset"])
def test_an_altered_rule_differs_somewhere(
    recordings: list[Any], sinabs_vectors: ModuleType, altered: str
) -> None:
    changes = {"compare": ">", "max_spikes_per_step": 1, "reset": "zero"}
    for recording in recordings:
        quantized = sinabs_vectors.quantize(recording.stack)
        populations = [
            replace(p, v_min=np.full(p.size, -1))
            if altered == "v_min"
            else replace(p, spec=replace(p.spec, **{altered: changes[altered]}))
            for p in quantized.populations
        ]
        other = sinabs_vectors.replace_populations(quantized, populations)
        if any(sinabs_vectors.count_state_differences(other, recording, "reference").values()):
            return
    pytest.fail(f"no recording notices another {altered}")


def test_no_other_chip_makes_the_claim() -> None:
    claims = {chip.name: load_chip(chip.name).arithmetic.claim for chip in list_chips()}
    assert {name for name, claim in claims.items() if "sinabs" in claim} == set(CHIPS)


def test_more_layers_than_cores_are_refused_with_the_layers_that_compete(
    sinabs_vectors: ModuleType, recordings: list[Any]
) -> None:
    layer = {**recordings[0].stack["layers"][0], "kind": "conv", "stride": 1, "padding": 0}
    layer |= {"weight": [[[[1.0]]]], "bias": None, "pool": 1}
    stack = {"seed": 0, "input": [1, 4, 4], "layers": [layer] * 10}
    with pytest.raises(DoesNotFitError, match=r"10 layers .* compete for 9 cores"):
        map_network(sinabs_vectors.quantize(stack), load_chip("speck2e"))


def test_the_published_nmnist_network_has_the_integers_words_and_spikes_of_sinabs(
    sinabs_vectors: ModuleType, data_dir: Path
) -> None:
    network = nmhw.load(data_dir / "nir-cases" / "02_cnn" / "cnn_sinabs.nir", profile="sinabs")
    (recording,) = sinabs_vectors.read_recordings(data_dir / "sinabs-dynapcnn" / "nmnist.npz")
    deployed = nmhw.deploy(network, "speck2f")
    renamed = sinabs_vectors.rename_layers(deployed.quantized)
    differing = sinabs_vectors.count_integer_differences(renamed, recording)
    assert differing == dict.fromkeys(differing, 0)
    states = sinabs_vectors.count_state_differences(renamed, recording, "numba")
    assert len(states) == 10
    assert states == dict.fromkeys(states, 0)
    assert recording.found[4, "spikes"].sum() > 0
    cores = {part.population: part.core for part in deployed.mapping.slices}
    assert len(cores) == len(set(cores.values())) == 5
    for layer, (name, core) in zip(recording.stack["layers"], cores.items(), strict=True):
        budget = deployed.chip.core_spec(core).budget
        (used,) = (u.resources for u in deployed.mapping.utilization if u.core == core)
        for key in ("kernel_words", "neuron_words"):
            assert used[key][0] == layer["integers"][key] <= budget[key], name
    assert verify(deployed.quantized, deployed.chip, deployed.mapping).violations == ()
