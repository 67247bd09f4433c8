"""Program: a quantized network as flat arrays and int64 tables, what the kernels interpret.

Everything here depends on the network alone; what depends on a run (states, accumulators, event
buffers) is in ``workspace.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.conv_segments import AccumulatorWindow
from nmhw.sim.kernels import fields as f
from nmhw.sim.lowering import LoweredProjection, lower_in_order, lower_projection, tile_rows
from nmhw.sim.memory import aligned_zeros, is_aligned
from nmhw.values.quantized import QuantizedNetwork, QuantizedProjection

Ints = NDArray[np.int64]

#: Pools start their parts at multiples of this many elements (a cache line of bytes).
ALIGNMENT = 64


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """Flat form of one network.

    Attributes
    ----------
    quantized : QuantizedNetwork
    inputs, populations : tuple of str
        Index order of the tables; populations in update order (spikes over edges without delay
        arrive in the same step).
    orders : mapping of population to (n,) int64 or None
        Author's index of every internal index (channel-last where a convolution arrives).
    projections : tuple of QuantizedProjection
        In table order, grouped by target.
    table : (n_projections, J_FIELDS) int64
    input_bounds : (n_projections,) int64
        Largest |summed input| of one target per event of every source.
    shifts : (n_projections,) int64
        Of the summed input, with the bits that were taken out of the weights.
    windows : tuple of AccumulatorWindow or None
        Layout of a convolution's accumulator.
    pools : mapping of pool name to array
        w8, w16, w32, quads (uint64), quad_weights (uint32), targets, pointers, table, segments,
        pool_pointers, pooled.
    max_rows : int
        Most pooled events that one event of a source makes.
    is_feed_forward : bool
        Every population comes behind all populations that it hears from.
    spare : list
        Workspaces of earlier runs, to be used again by ``workspace.borrow_workspace``.
    kept_runs : list
        The runs of neurons of the last engine run, and what they depend on (``runs.py``).
    """

    quantized: QuantizedNetwork
    inputs: tuple[str, ...]
    populations: tuple[str, ...]
    orders: Mapping[str, Ints | None]
    projections: tuple[QuantizedProjection, ...]
    table: Ints
    input_bounds: Ints
    shifts: Ints
    windows: tuple[AccumulatorWindow | None, ...]
    pools: Mapping[str, NDArray[Any]]
    max_rows: int
    is_feed_forward: bool
    spare: list[Any] = field(default_factory=list, repr=False)
    kept_runs: list[Any] = field(default_factory=list, repr=False)

    @property
    def n_bytes(self) -> int:
        """Size of all pools."""
        return sum(pool.nbytes for pool in self.pools.values())


class _Pool:
    """Arrays of one dtype laid end to end, each at a multiple of ALIGNMENT elements."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        self.parts: list[NDArray[Any]] = []
        self.size = 0

    def add(self, part: NDArray[Any]) -> int:
        """Append a part and return its offset."""
        offset = self.size
        self.parts.append(part)
        self.size += -(-part.size // ALIGNMENT) * ALIGNMENT
        return offset

    def build(self) -> NDArray[Any]:
        """Return the pool (never empty, so that every kernel argument has a type and a byte)."""
        if len(self.parts) == 1 and is_aligned(self.parts[0], self.dtype, ALIGNMENT):
            return self.parts[0]  # the synapses of a large network are not copied
        pool = aligned_zeros(max(self.size, ALIGNMENT), self.dtype)
        at = 0
        for part in self.parts:
            pool[at : at + part.size] = part
            at += -(-part.size // ALIGNMENT) * ALIGNMENT
        return pool


def build_program(quantized: QuantizedNetwork) -> Program:
    """Lower a network to tables and pools.

    Raises
    ------
    UnsupportedError
        For a cycle without delay, a projection kind without kernel, or weights beyond 32 bits;
        names what it is about.
    """
    populations = update_order(quantized)
    inputs = tuple(port.name for port in quantized.inputs)
    layouts = _layouts(quantized)
    orders: dict[str, Ints | None] = dict.fromkeys(inputs)
    for name in populations:
        shape = layouts.get(name)
        orders[name] = None if shape is None else channel_last_order(shape)
    sizes = quantized.sizes()
    ordered = [q for name in populations for q in arrivals(quantized, name)]
    saturating = {p.name for p in quantized.populations if p.spec.summation == "saturating"}
    for projection in quantized.projections:
        if projection.source not in sizes or projection.target not in populations:
            raise UnsupportedError(
                "a projection of an unknown population", where=projection.name, rule="sim.nodes"
            )
    lowered = [
        lower_in_order(q, sizes[q.source], sizes[q.target])
        if q.target in saturating
        else lower_projection(
            q,
            sizes[q.source],
            sizes[q.target],
            orders[q.source],
            orders[q.target],
            layouts.get(q.target),
        )
        for q in ordered
    ]
    rank = {name: k for k, name in enumerate(populations)}
    is_feed_forward = all(rank.get(q.source, -1) < rank[q.target] for q in ordered)
    lowered = [tile_rows(low, is_feed_forward) for low in lowered]
    table, pools = _pack(lowered)
    for row, q in zip(table, ordered, strict=True):
        row[f.J_IS_INPUT] = q.source in inputs
        row[f.J_SOURCE] = (inputs if q.source in inputs else populations).index(q.source)
        row[f.J_DELAY] = q.delay_steps
        row[f.J_TARGETS] = max(4, sizes[q.target])  # a padding synapse may name any of 0..3
    spread = [int(np.diff(low.pool[0]).max(initial=0)) for low in lowered if low.pool is not None]
    return Program(
        quantized,
        inputs,
        populations,
        orders,
        tuple(ordered),
        table,
        np.array([low.input_bound for low in lowered], np.int64),
        np.array([q.shift + low.extra_shift for q, low in zip(ordered, lowered, strict=True)]),
        tuple(low.window for low in lowered),
        pools,
        max(spread, default=1),
        is_feed_forward,
    )


def update_order(quantized: QuantizedNetwork) -> tuple[str, ...]:
    """Return the populations such that edges without delay point forward, and all if possible.

    Raises
    ------
    UnsupportedError
        For a cycle without delay, naming its populations.
    """
    order, left = _sort(quantized, quantized.projections)
    if left:
        order, left = _sort(quantized, [q for q in quantized.projections if not q.delay_steps])
    if left:
        raise UnsupportedError(
            "a cycle without delay cannot be simulated step by step",
            got=", ".join(sorted(left)),
            where=quantized.name,
            hint="a profile with hop_steps=1, or a delay of one step on one edge of the cycle",
            rule="sim.delay-free-cycle",
        )
    return tuple(order)


def _sort(
    quantized: QuantizedNetwork, edges: Sequence[QuantizedProjection]
) -> tuple[list[str], list[str]]:
    """Return populations behind all their sources, and those of which no order is found."""
    waits = {p.name: {q.source for q in edges if q.target == p.name} for p in quantized.populations}
    order: list[str] = []
    while waits:
        ready = [name for name, sources in waits.items() if not sources & waits.keys()]
        if not ready:
            break
        order += ready
        waits = {name: sources for name, sources in waits.items() if name not in ready}
    return order, list(waits)


def arrivals(quantized: QuantizedNetwork, name: str) -> list[QuantizedProjection]:
    """Return the projections to a population in the order in which their events are added.

    Where sums saturate the order matters: inputs first, then populations, in the network's order.
    """
    incoming = [q for q in quantized.projections if q.target == name]
    if quantized.population(name).spec.summation == "exact":
        return incoming
    rank = {source: k for k, source in enumerate(quantized.sizes())}
    return sorted(incoming, key=lambda q: rank[q.source])


def channel_last_order(shape: tuple[int, int, int]) -> Ints:
    """Return (n,) the channels-first index of every channel-last index."""
    index = np.arange(np.prod(shape, dtype=np.int64)).reshape(shape)
    return np.ascontiguousarray(index.transpose(1, 2, 0)).ravel()


def _layouts(quantized: QuantizedNetwork) -> dict[str, tuple[int, int, int]]:
    """Return the convolution shape of every population that a convolution reaches."""
    layouts: dict[str, tuple[int, int, int]] = {}
    if any(p.spec.summation == "saturating" for p in quantized.populations):
        return layouts  # events must arrive in the author's order
    for projection in quantized.projections:
        if projection.storage == "conv" and projection.geometry is not None:
            layouts.setdefault(projection.target, projection.geometry.out_shape)
    return layouts


def _pack(lowered: Sequence[LoweredProjection]) -> tuple[Ints, dict[str, NDArray[Any]]]:
    """Lay all arrays into pools and note their offsets."""
    pools = {
        "w8": _Pool(np.int8),
        "w16": _Pool(np.int16),
        "w32": _Pool(np.int32),
        "quads": _Pool(np.uint16),
        "quad_weights": _Pool(np.int8),
        "targets": _Pool(np.uint32),
        "pointers": _Pool(np.uint32),
        "table": _Pool(np.int32),
        "segments": _Pool(np.int32),
        "pool_pointers": _Pool(np.int64),
        "pooled": _Pool(np.uint32),
    }
    table = np.zeros((len(lowered), f.J_FIELDS), np.int64)
    for row, low in zip(table, lowered, strict=True):
        row[f.J_KIND] = low.kind
        row[f.J_ROWS], row[f.J_WIDTH], row[f.J_FLUSH] = low.rows, low.width, low.flush
        row[f.J_POOL] = -1
        if low.pool is not None:
            row[f.J_POOL] = pools["pool_pointers"].add(low.pool[0])
            row[f.J_POOLED] = pools["pooled"].add(low.pool[1])
        if low.kind == f.KIND_SPARSE_WIDE:
            row[f.J_POINTERS] = pools["pointers"].add(low.pointers)
            row[f.J_INDICES] = pools["quads"].add(low.targets) // 4
            pools["quad_weights"].add(low.weights)
            continue
        width = {1: "w8", 2: "w16", 4: "w32"}[low.weights.dtype.itemsize]
        row[f.J_WEIGHTS] = pools[width].add(low.weights)
        if low.conv is not None:
            row[f.J_TABLE] = pools["table"].add(low.conv.table)
            row[f.J_POINTERS] = pools["segments"].add(low.conv.segments)
        elif low.targets.size or low.pointers.size:
            row[f.J_POINTERS] = pools["pointers"].add(low.pointers)
            row[f.J_INDICES] = pools["targets"].add(low.targets)
    built = {name: pool.build() for name, pool in pools.items()}
    built["quads"] = built["quads"].view(np.uint64)
    built["quad_weights"] = built["quad_weights"].view(np.uint32)
    return table, built
