"""One epoch of STD-ED: spike times forward, one error event per neuron backward, update."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

from nmhw.sim.kernels.compiled import entry_point, kernel
from nmhw.sim.kernels.intrinsics import borrow
from nmhw.sim.learning.kernels.arithmetic import carried, output_errors
from nmhw.sim.learning.kernels.layout import (
    IS_ADMITTED,
    IS_SPIKE,
    L_IS_DENSE,
    L_N_IN,
    L_N_OUT,
    L_NEURONS,
    L_ROWS,
    O_DIVISION,
    O_ERROR_EVENT,
    O_EXPONENTIAL,
    O_GRADIENT_MAC,
    O_LOG,
    O_PACKET,
    O_PROPAGATION,
    O_TRANSPOSED,
)
from nmhw.sim.learning.kernels.rows import carry_row, learn_row
from nmhw.sim.learning.kernels.spike_times import SILENT, error_of, timing_error
from nmhw.sim.learning.kernels.steps import STAMP
from nmhw.sim.learning.kernels.time_forward import run_time_forward
from nmhw.sim.learning.kernels.update import first_highest, update_weights


@kernel
def _leave(wiring, room, k, i, d_time, row, out):
    """Hand an error to the source that an input came from."""
    source = room.winner[k, i]
    if not room.is_reached[source]:
        room.is_reached[source] = 1
        row[O_PACKET] += 1
        out.error_packets[wiring.layers[k - 1, L_NEURONS] + source] += 1
    room.d_time[source] += d_time


@kernel
def _reverse_head(wiring, room, weights, k, plan, store, out, a):
    layer, row = wiring.layers[k], out.counts[k]
    for j in range(room.error.size):
        if room.on[j]:
            row[O_ERROR_EVENT] += 1
    room.d_time[:] = 0
    room.is_reached[:] = 0
    for i in range(layer[L_N_IN]):
        t = room.t_in[k, i]
        if t == SILENT:
            continue
        if k > plan.lowest:
            total, n = carry_row(wiring, layer, i, weights, room.error, room.on)
            row[O_PROPAGATION] += n
            if n:
                back = carried(total, a)
                _leave(wiring, room, k, i, -back if t < a.reads_at else back - back, row, out)
        row[O_GRADIENT_MAC] += learn_row(
            wiring, layer, k, i, max(a.reads_at - t, t - t), room.error, room.on, plan.is_stream,
            room.gradient, room.touched, store, a,
        )  # fmt: skip


@kernel
def _mark_causal(wiring, layer, i, t, t_out, e, live, is_causal, ahead):
    """Mark the targets of an input that fired behind it; ``ahead`` is t_i - t_j times e_j."""
    if layer[L_IS_DENSE]:
        for j in range(layer[L_N_OUT]):
            is_causal[j] = live[j] and t < t_out[j]
            ahead[j] = (t - t_out[j]) * e[j]
        return
    begin, end = wiring.row_ptr[layer[L_ROWS] + i], wiring.row_ptr[layer[L_ROWS] + i + 1]
    for s in range(begin, end):
        j = wiring.target[s]
        is_causal[j] = live[j] and t < t_out[j]
        ahead[j] = (t - t_out[j]) * e[j]


@kernel
def _reverse_layer(wiring, room, weights, k, plan, store, out, a):
    """One error event per neuron that an error reaches and whose time depends on its inputs."""
    layer, row = wiring.layers[k], out.counts[k]
    n_out, t_out = layer[L_N_OUT], room.t_out[k]
    e, live, ahead = room.e[:n_out], room.live[:n_out], room.ahead[:n_out]
    for j in range(n_out):
        live[j] = room.is_open[k, j] and room.is_reached[j]
        e[j] = 0
        if live[j]:
            e[j] = error_of(room.d_time[j], room.total[k, j], a)
            row[O_ERROR_EVENT] += 1
            row[O_DIVISION] += 1
    room.d_time[:] = 0
    room.is_reached[:] = 0
    is_causal = room.is_causal[:n_out]
    for i in range(layer[L_N_IN]):
        t = room.t_in[k, i]
        if t == SILENT:
            continue
        _mark_causal(wiring, layer, i, t, t_out, e, live, is_causal, ahead)
        if k > plan.lowest:
            total, n = carry_row(wiring, layer, i, weights, e, is_causal)
            row[O_PROPAGATION] += n
            if n:
                _leave(wiring, room, k, i, carried(total, a), row, out)
        row[O_GRADIENT_MAC] += learn_row(
            wiring, layer, k, i, t - t + 1, ahead, is_causal, plan.is_stream,
            room.gradient, room.touched, store, a,
        )  # fmt: skip


@kernel
def _run_reverse(wiring, room, weights, plan, store, out, a):
    for k in range(len(wiring.layers) - 1, plan.lowest - 1, -1):
        if k == len(wiring.layers) - 1:
            if not plan.head_spikes:
                _reverse_head(wiring, room, weights, k, plan, store, out, a)
                continue
            for j in range(room.error.size):
                room.d_time[j] = timing_error(room.error[j], a)
                room.is_reached[j] = room.on[j]
        _reverse_layer(wiring, room, weights, k, plan, store, out, a)


@kernel
def _copy_log(wiring, room, plan, out):
    n_layers = len(wiring.layers)
    for k in range(n_layers if plan.head_spikes else n_layers - 1):
        for j in range(wiring.layers[k, L_N_OUT]):
            if room.t_out[k, j] != SILENT:
                row = out.log[out.totals[3]]
                row[0], row[1], row[2], row[3] = k, room.t_out[k, j], j, 0
                row[4] = IS_SPIKE | IS_ADMITTED if room.is_open[k, j] else IS_SPIKE
                out.totals[3] += 1


def _close_over_run_times(stamp: str) -> Any:
    def run_times(packed, labels, order, wiring, weights, store, plan, room, out, a):
        """Run the samples in ``order``; with labels, learn from them.

        ``weights`` are the store's values or codes.
        """
        _ = stamp  # part of the cache key
        packed, wiring, store, out, a = (
            borrow(packed), borrow(wiring), borrow(store), borrow(out), borrow(a)
        )  # fmt: skip
        room = borrow(room)
        n_waiting = n_learned = 0
        last = len(wiring.layers) - 1
        for n in range(order.size):
            sample = order[n]
            run_time_forward(packed, sample, wiring, room, weights, plan, out, a)
            for j in range(room.scores.size):
                out.scores[n, j] = room.scores[j]
            if not labels.size:
                continue
            out.totals[2] += packed.pointers[sample + 1] - packed.pointers[sample]
            for k in range(last + 1 if plan.head_spikes else last):
                for j in range(wiring.layers[k, L_N_OUT]):
                    out.counts[k, O_LOG] += room.t_out[k, j] != SILENT
            label = labels[sample]
            out.totals[0] += first_highest(room.scores) == label
            p, n_on = output_errors(room.scores, label, room.error, room.on, a)
            out.counts[last, O_EXPONENTIAL] += room.scores.size
            if n_on and not (a.skip_confidence > 0 and p >= a.skip_confidence):
                n_learned += 1
                out.totals[1] += 1
                _run_reverse(wiring, room, weights, plan, store, out, a)
            n_waiting += 1
            if n_waiting < plan.batch and n + 1 < order.size:
                continue
            if n_learned and not plan.is_stream:
                a.n_moments[0] += 1
                update_weights(
                    wiring, room.gradient, room.touched, a.moments_all, n_waiting, store, a
                )
            n_waiting = n_learned = 0
        if out.log.shape[0]:
            _copy_log(wiring, room, plan, out)
        for k in range(last + 1):
            out.counts[k, O_TRANSPOSED] = out.counts[k, O_PROPAGATION]

    return run_times


run_times = entry_point(_close_over_run_times(STAMP))
