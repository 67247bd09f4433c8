"""Integrator head: sums what arrives, compares it with the label, and sends one error packet."""

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
from nmhw_lava.learning_parts import Clock, Counter, Teacher


class IntegratorHead(AbstractProcess):
    """Outputs that do not spike.

    ``settings``: ``worth`` of an input in each step, ``n_rows`` of its packets (2, with spike times
    3), ``reads_at``, ``n_updates`` (counted per sample), ``labels``.
    """

    def __init__(self, *, n: int, settings: Any, arithmetic: Any, name: str) -> None:
        super().__init__(n=n, settings=settings, arithmetic=arithmetic, name=name)
        self.a_in = InPort(shape=(n,))
        self.e_out = OutPort(shape=(settings["n_rows"], n))
        self.score = Var(shape=(n,), init=0)
        self.counts = Var(shape=(len(settings["operations"]),), init=0)


@implements(proc=IntegratorHead, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class IntegratorHeadModel(PyLoihiProcessModel):
    """Learns only in the row in which a score is complete."""

    a_in: Any = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    e_out: Any = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    score: Any = LavaPyType(np.ndarray, np.int64)
    counts: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        n, settings = proc_params["n"], proc_params["settings"]
        self.settings, self.worth = settings, settings["worth"]
        self.clock = Clock(settings)
        self.counter = Counter(settings["operations"])
        self.teacher = Teacher(
            settings["labels"], settings["n_samples"], n, proc_params["arithmetic"]
        )
        self.nothing = np.zeros((settings["n_rows"], n), np.int64)
        self.packet = self.nothing

    def run_spk(self) -> None:
        """Send the packet of the row before, take in weighted spikes."""
        self.clock.tick()
        self.e_out.send(self.packet)
        self.packet = self.nothing
        arriving = self.a_in.recv()
        if self.clock.is_over:
            self._save()
            return
        step = self.clock.step
        if step == 0:
            self.score[:] = 0
        if 0 <= step < self.worth.size:
            self.score += self.worth[step] * arriving
        if step == self.worth.size - 1:
            self.teacher.scores[self.clock.sample] = self.score
            self.counter.add(self.counts, "neuron_update", self.settings["n_updates"])

    def lrn_guard(self) -> bool:
        """Return whether a score waits for its label."""
        return self.teacher.teaches and not self.clock.is_over and self.clock.back == 0

    def run_lrn(self) -> None:
        """Make the error packet."""
        error, on = self.teacher.judge(self.clock.sample)
        self.counter.add(self.counts, "exponential", error.size)
        if not on.any() or not self.settings["trains"]:
            return
        self.counter.add(self.counts, "error_event", on.sum())
        self.packet = self.nothing.copy()
        self.packet[0], self.packet[1] = error, on
        self.packet[2:] = self.settings["reads_at"]

    def _save(self) -> None:
        np.savez(
            Path(self.settings["path"]),
            scores=self.teacher.scores,
            n_learned=np.array(self.teacher.n_learned),
        )
