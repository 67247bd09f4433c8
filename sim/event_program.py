"""A network without steps: flat tables of who updates whom, and what the event form asks of cells.

The event form (chips whose sheet lists the timing "events"):

1.  Input events enter one by one: by time stamp (step), then input, then index, repeated ones in
    a row. All that an event causes is worked off before the next one enters.
2.  One queue, first in, first out. The event at its head updates every target of its source once,
    projection by projection in the network's order, targets ascending (channel, y, x); sum pools
    in front hand it on to the pooled element that covers it.
3.  One update: v = v + weight, then v >= v_min, then v <= 2^(v_bits-1) - 1. If v now passes the
    threshold the neuron makes one event, at the queue's end, and resets once (to zero, or v minus
    one threshold). What stays above the threshold waits for the neuron's next update.
4.  Biases and leaks are updates by a slow clock: one tick per time stamp, before its input events.
    It first moves the v of every leaky neuron toward 0 by its constant ("subtract"), then is an
    event whose targets are all neurons with a bias, in the network's order.

In a chain of layers every core reads one queue, so that any order that keeps each core's own, as
that of a pipelined chip does, gives the same events; where several layers send to one, the order
above is a choice (breadth first) that the chip need not share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.values.connectivity import pooled_map, stored_synapses
from nmhw.values.quantized import QuantizedNetwork, QuantizedPopulation

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]

#: Synapses (8 bytes each) that the tables of one network may hold.
MAX_SYNAPSES = 2**28


@dataclass(frozen=True, slots=True, eq=False)
class EventProgram:
    """Flat form of one network; nodes are all inputs, then all populations, elements in C order.

    Attributes
    ----------
    first : mapping of input or population name to its first node
    n_inputs, n_nodes : int
        Nodes below ``n_inputs`` are input elements; node ``n_nodes`` is the clock of the biases,
        whose synapses they are.
    pointers : (n_nodes + 2,) int64; targets : int32; weights : int32
        Updates that one event of a node makes, in their order.
    threshold, loss, v_min, top, leak, v0 : (n_nodes,) int64
        Fires where v >= threshold (a population without spikes has one that v never reaches);
        ``loss`` is what a reset by subtraction takes away, -1 for the reset to zero.
    has_clock : bool
        Whether any neuron has a bias or a leak.
    """

    quantized: QuantizedNetwork
    first: Mapping[str, int]
    n_inputs: int
    n_nodes: int
    pointers: Ints
    targets: NDArray[np.int32]
    weights: NDArray[np.int32]
    threshold: Ints
    loss: Ints
    v_min: Ints
    top: Ints
    leak: Ints
    v0: Ints
    has_clock: bool


def build_event_program(quantized: QuantizedNetwork) -> EventProgram:
    """Lay a network out for the event form.

    Raises
    ------
    UnsupportedError
        For cells or projections that need steps: decays, currents, delays, refractory times; and
        for networks with too many synapses.
    """
    for population in quantized.populations:
        _check_cell(population)
    sizes = quantized.sizes()
    names = [*(port.name for port in quantized.inputs), *(p.name for p in quantized.populations)]
    starts = np.cumsum([0, *(sizes[name] for name in names)])
    first = {name: int(start) for name, start in zip(names, starts[:-1], strict=True)}
    n_nodes = int(starts[-1])
    keys = ("threshold", "loss", "v_min", "top", "leak", "v0", "bias")
    parameters = {key: np.zeros(n_nodes, np.int64) for key in keys}
    for p in quantized.populations:
        here = slice(first[p.name], first[p.name] + p.size)
        half = 1 << (p.spec.v_bits - 1)
        fires = p.threshold + (p.spec.compare == ">")
        values = {
            "threshold": fires if p.spec.is_spiking else half,
            "loss": p.threshold if p.spec.reset == "subtract" else -1,
            "v_min": 1 - half if p.v_min is None else p.v_min,
            "top": half - 1,
            "leak": p.v_keep if p.spec.v_decay == "subtract" else 0,
            "v0": p.v0,
            "bias": p.u_bias + p.v_bias,
        }
        for key, value in values.items():
            parameters[key][here] = value
    bias = parameters.pop("bias")
    biased = np.flatnonzero(bias)
    pointers, targets, weights = _list_updates(quantized, first, n_nodes)
    return EventProgram(
        quantized=quantized,
        first=first,
        n_inputs=sum(port.size for port in quantized.inputs),
        n_nodes=n_nodes,
        pointers=np.append(pointers, pointers[-1] + biased.size),
        targets=np.append(targets, biased.astype(np.int32)),
        weights=np.append(weights, bias[biased].astype(np.int32)),
        has_clock=biased.size > 0 or bool(parameters["leak"].any()),
        **parameters,
    )


def _check_cell(population: QuantizedPopulation) -> None:
    spec = population.spec
    found = {
        "float32 states": spec.state != "int",
        "a synaptic current": spec.has_current,
        f"decay {spec.v_decay!r}": spec.v_decay not in ("none", "subtract"),
        "an input shift": spec.input_shift != 0,
        f"a state of {spec.v_bits} bits": spec.v_bits > 31,
        "a state that wraps": spec.v_overflow != "saturate",
        "a late reset": spec.reset_delay != 0,
        "sums that saturate one by one": spec.summation != "exact",
        "a reset at the lower bound": spec.lower != "saturate",
        f"reset {spec.reset!r}": spec.is_spiking and spec.reset not in ("zero", "subtract"),
        "a refractory time": population.refractory_steps is not None
        and bool(population.refractory_steps.any()),
        "a threshold below 1": spec.is_spiking and bool((population.threshold < 1).any()),
    }
    for feature, is_there in found.items():
        if is_there:
            raise UnsupportedError(
                "events without steps know no such cell",
                got=feature,
                limit="integrate and fire, constant leak or none, reset to zero or by subtraction",
                where=population.name,
                hint="timing steps",
                rule="sim.event-cell",
            )


def _list_updates(
    quantized: QuantizedNetwork, first: Mapping[str, int], n_nodes: int
) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32]]:
    """Return pointers per node, targets and weights; projections of a source in their order."""
    sizes = quantized.sizes()
    parts = [np.zeros((4, 0), np.int64)]
    for rank, projection in enumerate(quantized.projections):
        if projection.delay_steps or projection.shift < 0:
            what = f"a delay of {projection.delay_steps} steps"
            raise UnsupportedError(
                "events without steps know no such projection",
                got=what if projection.delay_steps else f"a shift of {projection.shift}",
                limit=0,
                where=projection.name,
                hint="timing steps",
                rule="sim.event-projection",
            )
        pools = pooled_map(projection, sizes[projection.source])
        row, column, weight = _expand(pools, stored_synapses(projection, sizes[projection.target]))
        row += first[projection.source]
        column += first[projection.target]
        parts.append(np.stack([row, np.full(row.size, rank), column, weight << projection.shift]))
    source, rank_of, target, weights = np.concatenate(parts, axis=1)
    if source.size > MAX_SYNAPSES:
        raise UnsupportedError(
            "too many synapses to list for the event form", got=f"{source.size:,}",
            limit=f"{MAX_SYNAPSES:,}", where=quantized.name, hint="timing steps",
            rule="sim.event-synapses",
        )  # fmt: skip
    order = np.lexsort((target, rank_of, source))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(source, minlength=n_nodes))])
    return (
        pointers.astype(np.int64),
        target[order].astype(np.int32),
        weights[order].astype(np.int32),
    )


def _expand(pools: csr_array, stored: csr_array) -> tuple[Ints, Ints, Ints]:
    """Return (source, target, weight) of every stored synapse, zeros too, behind its pools."""
    covered = pools.tocoo()
    element, pooled = (np.asarray(c, np.int64) for c in covered.coords)
    indptr = np.asarray(stored.indptr, np.int64)
    lengths = indptr[pooled + 1] - indptr[pooled]
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if ends.size else 0
    at = np.arange(total, dtype=np.int64) + np.repeat(indptr[pooled] - ends + lengths, lengths)
    columns, weights = np.asarray(stored.indices, np.int64), np.asarray(stored.data, np.int64)
    return np.repeat(element, lengths), columns[at], weights[at]
