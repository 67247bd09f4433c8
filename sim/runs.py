"""Runs of neurons: what the kernels update, and count the active updates of, in one go.

A run's neurons follow each other in the program's order, belong to one core and read sums that
follow each other: a row of the padded sums of a convolution, or the part of it on one core. The
count is one lane-wise sum more in the update, where a count per neuron would double its traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.kernels import fields as f
from nmhw.sim.workspace import FAST_FORMS, Workspace

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of one engine run, and their counts.

    Attributes
    ----------
    table : (n_runs, RUN_FIELDS)
    active : (n_runs,) int32, neurons that were active in the last step
    totals : (n_runs,), the same over all steps
    core_active : (n_rows, n_columns) int32, per step and column; (1, n_columns) unless wanted
    """

    table: Ints
    active: NDArray[np.int32]
    totals: Ints
    core_active: NDArray[np.int32]

    def by_column(self, pop: Ints) -> Ints:
        """Return (n_columns,) active updates of the population of a descriptor row."""
        here = slice(int(pop[f.P_FIRST_RUN]), int(pop[f.P_END_RUN]))
        counts = np.zeros(self.core_active.shape[1], np.int64)
        np.add.at(counts, self.table[here, f.RUN_COLUMN], self.totals[here])
        return counts


def plan_runs(space: Workspace, columns: Mapping[str, Ints] | None, *, per_step: bool) -> Runs:
    """Divide every population into runs, noted in its descriptor row, with counts at zero.

    Parameters
    ----------
    columns : mapping of population to (n,) int64, optional
        Column of every neuron's core; default: one column.
    per_step : bool
        Keep counts per row too.
    """
    program, n_columns = space.program, 1
    if columns is not None:
        n_columns += max((int(c.max(initial=0)) for c in columns.values()), default=0)
    space.pops[:, [f.P_FIRST_RUN, f.P_END_RUN]] = 0
    layout = space.pops.tobytes() + space.ports.tobytes()
    known = program.kept_runs[-1] if program.kept_runs else None
    if known is None or known[0] is not columns or known[1] != layout:
        known = (columns, layout, _plan(space, columns))
        program.kept_runs[:] = [known]
    table, ends = known[2]
    space.pops[:, f.P_FIRST_RUN], space.pops[:, f.P_END_RUN] = ends[:-1], ends[1:]
    return Runs(
        table,
        np.zeros(len(table), np.int32),
        np.zeros(len(table), np.int64),
        np.zeros((space.size.n_rows if per_step else 1, n_columns), np.int32),
    )


def _plan(space: Workspace, columns: Mapping[str, Ints] | None) -> tuple[Ints, Ints]:
    """Return the runs of all populations, and where each population's runs end."""
    program, parts, ends = space.program, [np.zeros((0, f.RUN_FIELDS), np.int64)], [0]
    for pop, name in zip(space.pops, program.populations, strict=True):
        column = np.zeros(int(pop[f.P_SIZE]), np.int64)
        if columns is not None:
            order = program.orders[name]
            column = columns[name] if order is None else columns[name][order]
        table = _divide(pop, space.ports, column)
        table[:, f.RUN_WEIGHT] = program.quantized.population(name).n_compartments
        ends.append(ends[-1] + len(table))
        parts.append(table)
    return np.concatenate(parts), np.array(ends, np.int64)


def _divide(pop: Ints, ports: Ints, column: Ints) -> Ints:
    """Return the runs of one population: cut at the ends of its rows of sums and of its cores."""
    n = column.size
    first, length, stride = 0, n, n
    if pop[f.P_UPDATE] in FAST_FORMS:
        row = ports[pop[f.P_FIRST_PORT]]
        first, length, stride = (int(row[k]) for k in (f.A_OFFSET, f.A_LENGTH, f.A_STRIDE))
    starts = np.union1d(np.arange(0, n, max(length, 1)), np.flatnonzero(np.diff(column)) + 1)
    table = np.zeros((starts.size, f.RUN_FIELDS), np.int64)
    line = starts // max(length, 1)
    table[:, f.RUN_NEURON] = pop[f.P_BASE] + starts
    table[:, f.RUN_ACC] = first + line * stride + starts - line * length
    table[:, f.RUN_LENGTH] = np.diff(np.append(starts, n))
    table[:, f.RUN_COLUMN] = column[starts]
    return table
