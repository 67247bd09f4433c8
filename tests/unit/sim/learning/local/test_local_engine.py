"""LocalEngine: forward semantics, counters by hand, third factors, integer weights, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, UsageError
from nmhw.sim.learning.local import (
    LOCAL_RULES,
    LearningRule,
    LocalEngine,
    LocalLayer,
    LocalNeuron,
    Update,
    local_rule,
)
from nmhw.values.learning import RuleSpec, WeightFormat

FLOAT = WeightFormat(None)


def test_forward_is_leaky_integration_with_reset() -> None:
    layer = LocalLayer("l", 1, 1, LocalNeuron(decay=0.5, theta=1.0))
    engine = LocalEngine([layer], [np.array([[0.6]])], FLOAT)
    out = engine.run(np.ones((4, 1)))
    # 0.6, 0.9, 1.05 -> spike and 0, 0.6
    np.testing.assert_array_equal(out.outputs[0][:, 0], [0, 0, 1, 0])
    assert engine.populations[0].v[0] == pytest.approx(0.6)


def test_a_recurrent_layer_feeds_spikes_back_one_step_later() -> None:
    layers = [
        LocalLayer("in", 1, 2, LocalNeuron(decay=0.0)),
        LocalLayer("rec", 2, 2, LocalNeuron(decay=0.0), is_recurrent=True),
    ]
    weights = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])]
    engine = LocalEngine(layers, weights, FLOAT)
    out = engine.run(np.array([[1.0], [0.0], [0.0]]))
    np.testing.assert_array_equal(out.outputs[0], [[1, 0], [0, 1], [0, 0]])


def test_only_the_strongest_spikes_and_silences_the_others() -> None:
    layer = LocalLayer("l", 1, 3, LocalNeuron(decay=1.0, n_winners=1))
    engine = LocalEngine([layer], [np.array([[1.5, 2.0, 0.7]])], FLOAT)
    out = engine.run(np.ones((1, 1)))
    np.testing.assert_array_equal(out.n_spikes[0], [0, 1, 0])
    np.testing.assert_array_equal(engine.populations[0].v, 0.0)


def test_counters_of_a_pair_stdp_sample_by_hand() -> None:
    rule = local_rule("stdp", a_plus=0.1, a_minus=0.1)
    engine = LocalEngine([LocalLayer("l", 3, 2, rule=rule)], [np.zeros((3, 2))], FLOAT)
    pre = np.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]])
    post = np.array([[0, 0], [0, 1], [1, 0]])
    engine.run(pre, forced=[post])
    count = engine.counts.by_operation()
    assert count["synop"] == 3 * 2
    assert count["neuron_update"] == 3 * 2
    assert count["spike"] == 2
    # blocks: on_pre 1x2, 2x2; on_post 3x1 twice
    assert count["gradient_mac"] == count["weight_read"] == 2 + 4 + 3 + 3
    # words not zero after each step: x 1, 3, 3; y 0, 1, 2
    assert count["trace_update"] == 1 + (3 + 1) + (3 + 2)
    # step 0: y = 0, nothing moves; step 1: y_1 = 1 moves 2 of 4; all x > 0 when targets spike
    assert count["weight_write"] == 0 + 2 + 3 + 3
    assert count["error_event"] == count["random_word"] == count["surrogate"] == 0


def test_counters_of_a_broadcast_error_by_hand() -> None:
    matrix = np.array([[1.0, -1.0], [0.5, 0.5], [0.0, 1.0]])
    layer = LocalLayer(
        "l", 2, 2, rule=local_rule("e-prop"), feedback="random", feedback_weights=matrix
    )
    engine = LocalEngine([layer], [np.full((2, 2), 0.3)], FLOAT)
    signals = [None, [0.5, 0.0, 1.0]]
    engine.run(np.array([[1.0, 0.0], [0.0, 0.0]]), lambda _, step: [signals[step]])
    count = engine.counts.by_operation()
    assert count["error_packet"] == 2
    assert count["propagation_mac"] == 2 * 2
    assert count["error_event"] == 2
    assert count["surrogate"] == 2 * 2
    assert count["gradient_mac"] == 1 * 2


def test_forward_only_counts_no_learning_and_moves_no_weight() -> None:
    engine = LocalEngine([LocalLayer("l", 3, 2, rule=local_rule("stdp"))], [np.ones((3, 2))], FLOAT)
    engine.run(np.ones((4, 3)), learn=False)
    count = engine.counts.by_operation()
    assert count["synop"] == 24
    assert sum(count[name] for name in ("gradient_mac", "trace_update", "weight_read")) == 0


@pytest.mark.parametrize("name", sorted(LOCAL_RULES))
def test_every_rule_runs_with_8_bit_stochastic_weights(name: str) -> None:
    parameters = {"dw": "x1*y0 - x0*y1", "x1": (1.0, 5.0), "y1": (1.0, 5.0)}
    rule = local_rule(name, **(parameters if name == "sum-of-products" else {}))
    first = np.random.default_rng(1).normal(0.0, 0.4, (12, 7))
    layer = LocalLayer("l", 12, 7, LocalNeuron(decay=0.9), rule)

    def train(bits: int | None, seed: int) -> Any:
        engine = LocalEngine([layer], [first], WeightFormat(bits), learning_rate=0.003, seed=seed)
        rng = np.random.default_rng(2)
        for _ in range(20):
            engine.run(
                (rng.random((20, 12)) < 0.4).astype(float),
                lambda _, step: [rng.normal(0.0, 1.0, 1)[0] if step % 5 == 4 else None],
            )
        return engine

    one, same, other, exact = train(8, 0), train(8, 0), train(8, 1), train(None, 0)
    codes = one.weights[0] / (1.5 / 127)
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-9)
    assert np.abs(codes).max() <= 127.0000001
    assert (one.weights[0] != exact.weights[0]).any()
    np.testing.assert_array_equal(one.weights[0], same.weights[0])
    np.testing.assert_array_equal(one.counts.values, same.counts.values)
    assert (one.weights[0] != first).any()
    if name != "sdsp":  # whole codes: nothing is left to round
        assert (one.weights[0] != other.weights[0]).any()
    row = one.counts.by_operation()
    assert row["random_word"] == row["weight_read"] >= row["weight_write"] > 0


@pytest.mark.parametrize("policy", ["always", "if-changed"])
@pytest.mark.parametrize("rounding", ["stochastic", "nearest"])
def test_compiled_runs_equal_numpy_runs_bit_for_bit(rounding: Any, policy: Any) -> None:
    form = WeightFormat(8, rounding=rounding, policy=policy)
    first = np.random.default_rng(1).normal(0.0, 0.4, (12, 7))
    for name in ("stdp", "r-stdp", "sdsp", "decolle", "delta"):
        layer = LocalLayer("l", 12, 7, LocalNeuron(decay=0.9), local_rule(name))
        engines = [
            LocalEngine([layer], [first], form, learning_rate=0.02, use_compiled=fast)
            for fast in (False, True)
        ]
        for engine in engines:
            rng = np.random.default_rng(2)
            for _ in range(3):
                spikes = (rng.random((20, 12)) < 0.4).astype(float)
                errors = [rng.normal() if step % 5 == 4 else None for step in range(20)]
                engine.run(spikes, lambda _, step, e=errors: [e[step]])  # type: ignore[misc]
        plain, fast = engines
        np.testing.assert_array_equal(plain.store.flat_codes, fast.store.flat_codes)
        np.testing.assert_array_equal(plain.store.registers, fast.store.registers)
        np.testing.assert_array_equal(plain.counts.values, fast.counts.values)
        np.testing.assert_array_equal(plain.weights[0], fast.weights[0])
        assert (plain.weights[0] != first).any()


class Broken(LearningRule):
    """Returns whatever it is told to."""

    spec = RuleSpec("broken", "", "", triggers=("on_pre",))

    def __init__(self, update: Any) -> None:
        self.update = update

    def on_pre(self, a: Any, s: Any) -> Any:
        return self.update


TWO = np.arange(2)


@pytest.mark.parametrize(
    ("update", "words"),
    [
        (Update(TWO, TWO, np.zeros((2, 3))), "wrong shape"),
        (Update(TWO, TWO, np.full((2, 2), np.nan)), "not finite"),
        (Update(TWO, np.array([0, 9]), np.zeros((2, 2))), "out of range"),
        (Update(np.array([0, 0]), TWO, np.zeros((2, 2))), "each index once"),
        (Update(np.array([0.0]), TWO, np.zeros((1, 2))), "indices"),
        (Update(np.array([2]), TWO, np.zeros((1, 2))), "silent"),
        ("nonsense", "rows, cols, dw"),
    ],
)
def test_an_update_that_makes_no_sense_is_refused(update: Any, words: str) -> None:
    engine = LocalEngine([LocalLayer("l", 3, 2, rule=Broken(update))], [np.zeros((3, 2))], FLOAT)
    with pytest.raises(InputError, match=words):
        engine.run(np.array([[1.0, 1.0, 0.0]]))


def test_layers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="does not fit"):
        LocalEngine([LocalLayer("a", 3, 2), LocalLayer("b", 3, 2)], [np.zeros((3, 2))] * 2, FLOAT)
    with pytest.raises(UsageError, match="inputs of one sample"):
        LocalEngine([LocalLayer("a", 3, 2)], [np.zeros((3, 2))], FLOAT).run(np.zeros((4, 2)))
    with pytest.raises(UsageError, match="feedback weights"):
        LocalLayer("a", 3, 2, feedback="random")
    with pytest.raises(UsageError, match="recurrent"):
        LocalLayer("a", 3, 2, is_recurrent=True)
