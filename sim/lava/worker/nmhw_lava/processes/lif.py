"""lava-nc's own LIF in its fixed_pt form, with its states watched: its model does the step."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from nmhw_lava.record import Record


class CountedLif(LIF):
    """LIF that also counts its spikes and the updates with state, input or bias."""

    def __init__(self, *, n: int, spec: Any, arrays: Any, record: Any, name: str) -> None:
        values = {key: arrays[key] for key in ("du", "dv", "vth", "bias_mant", "bias_exp")}
        more = {"v0": arrays["v0"], "has_current": spec["has_current"], "record": record}
        super().__init__(shape=(n,), name=name, **more, **values)
        self.n_spikes = Var(shape=(1,), init=0)
        self.n_updates = Var(shape=(1,), init=0)


@implements(proc=CountedLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedLifModel(PyLifModelBitAcc):
    """Lava's bit-accurate LIF; u starts at 0 and v at v0 in every sample."""

    implements_process: Any = None  # of this process, no longer of the stock one
    n_spikes: Any = LavaPyType(np.ndarray, np.int64)
    n_updates: Any = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.record = Record(proc_params["record"])
        self.is_active: Any = None
        self.n_saturated = 0

    def run_spk(self) -> None:
        """Run Lava's step, then note what it left."""
        if self.record.is_start:
            self.u[:] = 0
            self.v[:] = self.proc_params["v0"]
        super().run_spk()
        spikes = np.asarray(self.s_out_buff).astype(np.int64)
        self.n_spikes[0] += int(spikes.sum())
        self.n_updates[0] += int(self.is_active.sum())
        has_current = self.proc_params["has_current"]
        states = {
            "u": self.u.astype(np.int64) if has_current else np.zeros(self.v.size, np.int64),
            "v": self.v.astype(np.int64),
            "refractory": np.zeros(self.v.size, np.int64),
        }
        self.record.add(spikes, self.is_active, self.n_saturated, states)

    def subthr_dynamics(self, activation_in: Any) -> None:
        """Let Lava update u and v; count who was active and whose state met its width."""
        bias = np.broadcast_to(self.effective_bias, self.v.shape)
        self.is_active = (self.v != 0) | (activation_in != 0) | (bias != 0)
        if self.proc_params["has_current"]:
            self.is_active |= self.u != 0
        u, v = self.u.astype(np.int64), self.v.astype(np.int64)
        super().subthr_dynamics(activation_in=activation_in.astype(np.int32))
        unity, width = self.decay_unity, self.decay_shift
        u_sum = shrink(u * (unity - self.du - self.ds_offset), width)
        u_sum = u_sum + (activation_in.astype(np.int64) << self.act_shift)
        v_sum = shrink(v * (unity - self.dv - self.dm_offset), width) + self.u + bias
        over = (u_sum != self.u) | (np.abs(v_sum) >= self.max_uv_val)
        self.n_saturated = int(over.sum())


def shrink(x: Any, width: int) -> Any:
    """Divide by 2**width, toward zero."""
    return np.sign(x) * (np.abs(x) >> width)
