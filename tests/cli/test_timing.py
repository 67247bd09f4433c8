"""``nmhw run --timing events``: the published convolution network, event by event."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def cnn_args(data_dir: Path, tmp_path: Path) -> list[Any]:
    rng = np.random.default_rng(5)
    events = (rng.random((1, 8, 2, 34, 34)) < 0.02).astype(np.uint8)
    np.save(tmp_path / "events.npy", events)
    model = data_dir / "nir-cases" / "02_cnn" / "cnn_sinabs.nir"
    return ["run", model, "--input", tmp_path / "events.npy", "--profile", "sinabs", "--no-float"]


def test_events_are_one_option_away_and_counted(nmhw: Callable, cnn_args: list[Any]) -> None:
    steps, events = (
        nmhw(*cnn_args, "--chip", "speck2f", "--timing", timing, "--json").json
        for timing in ("steps", "events")
    )
    assert (steps["timing"], events["timing"]) == ("steps", "events")
    assert steps["event_latency"] is None
    assert events["synops"] == events["active_updates"] > 0
    assert steps["spikes"]["1"] > 0
    assert events["event_latency"]["1"]["events"] == events["spikes"]["1"] > 0


def test_a_chip_with_steps_refuses_and_float_has_no_timing(
    nmhw: Callable, cnn_args: list[Any]
) -> None:
    done = nmhw(*cnn_args, "--chip", "generic", "--timing", "events")
    assert done.code == 3
    assert "timing events" in done.err
    assert "run.timing" in done.err
    done = nmhw(*cnn_args[:-1], "--float", "--timing", "events")
    assert done.code == 2
    assert "--timing" in done.err
