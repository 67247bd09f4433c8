"""Fan-out tables: what one event of a source reads and sends, per core.

``synops`` of a projection: (n_source, n_cores) stored synapses that an event of each source reads
on each core. ``packets`` of a source: 1 where a spike sends a packet to a core (once per core,
however many projections and synapses lead there; over several delays, with the shortest). Dense
projections are never expanded: their tables are an outer product.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nmhw.errors import InputError
from nmhw.sim.kernels.count import count_dense_fan_out, count_fan_out, count_weights
from nmhw.sim.sparse_table import count_per_core
from nmhw.values.connectivity import pooled_map, synapse_counts
from nmhw.values.mapping import Mapping as CoreMapping
from nmhw.values.quantized import ConvGeometry, QuantizedNetwork, QuantizedProjection

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Ints = NDArray[np.int64]
EventArrays = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

#: Fan-out tables of sparse projections are counted in a dense table up to so many elements.
MAX_DENSE_TABLE = 2**25

ENCODINGS = ("dense", "sparse", "shared")


@dataclass(frozen=True, eq=False)
class FanTable:
    """An (n_source, n_cores) table ``outer(rows, columns) + sparse``.

    Attributes
    ----------
    rows : (n_source,) int64
    columns : (n_cores,) int64
    sparse : CSR int64 (n_source, n_cores) or None
    """

    rows: Ints
    columns: Ints
    sparse: csr_array | None = None

    @cached_property
    def dense(self) -> NDArray[np.int32] | None:
        """``sparse`` as rows, where most of its elements are not zero."""
        m = self.sparse
        if m is None or m.shape[0] * m.shape[1] > min(MAX_DENSE_TABLE, 6 * m.nnz):
            return None
        return m.toarray().astype(np.int32)

    @cached_property
    def arrays(self) -> tuple[Ints, NDArray[np.int32], Ints]:
        """``sparse`` as row pointers, columns and values of the kernel's types."""
        m: Any = self.sparse
        return m.indptr.astype(np.int64), m.indices.astype(np.int32), m.data

    def count(self, events: Ints) -> Ints:
        """Return (n_cores,) counts of ``events`` (n_source,) per source."""
        total = int(self.rows @ events) * self.columns
        m = self.sparse
        return total if m is None or not m.nnz else total + m.T @ events

    def weigh(self, weights: Ints, row: Ints) -> Ints:
        """Return (n_source,) sums over the cores of entries times ``weights[row[source]]``.

        Parameters
        ----------
        weights : (n_rows, n_cores) int64
        row : (n_source,) int64
        """
        total = self.rows * (weights @ self.columns)[row]
        m: Any = self.sparse
        if m is not None and m.nnz:
            source = np.repeat(np.arange(m.shape[0]), np.diff(m.indptr))
            np.add.at(total, source, m.data * weights[row[source], m.indices])
        return np.asarray(total, np.int64)

    def count_steps(self, events: EventArrays, n_steps: int, first_row: int, n_rows: int) -> Ints:
        """Return (n_rows, n_cores) counts of events (sample, step, index).

        Rows are ``sample * n_steps + step - first_row``.
        """
        sample, step, index = events
        if self.rows.any() and self.columns.any():
            per_row = np.zeros(n_rows, np.int64)
            count_weights(sample, step, index, n_steps, first_row, self.rows, per_row)
            table = np.multiply.outer(per_row, self.columns)
        else:
            table = np.zeros((n_rows, self.columns.size), np.int64)
        if self.dense is not None:
            count_dense_fan_out(sample, step, index, n_steps, first_row, self.dense, table)
        elif self.sparse is not None and self.sparse.nnz:
            count_fan_out(sample, step, index, n_steps, first_row, *self.arrays, table)
        return table

    def fan_out(self) -> Ints:
        """Return (n_source,) sums over the cores."""
        total = self.rows * int(self.columns.sum())
        return total if self.sparse is None else total + np.asarray(self.sparse.sum(axis=1)).ravel()


@dataclass(frozen=True, slots=True, eq=False)
class FanOut:
    """All tables of one mapped network.

    Attributes
    ----------
    cores : (n_cores,) int64
        Used global core indices, ascending: the columns of every table.
    homes : mapping of population to (n,) int64 columns
    synops : mapping of projection to FanTable
    encodings : mapping of projection to (n_cores,) int64
        Index into ENCODINGS per column, -1 where the projection has no synapse.
    packets : mapping of source to (delay, FanTable) pairs
    kept : dict
        What ``step_tables.py`` makes of them, once.
    """

    cores: Ints
    homes: Mapping[str, Ints]
    synops: Mapping[str, FanTable]
    encodings: Mapping[str, Ints]
    packets: Mapping[str, tuple[tuple[int, FanTable], ...]]
    kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def at_home(self, population: str, counts: Ints) -> Ints:
        """Return (n_cores,) sums of counts per neuron over the cores they are on."""
        sums = np.zeros(self.cores.size, np.int64)
        np.add.at(sums, self.homes[population], counts)
        return sums


def build_fan_out(quantized: QuantizedNetwork, mapping: CoreMapping) -> FanOut:
    """Build the tables of a mapped network.

    Raises
    ------
    InputError
        Where the mapping misses neurons or the encoding of a projection on a core.
    """
    cores = np.array(mapping.cores, np.int64)
    sizes = quantized.sizes()
    homes = {}
    for population in quantized.populations:
        core = mapping.core_of(population.name, population.size)
        if (core < 0).any():
            missing = int((core < 0).sum())
            raise InputError("the mapping misses neurons", got=missing, where=population.name)
        homes[population.name] = np.searchsorted(cores, core)
    synops, encodings = {}, {}
    for projection in quantized.projections:
        home = homes[projection.target]
        table = _synop_table(projection, sizes[projection.source], home, cores.size)
        synops[projection.name] = table
        encodings[projection.name] = _encoding_codes(projection, table, mapping, cores)
    packets = {}
    for source, n in sizes.items():
        outgoing = [q for q in quantized.projections if q.source == source]
        packets[source] = _packet_tables(outgoing, synops, n, cores.size)
    return FanOut(cores, homes, synops, encodings, packets)


def _one_hot(home: Ints, n_cores: int) -> csr_array:
    from scipy.sparse import csr_array

    ones = np.ones(home.size, np.int64)
    return csr_array((ones, home, np.arange(home.size + 1)), shape=(home.size, n_cores))


def _synop_table(
    projection: QuantizedProjection, n_source: int, home: Ints, n_cores: int
) -> FanTable:
    per_core = np.bincount(home, minlength=n_cores).astype(np.int64)
    if projection.storage == "dense":
        rows = np.ones(n_source, np.int64)
        if projection.pools:
            rows = np.asarray(pooled_map(projection, n_source).sum(axis=1), np.int64).ravel()
        return FanTable(rows, per_core)
    if projection.storage == "conv" and projection.geometry is not None:
        kernel = (int(projection.weights.shape[2]), int(projection.weights.shape[3]))
        table = _conv_table(projection.geometry, kernel, home, n_cores)
        if projection.pools:
            table = pooled_map(projection, n_source) @ table
    elif projection.indptr is not None and projection.indices is not None and not projection.pools:
        table = count_per_core(projection.indptr, projection.indices, home, n_cores)
    else:
        table = synapse_counts(projection, n_source, home.size) @ _one_hot(home, n_cores)
    table = table.astype(np.int64, copy=False)
    table.sum_duplicates()
    return FanTable(np.zeros(n_source, np.int64), np.zeros(n_cores, np.int64), table)


def _conv_table(
    geometry: ConvGeometry, kernel: tuple[int, int], home: Ints, n_cores: int
) -> csr_array:
    """Return (c_in h w, n_cores) synapse counts of a convolution, without expanding it.

    Every channel of a group reaches the same pixels, and all of that group's output channels
    there: pixels x pixels, times output channels per pixel and core.
    """
    from scipy.sparse import csr_array, kron, vstack

    (c_in, height, width), (c_out, out_h, out_w) = geometry.in_shape, geometry.out_shape
    rows = _taps(geometry, 0, kernel[0], height, out_h)
    cols = _taps(geometry, 1, kernel[1], width, out_w)
    pixels = csr_array(kron(rows, cols, format="csr"))
    per_group = c_out // geometry.groups
    blocks = []
    for first in range(0, c_out, per_group):
        channels = home.reshape(c_out, -1)[first : first + per_group]
        pixel = np.broadcast_to(np.arange(out_h * out_w), channels.shape)
        ones = np.ones(channels.size, np.int64)
        shape = (out_h * out_w, n_cores)
        held = csr_array((ones, (pixel.ravel(), channels.ravel())), shape=shape)
        blocks.append(pixels @ held)
    per_channel = c_in // geometry.groups
    return csr_array(vstack([block for block in blocks for _ in range(per_channel)], format="csr"))


def _taps(geometry: ConvGeometry, axis: int, taps: int, size: int, out: int) -> csr_array:
    """Return the (size, out) 0/1 matrix of inputs and outputs that a tap joins in one direction."""
    from scipy.sparse import csr_array

    source = np.arange(out)[:, None] * geometry.stride[axis] + (
        np.arange(taps) * geometry.dilation[axis] - geometry.padding[2 * axis]
    )
    target = np.broadcast_to(np.arange(out)[:, None], source.shape)
    inside = (source >= 0) & (source < size)
    ones = np.ones(int(inside.sum()), np.int64)
    return csr_array((ones, (source[inside], target[inside])), shape=(size, out))


def _encoding_codes(
    projection: QuantizedProjection, table: FanTable, mapping: CoreMapping, cores: Ints
) -> Ints:
    codes = np.full(cores.size, -1, np.int64)
    used = table.columns * int(table.rows.any()) > 0
    if table.sparse is not None:
        used[table.sparse.indices] = True
    for column in np.flatnonzero(used).tolist():
        key = (projection.name, int(cores[column]))
        if key not in mapping.encodings:
            raise InputError("the mapping has no encoding", got=key, where=projection.name)
        codes[column] = ENCODINGS.index(mapping.encodings[key])
    return codes


def _packet_tables(
    outgoing: Sequence[QuantizedProjection], synops: Mapping[str, FanTable], n: int, n_cores: int
) -> tuple[tuple[int, FanTable], ...]:
    """Return who reaches which core first with which delay.

    ``columns`` of a returned table are cores that every source of a dense projection reaches;
    sources that reached one of them earlier are taken out again by -1 entries.
    """
    from scipy.sparse import csr_array

    nothing = csr_array((n, n_cores), dtype=np.int64)
    seen, seen_columns = nothing, np.zeros(n_cores, np.int64)
    tables: list[tuple[int, FanTable]] = []
    for delay in sorted({q.delay_steps for q in outgoing}):
        group = [synops[q.name] for q in outgoing if q.delay_steps == delay]
        columns = np.zeros(n_cores, np.int64)
        reached = nothing
        for table in group:
            if table.rows.all():
                columns |= table.columns > 0
            elif table.rows.any():
                reached = _sum(reached, _outer(table.rows > 0, table.columns > 0))
            if table.sparse is not None:
                reached = _sum(reached, table.sparse)
        columns &= 1 - seen_columns
        left = 1 - (columns | seen_columns)
        fresh = _ones(_keep_columns(reached, left))
        if seen.nnz:
            fresh = csr_array(fresh - fresh.multiply(seen))
            fresh.eliminate_zeros()
        back = _keep_columns(seen, columns)
        sent = csr_array(fresh - back) if back.nnz else fresh
        tables.append((delay, FanTable(np.ones(n, np.int64), columns, sent)))
        seen = _sum(seen, fresh)
        seen_columns |= columns
    return tuple(tables)


def _outer(rows: Any, columns: Any) -> csr_array:
    from scipy.sparse import csr_array

    dense = np.multiply.outer(np.asarray(rows, np.int64), np.asarray(columns, np.int64))
    return csr_array(dense)


def _ones(table: csr_array) -> csr_array:
    from scipy.sparse import csr_array

    kept = csr_array(table)
    if not kept.has_canonical_format or not kept.data.all():
        kept = kept.copy()
        kept.sum_duplicates()
        kept.eliminate_zeros()
    return csr_array((np.ones_like(kept.data), kept.indices, kept.indptr), shape=kept.shape)


def _sum(first: csr_array, second: csr_array) -> csr_array:
    """Return the sum of two tables; where one is empty, the other itself."""
    from scipy.sparse import csr_array

    if not first.nnz or not second.nnz:
        return second if not first.nnz else first
    return csr_array(first + second)


def _keep_columns(table: csr_array, columns: Ints) -> csr_array:
    from scipy.sparse import csr_array, dia_array

    if columns.all():
        return table
    shape = (columns.size, columns.size)
    chosen: Any = csr_array(dia_array((columns[None], np.zeros(1, np.int64)), shape=shape))
    kept = csr_array(table @ chosen)
    kept.eliminate_zeros()
    return kept
