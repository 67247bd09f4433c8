"""Stored runs of xylosim 0.1.3 (module v2), replayed in nmhw bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from nmhw.io.chip_file import list_chips, load_chip

N_NETWORKS = 12
CHIPS = ("xylo-audio2", "xylo-audio3", "xylo-imu")


@pytest.fixture(scope="module")
def recordings(xylo_vectors: ModuleType, data_dir: Path) -> list[Any]:
    return list(xylo_vectors.read_recordings(data_dir / "xylosim" / "vectors.npz"))


@pytest.mark.parametrize("number", range(N_NETWORKS))
@pytest.mark.parametrize("backend", ["reference", "numba"])
def test_currents_membranes_and_spikes_equal_xylosim_in_every_step(
    recordings: list[Any], xylo_vectors: ModuleType, number: int, backend: str
) -> None:
    recording = recordings[number]
    quantized = xylo_vectors.quantize(recording.network)
    differences = xylo_vectors.count_differences(quantized, recording, backend)
    assert differences.keys() == recording.states.keys()
    assert differences == dict.fromkeys(differences, 0)


@pytest.mark.parametrize("chip", CHIPS)
def test_every_chip_that_claims_it_equals_xylosim(
    recordings: list[Any], xylo_vectors: ModuleType, chip: str
) -> None:
    n_currents = load_chip(chip).arithmetic.n_currents
    compared = 0
    for recording in recordings:
        if any(p["u2_shift"] for p in recording.network["populations"]) and n_currents < 2:
            continue
        quantized = xylo_vectors.quantize(recording.network, chip)
        differences = xylo_vectors.count_differences(quantized, recording, "numba")
        assert differences == dict.fromkeys(recording.states, 0), recording.network["seed"]
        compared += 1
    assert compared >= N_NETWORKS // 2


def test_no_other_chip_makes_the_claim() -> None:
    claims = {chip.name: load_chip(chip.name).arithmetic.claim for chip in list_chips()}
    assert {name for name, claim in claims.items() if "xylosim" in claim} == set(CHIPS)


def test_the_recordings_reach_what_is_special_about_xylo(recordings: list[Any]) -> None:
    full, tails, clipped, aliased, held_back = 0, 0, 0, 0, 0
    for recording in recordings:
        for p in recording.network["populations"]:
            s, v = (recording.states[p["name"], key] for key in "sv")
            u = recording.states[p["name"], "u"]
            aliased += sum(a >= 0 for a in p["alias"] or ())
            held_back += int((v >= np.array(p["threshold"])).sum())
            full += int((s == 31).sum())
            tails += int(((u[:-1] > 0) & (u[:-1] - u[1:] == 1)).sum())
            clipped += int((np.abs(v) >= 32767).sum())
    assert min(full, tails, clipped, aliased, held_back) > 10, (
        full, tails, clipped, aliased, held_back,
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"summation": "exact"},
        {"u_decay": "shift"},
        {"v_decay": "shift"},
        {"u_overflow": "saturate"},
        {"max_spikes_per_step": 30},
        {"compare": ">"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_the_cell_shows_in_the_recordings(
    recordings: list[Any], xylo_vectors: ModuleType, change: dict[str, Any]
) -> None:
    different = 0
    for recording in recordings:
        quantized = xylo_vectors.quantize(recording.network)
        if "summation" in change and any(p.u2_keep is not None for p in quantized.populations):
            continue
        cells = [
            replace(
                p, spec=replace(p.spec, **change), alias=None if "summation" in change else p.alias
            )
            for p in quantized.populations
        ]
        other = replace(quantized, populations=tuple(cells))
        different += sum(xylo_vectors.count_differences(other, recording, "numba").values())
    assert different > 0
