"""One epoch of a rule in steps: forward, reverse walk, update, sample by sample."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp
from nmhw.sim.kernels.intrinsics import borrow
from nmhw.sim.learning.kernels.arithmetic import moved_threshold, output_errors
from nmhw.sim.learning.kernels.layout import (
    COUNT_DENSE,
    COUNT_EVENTS,
    COUNT_GATED_ONCE,
    IS_SPIKE,
    L_IS_FROZEN,
    L_LOOP,
    L_N_OUT,
    L_N_SOURCE,
    L_N_SYNAPSES,
    LAW_HOMEOSTATIC,
    MASK_NONE,
    O_ERROR_EVENT,
    O_EXPONENTIAL,
    O_GRADIENT_ADD,
    O_GRADIENT_MAC,
    O_HISTORY,
    O_LOG,
    O_PACKET,
    O_PROPAGATION,
    O_SURROGATE,
    O_TRANSPOSED,
)
from nmhw.sim.learning.kernels.step_forward import make_room, run_forward
from nmhw.sim.learning.kernels.step_reverse import make_trail, run_reverse
from nmhw.sim.learning.kernels.update import first_highest, update_weights

STAMP = source_stamp(Path(__file__).parent)


@kernel
def _count_log(packed, sample, wiring, room, plan, out):
    """Count what is kept for the reverse walk."""
    n_steps = plan.n_steps
    counts = out.counts
    if plan.accounting == COUNT_DENSE:
        counts[0, O_HISTORY] += n_steps * -(-wiring.layers[0, L_N_SOURCE] // 32)
    else:
        for event in range(packed.pointers[sample], packed.pointers[sample + 1]):
            counts[0, O_LOG] += packed.value[event]
    n = len(wiring.feedforward)
    for q in range(n if plan.head_spikes else n - 1):
        k = wiring.feedforward[q]
        n_out = wiring.layers[k, L_N_OUT]
        if plan.accounting == COUNT_EVENTS:
            counts[k, O_LOG] += room.log_ptr[k, n_steps] - room.log_ptr[k, 0]
            continue
        counts[k, O_HISTORY] += n_steps * n_out
        if plan.accounting == COUNT_DENSE:
            counts[k, O_HISTORY] += n_steps * -(-n_out // 32)
            continue
        for entry in range(room.log_ptr[k, 0], room.log_ptr[k, n_steps]):
            counts[k, O_LOG] += room.log_flag[entry] & IS_SPIKE


@kernel
def _count_clocked(wiring, room, plan, k, is_loop, is_head, out):
    """Count a layer's reverse pass on a machine that walks every step."""
    layer, row = wiring.layers[k], out.counts[k]
    steps = plan.n_steps - 1 if is_loop else plan.n_steps
    every = 1 if is_head and plan.accounting == COUNT_GATED_ONCE else steps
    if not is_loop:
        row[O_ERROR_EVENT] += every * layer[L_N_OUT]
        if not is_head:
            row[O_SURROGATE] += steps * layer[L_N_OUT]
    if not layer[L_IS_FROZEN]:
        if plan.accounting == COUNT_DENSE:
            row[O_GRADIENT_MAC] += steps * layer[L_N_SYNAPSES]
        else:
            row[O_GRADIENT_ADD] += room.n_synops[k]
    if k > plan.lowest:
        row[O_PROPAGATION] += every * layer[L_N_SYNAPSES]
        row[O_TRANSPOSED] += every * layer[L_N_SYNAPSES]
        row[O_PACKET] += every * layer[L_N_SOURCE]


@kernel
def _count_reverse(wiring, room, plan, trail, out):
    if plan.accounting == COUNT_EVENTS:
        out.counts[:] += trail.tally
        return
    last = len(wiring.feedforward) - 1
    for q in range(last, -1, -1):
        k = wiring.feedforward[q]
        _count_clocked(wiring, room, plan, k, False, q == last and not plan.head_spikes, out)
        loop = wiring.layers[k, L_LOOP]
        if loop >= 0:
            _count_clocked(wiring, room, plan, loop, True, False, out)
        if k <= plan.lowest:
            break


@kernel
def _move_thresholds(theta, spikes, trail, n, plan, a):
    for j in range(theta.size):
        theta[j] = moved_threshold(
            theta[j], plan.law, trail.theta_gradient[j], spikes[j], n, plan.n_steps, a
        )
        trail.theta_gradient[j] = 0
        spikes[j] = 0


def _close_over_run_steps(stamp: str) -> Any:
    def run_steps(packed, labels, order, wiring, weights, store, plan, theta, ramp, out, a):
        """Run the samples in ``order``; with labels, learn from them.

        ``weights`` are the store's values or codes, ``theta`` (n_neurons,) thresholds, ``ramp``
        (T,) those of the falling law; both change in place.
        """
        _ = stamp  # part of the cache key
        packed, wiring, store, out, a = (
            borrow(packed), borrow(wiring), borrow(store), borrow(out), borrow(a)
        )  # fmt: skip
        n_neurons = theta.size
        room = make_room(wiring, plan, n_neurons, theta[0] - theta[0])
        trail = make_trail(wiring, weights.size, n_neurons, room, out.counts.shape[1])
        spikes = np.zeros(n_neurons, np.int64)
        n_waiting = n_learned = 0
        head = wiring.feedforward[-1]
        for n in range(order.size):
            sample = order[n]
            run_forward(packed, sample, wiring, room, weights, plan, theta, ramp, out, a)
            for j in range(room.scores.size):
                out.scores[n, j] = room.scores[j]
            for j in range(n_neurons):
                spikes[j] += room.n_spikes[j]
                if room.n_spikes[j]:
                    out.fired[j] = 1
            if not labels.size:
                continue
            label = labels[sample]
            _count_log(packed, sample, wiring, room, plan, out)
            out.totals[0] += first_highest(room.scores) == label
            p, n_on = output_errors(room.scores, label, trail.error, trail.on, a)
            out.counts[head, O_EXPONENTIAL] += room.scores.size
            if n_on and not (a.skip_confidence > 0 and p >= a.skip_confidence):
                n_learned += 1
                out.totals[1] += 1
                run_reverse(wiring, room, weights, plan, trail, store, out, a)
                _count_reverse(wiring, room, plan, trail, out)
            n_waiting += 1
            if n_waiting < plan.batch and n + 1 < order.size:
                continue
            if n_learned and not plan.is_stream:
                a.n_moments[0] += 1
                touches_all = plan.mask == MASK_NONE or a.moments_all
                update_weights(
                    wiring, trail.gradient, trail.touched, touches_all, n_waiting, store, a
                )
            if plan.law >= LAW_HOMEOSTATIC:
                _move_thresholds(theta, spikes, trail, n_waiting, plan, a)
            n_waiting = n_learned = 0

    return run_steps


run_steps = entry_point(_close_over_run_steps(STAMP))
