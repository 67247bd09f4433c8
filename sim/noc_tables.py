"""Tables of a mapped network for the timing of its messages: who sends what where, and when.

Latencies become whole picoseconds, so sums are exact in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import UnsupportedError
from nmhw.sim.fanout import FanOut
from nmhw.sim.kernels import noc as k
from nmhw.sim.step_tables import SYNOPS, SourceTable, dense_rows, source_table
from nmhw.values.chip import ChipSpec, CostTable
from nmhw.values.cost import find_figure
from nmhw.values.figure import Figure
from nmhw.values.quantized import QuantizedNetwork

Ints = NDArray[np.int64]
Index = NDArray[np.int32]

#: Sources whose fan-out is made from a table of all cores at a time.
_SOURCES_AT_ONCE = 4096

#: Latency figures by their place in the kernel's units.
_KINDS = {
    k.VISIT: "neuron.visit", k.ACTIVE: "neuron.active", k.IDLE: "neuron.idle",
    k.SPIKE: "neuron.spike", k.OUT: "axon.out",
    k.HOP_X: "hop.x", k.HOP_Y: "hop.y", k.LOCAL: "hop.local",
}  # fmt: skip

_HOPS = ("hop.x", "hop.y", "hop.local")


@dataclass(frozen=True, slots=True, eq=False)
class NocTables:
    """Everything that stays the same from step to step.

    Attributes
    ----------
    costs : str
        Name of the cost table.
    sources : mapping of input or population to its first number among all sources
        Inputs first; a core visits its populations in this order.
    home : (n_sources,) int32
        Core (column) of every source; n_cores for inputs, which enter at the port.
    last : (n_sources,) int64
        Visits of the core up to the neuron and with it; 0 for inputs.
    fan_row : (n_sources,) int32; fan_ptr : (n_rows + 1,) int64
        Row of every source in the fan-out table, and where each row begins.
    fan_core : int32, ascending in each row;  fan_ps : int64
        Receiving core (column) and its work on the message.
    cores, visits : (n_cores,) int64
        Global core indices, and neurons visited per step.
    place : (4 x tiles + n_cores + 1, 2) int64
        Tile (x, y) where each link ends (link 4 x tile + direction), of each core, of the port.
    units : (N_UNITS,) int64
    mesh : (int, int)
    """

    costs: str
    sources: Mapping[str, int]
    home: Index
    last: Ints
    fan_row: Index
    fan_ptr: Ints
    fan_core: Index
    fan_ps: Ints
    cores: Ints
    visits: Ints
    place: Ints
    units: Ints
    mesh: tuple[int, int]


def check_noc(chip: ChipSpec, table: CostTable | None) -> None:
    """Refuse a chip whose file says too little about its network.

    Raises
    ------
    UnsupportedError
        Naming every figure that is missing.
    """
    missing = []
    if table is None:
        missing.append("a cost table with latencies (--costs)")
    else:
        name = f"[costs.{table.name}.latency_ns]"
        missing += [f"{kind} in {name}" for kind in _HOPS if not _has(table, kind)]
    if chip.noc is None:
        missing.append("the table [noc]")
    else:
        for key in ("link_ns", "link_buffer", "receiver_queue"):
            figure: Figure = getattr(chip.noc, key)
            missing += [f"{key} in [noc]"] if figure.value is None else []
    if missing:
        raise UnsupportedError(
            "no message-level latency for this chip: figures of its network are missing",
            got=", ".join(missing), where=chip.name,
            hint="--latency analytic, or a chip file with these figures", rule="latency.noc",
        )  # fmt: skip


def check_places(chip: ChipSpec, cores: Ints) -> None:
    """Refuse mappings that a single mesh does not hold.

    Raises
    ------
    UnsupportedError
        For neurons on several chips, or not on the first one, where the port is.
    """
    chips = {chip.position(int(core))[0] for core in cores}
    if chips != {0}:
        raise UnsupportedError(
            "the network between chips is not timed: no figures of its links are known",
            got=f"neurons on chips {', '.join(str(c) for c in sorted(chips))}", where=chip.name,
            hint="a mapping on the first chip, or --latency analytic", rule="latency.noc-chips",
        )  # fmt: skip
    n_lines = 4 * chip.mesh.width * chip.mesh.height + cores.size + 1
    if n_lines > 1 << k.LINE_BITS:
        raise UnsupportedError(
            "too many links and cores to time their messages", got=n_lines,
            limit=1 << k.LINE_BITS, where=chip.name, rule="latency.noc",
        )  # fmt: skip


def noc_tables(
    quantized: QuantizedNetwork, fan_out: FanOut, chip: ChipSpec, table: CostTable
) -> NocTables:
    """Return the tables of a mapped network, made once per ``fan_out`` and cost table.

    Raises
    ------
    UnsupportedError
        As ``check_noc`` and ``check_places``.
    """
    key = ("noc", table.name)
    found = fan_out.kept.get(key)
    if found is None or found[0] is not chip:
        check_noc(chip, table)
        check_places(chip, fan_out.cores)
        found = fan_out.kept[key] = (chip, _build(quantized, fan_out, chip, table))
    tables: NocTables = found[1]
    return tables


def _build(
    quantized: QuantizedNetwork, fan_out: FanOut, chip: ChipSpec, table: CostTable
) -> NocTables:
    names = [port.name for port in quantized.inputs] + [p.name for p in quantized.populations]
    sizes, n_cores = quantized.sizes(), fan_out.cores.size
    starts = np.concatenate([[0], np.cumsum([sizes[name] for name in names])]).tolist()
    homes = [fan_out.homes.get(name, np.full(sizes[name], n_cores)) for name in names]
    visits = np.zeros(n_cores, np.int64)
    last = []
    for name, home in zip(names, homes, strict=True):
        if name not in fan_out.homes:
            last.append(np.zeros(home.size, np.int64))
            continue
        of_each = quantized.population(name).n_compartments
        last.append(visits[home] + of_each * _ranks(home))
        visits += of_each * np.bincount(home, minlength=n_cores)
    rows: list[Ints] = []
    lengths: list[Ints] = []
    columns: list[Ints] = []
    work: list[Ints] = []
    at = 0
    for name in names:
        found = source_table(quantized, fan_out, name)
        row, *parts = _fan_rows(found, sizes[name], n_cores, table)
        rows.append(row + at)
        at += parts[0].size
        for whole, part in zip((lengths, columns, work), parts, strict=True):
            whole.append(part)
    places = [chip.position(int(core))[1:] for core in fan_out.cores]
    ends = link_ends(chip.mesh.width, chip.mesh.height)
    return NocTables(
        costs=table.name,
        sources=dict(zip(names, starts, strict=False)),
        home=np.concatenate(homes).astype(np.int32),
        last=np.concatenate(last),
        fan_row=np.concatenate(rows).astype(np.int32),
        fan_ptr=np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64),
        fan_core=np.concatenate(columns).astype(np.int32),
        fan_ps=np.concatenate(work),
        cores=fan_out.cores,
        visits=visits,
        place=np.concatenate([ends, np.array([*places, chip.mesh.port], np.int64)]),
        units=make_units(chip, table),
        mesh=(chip.mesh.width, chip.mesh.height),
    )


def link_ends(width: int, height: int) -> Ints:
    """Return (4 x tiles, 2) the tile that each link leads to; outside for those at the border."""
    tile = np.arange(width * height)
    x, y = tile % width, tile // width
    ends = [(x + 1, y), (x - 1, y), (x, y - 1), (x, y + 1)]
    return np.stack([np.stack(end, axis=1) for end in ends], axis=1).reshape(-1, 2)


def _ranks(home: Ints) -> Ints:
    """Return each neuron's position, from 1, among those of its population on its core."""
    order = np.argsort(home, kind="stable")
    counts = np.bincount(home)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    ranks = np.empty(home.size, np.int64)
    ranks[order] = np.arange(home.size) - first + 1
    return ranks


def _fan_rows(
    found: SourceTable, n: int, n_cores: int, table: CostTable
) -> tuple[Ints, Ints, Ints, Ints]:
    """Return every source's row, and lengths, cores and work of the rows."""
    each = np.arange(n)
    if found.classes is not None and found.rows is not None:
        return (found.classes, *_messages(found, found.rows, n_cores, table))
    parts = []
    for first in range(0, n, _SOURCES_AT_ONCE):
        some = each[first : first + _SOURCES_AT_ONCE]
        dense = dense_rows(list(found.tables), some, n_cores)
        parts.append(_messages(found, dense, n_cores, table))
    lengths, columns, work = (np.concatenate(part) for part in zip(*parts, strict=True))
    return each, lengths, columns, work


def _messages(
    found: SourceTable, rows: NDArray[np.int32], n_cores: int, table: CostTable
) -> tuple[Ints, Ints, Ints]:
    """Return lengths, cores and work of rows of counts (see ``SourceTable.rows``)."""
    is_sent = np.zeros((rows.shape[0], n_cores), np.bool_)
    work = np.zeros((rows.shape[0], n_cores), np.int64)
    for b, (kind, _) in enumerate(found.blocks):
        counts = rows[:, b * n_cores : (b + 1) * n_cores]
        work += counts * np.int64(_picoseconds(table, kind))
        if kind not in SYNOPS:
            is_sent |= counts > 0
    source, core = np.nonzero(is_sent)
    return is_sent.sum(axis=1), core, work[source, core]


def make_units(chip: ChipSpec, table: CostTable) -> Ints:
    """Return latencies, link, buffers and width in the order that the kernel expects."""
    units = np.zeros(k.N_UNITS, np.int64)
    for place, kind in _KINDS.items():
        units[place] = _picoseconds(table, kind)
    assert chip.noc is not None
    units[k.LINK] = round(1000 * (chip.noc.link_ns.value or 0.0))
    units[k.BUFFER] = int(chip.noc.link_buffer.value or 1)
    units[k.QUEUE] = int(chip.noc.receiver_queue.value or 1)
    units[k.WIDTH] = chip.mesh.width
    return units


def _has(table: CostTable, kind: str) -> bool:
    figure = find_figure(table.latency_ns, kind)
    return figure is not None and figure.is_priced


def _picoseconds(table: CostTable, kind: str) -> int:
    """Return a latency in whole picoseconds; 0 where it is contained in another or unpriced."""
    figure = find_figure(table.latency_ns, kind)
    return 0 if figure is None else round(1000 * (figure.value or 0.0))
