"""Neuron models in continuous time, as NIR states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

NeuronKind = Literal["if", "lif", "cubalif", "i", "li", "cubali", "threshold", "linear"]

SPIKING_KINDS = frozenset({"if", "lif", "cubalif", "threshold"})
CURRENT_KINDS = frozenset({"cubalif", "cubali"})
LEAKY_KINDS = frozenset({"lif", "cubalif", "li", "cubali"})

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NeuronModel:
    """Parameters of one population; every array has shape ``(n,)`` in the author's (C) order.

    ``if``: dv/dt = r x, ``lif``: tau_mem dv/dt = v_leak - v + r x, ``cubalif``: tau_syn du/dt =
    -u + w_in x and tau_mem dv/dt = v_leak - v + r u; a spike when v passes ``v_threshold``.
    ``i``, ``li`` and ``cubali`` are the same without threshold (their output is v).
    ``threshold``: a spike whenever x > v_threshold, no state. ``linear``: no neuron at all; the
    value is the input itself (a Linear or Affine node that feeds an Output).

    Times are in seconds, everything else is dimensionless. Fields that a kind does not have are
    None. The last group is not in NIR 1.0; kernels may refuse what they do not run.
    """

    kind: NeuronKind
    tau_mem_s: Floats | None = None
    tau_syn_s: Floats | None = None
    r: Floats | None = None
    w_in: Floats | None = None
    v_leak: Floats | None = None
    v_threshold: Floats | None = None
    v_reset: Floats | None = None

    v0: Floats | None = None
    refractory_s: Floats | None = None
    v_min: Floats | None = None
    threshold_law: Literal["constant", "ramp", "adaptive", "several"] = "constant"
    psp_form: Literal["delta", "exponential", "ramp"] = "delta"
    max_spikes_per_sample: int | None = None
    output: Literal["binary", "signed", "graded"] = "binary"

    @property
    def is_spiking(self) -> bool:
        """Whether the population emits spikes (otherwise its output is its membrane value)."""
        return self.kind in SPIKING_KINDS

    @property
    def has_current(self) -> bool:
        """Whether there is a synaptic current state u."""
        return self.kind in CURRENT_KINDS

    @property
    def is_leaky(self) -> bool:
        """Whether the membrane decays."""
        return self.kind in LEAKY_KINDS
