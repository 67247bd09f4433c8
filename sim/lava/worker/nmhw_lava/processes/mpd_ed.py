"""MPD-ED: a connection that learns from error packets, and neurons that make them of errors.

Forward a connection logs the events that it delivers; backward it meets one step per row, the
last one first, and works on the sources of that step's log and the targets with an error alone.
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
from nmhw_lava.mpd_walk import MembraneWalk


class MpdConnection(AbstractProcess):
    """Dense plastic synapses (n_in, n_out).

    Ports: ``s_in`` spikes per source, ``mark_in`` neuron-steps that may take an error (band mask),
    ``a_out`` sums of codes; ``e_in`` errors at the targets (value, is live), ``e_out`` errors at
    the sources (value, is sent).
    """

    def __init__(self, *, codes: Any, settings: Any, arithmetic: Any, name: str) -> None:
        super().__init__(settings=settings, arithmetic=arithmetic, name=name)
        n_in, n_out = codes.shape
        self.s_in, self.mark_in = InPort(shape=(n_in,)), InPort(shape=(n_in,))
        self.a_out = OutPort(shape=(n_out,))
        self.e_in, self.e_out = InPort(shape=(2, n_out)), OutPort(shape=(2, n_in))
        self.weights = Var(shape=codes.shape, init=codes)
        self.counts = Var(shape=(len(settings["operations"]),), init=0)


@implements(proc=MpdConnection, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MpdConnectionModel(PyLoihiProcessModel):
    """No error event, no work."""

    s_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    mark_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int32)
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
        n_steps = self.settings["n_steps"]
        self.log, self.marks = np.zeros((2, n_steps, n_in), np.int64)
        self.drive, self.quiet = np.zeros(n_out, np.int64), np.zeros((2, n_in), np.int64)
        self.errors, self.back = np.zeros((2, n_out), np.int64), self.quiet

    def run_spk(self) -> None:
        """Deliver the events of one step; errors that arrive wait for ``run_lrn``."""
        self.clock.tick()
        self.a_out.send(self.drive)
        self.e_out.send(self.back)
        spikes, marks = self.s_in.recv(), self.mark_in.recv()
        self.errors, self.back = self.e_in.recv(), self.quiet
        self.drive = np.zeros(self.drive.size, np.int64)
        if self.clock.is_over:
            self.codes.save(self.weights)
        elif 0 <= self.clock.step < len(self.log):
            self.log[self.clock.step] = spikes
            self.marks[self.clock.step] = marks if self.settings["has_marks"] else spikes != 0
            (sources,) = np.nonzero(spikes)
            if sources.size:
                self.drive = spikes[sources].astype(np.int64) @ self.weights[sources]
                n_synapses = int(spikes.sum()) * self.drive.size
                self.counter.add(self.counts, "synop", n_synapses)

    def lrn_guard(self) -> bool:
        """Return whether an error event has come, or touched weights wait for the sample's end."""
        if self.clock.is_over:
            return False
        return bool(self.errors[1].any()) or (self.clock.is_last and self._waits)

    @property
    def _waits(self) -> bool:
        return self.settings["keeps_history"] or bool(self.codes.touched.any())

    def run_lrn(self) -> None:
        """Answer sources with the weights as they are, then learn."""
        if self.errors[1].any():
            live = self.errors[1] != 0
            if self.settings["is_head"]:
                self._meet_head(live)
            else:
                self._meet_step(len(self.log) - 1 - self.clock.back, live)
        if self.clock.is_last:
            self.codes.finish(self.weights, self.counts)
            self.codes.keep(self.weights)

    def _meet_step(self, step: int, live: Any) -> None:
        """Errors of one step: sources are answered for that step."""
        n_live, events = int(live.sum()), self.log[step]
        if self.settings["carries"]:
            asking = self.marks[step] != 0
            self._answer(asking, n_live)
            if self.settings["has_marks"]:
                self.counter.add(self.counts, "decay_lookup", int(asking.sum()) * n_live)
        if self.settings["trains"]:
            n = int(events.sum()) * n_live
            self.counter.add(self.counts, "gradient_mac", n)
            self.counter.add(self.counts, "decay_lookup", n)
            self._learn(events, live)

    def _meet_head(self, live: Any) -> None:
        """One error for all steps: sources are answered once."""
        n_live, events = int(live.sum()), self.log.sum(axis=0)
        if self.settings["carries"]:
            self._answer(self.marks.any(axis=0), n_live)
        if self.settings["trains"]:
            n_active = int((events > 0).sum())
            self.counter.add(self.counts, "gradient_mac", n_active * n_live)
            self._learn(events, live)

    def _answer(self, asking: Any, n_live: int) -> None:
        (sources,) = np.nonzero(asking)
        self.back = self.quiet.copy()
        self.back[0, sources] = carried(self.weights[sources] @ self.errors[0], self.a)
        self.back[1, sources] = 1
        self.counter.add(self.counts, "error_packet", sources.size)
        for operation in ("propagation_mac", "transposed_read"):
            self.counter.add(self.counts, operation, sources.size * n_live)

    def _learn(self, events: Any, live: Any) -> None:
        is_met = (events > 0)[:, None] & live
        parts = events[:, None] * self.errors[0]
        self.codes.take(self.weights, self.counts, parts, is_met)


class MpdPopulation(AbstractProcess):
    """LIF neurons with a log of v - theta.

    Ports: ``a_in`` sums of codes, ``s_out`` spikes, ``mark_out`` where an error may enter; ``e_in``
    errors from behind, ``e_out`` errors at the membrane for the connection in front (value, live).
    """

    def __init__(self, *, theta: Any, settings: Any, arithmetic: Any, name: str) -> None:
        super().__init__(settings=settings, arithmetic=arithmetic, name=name)
        n = theta.size
        self.a_in, self.e_in = InPort(shape=(n,)), InPort(shape=(2, n))
        self.s_out, self.mark_out = OutPort(shape=(n,)), OutPort(shape=(n,))
        self.e_out = OutPort(shape=(2, n))
        self.theta = Var(shape=(n,), init=theta)
        self.counts = Var(shape=(len(settings["operations"]),), init=0)


@implements(proc=MpdPopulation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class MpdPopulationModel(PyLoihiProcessModel):
    """Steps the membranes, then walks back while errors are there."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    e_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    mark_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    e_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    theta: Any = LavaPyType(np.ndarray, np.int64)
    counts: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.settings = proc_params["settings"]
        self.clock = Clock(self.settings)
        self.walk = MembraneWalk(self.settings, proc_params["arithmetic"])
        n = self.walk.n
        self.spikes, self.marks = np.zeros((2, n), np.int32)
        self.packet = self.quiet = np.zeros((2, n), np.int64)

    def run_spk(self) -> None:
        """Run one step of the membranes; errors that arrive wait for ``run_lrn``."""
        self.clock.tick()
        self.s_out.send(self.spikes)
        self.mark_out.send(self.marks)
        self.e_out.send(self.packet)
        arriving, errors = self.a_in.recv(), self.e_in.recv()
        self.packet = self.quiet
        self.spikes, self.marks = np.zeros((2, self.walk.n), np.int32)
        if self.clock.is_over:
            self.walk.save(Path(self.settings["path"]), self.theta)
            return
        walk, step = self.walk, self.clock.step
        if step == 0:
            walk.start(self.theta)
        if 0 <= step < walk.n_steps:
            walk.step(step, arriving, self.counts)
            self.spikes = walk.spikes[step].astype(np.int32)
            self.marks = walk.admitted[step].astype(np.int32)
            if self.settings["is_top"] and step == walk.n_steps - 1:
                walk.score(self.clock.sample)
        walk.take(errors, self.clock.back == 0)

    def lrn_guard(self) -> bool:
        """Return whether errors are at work, a score waits for its label, or thresholds move."""
        if self.clock.is_over or not self.settings["learns"]:
            return False
        if self.clock.is_last and self.walk.moves_thresholds:
            return True
        back = self.clock.back
        if self.settings["is_top"] and back == 0:
            return True
        return 0 <= back < self.walk.n_steps and self.walk.is_at_work(back)

    def run_lrn(self) -> None:
        """Walk one step back."""
        back = self.clock.back
        if self.settings["is_top"] and back == 0:
            self.walk.judge(self.clock.sample, self.counts)
        if 0 <= back < self.walk.n_steps and self.walk.is_at_work(back):
            self.packet = self.walk.back(back, self.counts)
        if self.clock.is_last:
            self.walk.move(self.theta)
