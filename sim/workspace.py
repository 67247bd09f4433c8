"""Workspace: everything one run of a program needs, allocated once, in the kernel's order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError, UsageError
from nmhw.sim.blocks import block_stride, choose_block
from nmhw.sim.bounds import choose_update
from nmhw.sim.kernels import fields as f
from nmhw.sim.kernels.calls import link, needed_slots
from nmhw.sim.kernels.neurons import SCAN_SLACK
from nmhw.sim.memory import aligned_zeros
from nmhw.sim.parameters import fill_parameters, place_currents
from nmhw.sim.ports import PortPlan, bound_spikes, input_shift, plan_ports, port_row, with_primary
from nmhw.sim.program import ALIGNMENT, Program
from nmhw.values.probe import Probe
from nmhw.values.quantized import QuantizedPopulation

Ints = NDArray[np.int64]

#: Most spikes (4 bytes each) that the rings of one program may hold.
MAX_RING = 2**30


#: Forms that read one int32 (or int16) accumulator in place.
FAST_FORMS = (
    f.UPDATE_UNIFORM,
    f.UPDATE_UNIFORM_CLAMP,
    f.UPDATE_ARRAYS,
    f.UPDATE_CURRENT,
    f.UPDATE_FLOAT_ROWS,
    f.UPDATE_LANES,
)

FLOAT_FORMS = (f.UPDATE_FLOAT_ROWS, f.UPDATE_FLOAT)


@dataclass(frozen=True, slots=True)
class RunSize:
    """What a workspace is allocated for."""

    n_samples: int
    n_steps: int
    is_continuous: bool

    @property
    def n_rows(self) -> int:
        """Steps of all samples."""
        return self.n_samples * self.n_steps


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """Arrays of one run; the kernels write into them. Names as in ``kernels/step.py``.

    Attributes
    ----------
    calls : (CALL_SLOTS,) addresses of the kernels this run uses, 0 elsewhere
    """

    program: Program
    size: RunSize
    control: Ints
    calls: Ints
    pops: Ints
    projections: Ints
    ports: Ints
    params: tuple[NDArray[Any], ...]
    states: tuple[NDArray[Any], ...]
    starts: tuple[NDArray[Any], ...]
    rests: tuple[NDArray[np.int32], NDArray[np.int32]]
    accs: tuple[NDArray[Any], ...]
    flags: NDArray[np.uint8]
    rings: tuple[NDArray[np.uint32], Ints]
    expanded: NDArray[np.uint32]
    events: NDArray[np.uint32]
    counts: NDArray[np.int32]
    totals: Ints
    late: Ints
    saturations: Ints
    probes: Ints
    probe_int: Ints
    probe_float: NDArray[np.float32]
    order: NDArray[np.uint32]

    def slice_of(self, index: int) -> slice:
        """Return where population ``index`` sits in the pools per neuron."""
        base = int(self.pops[index, f.P_BASE])
        return slice(base, base + int(self.pops[index, f.P_SIZE]))


def allocate(
    program: Program,
    size: RunSize,
    *,
    multiplicity: Mapping[str, int],
    probes: Sequence[Probe] = (),
) -> Workspace:
    """Lay out states, accumulators and buffers, and choose every population's update form.

    Parameters
    ----------
    multiplicity : mapping of input name to int
        Most events of one input element in one step.

    Raises
    ------
    UnsupportedError
        Where sums could leave 32 bits, or the spike rings would be too large.
    """
    populations = [program.quantized.population(name) for name in program.populations]
    most = bound_spikes(program, populations, multiplicity)
    plan = plan_ports(program, {**multiplicity, **most})
    pops = np.zeros((len(populations), f.P_FIELDS), np.int64)
    sizes = np.array([p.size for p in populations], np.int64)
    padded = -(-sizes // ALIGNMENT) * ALIGNMENT
    pops[:, f.P_SIZE] = sizes
    pops[:, f.P_BASE] = np.cumsum(padded) - padded
    n_total = int(padded.sum())
    steps = size.n_rows if size.is_continuous else size.n_steps
    for pop, population, bound in zip(pops, populations, plan.input_bounds, strict=True):
        shifted = bound << input_shift(population)
        pop[f.P_UPDATE] = choose_update(population, shifted, steps)
    order = _place_orders(program, pops)
    room = MAX_RING - _plan_rings(program, pops, most)
    spikes = pops[:, f.P_CAPACITY].tolist()
    # probes read all states after every step
    block = 1 if probes else choose_block(program, size.n_steps, spikes, room)
    projections, ports, widths = _place_ports(program, plan, pops, block)
    ring, ring_counts, n_late = _place_rings(program, pops, block)
    params, starts = fill_parameters(program, populations, pops, n_total)
    place_currents(program, pops, projections)
    n_int, n_float = starts[1].size, starts[2].size
    states = tuple(
        aligned_zeros(n, dtype)
        for n, dtype in ((n_total, np.int32), (n_int, np.int64), (n_float, np.float32))
        for _ in "uv"
    )
    rests = (np.zeros(n_total, np.int32), np.zeros(n_total, np.int32))
    _fill_rests(populations, program, pops, rests[1])
    flags = aligned_zeros(max(n_total, ALIGNMENT), np.uint8)
    accs = (
        aligned_zeros(widths[0], np.int16),
        aligned_zeros(widths[1], np.int32),
        aligned_zeros(2 * int(padded.max(initial=ALIGNMENT)), np.int64),  # input, overflow marks
        aligned_zeros(int(program.table[:, f.J_WIDTH].max(initial=ALIGNMENT)), np.int16),
    )
    control = np.zeros(f.C_FIELDS, np.int64)
    control[f.C_STEPS] = size.n_steps
    control[f.C_CONTINUOUS] = size.is_continuous
    control[f.C_BLOCK] = block
    control[f.C_LAST_SAMPLE] = size.n_samples - 1
    control[f.C_RESERVE] = int((pops[:, f.P_CAPACITY] - SCAN_SLACK).sum())
    probe_rows, n_probed = _place_probes(program, pops, size, probes)
    return Workspace(
        program=program,
        size=size,
        control=control,
        calls=link(needed_slots(pops, ports, projections, probe_rows)),
        pops=pops,
        projections=projections,
        ports=ports,
        params=params,
        states=states,
        starts=starts,
        rests=rests,
        accs=accs,
        flags=flags,
        rings=(ring, ring_counts),
        expanded=np.zeros(_most_pooled(program, pops, multiplicity, most), np.uint32),
        events=np.zeros(_buffer_size(control, size), np.uint32),
        counts=np.zeros((size.n_rows, len(populations)), np.int32),
        totals=np.zeros(n_total, np.int64),
        late=np.zeros(n_late, np.int64),
        saturations=np.zeros(len(populations), np.int64),
        probes=probe_rows,
        probe_int=np.zeros(n_probed[0], np.int64),
        probe_float=np.zeros(n_probed[1], np.float32),
        order=order,
    )


def _buffer_size(control: Ints, size: RunSize) -> int:
    """Return events to buffer: at least one step, at most all of them, else 64 MiB of them.

    Memory that no spike reaches is never touched.
    """
    reserve = int(control[f.C_RESERVE])
    return max(1, min(reserve * size.n_rows, max(2 * reserve, 2**24)))


def _place_orders(program: Program, pops: Ints) -> NDArray[np.uint32]:
    parts, at = [np.zeros(1, np.uint32)], 1
    for pop, name in zip(pops, program.populations, strict=True):
        order = program.orders[name]
        pop[f.P_ORDER] = -1
        if order is not None:
            pop[f.P_ORDER] = at
            parts.append(order.astype(np.uint32))
            at += order.size
    return np.concatenate(parts)


def _place_ports(
    program: Program, plan: PortPlan, pops: Ints, block: int
) -> tuple[Ints, Ints, tuple[int, int]]:
    """Give every accumulator its offset; return both tables and the two pool sizes."""
    table = program.table.copy()
    rows: list[Ints] = []
    used = [0, 0]
    first = 0
    for index, (pop, ports) in enumerate(zip(pops, plan.ports, strict=True)):
        name = program.populations[index]
        n, relative = int(pop[f.P_SIZE]), 0
        pop[f.P_SHIFT] = input_shift(program.quantized.population(name))
        if pop[f.P_UPDATE] in FAST_FORMS:
            ports = with_primary(ports)
            relative = ports[0].shift
            pop[f.P_SHIFT] += relative
        pop[f.P_FIRST_PORT] = len(rows)
        for port in ports:
            port.offset = used[not port.is_16]
            used[not port.is_16] += port.size(n)
            if len(ports) == 1 and pop[f.P_UPDATE] in FAST_FORMS and not port.is_16:
                pop[f.P_BLOCK] = block_stride(program, port.projections, port.size(n), block)
                used[1] += (block - 1) * int(pop[f.P_BLOCK])
            rows.append(port_row(port, n, relative))
            for k in port.projections:
                table[k, f.J_ACC] = port.offset
                if table[k, f.J_KIND] == f.KIND_CONV16 and not port.is_16:
                    table[k, f.J_KIND] = f.KIND_CONV32
        pop[f.P_END_PORT] = len(rows)
        pop[f.P_FIRST_PROJECTION] = first
        first += sum(len(port.projections) for port in ports)
        pop[f.P_END_PROJECTION] = first
    width_16, width_32 = (max(n, ALIGNMENT) + ALIGNMENT for n in used)
    return table, np.array(rows), (width_16, width_32)


def _plan_rings(program: Program, pops: Ints, most: Mapping[str, int]) -> int:
    """Note every population's capacity and longest outgoing delay; return spikes on their way."""
    for pop, name in zip(pops, program.populations, strict=True):
        delays = [q.delay_steps for q in program.projections if q.source == name]
        pop[f.P_LATE_STEPS] = max(delays, default=0)
        pop[f.P_CAPACITY] = pop[f.P_SIZE] * most[name] + SCAN_SLACK
    return sum(int(pop[f.P_CAPACITY]) * int(pop[f.P_LATE_STEPS]) for pop in pops)


def _place_rings(program: Program, pops: Ints, block: int) -> tuple[NDArray[np.uint32], Ints, int]:
    """Give every population the slots that a block and its longest outgoing delay need."""
    at = counts = late = 0
    for pop in pops:
        longest = int(pop[f.P_LATE_STEPS])
        pop[f.P_SLOTS] = longest + block
        pop[f.P_RING], pop[f.P_RING_COUNT] = at, counts
        pop[f.P_LATE] = late
        at += int(pop[f.P_SLOTS]) * int(pop[f.P_CAPACITY])
        counts += longest + block
        late += longest * int(pop[f.P_SIZE])
    if at > MAX_RING:
        worst = program.populations[int(np.argmax(pops[:, f.P_SLOTS] * pops[:, f.P_CAPACITY]))]
        raise UnsupportedError(
            "neurons x spikes per step x delay steps exceed the simulator's spike rings",
            got=at,
            limit=MAX_RING,
            where=worst,
            hint="a smaller max_spikes_per_step or shorter delays",
            rule="sim.ring-size",
        )
    return np.zeros(max(at, 1) + 8, np.uint32), np.zeros(max(counts, 1), np.int64), late


def _fill_rests(
    populations: Sequence[QuantizedPopulation],
    program: Program,
    pops: Ints,
    rest_steps: NDArray[np.int32],
) -> None:
    for pop, population in zip(pops, populations, strict=True):
        if population.refractory_steps is None:
            continue
        order = program.orders[population.name]
        steps = population.refractory_steps
        base, n = int(pop[f.P_BASE]), int(pop[f.P_SIZE])
        rest_steps[base : base + n] = steps if order is None else steps[order]


def _most_pooled(
    program: Program, pops: Ints, inputs: Mapping[str, int], most: Mapping[str, int]
) -> int:
    """Return the most pooled events of one step of one projection."""
    sizes = program.quantized.sizes()
    with_pool = [
        sizes[q.source] * {**inputs, **most}[q.source]
        for q, row in zip(program.projections, program.table, strict=True)
        if row[f.J_POOL] >= 0
    ]
    return max(with_pool, default=1) * program.max_rows


def _place_probes(
    program: Program, pops: Ints, size: RunSize, probes: Sequence[Probe]
) -> tuple[Ints, tuple[int, int]]:
    rows = np.zeros((len(probes), f.R_FIELDS), np.int64)
    used = [0, 0]
    for row, probe in zip(rows, probes, strict=True):
        if probe.population not in program.populations:
            known = ", ".join(program.populations)
            raise UsageError("no such population to probe", got=repr(probe.population), hint=known)
        index = program.populations.index(probe.population)
        is_float = int(pops[index, f.P_UPDATE] in FLOAT_FORMS)
        row[f.R_POPULATION], row[f.R_IS_U] = index, ("v", "u", "u2").index(probe.variable)
        if probe.variable == "u2" and pops[index, f.P_SECOND] < 0:
            raise UsageError("no second synaptic current to probe", where=probe.population)
        row[f.R_EVERY], row[f.R_KEPT] = probe.every, -(-size.n_steps // probe.every)
        row[f.R_OFFSET] = used[is_float]
        used[is_float] += size.n_samples * int(row[f.R_KEPT]) * int(pops[index, f.P_SIZE])
    return rows, (used[0], used[1])
