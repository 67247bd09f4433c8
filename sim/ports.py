"""Accumulators: which projections share one, how long and wide it is, how it is folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.bounds import most_spikes
from nmhw.sim.conv_segments import AccumulatorWindow
from nmhw.sim.kernels import fields as f
from nmhw.sim.program import ALIGNMENT, Program
from nmhw.values.quantized import QuantizedPopulation

Ints = NDArray[np.int64]


@dataclass(slots=True)
class Port:
    """One accumulator of one population and the projections (table rows) that add to it."""

    shift: int
    window: AccumulatorWindow | None
    is_16: bool
    projections: list[int]
    offset: int = 0

    def size(self, n: int) -> int:
        """Elements to allocate."""
        wanted = n if self.window is None else self.window.size
        return -(-wanted // ALIGNMENT) * ALIGNMENT


@dataclass(frozen=True, slots=True, eq=False)
class PortPlan:
    """Ports of every population, in update order, and the bound of its summed input."""

    ports: tuple[tuple[Port, ...], ...]
    input_bounds: tuple[int, ...]


def plan_ports(program: Program, multiplicity: Mapping[str, int]) -> PortPlan:
    """Group projections into accumulators.

    Parameters
    ----------
    multiplicity : mapping of input or population to int
        Most events of one element in one step.

    Raises
    ------
    UnsupportedError
        Where the sum of one step could leave 32 bits.
    """
    all_ports: list[tuple[Port, ...]] = []
    bounds: list[int] = []
    for name in program.populations:
        rows = [k for k, q in enumerate(program.projections) if q.target == name]
        ports: dict[object, Port] = {}
        sums: dict[object, int] = {}
        total = 0
        for k in rows:
            shift = int(program.shifts[k])
            bound = int(program.input_bounds[k]) * multiplicity[program.projections[k].source]
            is_16 = program.windows[k] is not None and bound < 2**15
            key = (shift, program.windows[k], is_16) if shift >= 0 else k
            if is_16 and sums.get(key, 0) + bound >= 2**15:
                key, is_16 = (shift, program.windows[k], False), False
            port = ports.setdefault(key, Port(shift, program.windows[k], is_16, []))
            port.projections.append(k)
            sums[key] = sums.get(key, 0) + bound
            total += bound << shift if shift >= 0 else (bound >> -shift) + 1
        is_exact = program.quantized.population(name).spec.summation == "exact"
        if is_exact and sums and max(sums.values()) >= 2**31:
            raise UnsupportedError(
                "the summed input of one step can exceed 32 bits",
                got=max(sums.values()),
                limit=2**31 - 1,
                where=name,
                hint="fewer events per source and step, or smaller weights with a larger shift",
                rule="sim.sum-width",
            )
        if not is_exact:
            all_ports.append((Port(0, None, False, rows),))  # added to the state: nothing to fold
            bounds.append(total)
            continue
        all_ports.append(tuple(ports.values()) or (Port(0, None, False, []),))
        bounds.append(total)
    return PortPlan(tuple(all_ports), tuple(bounds))


def input_shift(population: QuantizedPopulation) -> int:
    """Return the left shift of a population's whole input."""
    return 0 if population.spec.state == "float32" else population.spec.input_shift


def bound_spikes(
    program: Program, populations: Sequence[QuantizedPopulation], inputs: Mapping[str, int]
) -> dict[str, int]:
    """Return the most spikes per neuron and step of every population, sources first."""
    most = {p.name: p.spec.max_spikes_per_step if p.spec.is_spiking else 1 for p in populations}
    for population in populations:
        bound = 0
        for k, projection in enumerate(program.projections):
            if projection.target == population.name:
                events = {**inputs, **most}[projection.source]
                summed, shift = int(program.input_bounds[k]) * events, int(program.shifts[k])
                bound += summed << shift if shift >= 0 else (summed >> -shift) + 1
        most[population.name] = most_spikes(population, bound << input_shift(population))
    return most


def with_primary(ports: tuple[Port, ...]) -> tuple[Port, ...]:
    """Return the ports of a fast form: the first is the one that the others are folded into.

    A single port with a shift >= 0 is read in place; otherwise the first is a plain accumulator
    with the smallest shift.
    """
    if len(ports) == 1 and ports[0].shift >= 0:
        return ports
    shift = min(max(port.shift, 0) for port in ports)
    for port in ports:
        if port.window is None and port.shift == shift:
            return (port, *(other for other in ports if other is not port))
    return (Port(shift, None, False, []), *ports)


def port_row(port: Port, n: int, relative_to: int) -> Ints:
    """Return the table row of one port; its shift counts from ``relative_to`` if >= 0."""
    row = np.zeros(f.A_FIELDS, np.int64)
    window = port.window
    row[f.A_OFFSET], row[f.A_ROWS], row[f.A_LENGTH], row[f.A_STRIDE] = port.offset, 1, n, n
    if window is not None:
        row[f.A_OFFSET] += window.offset
        row[f.A_ROWS], row[f.A_LENGTH], row[f.A_STRIDE] = window.rows, window.length, window.stride
    row[f.A_SHIFT] = port.shift - relative_to if port.shift >= 0 else port.shift
    row[f.A_IS16] = port.is_16
    return row
