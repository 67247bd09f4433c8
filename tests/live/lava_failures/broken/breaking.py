"""A Lava process that breaks in its third step, and one that receives."""

import os
import signal
import time
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


class Breaking(AbstractProcess):
    """Sends ones; ``how``: none, raise, shape, sleep, kill, exit, write."""

    def __init__(self, *, how: str, path: str) -> None:
        super().__init__(how=how, path=path)
        self.s_out = OutPort(shape=(3,))


class Sink(AbstractProcess):
    """Adds up what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.a_in = InPort(shape=(3,))
        self.total = Var(shape=(1,), init=0)


@implements(proc=Breaking, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class BreakingModel(PyLoihiProcessModel):
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self) -> None:
        size = 3
        if self.time_step == 3:
            how = self.proc_params["how"]
            if how == "raise":
                raise ZeroDivisionError("the third step is broken")
            if how == "sleep":
                time.sleep(600)
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "kill-interpreter":
                os.kill(os.getpgid(0), signal.SIGKILL)
            if how == "write":
                np.save(self.proc_params["path"], np.zeros(10**6))
            if how == "scalar":
                int(np.ones(1))  # an error from NumPy 2.4 on, for arrays of one dimension
            size = 4 if how == "shape" else 3
        self.s_out.send(np.ones(size, np.int32))


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SinkModel(PyLoihiProcessModel):
    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    total: Any = LavaPyType(np.ndarray, np.int64)

    def run_spk(self) -> None:
        self.total[0] += int(self.a_in.recv().sum())
