"""LocalClassifier: learns, resumes bit for bit, judges without a trace, refuses what it lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UnsupportedError
from nmhw.sim.learning.local.classifier import (
    LocalClassifier,
    classifier_rule,
    classifier_weights,
    dense_sample,
)
from nmhw.sim.learning.network import parse_sizes
from nmhw.sim.learning.packed import pack_events
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import WeightFormat

STEPS, N = 12, 90
WRITTEN = {"dw": "2^-7*x1*y0", "x1": (2.5, 3.0), "is_fixed": True}


def samples() -> tuple[Any, np.ndarray]:
    """Three classes: each drives its own third of twelve inputs, with noise."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    rates = np.where(np.arange(12) // 4 == labels[:, None], 0.5, 0.1)
    spikes = rng.random((N, STEPS, 12)) < rates[:, None, :]
    sample, step, index = np.nonzero(spikes)
    return pack_events(SpikeEvents.from_arrays(sample, step, index, N, STEPS, (12,))), labels


def make(name: str, net: str = "12-16-3", bits: int | None = 8, **options: Any) -> LocalClassifier:
    sizes = parse_sizes(net)
    weights = classifier_weights(sizes, 1)
    return LocalClassifier(sizes, weights, classifier_rule(name, **options), WeightFormat(bits),
                           0.02, seed=1, n_steps=STEPS)  # fmt: skip


@pytest.mark.parametrize("name", ["delta", "e-prop", "drtp", "decolle", "r-stdp", "soft-hebb"])
def test_three_classes_are_learned(name: str) -> None:
    inputs, labels = samples()
    classifier = make(name)
    before = classifier.predict(inputs)[1]
    for epoch in range(3):
        outcome = classifier.train(inputs, labels, np.random.default_rng(epoch).permutation(N))
    after = classifier.predict(inputs)[1]
    assert (before == labels).mean() < 0.6
    assert (after == labels).mean() > 0.75
    assert outcome.counts.n_samples == outcome.n_updated == N
    assert outcome.counts.total("weight_read") >= outcome.counts.total("weight_write") > 0
    assert [int(e.sum()) for e in outcome.error_packets] == [0, 0]
    assert outcome.scores.shape == (N, 3)


def test_a_recurrent_layer_learns_too() -> None:
    inputs, labels = samples()
    classifier = make("e-prop", "12-r16-3")
    first = classifier.weights()
    classifier.train(inputs, labels, np.arange(N))
    moved = [(a != b).any() for a, b in zip(first, classifier.weights(), strict=True)]
    assert moved == [True, True, True]


@pytest.mark.parametrize(
    ("name", "options"),
    [("decolle", {}), ("sum-of-products", WRITTEN)],
)
def test_a_continued_training_equals_an_uninterrupted_one(name: str, options: Any) -> None:
    inputs, labels = samples()
    whole, first, second = (make(name, **options) for _ in range(3))
    whole.train(inputs, labels, np.arange(N))
    expected = whole.train(inputs, labels, np.arange(N))
    first.train(inputs, labels, np.arange(N))
    second.restore(first.state())
    got = second.train(inputs, labels, np.arange(N))
    for a, b in zip(whole.weights(), second.weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(expected.counts.values, got.counts.values)
    np.testing.assert_array_equal(expected.scores, got.scores)


def test_judging_leaves_no_trace() -> None:
    inputs, labels = samples()
    one, two = (make("sum-of-products", **WRITTEN) for _ in range(2))
    one.predict(inputs)
    for classifier in (one, two):
        classifier.train(inputs, labels, np.arange(N))
    for a, b in zip(one.weights(), two.weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_hidden_layers_the_rule_trains_the_head() -> None:
    inputs, labels = samples()
    classifier = make("pes", "12-3")
    for epoch in range(3):
        classifier.train(inputs, labels, np.random.default_rng(epoch).permutation(N))
    assert (classifier.predict(inputs)[1] == labels).mean() > 0.8
    with pytest.raises(UnsupportedError, match="no error per neuron"):
        make("stdp", "12-3")


def test_frozen_layers_keep_their_weights() -> None:
    inputs, labels = samples()
    net = parse_sizes("12-16-3")
    weights = classifier_weights(net, 1)
    classifier = LocalClassifier(net, weights, classifier_rule("e-prop"), WeightFormat(None), 0.02,
                                 frozen=("layer1",))  # fmt: skip
    classifier.train(inputs, labels, np.arange(N))
    np.testing.assert_array_equal(classifier.weights()[0], weights[0])
    assert (classifier.weights()[1] != weights[1]).any()


def test_a_packed_sample_comes_back_whole() -> None:
    inputs, _ = samples()
    total = sum(dense_sample(inputs, k).sum() for k in range(N))
    assert total == inputs.value.sum()
    assert dense_sample(inputs, 0).shape == (STEPS, 12)


def test_convolutions_and_skips_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="dense layers"):
        make("e-prop", "1x4x3-c2k3p1-3")
    net = parse_sizes("12-3")
    form = WeightFormat(8, skip_confidence=0.9)
    with pytest.raises(UnsupportedError, match="not skipped"):
        LocalClassifier(net, classifier_weights(net, 0), classifier_rule("delta"), form, 0.1)
