"""lava-nc's own fixed_pt LIF, writing down its states: three Monitors are 4 times as slow.

Import after ``dense_lif.import_encoders``.
"""

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordedLif(PyLifModelBitAcc):
    """Steps as its parent does; saves u, v, s (3, n_steps, n) behind the last step."""

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.states: list[np.ndarray] = []

    def run_spk(self) -> None:
        """Run one step and keep what it left."""
        super().run_spk()
        self.states.append(np.stack([self.u, self.v, self.s_out_buff]).astype(np.int32))
        if len(self.states) == self.proc_params["n_steps"]:
            np.save(self.proc_params["path"], np.stack(self.states, axis=1))
