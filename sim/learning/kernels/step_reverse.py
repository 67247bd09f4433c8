"""The reverse walk over the logs of a sample in steps: MPD-ED, its band mask, and STBP."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nmhw.sim.kernels.compiled import kernel
from nmhw.sim.learning.kernels.arithmetic import carried, entering, kept, slope_at
from nmhw.sim.learning.kernels.layout import (
    IS_ADMITTED,
    IS_SPIKE,
    L_LOOP,
    L_N_OUT,
    L_NEURONS,
    L_POOLS,
    MASK_BAND,
    MASK_NONE,
    O_DECAY_LOOKUP,
    O_ERROR_EVENT,
    O_GRADIENT_MAC,
    O_PACKET,
    O_PROPAGATION,
    O_SURROGATE,
    O_TRANSPOSED,
)
from nmhw.sim.learning.kernels.rows import carry_row, learn_row
from nmhw.sim.learning.kernels.step_forward import Room


class Trail(NamedTuple):
    """Working memory of the walk."""

    error: Any  # (n_classes,): of the scores
    on: Any  # (n_classes,) uint8
    value: Any  # (largest n_out,): the error a neuron carries, as of step ``since``
    since: Any
    alive: Any  # uint8
    dv: Any  # dL/dv of the step
    live: Any  # uint8: alive in the step
    every: Any  # uint8 ones: a gate that only looks at sources is open to every target
    back: Any  # (n_in of the head,): error of a pooled source
    is_back: Any  # uint8: it was carried; 2: to no target
    is_told: Any  # (largest n_source,) uint8
    gradient: Any  # (n_weights,)
    touched: Any  # (n_weights,) uint8
    theta_gradient: Any  # (n_neurons,)
    tally: Any  # (n_layers, n_operations) int64: of this sample
    n_spikes: Any  # (n_neurons,) int64: since the last update


def make_trail(room: Room, n_weights: int, n_neurons: int, n_operations: int) -> Trail:
    """Return the walk's memory; its numbers have the type of the membranes. Runs in Python."""
    kind, n_out, n_in, n = room.drive.dtype, room.drive.size, room.activity.size, room.scores.size
    return Trail(
        error=np.zeros(n, kind),
        on=np.zeros(n, np.uint8),
        value=np.zeros(n_out, kind),
        since=np.zeros(n_out, np.int64),
        alive=np.zeros(n_out, np.uint8),
        dv=np.zeros(n_out, kind),
        live=np.zeros(n_out, np.uint8),
        every=np.ones(n_out, np.uint8),
        back=np.zeros(n_in, kind),
        is_back=np.zeros(n_in, np.uint8),
        is_told=np.zeros(n_out, np.uint8),
        gradient=np.zeros(n_weights, kind),
        touched=np.zeros(n_weights, np.uint8),
        theta_gradient=np.zeros(n_neurons, kind),
        tally=np.zeros((len(room.n_synops), n_operations), np.int64),
        n_spikes=np.zeros(n_neurons, np.int64),
    )


@kernel
def _carry_from_head(wiring, room, weights, k, before, plan, trail, out):
    """Give every log entry in front of an integrator head its error: one per source."""
    layer = wiring.layers[k]
    pools = layer[L_POOLS]
    trail.is_back[:] = 0
    trail.is_told[:] = 0
    for entry in range(room.log_ptr[before, 0], room.log_ptr[before, plan.n_steps]):
        room.log_asked[entry] = 0
        if not room.log_flag[entry] & IS_ADMITTED:
            continue
        source = np.int64(room.log_neuron[entry])
        total, is_met = trail.error[0] - trail.error[0], False
        first, end = source, source + 1
        if pools >= 0:
            first, end = wiring.pool_ptr[pools + source], wiring.pool_ptr[pools + source + 1]
        for p in range(first, end):
            i = p if pools < 0 else np.int64(wiring.pool_index[p])
            if not trail.is_back[i]:
                trail.back[i], n = carry_row(wiring, layer, i, weights, trail.error, trail.on)
                trail.is_back[i] = 1 if n else 2
                trail.tally[k, O_PROPAGATION] += n
            total += trail.back[i]
            is_met |= trail.is_back[i] == 1
        if is_met and not trail.is_told[source]:
            trail.is_told[source] = 1
            trail.tally[k, O_PACKET] += 1
            out.error_packets[wiring.layers[before, L_NEURONS] + source] += 1
        room.log_error[entry], room.log_asked[entry] = total, is_met


@kernel
def _reverse_head(wiring, room, weights, k, before, plan, trail, store, out, a):
    """Integrator head: one error vector per sample."""
    layer = wiring.layers[k]
    for j in range(trail.error.size):
        if trail.on[j]:
            trail.tally[k, O_ERROR_EVENT] += 1
    if before >= 0 and k > plan.lowest:
        _carry_from_head(wiring, room, weights, k, before, plan, trail, out)
        for entry in range(room.log_ptr[before, 0], room.log_ptr[before, plan.n_steps]):
            if room.log_asked[entry]:
                room.log_error[entry] = carried(room.log_error[entry], a)
    gradient, touched = trail.gradient, trail.touched
    if plan.is_stream and plan.mask == MASK_NONE:
        for t in range(plan.n_steps - 1, -1, -1):
            for event in range(room.event_ptr[k, t], room.event_ptr[k, t + 1]):
                i, c = np.int64(room.event_index[event]), np.int64(room.event_count[event])
                learn_row(
                    wiring, layer, k, i, c, trail.error, trail.on, plan.is_stream,
                    gradient, touched, store, a,
                )  # fmt: skip
        return
    for i in range(room.activity.size):
        if room.activity[i]:
            trail.tally[k, O_GRADIENT_MAC] += learn_row(
                wiring, layer, k, i, room.activity[i], trail.error, trail.on, plan.is_stream,
                gradient, touched, store, a,
            )  # fmt: skip


@kernel
def _enter(wiring, room, weights, k, t, plan, trail, out, a):
    """Take in the log entries of a step; dv and live are still those of the step behind."""
    layer = wiring.layers[k]
    loop, n_out = layer[L_LOOP], layer[L_N_OUT]
    row, row_of_loop = trail.tally[k], trail.tally[max(loop, 0)]
    for entry in range(room.log_ptr[k, t], room.log_ptr[k, t + 1]):
        j, flag = np.int64(room.log_neuron[entry]), room.log_flag[entry]
        is_spike = flag & IS_SPIKE != 0
        is_held = trail.alive[j] and not is_spike
        error, is_asked = room.log_error[entry], room.log_asked[entry] != 0
        if loop >= 0 and t + 1 < plan.n_steps and flag & IS_ADMITTED:
            total, n = carry_row(
                wiring, wiring.layers[loop], j, weights, trail.dv[:n_out], trail.live[:n_out]
            )
            row_of_loop[O_PROPAGATION] += n
            row_of_loop[O_PACKET] += n > 0
            if n:
                error = carried(total, a) + (error if is_asked else error - error)
                is_asked = True
        if is_spike:
            trail.alive[j] = 0
        if not (is_asked and flag & IS_ADMITTED):
            continue
        row[O_SURROGATE] += 1
        slope = slope_at(room.log_excess[entry], a)
        if slope == 0:
            continue
        row[O_ERROR_EVENT] += 1
        entered = entering(slope, error, a)
        trail.theta_gradient[layer[L_NEURONS] + j] -= entered
        if is_held:
            entered += kept(trail.value[j], trail.since[j] - t, a)
            if plan.mask == MASK_BAND:
                row[O_DECAY_LOOKUP] += 1
        trail.value[j], trail.since[j], trail.alive[j] = entered, t, 1


@kernel
def _carry_step(wiring, room, weights, k, before, t, trail, out, a):
    """Give the log entries of the sources in a step the errors of their targets."""
    layer = wiring.layers[k]
    pools, n_out = layer[L_POOLS], layer[L_N_OUT]
    dv, live = trail.dv[:n_out], trail.live[:n_out]
    for entry in range(room.log_ptr[before, t], room.log_ptr[before, t + 1]):
        room.log_asked[entry] = 0
        if not room.log_flag[entry] & IS_ADMITTED:
            continue
        source = np.int64(room.log_neuron[entry])
        total, n_met = dv[0] - dv[0], 0
        if pools < 0:
            total, n_met = carry_row(wiring, layer, source, weights, dv, live)
        else:
            for p in range(wiring.pool_ptr[pools + source], wiring.pool_ptr[pools + source + 1]):
                i = np.int64(wiring.pool_index[p])
                more, n = carry_row(wiring, layer, i, weights, dv, live)
                total += more
                n_met += n
        trail.tally[k, O_PROPAGATION] += n_met
        if n_met:
            trail.tally[k, O_PACKET] += 1
            out.error_packets[wiring.layers[before, L_NEURONS] + source] += 1
        room.log_error[entry], room.log_asked[entry] = carried(total, a), n_met > 0


@kernel
def _learn_step(wiring, room, k, t, plan, trail, store, a):
    """Add the gradients of the events of a step; of the loop, those of the step before's spikes."""
    layer = wiring.layers[k]
    loop, n_out = layer[L_LOOP], layer[L_N_OUT]
    dv, live, gradient, touched = (
        trail.dv[:n_out],
        trail.live[:n_out],
        trail.gradient,
        trail.touched,
    )
    if plan.mask == MASK_NONE:
        live = trail.every[:n_out]
    for event in range(room.event_ptr[k, t], room.event_ptr[k, t + 1]):
        i, c = np.int64(room.event_index[event]), np.int64(room.event_count[event])
        trail.tally[k, O_GRADIENT_MAC] += c * learn_row(
            wiring, layer, k, i, c, dv, live, plan.is_stream, gradient, touched, store, a
        )
    if loop >= 0 and t > 0:
        layer = wiring.layers[loop]
        for entry in range(room.log_ptr[k, t - 1], room.log_ptr[k, t]):
            if room.log_flag[entry] & IS_SPIKE:
                i = np.int64(room.log_neuron[entry])
                trail.tally[loop, O_GRADIENT_MAC] += learn_row(
                    wiring,
                    layer,
                    loop,
                    i,
                    np.int64(1),
                    dv,
                    live,
                    plan.is_stream,
                    gradient,
                    touched,
                    store,
                    a,
                )


@kernel
def _reverse_population(wiring, room, weights, k, before, plan, trail, store, out, a):
    n_out = wiring.layers[k, L_N_OUT]
    trail.alive[:n_out] = 0
    trail.live[:n_out] = 0
    for t in range(plan.n_steps - 1, -1, -1):
        _enter(wiring, room, weights, k, t, plan, trail, out, a)
        for j in range(n_out):
            trail.live[j] = trail.alive[j]
            trail.dv[j] = 0
            if trail.alive[j]:
                trail.dv[j] = kept(trail.value[j], trail.since[j] - t, a)
        if before >= 0 and k > plan.lowest:
            _carry_step(wiring, room, weights, k, before, t, trail, out, a)
        _learn_step(wiring, room, k, t, plan, trail, store, a)


@kernel
def _finish_counts(row, plan):
    row[O_TRANSPOSED] = row[O_PROPAGATION]
    row[O_DECAY_LOOKUP] += row[O_GRADIENT_MAC]
    if plan.mask == MASK_BAND:
        row[O_DECAY_LOOKUP] += row[O_PROPAGATION]


@kernel
def run_reverse(wiring, room, weights, plan, trail, store, out, a):
    """Walk a sample back from ``trail.error``; adds to gradients (or changes weights) and counts.

    Counts are those of a machine that walks the log by events.
    """
    feedforward = wiring.feedforward
    trail.tally[:] = 0
    last = len(feedforward) - 1
    for q in range(last, -1, -1):
        k = feedforward[q]
        before = feedforward[q - 1] if q else -1
        if q == last and not plan.head_spikes:
            _reverse_head(wiring, room, weights, k, before, plan, trail, store, out, a)
            if k <= plan.lowest:
                break
            continue
        if q == last:
            for entry in range(room.log_ptr[k, 0], room.log_ptr[k, plan.n_steps]):
                j = room.log_neuron[entry]
                room.log_error[entry], room.log_asked[entry] = trail.error[j], trail.on[j]
        _reverse_population(wiring, room, weights, k, before, plan, trail, store, out, a)
        loop = wiring.layers[k, L_LOOP]
        _finish_counts(trail.tally[k], plan)
        if loop >= 0:
            _finish_counts(trail.tally[loop], plan)
        if k <= plan.lowest:
            break
    if not plan.head_spikes:
        k = feedforward[last]
        trail.tally[k, O_TRANSPOSED] = trail.tally[k, O_PROPAGATION]
