"""The engine: what it refuses, how it skips, streams, freezes and resumes, and that it learns."""

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, UnsupportedError, UsageError
from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.float_form import run_batch
from nmhw.sim.learning.gradient_rule import GradientRule, named
from nmhw.sim.learning.layer import LearningNetwork
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.packed import PackedEvents, pack_events, pack_times
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OPERATION_INDEX, WeightFormat

FLOATS = WeightFormat(bits=None, policy="always")
STD_ED = named("std-ed")
TICKS = named("std-ed", time="ticks")
MPD_ED = named("mpd-ed", init_mean=2.0, head_gain=1.0, n_steps=8)
NET = parse_sizes("6-9-3")


def make_engine(
    rule: GradientRule = MPD_ED,
    store: WeightFormat = FLOATS,
    mode: Any = "float",
    net: LearningNetwork = NET,
    **options: Any,
) -> Engine:
    return Engine(net, initial_weights(net, rule, 1), rule, store, mode=mode, **options)


def raster(n: int = 4, n_steps: int = 8, n_inputs: int = 6) -> np.ndarray:
    return (np.random.default_rng(3).random((n, n_steps, n_inputs)) < 0.4).astype(float)


def packed(x: np.ndarray) -> PackedEvents:
    return pack_events(SpikeEvents.from_dense(x, x.shape[2:]))


def blobs(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return values in 0..1 of three classes that differ in which two inputs are high."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 3
    x = rng.uniform(0.0, 0.5, (n, 6))
    x[np.arange(n), 2 * labels] += 0.5
    x[np.arange(n), 2 * labels + 1] += 0.5
    return x, labels


@pytest.mark.parametrize(
    ("rule", "store"),
    [(TICKS, WeightFormat()), (TICKS, WeightFormat(accumulate="stream")), (MPD_ED, WeightFormat())],
)
def test_integer_training_learns(rule: GradientRule, store: WeightFormat) -> None:
    x, labels = blobs(120)
    inputs = pack_times(1 - x, rule) if rule.uses_times else packed(_latency(x))
    engine = make_engine(rule, store, "integer", net=parse_sizes("6-24-3"), lr=0.02)
    before = engine.predict(inputs)[1]
    for _ in range(15):
        engine.train(inputs, labels, np.arange(120))
    after = engine.predict(inputs)[1]
    assert (after == labels).mean() >= 0.95 > (before == labels).mean() + 0.2


def _latency(x: np.ndarray) -> np.ndarray:
    """Return one spike per high value, the earlier the higher."""
    spikes = np.zeros((len(x), 8, x.shape[1]))
    step = np.minimum(((1 - x) * 8).astype(int), 7)
    np.put_along_axis(spikes, step[:, None, :], 1.0, axis=1)
    return spikes * (x >= 0.5)[:, None, :]


def test_training_is_resumed_bit_for_bit_in_mid_epoch() -> None:
    x, labels = blobs(30)
    store = WeightFormat(bits=6)
    inputs = pack_times(1 - x, TICKS)
    whole = make_engine(TICKS, store, "integer", seed=4)
    whole.train(inputs, labels, np.arange(30))
    first = make_engine(TICKS, store, "integer", seed=4)
    first.train(inputs, labels, np.arange(11))
    second = make_engine(TICKS, store, "integer", seed=99)
    second.restore(first.state())
    second.train(inputs, labels, np.arange(11, 30))
    for name, array in whole.state().items():
        if name != "n_moments":
            assert second.state()[name].tobytes() == array.tobytes(), name


def test_adam_is_that_of_the_formula_and_resumes() -> None:
    x, labels = raster(), np.array([0, 1, 2, 0])
    engine = make_engine(optimizer="adam", batch=2, lr=0.01)
    w = [engine.store.values(k) for k in range(2)]
    m, v = [np.zeros_like(a) for a in w], [np.zeros_like(a) for a in w]
    for n, rows in enumerate(([0, 1], [2, 3]), start=1):
        gradients = run_batch(NET, w, MPD_ED, x[rows], labels[rows]).gradients
        for k, g in enumerate(gradients):
            m[k] = 0.9 * m[k] + 0.1 * g
            v[k] = 0.999 * v[k] + 0.001 * g * g
            root = np.sqrt(v[k] / (1 - 0.999**n)) + 1e-8
            w[k] = w[k] - 0.01 * m[k] / (1 - 0.9**n) / root
    engine.train(packed(x), labels, np.arange(2))
    other = make_engine(optimizer="adam", batch=2, lr=0.01)
    other.restore(engine.state())
    other.train(packed(x), labels, np.arange(2, 4))
    for k in range(2):
        np.testing.assert_allclose(other.weights()[k], w[k], atol=1e-9)


def test_streaming_changes_weights_as_the_walk_meets_them() -> None:
    """One hidden layer: the head's errors are carried before its weights change."""
    check_streaming(raster(1))


def test_spikes_at_once_change_a_weight_once() -> None:
    check_streaming(raster(1) * np.random.default_rng(5).integers(1, 4, raster(1).shape))


def check_streaming(x: np.ndarray) -> None:
    labels, rate = np.array([1]), 0.05
    engine = make_engine(store=WeightFormat(bits=None, accumulate="stream"), lr=rate)
    before = engine.weights()
    outcome = engine.train(packed(x), labels, np.arange(1))
    result = run_batch(NET, before, MPD_ED, x, labels, accumulate="stream")
    for old, new, gradient in zip(before, engine.weights(), result.gradients, strict=True):
        np.testing.assert_allclose(new, old - rate * gradient, atol=1e-12)
    column = OPERATION_INDEX["weight_read"]
    assert outcome.counts.values[:, column].tolist() == result.counts.values[:, column].tolist()


def test_a_confident_sample_is_logged_but_not_learned_from() -> None:
    x = raster(1)
    scores = make_engine().predict(packed(x))[0][0]
    p = np.exp(scores - scores.max())
    label = np.array([int(p.argmax())])
    sure = float(p.max() / p.sum())
    for limit, n_updated in ((sure - 1e-6, 0), (sure + 1e-6, 1)):
        store = WeightFormat(bits=None, skip_confidence=limit)
        engine = make_engine(store=store)
        before = engine.weights()
        outcome = engine.train(packed(x), label, np.arange(1))
        assert outcome.n_updated == n_updated
        is_same = all((a == b).all() for a, b in zip(before, engine.weights(), strict=True))
        assert is_same == (n_updated == 0)
        assert outcome.counts.total("log_word") > 0
        assert (outcome.counts.total("weight_read", "gradient_mac") > 0) == (n_updated == 1)


def test_outputs_with_a_small_error_take_none() -> None:
    x, labels = raster(1), np.array([0])
    scores = make_engine().predict(packed(x))[0][0]
    p = np.exp(scores - scores.max())
    error = np.abs(p / p.sum() - np.array([1.0, 0.0, 0.0]))
    limit = float(np.sort(error)[0] + 1e-9)
    engine = make_engine(store=WeightFormat(bits=None, skip_error=limit))
    before = engine.weights()[1]
    outcome = engine.train(packed(x), labels, np.arange(1))
    quiet = int(error.argmin())
    assert outcome.counts.values[1, OPERATION_INDEX["error_event"]] == 2
    changed = (engine.weights()[1] != before).any(axis=0)
    assert changed.tolist() == [j != quiet for j in range(3)]


def test_frozen_layers_keep_their_weights_and_cost_only_the_forward_pass() -> None:
    net = parse_sizes("6-9-5-3")
    engine = make_engine(net=net, frozen=net.names[:2])
    before = engine.weights()
    counts = engine.train(packed(raster()), np.array([0, 1, 2, 0]), np.arange(4)).counts
    kept = [bool((a == b).all()) for a, b in zip(before, engine.weights(), strict=True)]
    assert kept == [True, True, False]
    after_forward = [k for n, k in OPERATION_INDEX.items() if n not in FORWARD]
    assert not counts.values[:2, after_forward].any()
    assert counts.total("propagation_mac", "error_packet") == 0


FORWARD = ("synop", "neuron_update", "spike", "log_word")


@pytest.mark.parametrize("name", ["gated", "gated-once", "dense"])
def test_stbp_is_also_counted_as_other_machines_would_work(name: Any) -> None:
    rule = named("stbp", n_steps=8, init_mean=2.0)
    x, labels = raster(1), np.array([2])
    store = WeightFormat(bits=None, policy="always")
    net = parse_sizes("6-r9-4-3")
    engine = Engine(
        net, initial_weights(net, rule, 1), rule, store, mode="float", accountings=(name,)
    )
    expected = run_batch(net, engine.weights(), rule, x, labels, name)
    outcome = engine.train(packed(x), labels, np.arange(1))
    assert outcome.other_counts[name].values.tolist() == expected.counts.values.tolist()


def test_a_gated_training_rewrites_only_weights_whose_source_had_an_event() -> None:
    rule = named("stbp", n_steps=8, init_mean=2.0)
    x, labels = raster(4), np.array([2, 0, 1, 2])
    x[:, :, [1, 4]] = 0  # two silent inputs
    for batch, shown in ((1, 4), (4, 1)):
        store = WeightFormat(policy="always")
        engine = make_engine(rule, store, "integer", batch=batch, lr=1.0, accountings=("dense",))
        before = engine.weights()[0]
        outcome = engine.train(packed(x), labels, np.arange(4))
        fired = x.any(axis=1) if batch == 1 else x.any(axis=(0, 1))[None]
        for name in ("weight_read", "weight_write", "random_word"):
            column = OPERATION_INDEX[name]
            assert outcome.counts.values[0, column] == fired.sum() * 9, name
            assert outcome.other_counts["dense"].values[0, column] == shown * 6 * 9, name
        changed = (engine.weights()[0] != before).any(axis=1)
        assert not changed[[1, 4]].any()
        assert changed.any()


@pytest.mark.parametrize("head", ["integrator", "spiking"])
def test_each_machine_has_its_own_error_packets(head: Any) -> None:
    """As many as its counts say, and those of the head once where it sends once."""
    rule = named("stbp", n_steps=8, init_mean=2.0, head=head)
    x, labels, net = raster(4), np.array([2, 0, 1, 2]), parse_sizes("6-9-4-3")
    names: Any = ("dense", "gated", "gated-once")
    engine = Engine(
        net, initial_weights(net, rule, 1), rule, FLOATS, mode="float", accountings=names
    )
    outcome = engine.train(packed(x), labels, np.arange(4))
    column = OPERATION_INDEX["error_packet"]
    for name in names:
        packets = [int(p.sum()) for p in outcome.other_packets[name]]
        assert packets == [*outcome.other_counts[name].values[1:, column], 0]
    once = 1 if head == "integrator" else 8
    assert outcome.other_packets["gated-once"][1].tolist() == [4 * once] * 4
    assert outcome.other_packets["dense"][1].tolist() == [4 * 8] * 4


@pytest.mark.parametrize("rule", [MPD_ED, MPD_ED.with_(mask="band"), TICKS])
def test_error_packets_per_neuron_sum_to_the_counted_ones(rule: GradientRule) -> None:
    x, labels, net = raster(4), np.array([2, 0, 1, 2]), parse_sizes("6-9-7-3")
    inputs = pack_times(1 - blobs(4)[0], rule) if rule.uses_times else packed(x)
    outcome = make_engine(rule, net=net, mode="integer", store=WeightFormat()).train(
        inputs, labels, np.arange(4)
    )
    counted = outcome.counts.values[1:, OPERATION_INDEX["error_packet"]].tolist()
    assert [int(p.sum()) for p in outcome.error_packets] == [*counted, 0]
    assert counted[-1] > 0


def test_a_training_with_a_mask_is_not_counted_as_a_gated_machine() -> None:
    engine = make_engine(accountings=("gated",))
    with pytest.raises(UnsupportedError, match="does not know which weights"):
        engine.train(packed(raster(1)), np.array([0]), np.arange(1))


def test_an_event_machine_cannot_be_counted_from_a_training_without_a_mask() -> None:
    rule = named("stbp", n_steps=8)
    engine = make_engine(rule, accountings=("band",))
    with pytest.raises(UnsupportedError, match="not counted"):
        engine.train(packed(raster(1)), np.array([0]), np.arange(1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "integer"}, "width"),
        ({"mode": "integer", "store": WeightFormat(), "optimizer": "adam"}, "Adam"),
        ({"mode": "integer", "store": WeightFormat(), "rule": STD_ED}, "ticks"),
        ({"mode": "fixed"}, "no such mode"),
        ({"batch": 0}, "batch"),
        ({"lr": -1.0}, "rate"),
        ({"frozen": ("no",)}, "first ones"),
        ({"store": WeightFormat(accumulate="stream"), "batch": 2}, "streaming"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_engine(**options)


def test_rules_it_does_not_run_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="does not run"):
        make_engine(named("srm"))


def test_inputs_of_another_size_or_kind_are_refused() -> None:
    engine = make_engine()
    with pytest.raises(InputError, match="another size"):
        engine.predict(packed(raster(n_inputs=5)))
    with pytest.raises(InputError, match="another size"):
        engine.predict(packed(raster(n_steps=9)))
    with pytest.raises(InputError, match="another rule"):
        make_engine(TICKS).predict(pack_times(np.zeros((2, 6)), STD_ED))
    with pytest.raises(InputError, match="no output"):
        engine.train(packed(raster()), np.array([0, 1, 2, 3]), np.arange(4))
    with pytest.raises(InputError, match="one label"):
        engine.train(packed(raster()), np.array([0]), np.arange(4))
    with pytest.raises(InputError, match="no sample"):
        engine.train(packed(raster()), np.zeros(4, int), np.arange(5))


def test_states_of_other_engines_are_refused() -> None:
    with pytest.raises(UsageError, match="state"):
        make_engine().restore(make_engine(optimizer="adam").state())


def test_packing_sums_events_and_refuses_what_is_no_spike_or_time() -> None:
    x = np.zeros((2, 3, 2))
    x[0, 1, 1], x[1, 0, 0], x[1, 2, 1] = 2, 1, 1
    events = packed(x)
    assert events.pointers.tolist() == [0, 1, 3]
    assert events.index.tolist() == [1, 0, 1]
    assert events.moment.tolist() == [1, 0, 2]
    assert events.value.tolist() == [2, 1, 1]
    times = pack_times(np.array([[0.1, np.inf], [0.5, 1.0]]), TICKS)
    assert times.moment.tolist() == [2, 8, 16]
    with pytest.raises(InputError, match="lie in 0"):
        pack_times(np.array([[1.5]]), STD_ED)
    with pytest.raises(InputError, match="inf = silent"):
        pack_times(np.array([[-0.5]]), STD_ED)
    with pytest.raises(UsageError, match="pack_events"):
        pack_times(np.zeros((1, 1)), MPD_ED)
