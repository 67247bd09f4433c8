"""Trace: the spikes and the connectivity that a program was seen to have, without its equations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nmhw.values.events import SpikeEvents
from nmhw.values.network import Network
from nmhw.values.notice import Notice

#: What every report of a trace says of its spikes.
SPIKES_AS_GIVEN = "spikes as given: float, not chip integers"


@dataclass(frozen=True, slots=True)
class HostOperation:
    """What has no place in a chip's cores, summed over all recorded samples and steps.

    Attributes
    ----------
    name : str
        Path of the layer, or of the function behind its module's path.
    operation : str
        Class of the layer or name of the function.
    reason : str
        Why it stays on the host.
    n_calls : int
    macs : int
        Multiply-accumulates of dense execution, zeros and borders included.
    effective_macs : int
        Those whose operands both differ from 0, with no operand of 0 and 1 alone.
    accumulates : int
        Those whose operands both differ from 0, where an operand is 0 and 1 alone: additions.
    elements : int
        Elements that an elementwise function, a normalization or a layer of neurons made.
    """

    name: str
    operation: str
    reason: str
    n_calls: int = 0
    macs: int = 0
    effective_macs: int = 0
    accumulates: int = 0
    elements: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What ``nmhw.record`` returns.

    Attributes
    ----------
    name : str
        Of the module.
    network : Network
        The part that cores can hold. Its inputs are the module's input where that is spikes, and
        neurons that stay on the host.
    spikes : mapping of input or population to SpikeEvents
        Over ``n_steps`` steps, float semantics of the program that was recorded.
    host : tuple of HostOperation
        In the order of the first call.
    n_samples, n_steps : int
    notices : tuple of Notice
    """

    name: str
    network: Network
    spikes: Mapping[str, SpikeEvents]
    host: tuple[HostOperation, ...]
    n_samples: int
    n_steps: int
    notices: tuple[Notice, ...] = ()
