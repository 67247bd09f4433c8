"""STD-ED in ticks: a connection that knows its sources' spike times, neurons that fire once.

One error packet per neuron that fired: value, is live, spike time. Who never fired, or gets no
error, costs nothing.
"""

from __future__ import annotations

from pathlib import Path
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
from nmhw_lava.fixed_point import carried
from nmhw_lava.learning_parts import Clock, Codes, Counter
from nmhw_lava.spike_clock import SILENT, SpikeClock


class StdConnection(AbstractProcess):
    """Dense plastic synapses (n_in, n_out).

    Ports: ``s_in`` spikes per source, ``a_out`` sums of codes; ``e_in`` errors at the targets
    (value, is live, spike time), ``e_out`` errors at the sources (value, is sent).
    """

    def __init__(self, *, codes: Any, settings: Any, arithmetic: Any, name: str) -> None:
        super().__init__(settings=settings, arithmetic=arithmetic, name=name)
        n_in, n_out = codes.shape
        self.s_in, self.a_out = InPort(shape=(n_in,)), OutPort(shape=(n_out,))
        self.e_in, self.e_out = InPort(shape=(3, n_out)), OutPort(shape=(2, n_in))
        self.weights = Var(shape=codes.shape, init=codes)
        self.counts = Var(shape=(len(settings["operations"]),), init=0)


@implements(proc=StdConnection, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StdConnectionModel(PyLoihiProcessModel):
    """No error event, no work."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    e_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    e_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    weights: Any = LavaPyType(np.ndarray, np.int64)
    counts: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.settings, self.a = proc_params["settings"], proc_params["arithmetic"]
        self.clock = Clock(self.settings)
        self.counter = Counter(self.settings["operations"])
        self.codes = Codes(self.settings, self.a)
        n_in, n_out = self.settings["shape"]
        self.t_in = np.full(n_in, SILENT, np.int64)
        self.drive, self.quiet = np.zeros(n_out, np.int64), np.zeros((2, n_in), np.int64)
        self.errors, self.back = np.zeros((3, n_out), np.int64), self.quiet

    def run_spk(self) -> None:
        """Deliver the spikes of one tick; errors that arrive wait for ``run_lrn``."""
        self.clock.tick()
        self.a_out.send(self.drive)
        self.e_out.send(self.back)
        spikes, self.errors = self.s_in.recv(), self.e_in.recv()
        self.drive, self.back = np.zeros(self.drive.size, np.int64), self.quiet
        if self.clock.is_over:
            self.codes.save(self.weights)
            return
        if self.clock.row % self.clock.period == 0:
            self.t_in[:] = SILENT
        (sources,) = np.nonzero(spikes)
        if sources.size:
            self.t_in[sources] = self.clock.step
            self.drive = self.weights[sources].sum(axis=0)
            for operation in ("synop", "neuron_update"):
                self.counter.add(self.counts, operation, sources.size * self.drive.size)

    def lrn_guard(self) -> bool:
        """Return whether an error event has come."""
        if self.clock.is_over:
            return False
        is_kept = self.clock.is_last and self.settings["keeps_history"]
        return is_kept or bool(self.errors[1].any())

    def run_lrn(self) -> None:
        """Answer sources with the weights as they are, then learn."""
        error, on, t_out = self.errors
        live, fired = on != 0, self.t_in != SILENT
        if live.any():
            if self.settings["is_head"]:
                is_met = fired[:, None] & live
                value = np.where(fired, np.maximum(self.a.reads_at - self.t_in, 0), 0)[:, None]
                sign = np.where(self.t_in < self.a.reads_at, -1, 0)
            else:
                is_met = fired[:, None] & (self.t_in[:, None] < t_out) & live
                value, sign = self.t_in[:, None] - t_out, np.ones(self.t_in.size, np.int64)
            if self.settings["carries"]:
                self._answer(is_met, np.where(is_met, error, 0), sign)
            if self.settings["trains"]:
                self.counter.add(self.counts, "gradient_mac", is_met.sum())
                self.codes.take(self.weights, self.counts, value * error, is_met)
                self.codes.finish(self.weights, self.counts)
        if self.clock.is_last:
            self.codes.keep(self.weights)

    def _answer(self, is_met: Any, error: Any, sign: Any) -> None:
        reached = is_met.any(axis=1)
        totals = (self.weights * error).sum(axis=1)
        self.back = np.stack([sign * carried(totals, self.a), reached.astype(np.int64)])
        self.counter.add(self.counts, "error_packet", reached.sum())
        for operation in ("propagation_mac", "transposed_read"):
            self.counter.add(self.counts, operation, is_met.sum())


class StdPopulation(AbstractProcess):
    """Neurons whose membrane rises linearly to a threshold and that fire once.

    Ports: ``a_in`` sums of codes, ``s_out`` spikes; ``e_in`` dL/dt from behind (value, is sent),
    ``e_out`` errors for the connection in front (value, is live, spike time).
    """

    def __init__(self, *, n: int, settings: Any, arithmetic: Any, name: str) -> None:
        super().__init__(settings=settings, arithmetic=arithmetic, name=name)
        self.a_in, self.s_out = InPort(shape=(n,)), OutPort(shape=(n,))
        self.e_in, self.e_out = InPort(shape=(2, n)), OutPort(shape=(3, n))
        self.u = Var(shape=(n,), init=0)
        self.slope = Var(shape=(n,), init=0)
        self.counts = Var(shape=(len(settings["operations"]),), init=0)


@implements(proc=StdPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class StdPopulationModel(PyLoihiProcessModel):
    """Learns only in the row in which errors arrive."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    e_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    e_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    u: Any = LavaPyType(np.ndarray, np.int64)
    slope: Any = LavaPyType(np.ndarray, np.int64)
    counts: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.settings = proc_params["settings"]
        self.clock = Clock(self.settings)
        self.cells = SpikeClock(self.settings, proc_params["arithmetic"])
        n = self.settings["n"]
        self.spikes = np.zeros(n, np.int32)
        self.packet = self.quiet = np.zeros((3, n), np.int64)
        self.errors = np.zeros((2, n), np.int64)

    def run_spk(self) -> None:
        """Run one tick; errors that arrive wait for ``run_lrn``."""
        self.clock.tick()
        self.s_out.send(self.spikes)
        self.e_out.send(self.packet)
        arriving, self.errors = self.a_in.recv(), self.e_in.recv()
        self.packet, self.spikes = self.quiet, np.zeros(self.spikes.size, np.int32)
        cells, step = self.cells, self.clock.step
        if self.clock.is_over:
            cells.save(Path(self.settings["path"]))
            return
        if step == 0:
            self.u[:] = 0
            self.slope[:] = 0
            cells.start()
        if 0 <= step <= cells.last:
            self.u += self.slope
            now = cells.fire(step, self.u, self.slope)
            self.spikes = now.astype(np.int32)
            self.slope += arriving
        cells.packets += self.errors[1] != 0
        if step == cells.last:
            cells.end(self.clock.sample, self.counts)

    def lrn_guard(self) -> bool:
        """Return whether an error event has come, or a score waits for its label."""
        if self.clock.is_over or not self.settings["learns"]:
            return False
        is_judged = self.settings["is_top"] and self.clock.back == 0
        return is_judged or bool(self.errors[1].any())

    def run_lrn(self) -> None:
        """Turn errors of spike times into errors at the synapses."""
        error, reached = self.errors[0], self.errors[1] != 0
        if self.settings["is_top"]:
            error, reached = self.cells.judge(self.clock.sample, self.counts)
        self.packet = self.cells.answer(error, reached, self.counts)
