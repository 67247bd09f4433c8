from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nmhw.errors import InputError, UsageError
from nmhw.io.encode import (
    ENCODERS,
    encode,
    encode_accumulate,
    encode_delta,
    encode_inputs,
    encode_latency,
    encode_levels,
    encode_rate,
)
from nmhw.values.network import Network


def test_rate_is_seeded_and_independent_of_the_other_samples() -> None:
    x = np.random.default_rng(0).random((4, 6))
    first = encode_rate(x, 20, seed=3).dense()
    np.testing.assert_array_equal(first, encode_rate(x, 20, seed=3).dense())
    np.testing.assert_array_equal(first[:2], encode_rate(x[:2], 20, seed=3).dense())
    assert (first != encode_rate(x, 20, seed=4).dense()).any()


def test_rate_spikes_with_the_given_probability() -> None:
    x = np.tile([0.0, 0.1, 0.5, 1.0], (10, 1))
    rates = encode_rate(x, 1000).dense().mean(axis=(0, 1))
    assert rates[0] == 0
    assert rates[3] == 1
    # four standard deviations of 10 000 draws
    assert abs(rates[1] - 0.1) < 4 * np.sqrt(0.09 / 10_000)
    assert abs(rates[2] - 0.5) < 4 * np.sqrt(0.25 / 10_000)


def test_latency_sends_one_spike_the_earlier_the_larger() -> None:
    events = encode_latency(np.array([[1.0, 0.5, 0.25, 1e-9, 0.0]]), 9)
    assert dict(zip(events.index.tolist(), events.step.tolist(), strict=True)) == {
        0: 0,
        1: 4,
        2: 6,
        3: 8,
    }


def test_accumulate_has_sent_floor_of_k_x_after_k_steps() -> None:
    x = np.array([[0.0, 0.1, 1 / 3, 0.5, 0.9, 1.0]])
    sent = np.cumsum(encode_accumulate(x, 30).dense()[0], axis=0)
    exact = [[0, k // 10, k // 3, k // 2, 9 * k // 10, k] for k in range(1, 31)]
    np.testing.assert_array_equal(sent, exact)


def test_accumulate_equals_an_integer_accumulator() -> None:
    pixels = np.arange(17)
    acc, raster = np.zeros(17, int), []
    for _ in range(16):
        acc += pixels
        raster.append(acc >= 16)
        acc -= 16 * raster[-1]
    np.testing.assert_array_equal(encode_accumulate(pixels[None] / 16, 16).dense()[0], raster)


def test_delta_follows_the_signal_by_thresholds() -> None:
    x = np.array([0.0, 0.25, 0.55, 0.5, 0.5, 0.0])[None, :, None]
    up, down = encode_delta(x, threshold=0.2).dense()[0].T
    assert up.tolist() == [0, 1, 1, 0, 0, 0]
    assert down.tolist() == [0, 0, 0, 0, 0, 1]
    assert encode_delta(x, threshold=0.2).shape == (2, 1)
    only_up = encode_delta(x, threshold=0.2, off_channel=False)
    assert (only_up.shape, only_up.dense()[0, :, 0].tolist()) == ((1,), up.tolist())


def test_levels_are_the_same_spikes_in_every_step() -> None:
    x = np.array([[0.0, 0.12, 0.13, 0.5, 1.0]])
    dense = encode_levels(x, 3).dense()[0]
    np.testing.assert_array_equal(dense, [[0, 0, 1, 2, 4]] * 3)
    assert encode_levels(np.full((2, 3, 4), 0.5), 6).shape == (3, 4)
    with pytest.raises(UsageError):
        encode_levels(x, 3, 0)


def test_shapes_are_kept() -> None:
    x = np.full((2, 3, 4), 0.5)
    for method in ("rate", "latency", "accumulate"):
        events = encode(x, method, 6)
        assert (events.n_samples, events.n_steps, events.shape) == (2, 6, (3, 4))


def network(shape: tuple[int, ...]) -> Network:
    build = Network.build("n").input("in", shape).population("p", 1, "if")
    return build.output("y", "p").done()


def test_network_inputs_are_encoded_in_their_shape() -> None:
    x = np.random.default_rng(0).random((5, 6))
    events = encode_inputs(network((2, 3)), x, "rate", 7, seed=1)["in"]
    assert events.shape == (2, 3)
    np.testing.assert_array_equal(events.dense(), encode_rate(x, 7, 1).dense())
    signal = np.random.default_rng(0).random((5, 9, 3))
    both = encode_inputs(network((2, 3)), signal, "delta")["in"]
    np.testing.assert_array_equal(both.dense(), encode_delta(signal).dense())
    up = encode_inputs(network((3,)), signal, "delta")["in"]
    np.testing.assert_array_equal(up.dense(), both.dense()[:, :, :3])


@pytest.mark.parametrize(
    ("x", "method", "message"),
    [
        (np.zeros((5, 7)), "rate", r"in: rate encoding takes \(samples, ...\): got \(5, 7\)"),
        (np.zeros(6), "rate", "rate encoding takes"),
        (np.zeros((5, 6)), "delta", r"delta encoding takes \(samples, steps, ...\)"),
        (np.full((5, 6), 1.5), "rate", r"must lie in \[0, 1\]: got 1.5 to 1.5"),
        (np.full((5, 6), -0.1), "latency", r"must lie in \[0, 1\]"),
        (np.full((5, 6), np.nan), "accumulate", "not finite"),
        (np.zeros((0, 6)), "rate", "an encoder takes"),
    ],
)
def test_values_that_cannot_be_encoded_are_refused(x: Any, method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode_inputs(network((2, 3)), x, method, 4)


def test_unknown_encoder_and_missing_steps_are_refused() -> None:
    with pytest.raises(UsageError, match=", ".join(ENCODERS)):
        encode(np.zeros((1, 2)), "phase", 4)
    with pytest.raises(UsageError, match="--steps T"):
        encode(np.zeros((1, 2)), "rate")
    with pytest.raises(UsageError, match="at least one step"):
        encode(np.zeros((1, 2)), "rate", 0)
    with pytest.raises(UsageError, match="threshold must be positive"):
        encode_delta(np.zeros((1, 2, 3)), 0.0)
