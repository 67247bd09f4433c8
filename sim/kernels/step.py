"""The step interpreter: samples, steps, populations in update order, their projections, update.

One entry point, ``run_steps``; the tables say what to do (``fields.py``), the pools hold the data.
State lives in the pools, so a run can stop after any step and go on with the next call: at
``control[C_STOP]``, or when the event buffer has no room for one more step. Without feedback a
population runs a block of steps before the next one starts (``blocks.py``).
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.calls import (
    call_float,
    call_float16,
    call_float32,
    call_fold16,
    call_fold16_narrow,
    call_fold32,
    call_fold32_narrow,
    call_general,
    call_lanes16,
    call_lanes32,
    call_probes,
    call_update16,
    call_update32,
)
from nmhw.sim.kernels.compiled import entry_point, inlined, kernel, source_stamp
from nmhw.sim.kernels.deliver import deliver
from nmhw.sim.kernels.fields import (
    A_IS16,
    A_LENGTH,
    A_OFFSET,
    A_ROWS,
    A_SHIFT,
    A_STRIDE,
    C_BLOCK,
    C_CONTINUOUS,
    C_CORE_STEPS,
    C_EVENTS,
    C_KEEP,
    C_LAST_SAMPLE,
    C_RESERVE,
    C_ROW,
    C_STEPS,
    C_STOP,
    CALL_FOLD,
    CALL_FOLD_NARROW,
    CALL_LANES,
    CALL_PROBES,
    CALL_UPDATE,
    P_BASE,
    P_BLOCK,
    P_CAPACITY,
    P_END_PORT,
    P_END_RUN,
    P_FIRST_PORT,
    P_FIRST_RUN,
    P_LATE,
    P_LATE_STEPS,
    P_RING,
    P_RING_COUNT,
    P_SIZE,
    P_SLOTS,
    P_UPDATE,
    P_VARIANT,
    RUN_COLUMN,
    RUN_WEIGHT,
    UPDATE_FLOAT,
    UPDATE_FLOAT_ROWS,
    UPDATE_GENERAL,
    UPDATE_LANES,
    UPDATE_SATURATING,
)
from nmhw.sim.kernels.intrinsics import borrow
from nmhw.sim.kernels.neurons import scan_flags


@inlined
def _fold_wide(port, calls, acc16, acc32, x64):
    at, rows, length = port[A_OFFSET], port[A_ROWS], port[A_LENGTH]
    stride, shift = port[A_STRIDE], port[A_SHIFT]
    if port[A_IS16]:
        call_fold16(calls[CALL_FOLD + 1], acc16, at, rows, length, stride, shift, x64, 0)
    else:
        call_fold32(calls[CALL_FOLD], acc32, at, rows, length, stride, shift, x64, 0)


@inlined
def _fold_narrow(port, calls, acc16, acc32, to):
    at, rows, length = port[A_OFFSET], port[A_ROWS], port[A_LENGTH]
    stride, shift = port[A_STRIDE], port[A_SHIFT]
    if port[A_IS16]:
        call = calls[CALL_FOLD_NARROW + 1]
        call_fold16_narrow(call, acc16, at, rows, length, stride, shift, acc32, to)
    else:
        call = calls[CALL_FOLD_NARROW]
        call_fold32_narrow(call, acc32, at, rows, length, stride, shift, acc32, to)


@inlined
def _update_fast(pop, port, calls, accs, params, states, runs, flags, active):
    """Run the fast form of a population on its one accumulator; return saturations."""
    acc16, acc32, _ = accs
    p32, _, pf = params
    u32, v32, _, _, uf, vf = states
    kind, is_16 = pop[P_UPDATE], port[A_IS16]
    update = calls[CALL_UPDATE + 2 * kind + is_16]
    if kind == UPDATE_FLOAT_ROWS:
        if is_16:
            return call_float16(update, pop, runs, acc16, uf, vf, pf, flags, active)
        return call_float32(update, pop, runs, acc32, uf, vf, pf, flags, active)
    if is_16:
        return call_update16(update, pop, runs, acc16, u32, v32, p32, flags, active)
    return call_update32(update, pop, runs, acc32, u32, v32, p32, flags, active)


@inlined
def _update_lanes(pop, port, calls, accs, params, states, rests, runs, outs, ring, ring_at):
    """Run a variant of the vector form on its one accumulator; return (spikes, saturations)."""
    acc16, acc32, _ = accs
    u, v, _, _, _, _ = states
    resting, steps = rests
    flags, active, _ = outs
    call = calls[CALL_LANES + 2 * pop[P_VARIANT] + port[A_IS16]]
    if port[A_IS16]:
        return call_lanes16(
            call, pop, runs, acc16, u, v, params[0], resting, steps, flags, active, ring, ring_at
        )
    return call_lanes32(
        call, pop, runs, acc32, u, v, params[0], resting, steps, flags, active, ring, ring_at
    )


@inlined
def _update(pop, ports, calls, accs, params, states, rests, runs, outs, ring, ring_at):
    """Fold the accumulators, run the update, list the spikes; return (spikes, saturations)."""
    acc16, acc32, x64 = accs
    _, p64, pf = params
    _, _, u64, v64, uf, vf = states
    resting, rest_steps = rests
    flags, active, _ = outs
    first = pop[P_FIRST_PORT]
    kind = pop[P_UPDATE]
    if kind >= UPDATE_GENERAL:
        call = calls[CALL_UPDATE + 2 * kind]
        if kind != UPDATE_SATURATING:
            for k in range(first, pop[P_END_PORT]):
                _fold_wide(ports[k], calls, acc16, acc32, x64)
        if kind != UPDATE_FLOAT:
            return call_general(
                call, pop, p64, x64, u64, v64, resting, rest_steps, runs, active, ring, ring_at
            )
        return call_float(
            call, pop, pf, x64, uf, vf, resting, rest_steps, runs, active, ring, ring_at
        )
    port = ports[first]
    for k in range(first + 1, pop[P_END_PORT]):
        _fold_narrow(ports[k], calls, acc16, acc32, port[A_OFFSET])
    if kind == UPDATE_LANES:
        return _update_lanes(
            pop, port, calls, accs, params, states, rests, runs, outs, ring, ring_at
        )
    clipped = np.int64(_update_fast(pop, port, calls, accs, params, states, runs, flags, active))
    return scan_flags(flags, pop[P_BASE], pop[P_SIZE], ring, ring_at), clipped


@inlined
def _record(pop, keep, ring, ring_at, n, totals, late, left, events, event_at):
    """Count every spike for its neuron and copy it to the buffer.

    ``left``: steps until the end of the run; with few of them spikes count among the late ones.
    """
    base = pop[P_BASE]
    for k in range(ring_at, ring_at + n):
        totals[base + np.int64(ring[k])] += 1
    if left < pop[P_LATE_STEPS]:
        late_at = pop[P_LATE] + left * pop[P_SIZE]
        for k in range(ring_at, ring_at + n):
            late[late_at + np.int64(ring[k])] += 1
    if not keep:
        return event_at
    for k in range(n):
        events[event_at + k] = ring[ring_at + k]
    return event_at + n


@inlined
def _count_active(pop, runs, outs, per_core, row, core_counts):
    """Add the active neurons of every run to its total, and to its core's count of this row."""
    _, active, totals = outs
    for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
        totals[r] += active[r]
    if per_core:
        for r in range(pop[P_FIRST_RUN], pop[P_END_RUN]):
            core_counts[row, runs[r, RUN_COLUMN]] += np.int32(active[r] * runs[r, RUN_WEIGHT])


@kernel
def _start_sample(states, starts, resting, ring_counts):
    u32, v32, u64, v64, uf, vf = states
    v0_32, v0_64, v0_f = starts
    for k in range(u32.size):
        u32[k], v32[k] = 0, v0_32[k]
    for k in range(u64.size):
        u64[k], v64[k] = 0, v0_64[k]
    for k in range(uf.size):
        uf[k], vf[k] = 0, v0_f[k]
    for k in range(resting.size):
        resting[k] = 0
    for k in range(ring_counts.size):
        ring_counts[k] = 0


def _close_over(stamp: str) -> Any:
    def run_steps(
        control, calls, pops, projections, ports, weights, rows, params, states, starts, rests,
        accs, outs, rings, inputs, events, counts, totals, late, runs, core_counts, saturations,
        probes, order, probe_int, probe_float,
    ):  # fmt: skip
        """Run rows ``control[C_ROW]`` to ``control[C_STOP]``; see the module's text."""
        _ = stamp  # part of the cache key: edits of any kernel file recompile this one
        control, calls, pops = borrow((control, calls, pops))
        projections, ports, probes = borrow((projections, ports, probes))
        weights, rows, params, states = borrow((weights, rows, params, states))
        rests, accs, outs, rings = borrow((rests, accs, outs, rings))
        inputs, events, totals, late = borrow((inputs, events, totals, late))
        counts, runs, core_counts = borrow((counts, runs, core_counts))
        order, probe_int, probe_float = borrow((order, probe_int, probe_float))
        ring, ring_counts = rings
        acc16, acc32, x64, sums = accs
        u32, v32, u64, v64, uf, vf = states
        steps, keep = control[C_STEPS], control[C_KEEP]
        continuous, per_core = control[C_CONTINUOUS], control[C_CORE_STEPS]
        is_blocked = control[C_BLOCK] > 1
        row, event_at = control[C_ROW], control[C_EVENTS]
        while row < control[C_STOP]:
            sample = row // steps
            step = row - sample * steps
            end = row + 1
            if is_blocked:
                end = min(row + min(control[C_BLOCK], steps - step), control[C_STOP])
                if keep and event_at + (end - row) * control[C_RESERVE] > events.size:
                    end = row + (events.size - event_at) // control[C_RESERVE]
            if end == row or (keep and event_at + control[C_RESERVE] > events.size):
                break
            if row == 0 or (step == 0 and not continuous):
                _start_sample(states, starts, rests[0], ring_counts)
            left = steps - 1 - step
            if continuous:  # one long sample
                left += (control[C_LAST_SAMPLE] - sample) * steps
            for p in range(pops.shape[0]):
                pop = pops[p]
                first = row
                while first < end:
                    stop = end if pop[P_BLOCK] else first + 1
                    deliver(
                        pop, first, stop, steps, continuous, calls, pops, projections, weights,
                        rows, inputs, rings, (acc16, acc32, sums, u64, x64),
                    )  # fmt: skip
                    for now in range(first, stop):
                        slot = now % pop[P_SLOTS]
                        ring_at = pop[P_RING] + slot * pop[P_CAPACITY]
                        summed = acc32
                        if pop[P_BLOCK]:
                            summed = acc32[(now - first) * pop[P_BLOCK] :]
                        n, clipped = _update(
                            pop, ports, calls, (acc16, summed, x64), params, states, rests, runs,
                            outs, ring, ring_at,
                        )  # fmt: skip
                        ring_counts[pop[P_RING_COUNT] + slot] = n
                        counts[now, p] = n
                        saturations[p] += clipped
                        _count_active(pop, runs, outs, per_core, now, core_counts)
                        if not is_blocked:
                            event_at = _record(
                                pop, keep, ring, ring_at, n, totals, late, left, events, event_at
                            )
                    first = stop
            # events are listed row by row; a block has run population by population
            for now in range(row, end if is_blocked else row):
                for p in range(pops.shape[0]):
                    pop = pops[p]
                    ring_at = pop[P_RING] + (now % pop[P_SLOTS]) * pop[P_CAPACITY]
                    event_at = _record(
                        pop, keep, ring, ring_at, np.int64(counts[now, p]), totals, late, left,
                        events, event_at,
                    )  # fmt: skip
                left -= 1
            if probes.shape[0]:
                call_probes(
                    calls[CALL_PROBES], probes, sample, step, pops, u32, v32, u64, v64, uf, vf,
                    order, probe_int, probe_float,
                )  # fmt: skip
            row = end
        control[C_ROW] = row
        control[C_EVENTS] = event_at

    return run_steps


run_steps = entry_point(_close_over(source_stamp()))
