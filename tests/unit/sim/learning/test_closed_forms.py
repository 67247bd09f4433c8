"""Counts: the formulas of the cost model written out, and a dense machine counted step by step."""

from typing import Any

import numpy as np
import pytest

from nmhw.errors import UsageError
from nmhw.sim.learning.check_cases import Case, random_case
from nmhw.sim.learning.float_form import BatchResult, run_batch
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.network import initial_weights, parse_sizes
from nmhw.sim.learning.synapses import Synapses
from nmhw.values.learning import OPERATION_INDEX, OPERATIONS


def batch_of_three(name: str, sizes: str, **options: Any) -> tuple[BatchResult, Any]:
    """Return the result of a batch of three and its inputs."""
    rng = np.random.default_rng(4)
    rule = named(name, **{"init_mean": 3.0, "head_gain": 1.0, **options})
    net = parse_sizes(sizes)
    if rule.uses_times:
        x = np.where(rng.random((3, 12)) < 0.7, rng.random((3, 12)), np.inf)
    else:
        x = (rng.random((3, rule.n_steps, 12)) < 0.3).astype(float)
    return run_batch(net, initial_weights(net, rule, 0), rule, x, [0, 1, 2]), x


def row(result: BatchResult, layer: int) -> dict[str, int]:
    values = result.counts.values[layer]
    return {name: int(values[k]) for k, name in enumerate(OPERATIONS)}


def test_std_ed_window_counts_are_products_of_fired_neurons() -> None:
    result, x = batch_of_three("std-ed", "12-9-8-4", init_mean=0.5)
    n_in = np.isfinite(x).sum(axis=1)
    n_open = [t.spikes.is_open.sum(axis=1) for t in result.traces[:-1]]
    n_fired = [f.sum(axis=1) for f in result.fired]
    reached = np.array([o.any() for o in result.traces[1].spikes.is_open])
    assert reached.all()  # else the first layer would get no error in that sample
    first, second, head = (row(result, k) for k in range(3))
    assert first["synop"] == first["neuron_update"] == (n_in * 9).sum()
    assert (first["crossing"], second["crossing"], head["crossing"]) == (27, 24, 0)
    assert first["gradient_mac"] == first["weight_read"] == (n_in * n_open[0]).sum()
    assert second["gradient_mac"] == (n_fired[0] * n_open[1]).sum()
    assert second["propagation_mac"] == second["transposed_read"] == (n_fired[0] * n_open[1]).sum()
    assert head["gradient_mac"] == head["propagation_mac"] == (n_fired[1] * 4).sum()
    assert first["division"] == first["error_event"] == n_open[0].sum()
    assert (first["propagation_mac"], first["error_packet"]) == (0, 0)
    assert second["error_packet"] == n_fired[0].sum()
    assert head["error_packet"] == n_fired[1].sum()
    assert (head["error_event"], head["exponential"]) == (12, 12)
    assert result.counts.total("log_word") == n_in.sum() + sum(n.sum() for n in n_fired)
    assert result.counts.total("history_word") == 0


def test_mpd_ed_counts_are_those_of_the_cost_model() -> None:
    result, x = batch_of_three("mpd-ed", "12-9-4", n_steps=10)
    hidden, head = row(result, 0), row(result, 1)
    s = result.spikes[0] > 0
    fires_later = np.cumsum(s[:, ::-1], axis=1)[:, ::-1] > 0
    pairs = int((x.sum(axis=2) * fires_later.sum(axis=2)).sum())
    first = np.where(x.any(axis=1), x.argmax(axis=1), 99)
    last = np.where(s.any(axis=1), 9 - s[:, ::-1].argmax(axis=1), -1)
    assert hidden["gradient_mac"] == hidden["decay_lookup"] == pairs
    assert hidden["weight_read"] == (first[:, :, None] <= last[:, None, :]).sum()
    assert hidden["error_event"] == hidden["surrogate"] == hidden["spike"] == s.sum()
    assert hidden["synop"] == x.sum() * 9
    assert hidden["neuron_update"] == 3 * 10 * 9
    n_fired = int(s.any(axis=1).sum())
    assert head["gradient_mac"] == head["propagation_mac"] == head["weight_read"] == n_fired * 4
    assert head["error_packet"] == n_fired
    assert result.counts.total("log_word") == x.sum() + s.sum()
    net, rule = parse_sizes("12-9-4"), named("mpd-ed", n_steps=10, init_mean=3.0, head_gain=1.0)
    weights = initial_weights(net, rule, 0)
    streamed = run_batch(net, weights, rule, x, [0, 1, 2], accumulate="stream")
    assert row(streamed, 0)["weight_read"] == pairs


def test_a_spike_that_no_error_reaches_costs_nothing() -> None:
    net = parse_sizes("1-1-1-2")
    rule = named("mpd-ed", n_steps=4, decay=0.0)
    weights = [np.ones((1, 1)), np.array([[0.5]]), np.ones((1, 2))]
    result = run_batch(net, weights, rule, np.ones((1, 4, 1)), [0])
    assert row(result, 0)["spike"] == 4
    assert row(result, 1)["spike"] == 0
    assert row(result, 0)["error_event"] == row(result, 0)["gradient_mac"] == 0
    assert result.counts.total("gradient_mac") == 0


@pytest.mark.parametrize("accounting", ["dense", "gated", "gated-once"])
def test_stbp_counts_are_those_of_the_cost_model(accounting: Any) -> None:
    t, net = 10, parse_sizes("12-9-8-4")
    rule = named("stbp", n_steps=t, init_mean=3.0)
    x = (np.random.default_rng(0).random((3, t, 12)) < 0.3).astype(float)
    weights = initial_weights(net, rule, 0)
    result = run_batch(net, weights, rule, x, [0, 1, 2], accounting)
    inputs = [x, *result.spikes]
    for k, (i, o) in enumerate(((12, 9), (9, 8), (8, 4))):
        counts, n_in = row(result, k), int(inputs[k].sum())
        is_head = k == 2
        every = 3 if accounting == "gated-once" and is_head else 3 * t
        assert counts["error_event"] == every * o
        assert counts["surrogate"] == (0 if is_head else 3 * t * o)
        assert counts["propagation_mac"] == counts["transposed_read"] == (every * i * o if k else 0)
        gates = 3 * i if accounting == "dense" else int(inputs[k].any(axis=1).sum())
        assert counts["weight_read"] == counts["weight_write"] == gates * o
        dense, gated = 3 * t * i * o, n_in * o
        assert counts["gradient_mac"] == (dense if accounting == "dense" else 0)
        assert counts["gradient_add"] == (0 if accounting == "dense" else gated)
        assert counts["synop"] == gated
    streamed = run_batch(net, weights, rule, x, [0, 1, 2], accounting, accumulate="stream")
    wanted = 3 * t * 12 * 9 if accounting == "dense" else int(x.sum()) * 9
    assert row(streamed, 0)["weight_read"] == wanted


def dense_machine(case: Case) -> Any:
    """Count a machine that multiplies everything in every step, one operation at a time."""
    steps, batch = case.rule.n_steps, len(case.inputs)
    counts = np.zeros((len(case.net.layers), len(OPERATIONS)), dtype=np.int64)

    def add(k: int, name: str, n: int = 1) -> None:
        counts[k, OPERATION_INDEX[name]] += n

    last = len(case.net.layers) - 1
    for _ in range(batch):
        add(0, "history_word", steps * ((case.net.n_inputs + 31) // 32))
        add(last, "exponential", case.net.n_classes)
        for k, layer in enumerate(case.net.layers):
            spiking = k != last and not layer.is_recurrent
            add(k, "weight_read", layer.n_weights)
            add(k, "weight_write", layer.n_weights)
            for t in range(steps):
                if layer.is_recurrent and t == 0:
                    continue  # nothing has arrived yet
                for _source, _target in zip(*Synapses(layer).indices[:2], strict=True):
                    add(k, "gradient_mac")
                    if k:
                        add(k, "propagation_mac")
                        add(k, "transposed_read")
                add(k, "error_packet", layer.n_source if k else 0)
                for neuron in range(0 if layer.is_recurrent else layer.n_out):
                    add(k, "error_event")
                    if spiking:
                        add(k, "surrogate")
                        add(k, "history_word", 2 if neuron % 32 == 0 else 1)
    return counts


@pytest.mark.parametrize("seed", range(6))
def test_dense_accounting_equals_a_machine_that_skips_nothing(seed: int) -> None:
    case = random_case(named("stbp", n_steps=4), seed)
    result = run_batch(case.net, case.weights, case.rule, case.inputs, case.labels, "dense")
    forward = [OPERATION_INDEX[name] for name in ("synop", "neuron_update", "spike")]
    backward = np.delete(result.counts.values, forward, axis=1)
    np.testing.assert_array_equal(backward, np.delete(dense_machine(case), forward, axis=1))


def test_wider_bands_count_more_and_an_endless_band_meets_every_spike() -> None:
    net, rule = parse_sizes("12-9-8-4"), named("mpd-ed", mask="band", n_steps=8, init_mean=3.0)
    x = (np.random.default_rng(0).random((3, 8, 12)) < 0.3).astype(float)
    weights = initial_weights(net, rule, 0)
    totals = []
    for band in (0.05, 0.3, 1.0, 1e9):
        result = run_batch(net, weights, rule.with_(band=band), x, [0, 1, 2])
        totals.append(result.counts.total("error_event"))
    assert totals == sorted(totals)
    assert totals[-1] == 3 * 8 * (9 + 8) + 3 * 4
    assert result.counts.values[0, OPERATION_INDEX["gradient_mac"]] == x.sum() * 9


def test_forward_only_counts_have_no_backward_part() -> None:
    net, rule = parse_sizes("12-9-4"), named("mpd-ed")
    x = np.ones((2, 16, 12))
    weights = initial_weights(net, rule, 0)
    result = run_batch(net, weights, rule, x)
    used = {name for name, n in result.counts.by_operation().items() if n}
    assert used <= {"synop", "neuron_update", "spike"}
    assert np.isnan(result.loss)
    assert result.gradients == []


@pytest.mark.parametrize(
    ("name", "accounting"), [("std-ed", "dense"), ("srm", "gated"), ("mpd-ed", "all")]
)
def test_accountings_that_a_rule_does_not_have_are_refused(name: str, accounting: Any) -> None:
    case = random_case(named(name), 0)
    with pytest.raises(UsageError, match="no such accounting"):
        run_batch(case.net, case.weights, case.rule, case.inputs, case.labels, accounting)
