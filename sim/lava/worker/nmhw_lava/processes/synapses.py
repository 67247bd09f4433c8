"""Event-driven connections: unrolled convolutions, pools in front, wide weights, any delay."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from nmhw_lava.event_rows import EventRows


class Synapses(AbstractProcess):
    """Rows of synapses; an event of a source reads its row (after the pools in front of it)."""

    def __init__(
        self, *, n_source: int, n_target: int, arrays: Any, settings: Any, name: str
    ) -> None:
        super().__init__(arrays=arrays, settings=settings, name=name)
        self.s_in = InPort(shape=(n_source,))
        self.a_out = OutPort(shape=(n_target,))
        self.n_synops = Var(shape=(1,), init=0)


@implements(proc=Synapses, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SynapsesModel(PyLoihiProcessModel):
    """Reads synapses when their events arrive, ``delay`` steps after they were sent."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    n_synops: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        settings = proc_params["settings"]
        self.delay, self.period = settings["delay"], settings["period"]
        self.rows = EventRows(proc_params["arrays"], settings["shift"])
        self.waiting: list[Any] = []
        self.row = 0

    def run_spk(self) -> None:
        """Deliver what is due; with a delay that is sent before anything is received."""
        if self.row % self.period == 0:
            self.waiting = [None] * self.delay
        self.row += 1
        if not self.delay:
            self.waiting.append(self.s_in.recv())
        summed, n_read = self.rows.deliver(self.waiting.pop(0), self.a_out.shape[0])
        self.a_out.send(summed)
        self.n_synops[0] += n_read
        if self.delay:
            self.waiting.append(self.s_in.recv())
