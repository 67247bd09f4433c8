"""The step interpreter: samples, steps, populations in update order, their projections, update.

One entry point, ``run_steps``; the tables say what to do (``fields.py``), the pools hold the data.
State lives in the pools, so a run can stop after any step and go on with the next call: at
``control[C_STOP]``, or when the event buffer has no room for one more step.
"""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from typing import Any

import numpy as np

from nmhw.sim.kernels.cells import update_float, update_general
from nmhw.sim.kernels.compiled import entry_point, inlined, kernel, source_stamp
from nmhw.sim.kernels.deliver import deliver
from nmhw.sim.kernels.fields import (
    A_IS16,
    A_LENGTH,
    A_OFFSET,
    A_ROWS,
    A_SHIFT,
    A_STRIDE,
    C_CONTINUOUS,
    C_CORE_STEPS,
    C_COUNT_ACTIVE,
    C_EVENTS,
    C_KEEP,
    C_LAST_SAMPLE,
    C_RESERVE,
    C_ROW,
    C_STEPS,
    C_STOP,
    P_BASE,
    P_CAPACITY,
    P_END_PORT,
    P_FIRST_PORT,
    P_LATE,
    P_LATE_STEPS,
    P_ORDER,
    P_RING,
    P_RING_COUNT,
    P_SIZE,
    P_SLOTS,
    P_STATE,
    P_UPDATE,
    R_EVERY,
    R_IS_U,
    R_KEPT,
    R_OFFSET,
    R_POPULATION,
    UPDATE_ARRAYS,
    UPDATE_CURRENT,
    UPDATE_FLOAT,
    UPDATE_FLOAT_ROWS,
    UPDATE_GENERAL,
    UPDATE_UNIFORM,
    UPDATE_UNIFORM_CLAMP,
)
from nmhw.sim.kernels.float_rows import mark_active_float, update_float_rows
from nmhw.sim.kernels.intrinsics import borrow
from nmhw.sim.kernels.neurons import (
    count_per_core,
    empty_counts,
    mark_active,
    scan_flags,
    update_arrays,
    update_current,
    update_uniform,
    update_uniform_clamp,
)
from nmhw.sim.kernels.synapses import fold


@inlined
def _fold_port(port, acc16, acc32, out, out_at):
    at, rows, length = port[A_OFFSET], port[A_ROWS], port[A_LENGTH]
    if port[A_IS16]:
        fold(acc16, at, rows, length, port[A_STRIDE], port[A_SHIFT], out, out_at)
    else:
        fold(acc32, at, rows, length, port[A_STRIDE], port[A_SHIFT], out, out_at)


@inlined
def _update_fast(pop, port, acc, params, states, flags, marking, marks, active):
    """Run the fast form of a population on its one accumulator; return saturations."""
    p32, pf, biased = params
    u32, v32, uf, vf = states
    kind = pop[P_UPDATE]
    if kind == UPDATE_FLOAT_ROWS:
        if marking:
            mark_active_float(pop, port, acc, uf, vf, pf, marks, active)
        update_float_rows(pop, port, acc, uf, vf, pf, flags)
        return np.int32(0)
    if marking:
        mark_active(pop, port, acc, u32, v32, biased, marks, active)
    if kind == UPDATE_UNIFORM:
        update_uniform(pop, port, acc, v32, p32, flags)
        return np.int32(0)
    if kind == UPDATE_UNIFORM_CLAMP:
        return update_uniform_clamp(pop, port, acc, v32, p32, flags)
    if kind == UPDATE_ARRAYS:
        return update_arrays(pop, port, acc, v32, p32, flags)
    if kind == UPDATE_CURRENT:
        return update_current(pop, port, acc, u32, v32, p32, flags)
    return np.int32(0)


@inlined
def _update(pop, ports, accs, params, states, rests, outs, marking, ring, ring_at):
    """Fold the accumulators, run the update, list the spikes; return (spikes, saturations)."""
    acc16, acc32, x64 = accs
    p32, p64, pf, biased = params
    u32, v32, u64, v64, uf, vf = states
    resting, rest_steps = rests
    flags, marks, active, _ = outs
    first = pop[P_FIRST_PORT]
    kind = pop[P_UPDATE]
    if kind >= UPDATE_GENERAL:
        for k in range(first, pop[P_END_PORT]):
            _fold_port(ports[k], acc16, acc32, x64, 0)
        if kind == UPDATE_GENERAL:
            return update_general(
                pop, p64, x64, u64, v64, resting, rest_steps, marks, active, ring, ring_at
            )
        n = update_float(pop, pf, x64, uf, vf, resting, rest_steps, marks, active, ring, ring_at)
        return n, 0
    port = ports[first]
    for k in range(first + 1, pop[P_END_PORT]):
        _fold_port(ports[k], acc16, acc32, acc32, port[A_OFFSET])
    fast_params, fast_states = (p32, pf, biased), (u32, v32, uf, vf)
    if port[A_IS16]:
        clipped = _update_fast(
            pop, port, acc16, fast_params, fast_states, flags, marking, marks, active
        )
    else:
        clipped = _update_fast(
            pop, port, acc32, fast_params, fast_states, flags, marking, marks, active
        )
    return scan_flags(flags, pop[P_BASE], pop[P_SIZE], ring, ring_at), clipped


@inlined
def _record(pop, keep, ring, ring_at, n, totals, late, late_at, events, event_at):
    """Count every spike for its neuron (and among the late ones) and copy it to the buffer."""
    base = pop[P_BASE]
    for k in range(ring_at, ring_at + n):
        totals[base + np.int64(ring[k])] += 1
    if late_at >= 0:
        for k in range(ring_at, ring_at + n):
            late[late_at + np.int64(ring[k])] += 1
    if not keep:
        return event_at
    for k in range(n):
        events[event_at + k] = ring[ring_at + k]
    return event_at + n


@kernel
def _copy_state(values, at, n, order, order_at, out, out_at):
    for j in range(n):
        i = j if order_at < 0 else np.int64(order[order_at + j])
        out[out_at + i] = values[at + j]


@kernel
def _store_probes(probes, sample, step, pops, states, order, probe_int, probe_float):
    u32, v32, u64, v64, uf, vf = states
    for r in range(probes.shape[0]):
        probe = probes[r]
        if step % probe[R_EVERY]:
            continue
        pop = pops[probe[R_POPULATION]]
        n, place = pop[P_SIZE], pop[P_ORDER]
        at = probe[R_OFFSET] + (sample * probe[R_KEPT] + step // probe[R_EVERY]) * n
        if pop[P_UPDATE] == UPDATE_FLOAT or pop[P_UPDATE] == UPDATE_FLOAT_ROWS:
            values = uf if probe[R_IS_U] else vf
            _copy_state(values, pop[P_STATE], n, order, place, probe_float, at)
        elif pop[P_UPDATE] == UPDATE_GENERAL:
            wide = u64 if probe[R_IS_U] else v64
            _copy_state(wide, pop[P_STATE], n, order, place, probe_int, at)
        else:
            narrow = u32 if probe[R_IS_U] else v32
            _copy_state(narrow, pop[P_BASE], n, order, place, probe_int, at)


@kernel
def _start_sample(states, starts, resting, ring_counts):
    u32, v32, u64, v64, uf, vf = states
    v0_32, v0_64, v0_f = starts
    u32[:] = 0
    u64[:] = 0
    uf[:] = 0
    v32[:] = v0_32
    v64[:] = v0_64
    vf[:] = v0_f
    resting[:] = 0
    ring_counts[:] = 0


def _close_over(stamp: str) -> Any:
    def run_steps(
        control, pops, projections, ports, weights, rows, params, states, starts, rests, accs,
        outs, rings, inputs, events, counts, totals, late, core_table, core_counts,
        saturations, probes, order, probe_int, probe_float,
    ):  # fmt: skip
        """Run rows ``control[C_ROW]`` to ``control[C_STOP]``; see the module's text."""
        _ = stamp  # part of the cache key: edits of any kernel file recompile this one
        control, pops, projections, ports = borrow((control, pops, projections, ports))
        weights, rows, params, states = borrow((weights, rows, params, states))
        rests, accs, outs, rings = borrow((rests, accs, outs, rings))
        inputs, events, totals, late = borrow((inputs, events, totals, late))
        counts, core_counts = borrow((counts, core_counts))
        core_blocks, core_masks, core_pointers = borrow(core_table)
        order, probe_int, probe_float = borrow((order, probe_int, probe_float))
        ring, ring_counts = rings
        acc16, acc32, x64, sums = accs
        marks, byte_counts, active_totals = outs[1], outs[2], outs[3]
        steps, keep = control[C_STEPS], control[C_KEEP]
        continuous, per_core = control[C_CONTINUOUS], control[C_CORE_STEPS]
        marking = control[C_COUNT_ACTIVE]
        row, event_at = control[C_ROW], control[C_EVENTS]
        while row < control[C_STOP]:
            if keep and event_at + control[C_RESERVE] > events.size:
                break
            sample = row // steps
            step = row - sample * steps
            if row == 0 or (step == 0 and not continuous):
                _start_sample(states, starts, rests[0], ring_counts)
            last = not continuous or sample == control[C_LAST_SAMPLE]
            for p in range(pops.shape[0]):
                pop = pops[p]
                deliver(
                    pop, row, steps, continuous, pops, projections, weights, rows, inputs, rings,
                    (acc16, acc32, sums),
                )  # fmt: skip
                slot = row % pop[P_SLOTS]
                ring_at = pop[P_RING] + slot * pop[P_CAPACITY]
                n, clipped = _update(
                    pop, ports, (acc16, acc32, x64), params, states, rests, outs, marking, ring,
                    ring_at,
                )  # fmt: skip
                ring_counts[pop[P_RING_COUNT] + slot] = n
                counts[row, p] = n
                saturations[p] += clipped
                left = steps - 1 - step
                late_at = np.int64(-1)
                if last and left < pop[P_LATE_STEPS]:
                    late_at = pop[P_LATE] + left * pop[P_SIZE]
                event_at = _record(
                    pop, keep, ring, ring_at, n, totals, late, late_at, events, event_at
                )
                if per_core:
                    count_per_core(
                        marks, pop[P_BASE], core_blocks, core_masks, core_pointers[p],
                        core_pointers[p + 1], core_counts[row],
                    )  # fmt: skip
            if row & 127 == 127:  # well before a byte is full
                empty_counts(byte_counts, active_totals)
            _store_probes(probes, sample, step, pops, states, order, probe_int, probe_float)
            row += 1
        empty_counts(byte_counts, active_totals)
        control[C_ROW] = row
        control[C_EVENTS] = event_at

    return run_steps


run_steps = entry_point(_close_over(source_stamp()))
