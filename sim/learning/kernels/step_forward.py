"""Forward pass of a sample in steps: events of every layer, membranes, the spike log."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.kernels.compiled import kernel
from nmhw.sim.learning.kernels.arithmetic import driven, fires, is_near, threshold_of
from nmhw.sim.learning.kernels.layout import (
    IS_ADMITTED,
    IS_SPIKE,
    L_LOOP,
    L_N_IN,
    L_N_OUT,
    L_NEURONS,
    L_POOLS,
    LAW_RAMP,
    MASK_BAND,
    MASK_NONE,
    O_NEURON_UPDATE,
    O_SPIKE,
    O_SYNOP,
    Wiring,
)
from nmhw.sim.learning.kernels.rows import add_row


class Room(NamedTuple):
    """Working memory of one sample; rows by layer. Logs and events are in order of step."""

    event_ptr: Any  # (n_layers, T + 1) int64
    event_first: Any  # (n_layers,) int64: where a layer's events begin
    event_index: Any  # int32: pooled source
    event_count: Any  # int32
    log_ptr: Any  # (n_layers, T + 1) int64
    log_first: Any  # (n_layers,) int64
    log_neuron: Any  # int32
    log_excess: Any  # v - theta
    log_flag: Any  # uint8
    log_error: Any  # dL/ds
    log_asked: Any  # uint8: an error of the layers behind reaches it
    pooled: Any  # (largest n_in,) int64
    drive: Any  # (largest n_out,)
    membrane: Any
    activity: Any  # (n_in of the head,): spikes per sample
    scores: Any
    n_synops: Any  # (n_layers,) int64, of this sample
    n_spikes: Any  # (n_neurons,) int64, of this sample


def make_room(wiring: Wiring, n_steps: int, n_neurons: int, kind: Any) -> Room:
    """Return working memory; ``kind`` is the type of a membrane. Runs in Python."""
    layers = wiring.layers
    n_layers, n_in, n_out = len(layers), layers[:, L_N_IN], layers[:, L_N_OUT]
    head = wiring.feedforward[-1]
    n_events, n_logged = n_steps * int(n_in.sum()), n_steps * int(n_out.sum())
    return Room(
        event_ptr=np.zeros((n_layers, n_steps + 1), np.int64),
        event_first=n_steps * (np.cumsum(n_in) - n_in),
        event_index=np.zeros(n_events, np.int32),
        event_count=np.zeros(n_events, np.int32),
        log_ptr=np.zeros((n_layers, n_steps + 1), np.int64),
        log_first=n_steps * (np.cumsum(n_out) - n_out),
        log_neuron=np.zeros(n_logged, np.int32),
        log_excess=np.zeros(n_logged, kind),
        log_flag=np.zeros(n_logged, np.uint8),
        log_error=np.zeros(n_logged, kind),
        log_asked=np.zeros(n_logged, np.uint8),
        pooled=np.zeros(n_in.max(), np.int64),
        drive=np.zeros(n_out.max(), kind),
        membrane=np.zeros(n_out.max(), kind),
        activity=np.zeros(n_in[head], np.int64),
        scores=np.zeros(n_out[head], kind),
        n_synops=np.zeros(n_layers, np.int64),
        n_spikes=np.zeros(n_neurons, np.int64),
    )


@kernel
def _deliver(wiring, room, k, at, source, count):
    """Note an event of a source in front of layer k's pool; without a pool, at its place."""
    pools = wiring.layers[k, L_POOLS]
    if pools < 0:
        room.event_index[at], room.event_count[at] = source, count
        return at + 1
    for p in range(wiring.pool_ptr[pools + source], wiring.pool_ptr[pools + source + 1]):
        room.pooled[wiring.pool_index[p]] += count
    return at


@kernel
def _gather(wiring, room, k, at):
    """Write the pooled sums of a step as events, in order of element."""
    if wiring.layers[k, L_POOLS] < 0:
        return at
    for i in range(wiring.layers[k, L_N_IN]):
        if room.pooled[i]:
            room.event_index[at], room.event_count[at] = i, room.pooled[i]
            room.pooled[i] = 0
            at += 1
    return at


@kernel
def _events_of_input(packed, sample, wiring, room, n_steps):
    at, event = 0, packed.pointers[sample]
    end = packed.pointers[sample + 1]
    for t in range(n_steps):
        room.event_ptr[0, t] = at
        while event < end and packed.moment[event] == t:
            source, count = np.int64(packed.index[event]), np.int64(packed.value[event])
            at = _deliver(wiring, room, np.int64(0), np.int64(at), source, count)
            event += 1
        at = _gather(wiring, room, np.int64(0), np.int64(at))
    room.event_ptr[0, n_steps] = at


@kernel
def _events_of_layer(wiring, room, before, k, n_steps):
    at = room.event_first[k]
    for t in range(n_steps):
        room.event_ptr[k, t] = at
        for entry in range(room.log_ptr[before, t], room.log_ptr[before, t + 1]):
            if room.log_flag[entry] & IS_SPIKE:
                source = np.int64(room.log_neuron[entry])
                at = _deliver(wiring, room, k, at, source, np.int64(1))
        at = _gather(wiring, room, k, at)
    room.event_ptr[k, n_steps] = at


@kernel
def _run_population(wiring, room, weights, k, plan, theta, ramp, out, a):
    layer, n_steps = wiring.layers[k], plan.n_steps
    loop, n_out = layer[L_LOOP], layer[L_N_OUT]
    drive, v = room.drive[:n_out], room.membrane[:n_out]
    v[:] = 0
    at = room.log_first[k]
    for t in range(n_steps):
        room.log_ptr[k, t] = at
        drive[:] = 0
        for event in range(room.event_ptr[k, t], room.event_ptr[k, t + 1]):
            i, c = np.int64(room.event_index[event]), np.int64(room.event_count[event])
            room.n_synops[k] += c * add_row(wiring, layer, i, c, weights, drive)
        if loop >= 0 and t > 0:
            for entry in range(room.log_ptr[k, t - 1], room.log_ptr[k, t]):
                if room.log_flag[entry] & IS_SPIKE:
                    i = np.int64(room.log_neuron[entry])
                    room.n_synops[loop] += add_row(
                        wiring, wiring.layers[loop], i, np.int64(1), weights, drive
                    )
        for j in range(n_out):
            v[j] = driven(v[j], drive[j], a)
            limit = (
                ramp[t] if plan.law == LAW_RAMP else threshold_of(theta[layer[L_NEURONS] + j], a)
            )
            excess = v[j] - limit
            flag = 0
            if fires(excess, a):
                flag = IS_SPIKE
                v[j] = 0
                room.n_spikes[layer[L_NEURONS] + j] += 1
                out.counts[k, O_SPIKE] += 1
            if (
                plan.mask == MASK_NONE
                or (plan.mask == MASK_BAND and is_near(excess, a))
                or (plan.mask != MASK_BAND and flag)
            ):
                flag |= IS_ADMITTED
            if flag:
                room.log_neuron[at], room.log_excess[at], room.log_flag[at] = j, excess, flag
                at += 1
    room.log_ptr[k, n_steps] = at
    out.counts[k, O_NEURON_UPDATE] += n_steps * n_out


@kernel
def run_forward(packed, sample, wiring, room, weights, plan, theta, ramp, out, a):
    """Fill in events, logs and scores of one sample."""
    feedforward, n_steps = wiring.feedforward, plan.n_steps
    room.n_synops[:] = 0
    room.n_spikes[:] = 0
    room.scores[:] = 0
    last = len(feedforward) - 1
    for q in range(len(feedforward)):
        k = feedforward[q]
        if q == 0:
            _events_of_input(packed, sample, wiring, room, n_steps)
        else:
            _events_of_layer(wiring, room, feedforward[q - 1], k, n_steps)
        if q < last or plan.head_spikes:
            _run_population(wiring, room, weights, k, plan, theta, ramp, out, a)
            continue
        room.activity[:] = 0
        for event in range(room.event_ptr[k, 0], room.event_ptr[k, n_steps]):
            room.activity[room.event_index[event]] += room.event_count[event]
        for i in range(room.activity.size):
            c = room.activity[i]
            if c:
                room.n_synops[k] += c * add_row(
                    wiring, wiring.layers[k], i, c, weights, room.scores
                )
        out.counts[k, O_NEURON_UPDATE] += n_steps * room.scores.size
    if plan.head_spikes:
        head = wiring.layers[feedforward[last]]
        for j in range(room.scores.size):
            room.scores[j] = room.n_spikes[head[L_NEURONS] + j]
    for k in range(len(wiring.layers)):
        out.counts[k, O_SYNOP] += room.n_synops[k]
