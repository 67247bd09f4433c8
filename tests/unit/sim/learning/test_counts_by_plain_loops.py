"""Counters of the engine against a recount from docs/learning.md, in plain loops."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import pytest

from nmhw.sim.learning.engine import Engine
from nmhw.sim.learning.gradient_rule import named
from nmhw.sim.learning.network import parse_sizes
from nmhw.sim.learning.packed import pack_events
from nmhw.values.events import SpikeEvents
from nmhw.values.learning import OPERATIONS, WeightFormat

T = 6


@dataclass
class Layer:
    """A dense layer of a sample: its input events and, of neurons, spikes and v - theta."""

    n_in: int
    n_out: int
    events: Any
    spikes: Any
    excess: Any


def forward(weights: list[Any], x: Any, rule: Any) -> list[Layer]:
    layers, events = [], x
    for w in weights:
        n_in, n_out = w.shape
        spikes, excess = np.zeros((T, n_out), int), np.zeros((T, n_out))
        for j in range(n_out):
            v, has_fired = 0.0, 0
            for t in range(T):
                v = rule.decay * v * (1 - has_fired)
                v += sum(w[i, j] * events[t, i] for i in range(n_in))
                excess[t, j] = v - rule.theta0
                spikes[t, j] = has_fired = int(excess[t, j] >= 0)
        layers.append(Layer(n_in, n_out, events, spikes, excess))
        events = spikes
    return layers


def ahead(layers: list[Layer]) -> list[Counter[str]]:
    found = []
    for layer in layers:
        n = int(layer.events.sum()) * layer.n_out
        found.append(Counter(synop=n, neuron_update=T * layer.n_out))
        found[-1]["spike"] = int(layer.spikes.sum()) if layer is not layers[-1] else 0
    found[-1]["exponential"] = layers[-1].n_out
    return found


def by_events(layers: list[Layer], masks: list[Any], is_band: bool, stream: bool) -> Any:
    """MPD-ED with its spike or band mask; the head has no mask."""
    counts, head = ahead(layers), layers[-1]
    counts[0]["log_word"] = int(layers[0].events.sum())
    fired = [i for i in range(head.n_in) if head.events[:, i].any()]
    asking = [i for i in range(head.n_in) if masks[-1][:, i].any()]
    counts[-1].update(error_event=head.n_out, gradient_mac=len(fired) * head.n_out)
    counts[-1].update(weight_read=len(fired) * head.n_out, error_packet=len(asking))
    counts[-1]["propagation_mac"] = len(asking) * head.n_out
    reached = masks[-1]
    for k in range(len(layers) - 2, -1, -1):
        layer, row, entered = layers[k], counts[k], masks[k] & reached
        row["log_word"] += int(((layer.spikes > 0) | masks[k]).sum())
        row["surrogate"] = row["error_event"] = int(entered.sum())
        live = np.zeros((T, layer.n_out), bool)
        for t in range(T - 1, -1, -1):
            for j in range(layer.n_out):
                is_held = t + 1 < T and live[t + 1, j] and not layer.spikes[t, j]
                live[t, j] = is_held or entered[t, j]
                row["decay_lookup"] += int(is_band and is_held and entered[t, j])
        meetings = [
            (i, j, int(layer.events[t, i]))
            for t, i, j in np.ndindex(T, layer.n_in, layer.n_out)
            if layer.events[t, i] and live[t, j]
        ]
        row["gradient_mac"] = sum(n for _, _, n in meetings)
        row["decay_lookup"] += row["gradient_mac"]
        row["weight_read"] = len(meetings) if stream else len({m[:2] for m in meetings})
        if k == 0:
            break
        reached = np.zeros((T, layer.n_in), bool)
        for t, i in zip(*np.nonzero(masks[k - 1]), strict=True):
            row["propagation_mac"] += int(live[t].sum())
            reached[t, i] = live[t].any()
        row["error_packet"] = int(reached.sum())
        row["decay_lookup"] += row["propagation_mac"] if is_band else 0
    return counts


def by_steps(layers: list[Layer], machine: str, stream: bool) -> Any:
    """STBP on a machine that walks every step."""
    counts, is_dense = ahead(layers), machine == "dense"
    for k, (layer, row) in enumerate(zip(layers, counts, strict=True)):
        is_head, n_weights = layer is layers[-1], layer.n_in * layer.n_out
        repeats = 1 if is_head and machine == "gated-once" else T
        row["error_event"] = repeats * layer.n_out
        if not is_head:
            row["surrogate"] = row["history_word"] = T * layer.n_out
            row["history_word"] += T * ceil(layer.n_out / 32) if is_dense else 0
            row["log_word"] = 0 if is_dense else int(layer.spikes.sum())
        if k == 0 and is_dense:
            row["history_word"] += T * ceil(layer.n_in / 32)
        elif k == 0:
            row["log_word"] += int(layer.events.sum())
        gates = (layer.events > 0).sum() if stream else layer.events.any(axis=0).sum()
        row["gradient_mac" if is_dense else "gradient_add"] = (
            T * n_weights if is_dense else row["synop"]
        )
        row["weight_read"] = int(gates) * layer.n_out
        if is_dense:
            row["weight_read"] = T * n_weights if stream else n_weights
        if k:
            row["propagation_mac"], row["error_packet"] = repeats * n_weights, repeats * layer.n_in
    return counts


@pytest.mark.parametrize("accumulate", ["sample", "stream"])
@pytest.mark.parametrize("largest", [1, 3])
@pytest.mark.parametrize("machine", ["event", "band", "gated", "gated-once", "dense"])
@pytest.mark.parametrize("sizes", [(4, 3, 2), (4, 3, 3, 2)])
def test_every_operation_is_counted_as_documented(
    sizes: tuple[int, ...], machine: str, largest: int, accumulate: Any
) -> None:
    """``largest``: spikes that one input may send at once."""
    is_walk = machine in ("event", "band")
    options = {"mask": "band"} if machine == "band" else {}
    rule = named("mpd-ed" if is_walk else "stbp", n_steps=T, **options)
    others: Any = (machine,) if machine in ("gated-once", "dense") else ()
    store = WeightFormat(bits=8, policy="always", accumulate=accumulate)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = (rng.random((T, 4)) < 0.5) * rng.integers(1, largest + 1, (T, 4))
        initial = [rng.normal(0.2, 0.6, shape) for shape in pairwise(sizes)]
        net = parse_sizes("-".join(map(str, sizes)))
        engine = Engine(net, initial, rule, store, "float", 0.01, accountings=others)
        layers = forward(engine.weights(), x, rule)
        packed = pack_events(SpikeEvents.from_dense(x[None].astype(float), (4,)))
        outcome = engine.train(packed, [1], [0])
        counted = outcome.other_counts[machine] if others else outcome.counts
        if is_walk:
            near = [np.abs(a.excess) < rule.band for a in layers[:-1]]
            masks = near if machine == "band" else [a.spikes > 0 for a in layers[:-1]]
            wanted = by_events(layers, masks, machine == "band", accumulate == "stream")
        else:
            wanted = by_steps(layers, machine, accumulate == "stream")
        for k, row in enumerate(wanted):
            row["transposed_read"] = row["propagation_mac"]
            row["weight_write"] = row["random_word"] = row["weight_read"]
            got = dict(zip(OPERATIONS, counted.values[k].tolist(), strict=True))
            assert got == {name: row[name] for name in OPERATIONS}, (k, seed)
