"""The recipes' conversion, on invented events: their downloads are not tested."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from nmhw.io.learning_data import load_learning_data

PLACE = Path(__file__).resolve().parents[3] / "examples/event_datasets.py"


@pytest.fixture
def recipes() -> ModuleType:
    spec = importlib.util.spec_from_file_location("event_datasets", PLACE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_camera_events_become_a_file_that_learn_reads(recipes: ModuleType, tmp_path: Path) -> None:
    kind = [("t", "i8"), ("x", "i8"), ("y", "i8"), ("p", "i1")]
    first = np.array([(0, 3, 1, 0), (10, 3, 1, 0), (299_999, 33, 33, 1), (300_000, 0, 0, 0)], kind)
    second = np.array([(150_000, 0, 2, 1)], kind)
    samples = [(first, 7, 0), (second, 2, 2)]
    path = tmp_path / "n.npz"
    assert recipes.write_samples(path, samples, (2, 34, 34), 20, 300_000) == 2
    data = load_learning_data(path)
    assert data.events is not None
    assert data.shape == (2, 34, 34)
    assert data.labels.tolist() == [7, 2]
    found = list(zip(data.events.sample, data.events.step, data.events.index, strict=True))
    last = 1 * 34 * 34 + 33 * 34 + 33
    assert found == [(0, 0, 37), (0, 19, last), (1, 10, 34 * 34 + 68)]


def test_audio_events_have_one_axis(recipes: ModuleType) -> None:
    events = np.array([(0, 699), (999_999, 0)], [("t", "i8"), ("x", "i8")])
    step, index = recipes.bin_events(events, (700,), 50, 1_000_000)
    assert step.tolist() == [0, 49]
    assert index.tolist() == [699, 0]
