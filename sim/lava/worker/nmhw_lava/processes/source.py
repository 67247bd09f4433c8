"""Input events as a process: sends the counts of one step after the other."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from nmhw_lava.guard import report

#: Seconds between two reports of progress.
REPORT_S = 0.3


class EventSource(AbstractProcess):
    """Sends the events ``index[pointers[row] : pointers[row + 1]]`` in step ``row``."""

    def __init__(
        self, *, n: int, pointers: Any, index: Any, name: str, first: int, total: int
    ) -> None:
        super().__init__(pointers=pointers, index=index, name=name, first=first, total=total)
        self.s_out = OutPort(shape=(n,))
        self.n_events = Var(shape=(1,), init=0)


@implements(proc=EventSource, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class EventSourceModel(PyLoihiProcessModel):
    """Counts the events it sends and reports how far the run is (where ``total`` is not 0)."""

    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    n_events: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.row, self.heard = 0, 0.0

    def run_spk(self) -> None:
        """Send the events of one step."""
        params = self.proc_params
        start, end = params["pointers"][self.row : self.row + 2]
        counts = np.zeros(self.s_out.shape, np.int32)
        np.add.at(counts, params["index"][start:end], 1)
        self.s_out.send(counts)
        self.n_events[0] += end - start
        self.row += 1
        if params["total"] and time.monotonic() - self.heard > REPORT_S:
            self.heard = time.monotonic()
            report({"done": params["first"] + self.row, "total": params["total"]})
