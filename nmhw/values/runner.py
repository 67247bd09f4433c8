"""Runner: how mappers get spikes without knowing a simulator (the caller injects one)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmhw.values.network import Network
from nmhw.values.quantized import QuantizedNetwork

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """What one population did over all samples and steps of a run.

    Attributes
    ----------
    peak_u, peak_v : (n,) float64
        Largest |u| (0 without a synaptic current) and |v| after the reset: in the author's units
        for a Network, in the state's integers for a QuantizedNetwork.
    rate : (n,) float64
        Spikes per step.
    """

    peak_u: Floats
    peak_v: Floats
    rate: Floats


class Runner(Protocol):
    """Run a network on inputs and return the activity of every population, by name.

    The caller binds profile, readout and simulator; ``inputs`` is what its simulator takes
    (SpikeEvents, or arrays, by input name).
    """

    def __call__(
        self, network: Network | QuantizedNetwork, inputs: Mapping[str, Any]
    ) -> Mapping[str, Activity]: ...
