"""Delivery in one step: every projection of a population, by the kernel its table row names."""

# mypy: allow-untyped-defs, no-check-untyped-defs
from __future__ import annotations

from nmhw.sim.kernels.calls import (
    call_conv16,
    call_conv32,
    call_dense8,
    call_dense16,
    call_in_order,
    call_pool,
    call_sparse32,
    call_sparse_packed,
    call_sparse_wide,
)
from nmhw.sim.kernels.compiled import inlined
from nmhw.sim.kernels.fields import (
    CALL_DELIVER,
    CALL_POOL,
    J_ACC,
    J_DELAY,
    J_FLUSH,
    J_INDICES,
    J_IS_INPUT,
    J_KIND,
    J_POINTERS,
    J_POOL,
    J_POOLED,
    J_ROWS,
    J_SOURCE,
    J_TABLE,
    J_TARGETS,
    J_WEIGHTS,
    J_WIDTH,
    KIND_CONV16,
    KIND_CONV32,
    KIND_DENSE8,
    KIND_DENSE16,
    KIND_DENSE_TILES,
    KIND_IN_ORDER,
    KIND_SPARSE32,
    KIND_SPARSE_PACKED,
    KIND_SPARSE_WIDE,
    P_BLOCK,
    P_CAPACITY,
    P_END_PROJECTION,
    P_FIRST_PROJECTION,
    P_RING,
    P_RING_COUNT,
    P_SIZE,
    P_SLOTS,
    P_U_BITS,
    P_U_WRAP,
)


@inlined
def deliver(
    pop, first_row, end_row, steps, continuous, calls, pops, projections, weights, rows, inputs,
    rings, accs,
):  # fmt: skip
    """Add everything that arrives at one population in these rows to its accumulators."""
    w8, w16, w32, quads, quad_weights = weights
    targets, pointers, table, segments, pool_pointers, pooled, expanded = rows
    input_events, input_pointers = inputs
    ring, ring_counts = rings
    acc16, acc32, sums, u64, x64 = accs
    for p in range(pop[P_FIRST_PROJECTION], pop[P_END_PROJECTION]):
        proj = projections[p]
        delay = proj[J_DELAY]
        for row in range(first_row, end_row):
            if delay > row or (not continuous and delay > row % steps):
                continue
            if proj[J_IS_INPUT]:
                events = input_events
                first = input_pointers[proj[J_SOURCE], row - delay]
                end = input_pointers[proj[J_SOURCE], row - delay + 1]
            else:
                source = pops[proj[J_SOURCE]]
                slot = (row - delay) % source[P_SLOTS]
                events = ring
                first = source[P_RING] + slot * source[P_CAPACITY]
                end = first + ring_counts[source[P_RING_COUNT] + slot]
            if first == end:
                continue
            if proj[J_POOL] >= 0:
                end = call_pool(
                    calls[CALL_POOL], pool_pointers, pooled, proj[J_POOL], proj[J_POOLED], events,
                    first, end, expanded,
                )  # fmt: skip
                first = 0
                events = expanded
            kind, at = proj[J_KIND], proj[J_WEIGHTS]
            acc = proj[J_ACC] + (row - first_row) * pop[P_BLOCK]
            call = calls[CALL_DELIVER + kind]
            rows_at, indices_at = proj[J_POINTERS], proj[J_INDICES]
            # not "in": the step of a small network then takes twice as long
            if kind == KIND_DENSE8 or kind == KIND_DENSE_TILES:  # noqa: SIM109
                call_dense8(
                    call, w8, at, proj[J_ROWS], proj[J_WIDTH], proj[J_FLUSH], events, first, end,
                    sums, acc32, acc,
                )  # fmt: skip
            elif kind == KIND_SPARSE_WIDE:
                call_sparse_wide(
                    call, quads, quad_weights, pointers, rows_at, indices_at, events, first, end,
                    acc32, acc, proj[J_TARGETS],
                )  # fmt: skip
            elif kind == KIND_CONV16:
                call_conv16(
                    call, table, proj[J_TABLE], segments, rows_at, w16, at, events, first, end,
                    acc16, acc,
                )  # fmt: skip
            elif kind == KIND_CONV32:
                call_conv32(
                    call, table, proj[J_TABLE], segments, rows_at, w16, at, events, first, end,
                    acc32, acc,
                )  # fmt: skip
            elif kind == KIND_DENSE16:
                call_dense16(
                    call, w16, at, proj[J_ROWS], proj[J_WIDTH], events, first, end, acc32, acc
                )
            elif kind == KIND_SPARSE_PACKED:
                call_sparse_packed(
                    call, targets, pointers, rows_at, indices_at, proj[J_WIDTH], events, first, end,
                    acc32, acc,
                )  # fmt: skip
            elif kind == KIND_SPARSE32:
                call_sparse32(
                    call, targets, w32, pointers, rows_at, indices_at, at, events, first, end,
                    acc32, acc,
                )  # fmt: skip
            elif kind == KIND_IN_ORDER:
                call_in_order(
                    call, targets, w32, pointers, rows_at, indices_at, at, events, first, end,
                    u64, acc, x64, pop[P_SIZE], pop[P_U_BITS], pop[P_U_WRAP],
                )  # fmt: skip
