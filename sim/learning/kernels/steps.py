"""One epoch of a rule in steps: forward, reverse walk, update, sample by sample."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from pathlib import Path
from typing import Any

from nmhw.sim.kernels.compiled import entry_point, kernel, source_stamp
from nmhw.sim.kernels.intrinsics import borrow
from nmhw.sim.learning.kernels.arithmetic import moved_threshold, output_errors
from nmhw.sim.learning.kernels.layout import (
    LAW_HOMEOSTATIC,
    O_EXPONENTIAL,
    O_LOG,
)
from nmhw.sim.learning.kernels.step_forward import run_forward
from nmhw.sim.learning.kernels.step_reverse import run_reverse
from nmhw.sim.learning.kernels.update import first_highest, update_weights

STAMP = source_stamp(Path(__file__).parent)


@kernel
def _count_log(packed, sample, wiring, room, plan, out):
    """Count what is kept for the reverse walk."""
    for event in range(packed.pointers[sample], packed.pointers[sample + 1]):
        out.totals[2] += packed.value[event]
    n = len(wiring.feedforward)
    for q in range(n if plan.head_spikes else n - 1):
        k = wiring.feedforward[q]
        out.counts[k, O_LOG] += room.log_ptr[k, plan.n_steps] - room.log_ptr[k, 0]


@kernel
def _add_tally(room, trail, out):
    """Add loop by loop: an array expression brings in text for its error messages."""
    for k in range(len(out.n_synops)):
        out.n_synops[k] += room.n_synops[k]
        for operation in range(trail.tally.shape[1]):
            out.counts[k, operation] += trail.tally[k, operation]


@kernel
def _copy_log(wiring, room, plan, out):
    n = len(wiring.feedforward)
    for q in range(n if plan.head_spikes else n - 1):
        k = wiring.feedforward[q]
        for t in range(plan.n_steps):
            for entry in range(room.log_ptr[k, t], room.log_ptr[k, t + 1]):
                row = out.log[out.totals[3]]
                row[0], row[1], row[2] = k, t, room.log_neuron[entry]
                row[3], row[4] = room.log_excess[entry], room.log_flag[entry]
                out.totals[3] += 1


@kernel
def _move_thresholds(theta, trail, n, plan, a):
    for j in range(theta.size):
        theta[j] = moved_threshold(
            theta[j], plan.law, trail.theta_gradient[j], trail.n_spikes[j], n, plan.n_steps, a
        )
        trail.theta_gradient[j] = 0
        trail.n_spikes[j] = 0


def _close_over_run_steps(stamp: str) -> Any:
    def run_steps(
        packed, labels, order, wiring, weights, store, plan, theta, ramp, room, trail, out, a
    ):
        """Run the samples in ``order``; with labels, learn from them.

        ``weights`` are the store's values or codes, ``theta`` (n_neurons,) thresholds, ``ramp``
        (T,) those of the falling law; both change in place.
        """
        _ = stamp  # part of the cache key
        packed, wiring, store, out, a = (
            borrow(packed), borrow(wiring), borrow(store), borrow(out), borrow(a)
        )  # fmt: skip
        room, trail = borrow(room), borrow(trail)
        n_neurons = theta.size
        n_waiting = n_learned = 0
        head = wiring.feedforward[-1]
        for n in range(order.size):
            sample = order[n]
            run_forward(packed, sample, wiring, room, weights, plan, theta, ramp, out, a)
            for j in range(room.scores.size):
                out.scores[n, j] = room.scores[j]
            for j in range(n_neurons):
                trail.n_spikes[j] += room.n_spikes[j]
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
                _add_tally(room, trail, out)
            n_waiting += 1
            if n_waiting < plan.batch and n + 1 < order.size:
                continue
            if n_learned and not plan.is_stream:
                a.n_moments[0] += 1
                update_weights(
                    wiring, trail.gradient, trail.touched, a.moments_all, n_waiting, store, a
                )
            if plan.law >= LAW_HOMEOSTATIC:
                _move_thresholds(theta, trail, n_waiting, plan, a)
            n_waiting = n_learned = 0
        if out.log.shape[0]:
            _copy_log(wiring, room, plan, out)

    return run_steps


run_steps = entry_point(_close_over_run_steps(STAMP))
