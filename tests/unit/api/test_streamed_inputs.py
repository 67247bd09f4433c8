"""DataLoaders and event recordings give what their joined arrays and events give."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import nmhw
from nmhw.errors import InputError, SpikesNotKeptError, UsageError
from nmhw.io import streamed_inputs

VOLATILE = ("wall_s",)


def same(one: nmhw.Run, other: nmhw.Run) -> None:
    """Compare everything: the report's facts, spikes, probes, counters."""
    facts = [{k: v for k, v in run.to_json().items() if k not in VOLATILE} for run in (one, other)]
    for record in facts:
        record["notices"] = [n for n in record["notices"] if not n["rule"].startswith("input.")]
        record.pop("event_recordings")
    assert facts[0] == facts[1]
    for name, events in one.spikes.items():
        for column in ("sample", "step", "index"):
            found = getattr(other.spikes[name], column)
            np.testing.assert_array_equal(getattr(events, column), found)
        assert events.n_samples == other.spikes[name].n_samples
    for name, probed in one.probes.items():
        for variable, data in probed.items():
            np.testing.assert_array_equal(data.values, other.probes[name][variable].values)
    a, b = one.result.counters, other.result.counters
    assert a is not None
    assert b is not None
    assert a.steps is not None
    assert b.steps is not None
    for kind in a.totals:
        np.testing.assert_array_equal(a.totals[kind], b.totals[kind])
    for kind in a.steps:
        np.testing.assert_array_equal(a.steps[kind], b.steps[kind])


def loader(x: Any, y: Any = None, batch: int = 5, **more: Any) -> DataLoader[Any]:
    tensors = [torch.from_numpy(np.asarray(a)) for a in (x, y) if a is not None]
    return DataLoader(TensorDataset(*tensors), batch_size=batch, **more)


@pytest.mark.parametrize("batch", [1, 5, 8, 100])
def test_a_loader_gives_what_its_array_gives(
    deployed: nmhw.Deployment,
    x: np.ndarray,
    y: np.ndarray,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = {"probes": ["lif1:v:every=2"], "readout": "v-max"}
    whole = deployed.run(x, y, **asked)
    same(whole, deployed.run(loader(x, y, batch), **asked))
    same(whole, deployed.run(loader(x, y, batch), chunk=5, **asked))
    same(whole, deployed.run(loader(x, None, batch), labels=y, **asked))
    monkeypatch.setattr(streamed_inputs, "_HELD_BYTES", 1)  # in a file
    same(whole, deployed.run(loader(x, y, batch), chunk=5, **asked))


def test_calibration_samples_are_found_in_any_batch(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray
) -> None:
    texts = [n["text"] for n in deployed.run(loader(x, y, 3)).to_json()["notices"]]
    assert any(text.startswith("4 of 12 evaluated samples") for text in texts)


def test_labels_stay_with_shuffled_samples(deployed: nmhw.Deployment, x: np.ndarray) -> None:
    y = deployed.run(x).predictions
    run = deployed.run(loader(x, y, 5, shuffle=True))
    assert run.accuracy == 1.0
    assert nmhw.run_float(deployed.network, loader(x, y, 5, shuffle=True)).outcome is not None


def test_time_first_batches(deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray) -> None:
    batches = [(x[k : k + 5].swapaxes(0, 1), y[k : k + 5]) for k in (0, 5, 10)]

    class Batches(list[Any]):
        dataset, batch_size = range(12), 5

    same(deployed.run(x, y), deployed.run(Batches(batches)))  # the last one holds 2
    same(deployed.run(x, y), deployed.run(Batches(batches), layout="TN"))


def test_state_kept_from_sample_to_sample_takes_all_samples_at_once(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray
) -> None:
    same(deployed.run(x, y, continuous=True), deployed.run(loader(x, y), continuous=True))


def test_encoders_draw_the_same_numbers_for_a_sample(
    deployed: nmhw.Deployment, y: np.ndarray
) -> None:
    images = np.random.default_rng(5).random((12, 6))
    asked: dict[str, Any] = {"encode": "rate", "n_steps": 7}
    same(deployed.run(images, y, **asked), deployed.run(loader(images, y), **asked))


def test_wrong_batches_are_refused(deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray) -> None:
    class Batches(list[Any]):
        dataset, batch_size = range(12), 5

    with pytest.raises(InputError, match="different numbers of steps"):
        deployed.run(Batches([(x[:5], y[:5]), (x[5:9, :7], y[5:9])]))
    with pytest.raises(InputError, match="some batches have labels"):
        deployed.run(Batches([(x[:5], y[:5]), (x[5:9],)]))
    with pytest.raises(InputError, match="no batch"):
        deployed.run(Batches([]))
    with pytest.raises(InputError, match="one label per sample"):
        deployed.run(loader(x), labels=np.zeros(13, int))
    with pytest.raises(InputError, match="one label per sample"):
        deployed.run(loader(x), labels=y[:3])


@pytest.fixture
def recordings() -> list[dict[str, np.ndarray]]:
    """Nine recordings of a 6 x 1 sensor."""
    rng = np.random.default_rng(7)
    made = []
    for _ in range(9):
        t = np.sort(rng.integers(0, 10_000, 30))
        made.append({"t": t, "x": rng.integers(0, 6, 30)})
    return made


def test_recordings_give_what_their_events_give(
    deployed: nmhw.Deployment, recordings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = nmhw.load_events(recordings, dt="1ms", sensor="6x1", bin="binary", labels=[0, 1, 2] * 3)
    whole = deployed.run(found.events(), found.labels)
    run = deployed.run(found)
    same(whole, run)
    monkeypatch.setattr(streamed_inputs, "_HELD_BYTES", 0)
    same(whole, deployed.run(found))
    same(whole, deployed.run(found, chunk=2))
    record = run.to_json()["event_recordings"]
    assert record["read"] == 270 == record["sent"] + record["lost"]["merged"]
    assert record["lost"]["merged"] > 0
    assert f"{record['lost']['merged']} events beyond what bin binary keeps" in run.report()
    floats = nmhw.run_float(deployed.network, found)
    assert len(floats.spikes["input"]) == record["sent"]


def test_too_many_input_events_of_a_stream_are_not_kept(
    deployed: nmhw.Deployment, recordings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = nmhw.load_events(recordings, dt="1ms", sensor="6x1", bin="binary", labels=[0, 1, 2] * 3)
    monkeypatch.setattr(streamed_inputs, "_HELD_BYTES", 0)
    whole, run = deployed.run(found), deployed.run(found, keep_spikes=100, chunk=2)
    assert set(run.spikes) == {"lif2"}
    for name in ("lif1", "input"):
        with pytest.raises(SpikesNotKeptError):
            run.spikes[name]
    for key in ("spikes", "synops", "accuracy", "energy_j", "input_events"):
        assert run.to_json()[key] == whole.to_json()[key]
    again = nmhw.load_result(run.save(tmp_path / "r"))
    assert again.summary() == run.summary()


def test_progress_counts_the_samples_of_all_batches(
    deployed: nmhw.Deployment, x: np.ndarray, y: np.ndarray
) -> None:
    seen: list[tuple[int, int]] = []
    deployed.run(loader(x, y, 5), progress=lambda *at: seen.append(at))
    assert seen[-1] == (12, 12)
    assert {total for _, total in seen} == {12}


def test_windows_of_one_recording_are_samples(
    deployed: nmhw.Deployment, event_writers: ModuleType
) -> None:
    t = np.arange(0, 100_000, 50)
    found = nmhw.load_events(
        {"t": t, "x": t // 50 % 6}, dt="1ms", sensor=(6, 1), window="10ms", bin="clip(1)"
    )
    assert (found.n_samples, found.n_steps, found.shape) == (10, 10, (6,))
    assert deployed.run(found).result.n_samples == 10


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "bin": ({"bin": "clip(0)"}, "no such binning"),
    "polarity": ({"polarity": "off"}, "no such polarity"),
    "origin": ({"origin": "last"}, "no such origin"),
    "dt": ({"dt": "0ms"}, "not a time"),
    "half a nanosecond": ({"dt": 1.5e-9}, "whole nanoseconds"),
    "no time": ({"dt": None}, "is a time"),
    "sensor": ({"sensor": "6"}, "WIDTHxHEIGHT"),
    "no sensor": ({"sensor": None}, "how large its sensor is"),
    "window": ({"window": "1.5ms"}, "whole number of steps"),
    "steps and windows": ({"window": "2ms", "n_steps": 3}, "a length of their own"),
    "no step": ({"n_steps": 0}, "at least 1"),
}


@pytest.mark.parametrize("case", WRONG)
def test_options_that_make_no_sense(recordings: Any, case: str) -> None:
    given, text = WRONG[case]
    with pytest.raises(UsageError, match=text):
        nmhw.load_events(recordings, **{"dt": "1ms", "sensor": "6x1", **given})


def test_what_lies_outside_is_refused_or_dropped_and_named(recordings: Any) -> None:
    with pytest.raises(InputError) as caught:
        nmhw.load_events(recordings, dt="1ms", sensor="4x1")
    assert caught.value.rule == "events.range"
    found = nmhw.load_events(recordings, dt="1ms", sensor="4x1", outside="drop", n_steps=5)
    lost = found.account.lost
    assert lost["outside"] > 0
    assert lost["late"] > 0
    assert found.account.n_read == found.account.n_sent + sum(lost.values())
