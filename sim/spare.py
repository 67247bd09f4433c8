"""Workspaces kept from one run of a program to the next: a short run costs what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock

from nmhw.sim.kernels import fields as f
from nmhw.sim.program import Program
from nmhw.sim.workspace import RunSize, Workspace, allocate
from nmhw.values.probe import Probe

#: Largest buffers that are kept for the next run.
MAX_SPARE_BYTES = 2**28

#: Spare workspaces of one program: one per thread of a small machine.
MAX_SPARE = 4

_SPARE_LOCK = Lock()


def borrow_workspace(
    program: Program,
    size: RunSize,
    *,
    multiplicity: Mapping[str, int],
    probes: Sequence[Probe] = (),
) -> Workspace:
    """Return the program's spare workspace, cleared, if it fits this run; else a new one.

    A short run takes as long as allocating and touching its arrays. See ``allocate``.
    """
    wanted = (size, dict(multiplicity), tuple(probes))
    with _SPARE_LOCK:
        kept = [k for k, (key, _) in enumerate(program.spare) if key == wanted]
        space = program.spare.pop(kept[0])[1] if kept else None
    if space is None:
        return allocate(program, size, multiplicity=multiplicity, probes=probes)
    found: Workspace = space
    found.control[f.C_ROW] = found.control[f.C_EVENTS] = 0
    for array in (found.totals, found.late, found.saturations):
        array[:] = 0
    return found


def return_workspace(
    space: Workspace, *, multiplicity: Mapping[str, int], probes: Sequence[Probe] = ()
) -> None:
    """Keep a workspace for the next run, unless it is large; nothing may refer to it any more."""
    if space.events.nbytes + space.probe_int.nbytes + space.totals.nbytes <= MAX_SPARE_BYTES:
        entry = ((space.size, dict(multiplicity), tuple(probes)), space)
        with _SPARE_LOCK:
            space.program.spare[:] = [*space.program.spare[1 - MAX_SPARE :], entry]
