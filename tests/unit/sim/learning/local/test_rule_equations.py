"""Every local rule against its equation, written as plain loops over synapses and steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nmhw.sim.learning.local import LocalEngine, LocalLayer, LocalNeuron, local_rule
from nmhw.values.learning import WeightFormat

N_IN, N_OUT, STEPS, RATE = 6, 4, 60, 0.01
FLOAT = WeightFormat(None)


def spikes(seed: int, n: int, p: float = 0.25) -> np.ndarray:
    return (np.random.default_rng(seed).random((STEPS, n)) < p).astype(float)


def start(seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.2, 0.2, (N_IN, N_OUT))


def trained(
    rule: Any, pre: np.ndarray, post: np.ndarray | None, signals: Any = None, **layer: Any
) -> np.ndarray:
    """Return the weights after one sample in the engine."""
    one = LocalLayer("layer", N_IN, N_OUT, rule=rule, **layer)
    engine = LocalEngine([one], [start()], FLOAT, learning_rate=RATE)
    teacher = None if signals is None else (lambda _, step: [signals[step]])
    engine.run(pre, teacher, forced=[post])
    return engine.weights[0]


def test_pair_stdp_is_the_sum_over_all_pairs_of_spikes() -> None:
    pre, post = spikes(1, N_IN), spikes(2, N_OUT)
    rule = local_rule("stdp", decay_x=0.8, decay_y=0.7, a_plus=1.0, a_minus=0.5)
    w = start()
    for i in range(N_IN):
        for j in range(N_OUT):
            for t_pre in np.flatnonzero(pre[:, i]):
                for t_post in np.flatnonzero(post[:, j]):
                    lag = int(t_post - t_pre)
                    if lag >= 0:
                        w[i, j] += RATE * 1.0 * 0.8**lag
                    if lag <= 0:
                        w[i, j] -= RATE * 0.5 * 0.7**-lag
    np.testing.assert_allclose(trained(rule, pre, post), w, rtol=0, atol=1e-13)


def test_soft_bounds_scale_each_change_by_the_room_that_is_left() -> None:
    pre, post = spikes(1, N_IN), spikes(2, N_OUT)
    rule = local_rule("stdp", decay_x=0.8, decay_y=0.7, soft=1.0, w_min=-1.0, w_max=2.0, offset=0.3)
    w, x, y = start(), [0.0] * N_IN, [0.0] * N_OUT
    for t in range(STEPS):
        x = [0.8 * x[i] + pre[t, i] for i in range(N_IN)]
        y = [0.7 * y[j] + post[t, j] for j in range(N_OUT)]
        for i in range(N_IN):
            for j in range(N_OUT):
                if pre[t, i]:
                    w[i, j] -= RATE * 1.05 * y[j] * (w[i, j] + 1.0)
                if post[t, j]:
                    w[i, j] += RATE * (x[i] - 0.3) * (2.0 - w[i, j])
    np.testing.assert_allclose(trained(rule, pre, post), w, rtol=0, atol=1e-13)


def test_reward_stdp_pays_eligibility_out_when_a_reward_comes() -> None:
    pre, post = spikes(3, N_IN), spikes(4, N_OUT)
    reward = np.zeros(STEPS)
    reward[[9, 30, 59]] = 1.0, -0.5, 2.0
    rule = local_rule("r-stdp", decay_x=0.8, decay_y=0.7, decay_e=0.9, a_plus=1.0, a_minus=0.6)
    w = start()
    for i in range(N_IN):
        for j in range(N_OUT):
            x = y = e = 0.0
            for t in range(STEPS):
                x, y = 0.8 * x + pre[t, i], 0.7 * y + post[t, j]
                e = 0.9 * e + 1.0 * x * post[t, j] - 0.6 * y * pre[t, i]
                w[i, j] += RATE * reward[t] * e
    got = trained(rule, pre, post, [r or None for r in reward])
    np.testing.assert_allclose(got, w, rtol=0, atol=1e-13)


def test_triplet_stdp_is_the_sum_over_pairs_and_triplets() -> None:
    pre, post = spikes(5, N_IN), spikes(6, N_OUT)
    rule = local_rule(
        "triplet-stdp", decay_x1=0.8, decay_x2=0.9, decay_y1=0.7, decay_y2=0.95,
        a2_plus=0.3, a3_plus=0.4, a2_minus=0.5, a3_minus=0.6,
    )  # fmt: skip
    w = start()
    for i in range(N_IN):
        for j in range(N_OUT):
            s, z = np.flatnonzero(pre[:, i]), np.flatnonzero(post[:, j])
            for t in z:
                slow = sum(0.95 ** int(t - u) for u in z if u < t)
                fast = sum(0.8 ** int(t - u) for u in s if u <= t)
                w[i, j] += RATE * fast * (0.3 + 0.4 * slow)
            for t in s:
                slow = sum(0.9 ** int(t - u) for u in s if u < t)
                fast = sum(0.7 ** int(t - u) for u in z if u <= t)
                w[i, j] -= RATE * fast * (0.5 + 0.6 * slow)
    np.testing.assert_allclose(trained(rule, pre, post), w, rtol=0, atol=1e-13)


def lif_loop(pre: np.ndarray, w: np.ndarray, decay: float, change: Callable[..., float]) -> None:
    """Run LIF neurons with weights that ``change(t, i, j, v_j)`` moves after every step."""
    v = [0.0] * N_OUT
    for t in range(STEPS):
        peak = [decay * v[j] + sum(w[i, j] * pre[t, i] for i in range(N_IN)) for j in range(N_OUT)]
        v = [0.0 if p >= 1.0 else p for p in peak]
        for i in range(N_IN):
            for j in range(N_OUT):
                w[i, j] += change(t, i, j, peak[j])


def filtered(pre: np.ndarray, keep: float) -> np.ndarray:
    out, now = np.zeros_like(pre), np.zeros(pre.shape[1])
    for t in range(len(pre)):
        now = keep * now + pre[t]
        out[t] = now
    return out


def psi(v: float) -> float:
    return max(0.0, 1.0 - abs(v - 1.0) / 0.8)


NEURON = LocalNeuron(decay=0.85, width=0.8)


@pytest.mark.parametrize("name", ["e-prop", "drtp"])
def test_eprop_and_drtp_project_a_signal_through_fixed_weights(name: str) -> None:
    pre = spikes(7, N_IN, 0.5)
    rng = np.random.default_rng(8)
    signals, matrix = rng.normal(size=(STEPS, 3)), rng.normal(size=(3, N_OUT))
    x = filtered(pre, 0.85)

    def change(t: int, i: int, j: int, v: float) -> float:
        signal = sum(signals[t, k] * matrix[k, j] for k in range(3))
        return -RATE * signal * psi(v) * x[t, i]

    w = start()
    lif_loop(pre, w, 0.85, change)
    got = trained(
        local_rule(name, decay=0.85), pre, None, signals, neuron=NEURON, feedback="random",
        feedback_weights=matrix,
    )  # fmt: skip
    np.testing.assert_allclose(got, w, rtol=0, atol=1e-12)
    assert np.abs(w - start()).max() > 0.01


def test_decolle_learns_from_the_error_of_its_own_readout() -> None:
    pre = spikes(9, N_IN, 0.5)
    rng = np.random.default_rng(10)
    targets, matrix = rng.normal(size=(STEPS, 3)), rng.normal(size=(3, N_OUT))
    p = filtered(filtered(pre, 0.6), 0.9)
    w, v = start(), [0.0] * N_OUT
    for t in range(STEPS):
        peak = [0.85 * v[j] + sum(w[i, j] * pre[t, i] for i in range(N_IN)) for j in range(N_OUT)]
        s = [1.0 if q >= 1.0 else 0.0 for q in peak]
        v = [0.0 if s[j] else peak[j] for j in range(N_OUT)]
        y = [sum(matrix[k, j] * s[j] for j in range(N_OUT)) for k in range(3)]
        for j in range(N_OUT):
            signal = sum(matrix[k, j] * (y[k] - targets[t, k]) for k in range(3))
            for i in range(N_IN):
                w[i, j] -= RATE * signal * psi(peak[j]) * p[t, i]
    got = trained(
        local_rule("decolle", decay_q=0.6, decay_p=0.9), pre, None, targets, neuron=NEURON,
        feedback="readout", feedback_weights=matrix,
    )  # fmt: skip
    np.testing.assert_allclose(got, w, rtol=0, atol=1e-12)


def test_pes_moves_decoders_against_the_error() -> None:
    pre = spikes(11, N_IN)
    errors = np.random.default_rng(12).normal(size=(STEPS, N_OUT))
    w = start()
    for i in range(N_IN):
        x = 0.0
        for t in range(STEPS):
            x = 0.9 * x + 0.1 * pre[t, i]
            for j in range(N_OUT):
                w[i, j] -= RATE * errors[t, j] * x
    got = trained(local_rule("pes", decay=0.9), pre, None, errors)
    np.testing.assert_allclose(got, w, rtol=0, atol=1e-13)


def test_delta_rule_changes_weights_once_by_count_times_error() -> None:
    pre = spikes(13, N_IN)
    errors = [None] * (STEPS - 1) + [np.array([0.1, -0.4, 0.0, 0.3])]
    expected = start()
    for i in range(N_IN):
        for j, e in enumerate((0.1, -0.4, 0.0, 0.3)):
            expected[i, j] -= RATE * e * sum(pre[:, i])
    np.testing.assert_allclose(
        trained(local_rule("delta"), pre, None, errors), expected, rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("anti", [0.0, 0.5])
def test_soft_hebb_pulls_winners_to_the_input_as_much_as_the_modulator_says(anti: float) -> None:
    pre = spikes(14, N_IN)
    w = start()
    u = [sum(w[i, j] * pre[t, i] for t in range(STEPS) for i in range(N_IN)) / STEPS
         for j in range(N_OUT)]  # fmt: skip
    total = sum(math.exp(value / 0.2) for value in u)
    y = [math.exp(value / 0.2) / total for value in u]
    for i in range(N_IN):
        for j in range(N_OUT):
            sign = 1.0 if not anti or y[j] == max(y) else -anti
            w[i, j] += RATE * 0.7 * sign * y[j] * (sum(pre[:, i]) / STEPS - u[j] * w[i, j])
    neuron = LocalNeuron("softmax", decay=1.0, gain=1 / STEPS, temperature=0.2)
    signals = [None] * (STEPS - 1) + [0.7]
    got = trained(local_rule("soft-hebb", anti=anti), pre, None, signals, neuron=neuron)
    np.testing.assert_allclose(got, w, rtol=0, atol=1e-12)


def test_sdsp_moves_one_code_inside_the_calcium_window_and_stays_inside_its_bounds() -> None:
    pre = spikes(15, N_IN, 0.5)
    rule = local_rule(
        "sdsp", v_mid=0.4, decay_ca=0.8, ca_low=0.1, ca_up=2.0, ca_down=1.2, w_min=0, w_max=7,
        drift=1.0,
    )  # fmt: skip
    first = np.random.default_rng(3).integers(0, 8, (N_IN, N_OUT)).astype(float)
    neuron = LocalNeuron(decay=0.7, theta=9.0)
    layer = LocalLayer("layer", N_IN, N_OUT, neuron, rule)
    form = WeightFormat(4, max_abs=7.0, rounding="nearest")
    engine = LocalEngine([layer], [first], form)
    engine.run(pre)
    w, v, ca = first.copy(), [0.0] * N_OUT, [0.0] * N_OUT
    moves = 0
    for t in range(STEPS):
        peak = [0.7 * v[j] + sum(w[i, j] * pre[t, i] for i in range(N_IN)) for j in range(N_OUT)]
        for j in range(N_OUT):
            ca[j] = 0.8 * ca[j] + (peak[j] >= 9.0)
            v[j] = 0.0 if peak[j] >= 9.0 else peak[j]
            for i in range(N_IN):
                before = w[i, j]
                if pre[t, i] and peak[j] >= 0.4 and 0.1 <= ca[j] < 2.0:
                    w[i, j] = min(7, w[i, j] + 1)
                elif pre[t, i] and peak[j] < 0.4 and 0.1 <= ca[j] < 1.2:
                    w[i, j] = max(0, w[i, j] - 1)
                if (t + 1) % 16 == 0:
                    w[i, j] = min(7, w[i, j] + 1) if w[i, j] >= 3.5 else max(0, w[i, j] - 1)
                moves += w[i, j] != before
    np.testing.assert_array_equal(engine.weights[0], w)
    assert moves > 20
