"""The network between cores: what a chip file says of it, and what timing its messages gave."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.values.figure import Figure

Ints = NDArray[np.int64]

#: Ways out of a tile, in the order of its four links.
DIRECTIONS = ("east", "west", "north", "south")

PS_PER_S = 10**12


@dataclass(frozen=True, slots=True)
class NocSpec:
    """Links, buffers and queues of one chip's mesh.

    Attributes
    ----------
    link_ns : Figure
        Time for which one message occupies a link (the reciprocal of its bandwidth).
    link_buffer : Figure
        Messages that fit behind a link (between a core and its router, too).
    receiver_queue : Figure
        Messages that fit into a core, the one that it works on included.
    """

    link_ns: Figure
    link_buffer: Figure
    receiver_queue: Figure

    def figures(self) -> tuple[tuple[str, Figure], ...]:
        """Return what a reader has to know, with its name."""
        return (
            ("message on a link", self.link_ns),
            ("places behind a link", self.link_buffer),
            ("places in a receiving core", self.receiver_queue),
        )


@dataclass(frozen=True, slots=True, eq=False)
class NocTimes:
    """Steps of a run whose messages were sent over the network one by one; picoseconds.

    Attributes
    ----------
    costs : str
        Name of the cost table whose latencies were used.
    mesh : (int, int)
        Width and height in tiles.
    n_rows : int
        Steps of all samples, timed or not (row = sample x steps per sample + step).
    rows : (n_timed,) int64, ascending
    step_ps : (n_timed,) int64
        From the start of a step until its last core is done; no barrier.
    floor_ps : (n_timed,) int64
        The same messages over a network that takes no time and never blocks: the larger of the
        slowest sender and the slowest receiver.
    blocked_ps : (n_timed,) int64
        Sum over the cores of the time for which a full network held them up.
    messages : (n_timed,) int64
    link_messages : (4 x tiles,) int64
        Over all timed steps; link 4 x tile + direction (``DIRECTIONS``) leaves the tile.
    link_wait_ps : (4 x tiles,) int64
        Sum over the messages of their waits to enter the link.
    cores : (n_cores,) int64
        Used global core indices, ascending.
    receiver_ps : (n_cores,) int64
        Work on received messages, over all timed steps.
    """

    costs: str
    mesh: tuple[int, int]
    n_rows: int
    rows: Ints
    step_ps: Ints
    floor_ps: Ints
    blocked_ps: Ints
    messages: Ints
    link_messages: Ints
    link_wait_ps: Ints
    cores: Ints
    receiver_ps: Ints

    @property
    def is_sampled(self) -> bool:
        """Whether steps were left out."""
        return self.rows.size < self.n_rows

    def standard_error_s(self) -> float | None:
        """Return the standard error of the mean step; 0 of all steps, None of a single one."""
        n = self.rows.size
        if n == self.n_rows:
            return 0.0
        if n < 2:
            return None
        spread = float(np.std(self.step_ps, ddof=1)) / PS_PER_S
        return spread * float(np.sqrt((1 - n / self.n_rows) / n))
