"""Neurons that lava-nc lacks: any reset, refractory time, bound, width, or float32."""

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
from nmhw_lava.cell_step import Cell
from nmhw_lava.record import Record


class CellPopulation(AbstractProcess):
    """Population of the cells of ``cell_step``; sends spikes per neuron as counts."""

    def __init__(self, *, n: int, spec: Any, arrays: Any, record: Any, name: str) -> None:
        super().__init__(spec=spec, arrays=arrays, record=record, name=name)
        self.a_in = InPort(shape=(n,))
        self.s_out = OutPort(shape=(n,))
        self.n_spikes = Var(shape=(1,), init=0)
        self.n_updates = Var(shape=(1,), init=0)


@implements(proc=CellPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CellPopulationModel(PyLoihiProcessModel):
    """Steps the cell and counts its spikes and its active updates."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    n_spikes: Any = LavaPyType(np.ndarray, np.int64)
    n_updates: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.cell = Cell(proc_params["spec"], proc_params["arrays"])
        self.record = Record(proc_params["record"])

    def run_spk(self) -> None:
        """Take the summed input of one step, send the spikes."""
        cell = self.cell
        if self.record.is_start:
            cell.start()
        spikes = cell.step(self.a_in.recv())
        self.s_out.send(spikes.astype(np.int32))
        self.n_spikes[0] += int(spikes.sum())
        self.n_updates[0] += int(cell.is_active.sum())
        states = {"u": cell.u, "v": cell.v, "refractory": cell.refractory}
        self.record.add(spikes, cell.is_active, cell.n_saturated, states)
