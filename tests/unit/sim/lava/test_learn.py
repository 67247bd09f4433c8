"""What the Lava learning processes refuse, and the schedule that keeps their messages in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import MissingExtraError, UnsupportedError, UsageError
from nmhw.sim.lava import learn
from nmhw.sim.lava.learn import LavaEngine
from nmhw.sim.lava.worker.nmhw_lava.learn_schedule import schedule
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.packed import PackedEvents, pack_times
from nmhw.values.learning import WeightFormat


def engine(sizes: str = "6-4-3", name: str = "std-ed", **options: Any) -> LavaEngine:
    """Return an engine on a small network."""
    net = parse_sizes(sizes)
    rule = named(name, n_steps=8, **({"time": "ticks"} if name == "std-ed" else {}))
    return LavaEngine(net, initial_weights(net, rule, 0), rule, WeightFormat(), **options)


def some_times(e: LavaEngine) -> PackedEvents:
    """Return three samples."""
    return pack_times(np.random.default_rng(0).random((3, 6)), e.rule)


@pytest.mark.parametrize(
    ("options", "got"),
    [
        ({"name": "stbp"}, "rule stbp"),
        ({"mode": "float"}, "float mode"),
        ({"batch": 4}, "batch 4"),
        ({"sizes": "1x4x4-c2k3-3", "name": "mpd-ed"}, "convolution"),
        ({"sizes": "1x4x4-p2-3", "name": "mpd-ed"}, "pool"),
        ({"sizes": "6-r4-3", "name": "mpd-ed"}, "recurrent"),
        ({"accountings": ("dense",)}, "dense"),
        ({"frozen": ("layer1", "head")}, "layer1"),
    ],
)
def test_what_has_no_processes_is_refused(options: dict[str, Any], got: str) -> None:
    with pytest.raises(UsageError, match=got) as refused:
        engine(**options)
    assert refused.value.rule == "lava.learning"


def test_without_an_environment_the_error_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.delenv("NMHW_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    e = engine()
    before = e.state()
    with pytest.raises(MissingExtraError, match="nmhw lava install"):
        e.train(some_times(e), [0, 1, 2], [0, 1, 2])
    for name, value in before.items():
        np.testing.assert_array_equal(value, e.state()[name])


def test_no_samples_need_no_lava() -> None:
    e = engine()
    outcome = e.train(some_times(e), [0, 1, 2], [])
    assert not outcome.counts.values.any()
    assert outcome.scores.shape == (0, 3)


def test_the_log_of_a_sample_is_the_other_engines_business() -> None:
    e = engine()
    with pytest.raises(UnsupportedError, match="no log"):
        e.log_of(some_times(e), 0)


def test_a_job_carries_the_samples_in_the_order_of_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: dict[str, Any] = {}

    def answer(kind: str, question: Any, arrays: Any, **_: Any) -> Any:
        seen.update(kind=kind, question=question, arrays=arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(learn, "ask_lava", answer)
    e = engine()
    inputs = some_times(e)
    with pytest.raises(KeyboardInterrupt):
        e.train(inputs, [2, 0, 1], [2, 0, 2])
    arrays = seen["arrays"]
    assert arrays["labels"].tolist() == [1, 2, 1]
    assert arrays["pointers"].tolist() == [0, 6, 12, 18]
    third = inputs.moment[12:18].tolist()
    assert arrays["moment"].tolist() == third + inputs.moment[:6].tolist() + third
    assert seen["question"]["n_samples"] == 3


@pytest.mark.parametrize("rule", ["std-ed", "mpd-ed"])
@pytest.mark.parametrize("head", ["integrator", "spiking"])
@pytest.mark.parametrize("n_layers", [1, 2, 4])
@pytest.mark.parametrize("learns", [False, True])
def test_every_message_is_sent_before_it_is_met(
    rule: str, head: str, n_layers: int, learns: bool
) -> None:
    question = {
        "rule": rule, "head": head, "n_steps": 16, "layers": [{}] * n_layers, "learns": learns,
        "arithmetic": {"opens": 16, "last": 32},
    }  # fmt: skip
    rows = schedule(question, 17)
    parts = list(zip(rows["connections"], rows["populations"], strict=True))
    n_back = 1 if rule == "std-ed" else 16
    for k, (connection, population) in enumerate(parts):
        assert population["start"] == connection["start"] + 1
        assert connection["turn"] == population["turn"] + 1
        if k:
            below = parts[k - 1][1]
            assert below["turn"] == connection["turn"] + 1
            opens = 16 if rule == "std-ed" else 0
            assert connection["start"] == below["start"] + opens + 1
    last = parts[-1][1]["start"] + rows["n_head"] - 1
    assert parts[-1][1]["turn"] == last
    ends = last + 1
    if learns:
        ends = parts[0][0]["turn"] + (1 if n_layers == 1 and head == "integrator" else n_back)
    assert rows["period"] == max(ends, 19)
