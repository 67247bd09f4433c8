"""lava-nc's own Dense, DelayDense and Sparse in their fixed_pt form, counting what they read."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.dense.models import PyDelayDenseModelBitAcc, PyDenseModelBitAcc
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.sparse.models import PySparseModelBitAcc
from lava.proc.sparse.process import Sparse
from nmhw_lava.tap import Tap


class CountedDense(Dense):
    """Dense that counts synaptic operations."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.n_synops = Var(shape=(1,), init=0)


class CountedDelayDense(DelayDense):
    """DelayDense that counts synaptic operations."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.n_synops = Var(shape=(1,), init=0)


class CountedSparse(Sparse):
    """Sparse that counts synaptic operations."""

    def __init__(self, **parameters: Any) -> None:
        super().__init__(**parameters)
        self.n_synops = Var(shape=(1,), init=0)


class Counting:
    """Around a stock model's step: empty buffers at the start of a sample, count what came in."""

    a_buff: Any
    n_synops: Any
    proc_params: Any
    s_in: Any
    tap: Tap | None = None

    def run_spk(self) -> None:
        """Run Lava's step."""
        if self.tap is None:
            self.tap = self.s_in = Tap(self.s_in, self.proc_params["tap"])
        if self.tap.is_start:
            self.a_buff[:] = 0
        super().run_spk()  # type: ignore[misc]
        self.n_synops[0] += self.tap.count()


@implements(proc=CountedDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedDenseModel(Counting, PyDenseModelBitAcc):
    """Lava's bit-accurate Dense."""

    implements_process: Any = None  # of this process, no longer of the stock one
    n_synops: Any = LavaPyType(np.ndarray, np.int64)


@implements(proc=CountedDelayDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedDelayDenseModel(Counting, PyDelayDenseModelBitAcc):
    """Lava's bit-accurate DelayDense."""

    implements_process: Any = None  # of this process, no longer of the stock one
    n_synops: Any = LavaPyType(np.ndarray, np.int64)


@implements(proc=CountedSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CountedSparseModel(Counting, PySparseModelBitAcc):
    """Lava's bit-accurate Sparse."""

    implements_process: Any = None  # of this process, no longer of the stock one
    n_synops: Any = LavaPyType(np.ndarray, np.int64)
