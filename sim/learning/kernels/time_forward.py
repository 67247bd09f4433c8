"""Forward pass of a sample of spike times: arrivals, crossings, raw scores."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.kernels.compiled import kernel
from nmhw.sim.learning.kernels.layout import (
    L_N_IN,
    L_N_OUT,
    L_N_SOURCE,
    L_NEURONS,
    L_POOLS,
    O_CROSSING,
    O_NEURON_UPDATE,
    O_SPIKE,
    O_SYNOP,
    Wiring,
)
from nmhw.sim.learning.kernels.rows import add_row
from nmhw.sim.learning.kernels.spike_times import SILENT, crossing, is_early, is_late


class TimeRoom(NamedTuple):
    """Working memory of one sample."""

    t_in: Any  # (n_layers, largest n_in): SILENT where no source fired
    winner: Any  # (n_layers, largest n_in) int64: the source that was first
    t_out: Any  # (n_layers, largest n_out): on the time axis of the inputs
    is_open: Any  # (n_layers, largest n_out) uint8
    total: Any  # (n_layers, largest n_out): weights of the causal set
    moment: Any  # (largest n_out,)
    source: Any  # (largest n_source,): times in front of the pool
    order: Any  # (largest n_in,) int64: fired inputs in order of time
    scores: Any
    error: Any  # (n_classes,)
    on: Any  # uint8
    d_time: Any  # (largest n_source,): dL/dt of the neurons of a layer
    is_reached: Any  # uint8
    e: Any  # (largest n_out,): error events
    live: Any  # uint8: takes an error
    is_causal: Any  # uint8: takes it from the input at hand
    ahead: Any  # (largest n_out,): -(t_j - t_i) e_j
    gradient: Any
    touched: Any  # uint8


def make_time_room(wiring: Wiring, n_weights: int, kind: Any) -> TimeRoom:
    """Return working memory; ``kind`` is the type of a time. Runs in Python."""
    layers = wiring.layers
    n_layers, n_in, n_out = len(layers), layers[:, L_N_IN].max(), layers[:, L_N_OUT].max()
    n_source = max(layers[:, L_N_SOURCE].max(), n_out)
    n_classes = layers[wiring.feedforward[-1], L_N_OUT]
    return TimeRoom(
        t_in=np.zeros((n_layers, n_in), kind),
        winner=np.zeros((n_layers, n_in), np.int64),
        t_out=np.zeros((n_layers, n_out), kind),
        is_open=np.zeros((n_layers, n_out), np.uint8),
        total=np.zeros((n_layers, n_out), kind),
        moment=np.zeros(n_out, kind),
        source=np.zeros(n_source, kind),
        order=np.zeros(n_in, np.int64),
        scores=np.zeros(n_classes, kind),
        error=np.zeros(n_classes, kind),
        on=np.zeros(n_classes, np.uint8),
        d_time=np.zeros(n_source, kind),
        is_reached=np.zeros(n_source, np.uint8),
        e=np.zeros(n_out, kind),
        live=np.zeros(n_out, np.uint8),
        is_causal=np.zeros(n_out, np.uint8),
        ahead=np.zeros(n_out, kind),
        gradient=np.zeros(n_weights, kind),
        touched=np.zeros(n_weights, np.uint8),
    )


@kernel
def _arrive(wiring, room, k):
    """Fill in a layer's input times: behind a pool the earliest of each window."""
    layer = wiring.layers[k]
    t_in, winner, pools = room.t_in[k], room.winner[k], layer[L_POOLS]
    t_in[:] = SILENT
    for source in range(layer[L_N_SOURCE]):
        t = room.source[source]
        if t == SILENT:
            continue
        if pools < 0:
            t_in[source], winner[source] = t, source
            continue
        for p in range(wiring.pool_ptr[pools + source], wiring.pool_ptr[pools + source + 1]):
            i = wiring.pool_index[p]
            if t_in[i] == SILENT or t < t_in[i]:
                t_in[i], winner[i] = t, source


@kernel
def _fire_in_window(wiring, room, weights, k, a):
    """All inputs are there when the window opens: return how many weights were read."""
    layer = wiring.layers[k]
    n_out = layer[L_N_OUT]
    total, moment = room.total[k], room.moment
    total[:] = 0
    moment[:] = 0
    reads = 0
    for i in range(layer[L_N_IN]):
        t = room.t_in[k, i]
        if t != SILENT:
            reads += add_row(wiring, layer, i, t - t + 1, weights, total)
            add_row(wiring, layer, i, t, weights, moment)
    for j in range(n_out):
        room.is_open[k, j], room.t_out[k, j] = 0, SILENT
        if is_early(total[j], moment[j], a):
            room.t_out[k, j] = a.opens
        elif is_late(total[j], moment[j], a):
            room.t_out[k, j] = crossing(total[j], moment[j], a.opens, a.last, a)
            room.is_open[k, j] = room.t_out[k, j] > a.opens
    return reads


@kernel
def _fire_by_search(wiring, room, weights, k, a):
    """Look for a crossing before each input, in order of time; return how many weights were read.

    ``total`` of a neuron stays as it was at its crossing.
    """
    layer = wiring.layers[k]
    n_out, n = layer[L_N_OUT], 0
    sums, moment, total = room.e, room.moment, room.total[k]
    sums[:] = 0
    moment[:] = 0
    room.t_out[k, :n_out] = SILENT
    room.is_open[k, :n_out] = 0
    reads = 0
    for i in range(layer[L_N_IN]):
        if room.t_in[k, i] != SILENT:
            at = n
            while at > 0 and room.t_in[k, room.order[at - 1]] > room.t_in[k, i]:
                room.order[at] = room.order[at - 1]
                at -= 1
            room.order[at] = i
            n += 1
    for place in range(n):
        i = room.order[place]
        since, until = room.t_in[k, i], a.last
        if place + 1 < n:
            until = min(a.last, room.t_in[k, room.order[place + 1]])
        reads += add_row(wiring, layer, i, since - since + 1, weights, sums)
        add_row(wiring, layer, i, since, weights, moment)
        if since >= a.last:
            continue
        for j in range(n_out):
            if room.is_open[k, j]:
                continue
            t = crossing(sums[j], moment[j], since, until, a)
            if t != SILENT:
                room.t_out[k, j], room.is_open[k, j], total[j] = t, 1, sums[j]
    return reads


@kernel
def _integrate(wiring, room, weights, k, a):
    """Integrator head: raw scores at the time of reading; return how many weights were read."""
    layer, reads = wiring.layers[k], 0
    for i in range(layer[L_N_IN]):
        t = room.t_in[k, i]
        if t != SILENT:
            reads += add_row(wiring, layer, i, max(a.reads_at - t, t - t), weights, room.scores)
    return reads


@kernel
def run_time_forward(packed, sample, wiring, room, weights, plan, out, a):
    """Fill in times and raw scores of one sample."""
    room.source[:] = SILENT
    room.scores[:] = 0
    for event in range(packed.pointers[sample], packed.pointers[sample + 1]):
        room.source[packed.index[event]] = packed.moment[event]
    for k in range(len(wiring.layers)):
        _arrive(wiring, room, k)
        row, n_out = out.counts[k], wiring.layers[k, L_N_OUT]
        if k == len(wiring.layers) - 1 and not plan.head_spikes:
            reads = _integrate(wiring, room, weights, k, a)
        elif a.is_window:
            reads = _fire_in_window(wiring, room, weights, k, a)
        else:
            reads = _fire_by_search(wiring, room, weights, k, a)
        row[O_SYNOP] += reads
        row[O_NEURON_UPDATE] += reads
        if k == len(wiring.layers) - 1 and not plan.head_spikes:
            break
        row[O_CROSSING] += n_out
        room.source[:] = SILENT
        for j in range(n_out):
            if room.t_out[k, j] != SILENT:
                room.source[j] = room.t_out[k, j] - a.opens
                row[O_SPIKE] += 1
                out.fired[wiring.layers[k, L_NEURONS] + j] = 1
    if plan.head_spikes:
        for j in range(room.scores.size):
            t = room.source[j]
            room.scores[j] = -(t if t != SILENT else a.last - a.opens)
