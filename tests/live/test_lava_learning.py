"""STD-ED and MPD-ED as Lava processes equal the Numba engine: weights, counts, accuracy curve."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nmhw.api.learning import learn
from nmhw.io.encode import encode, encode_times
from nmhw.io.learning_data import load_learning_data
from nmhw.sim.lava.learn import LavaEngine
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.epoch_outcome import EpochOutcome
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.packed import PackedEvents, pack_events, pack_times
from nmhw.values.learning import OPERATION_INDEX, WeightFormat

N_STEPS = 16


@pytest.fixture(autouse=True)
def in_lava_environment(lava_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the interpreter of the live oracle."""
    monkeypatch.setenv("NMHW_LAVA_PYTHON", str(lava_environment))


def digits(rule: GradientRule, n: int) -> tuple[PackedEvents, NDArray[np.int64]]:
    """Return the first training images as events, with labels."""
    data = load_learning_data("digits")
    rows = data.rows("train")[:n]
    assert data.images is not None
    images = data.images[rows]
    if rule.uses_times:
        return pack_times(encode_times(images, N_STEPS), rule), data.labels[rows]
    return pack_events(encode(images, "latency", N_STEPS)), data.labels[rows]


def rule_of(name: str, **options: Any) -> GradientRule:
    """Return a rule in integers."""
    if name == "std-ed":
        options["time"] = "ticks"
    return named(name, n_steps=N_STEPS, **options)


def assert_outcomes_are_equal(lava: EpochOutcome, numba: EpochOutcome) -> None:
    """Compare all that one pass left."""
    np.testing.assert_array_equal(lava.counts.values, numba.counts.values)
    np.testing.assert_array_equal(lava.scores, numba.scores)
    for ours, theirs in zip(lava.error_packets, numba.error_packets, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in ("n_correct", "n_updated", "silent_fraction"):
        assert getattr(lava, name) == getattr(numba, name), name


def assert_states_are_equal(lava: Engine, numba: Engine) -> None:
    """Compare weights, codes, registers and thresholds."""
    for name, value in numba.state().items():
        np.testing.assert_array_equal(lava.state()[name], value, err_msg=name)


@pytest.mark.parametrize(("name", "lr"), [("std-ed", 0.01), ("mpd-ed", 0.02)])
def test_weights_after_every_sample_of_300_digits(name: str, lr: float) -> None:
    n, rule, net = 300, rule_of(name), parse_sizes("64-32-10")
    inputs, labels = digits(rule, n)
    shared = (net, initial_weights(net, rule, 0), rule, WeightFormat())
    lava = LavaEngine(*shared, lr=lr, keeps_history=True)
    numba, one_by_one = Engine(*shared, lr=lr), Engine(*shared, lr=lr)
    correct = {"lava": 0, "numba": 0}
    for epoch, n_seen in enumerate((n, n // 2)):
        order = np.random.default_rng(epoch).permutation(n)[:n_seen]
        after = lava.train(inputs, labels, order)
        before = numba.train(inputs, labels, order)
        assert_outcomes_are_equal(after, before)
        assert_states_are_equal(lava, numba)
        correct = {"lava": after.n_correct, "numba": before.n_correct}
        n_changed = 0
        for k, sample in enumerate(order):
            old = one_by_one.store.flat_codes.copy()
            one_by_one.train(inputs, labels, [sample])
            for layer, history in enumerate(lava.history):
                np.testing.assert_array_equal(history[k], one_by_one.store.codes(layer))
            n_changed += bool((old != one_by_one.store.flat_codes).any())
        assert n_changed > 0.9 * n_seen
    assert correct["lava"] == correct["numba"] > 0.25 * n_seen  # chance: 0.1


#: Initial weights with which untrained outputs and second layers spike.
STRONG = {"init_gain": 4.0, "head_gain": 1.0}
NARROW = WeightFormat(4, 1.5, "stochastic", "if-changed", 0.1, 0.05)
STREAM = WeightFormat(8, 1.5, "nearest", "always", accumulate="stream")

FORMS: list[tuple[str, str, dict[str, Any], WeightFormat, int]] = [
    ("mpd-ed", "64-12-8-10", {"mask": "band", "threshold": "homeostatic"} | STRONG, STREAM, 0),
    ("mpd-ed", "64-12-8-10", {"mask": "band", "head": "spiking"} | STRONG, NARROW, 0),
    ("mpd-ed", "64-12-8-10", {"threshold": "learnable"} | STRONG, WeightFormat(), 1),
    ("mpd-ed", "64-10", {"threshold": "ramp", "head": "spiking"} | STRONG, WeightFormat(), 0),
    ("std-ed", "64-12-8-10", {"head": "spiking"}, STREAM, 0),
    ("std-ed", "64-12-8-10", {"threshold": "fixed"}, NARROW, 0),
    ("std-ed", "64-12-8-10", {"threshold": "ramp"}, WeightFormat(), 1),
    ("std-ed", "64-10", {"threshold": "fixed", "t_end": 0.5}, WeightFormat(), 0),
]


@pytest.mark.parametrize(("name", "sizes", "options", "form", "n_frozen"), FORMS)
def test_every_form_of_the_rules(
    name: str, sizes: str, options: dict[str, Any], form: WeightFormat, n_frozen: int
) -> None:
    rule, net = rule_of(name, **options), parse_sizes(sizes)
    inputs, labels = digits(rule, 12)
    shared = (net, initial_weights(net, rule, 1), rule, form)
    more: dict[str, Any] = {"lr": 0.02, "seed": 5, "frozen": net.names[:n_frozen]}
    lava, numba = LavaEngine(*shared, **more), Engine(*shared, **more)
    order = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]  # samples may come twice
    outcome = lava.train(inputs, labels, order)
    assert_outcomes_are_equal(outcome, numba.train(inputs, labels, order))
    assert_states_are_equal(lava, numba)
    total = outcome.counts.values.sum(axis=0)
    assert total[OPERATION_INDEX["error_event"]] > 20
    assert total[OPERATION_INDEX["weight_write"]] > 10


@pytest.mark.parametrize("rule", ["std-ed", "mpd-ed"])
def test_an_experiment_has_the_same_accuracy_curve(rule: str) -> None:
    data = load_learning_data("digits").take(60, 0, 40)
    options: dict[str, Any] = {"net": "64-16-10", "epochs": 2, "baselines": ()}
    lava = learn(data, rule, backend="lava", **options).to_json()
    numba = learn(data, rule, **options).to_json()
    assert (lava.pop("backend"), numba.pop("backend")) == ("lava", "numba")
    assert lava == numba


def test_a_run_that_was_cut_off_in_numba_ends_in_lava(tmp_path: Path) -> None:
    data = load_learning_data("digits").take(30, 0, 20)
    options: dict[str, Any] = {"net": "64-12-10", "baselines": (), "epochs": 2}
    whole = learn(data, "mpd-ed", **options)

    def cut_off(label: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(data, "mpd-ed", out=tmp_path, progress=cut_off, **options)
    rest = learn(data, "mpd-ed", out=tmp_path, resume=True, backend="lava", **options)
    for ours, theirs in zip(rest.trained[0].weights, whole.trained[0].weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert rest.to_json()["epochs"] == whole.to_json()["epochs"]
