"""What one event of a source adds to every per-step count, in one row.

A row holds blocks of one column per core, each for one kind and one delay: at home the spike itself
and the packets it sends, elsewhere the packets received and the synapses read. Where many sources
share one row (dense projections: all sources of a core) it is enough to count their events, and
the counts times the distinct rows are the result; elsewhere every event adds its own row, or what
is not zero in it (a source reaches few cores of a large chip).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmhw.sim.fanout import ENCODINGS, MAX_DENSE_TABLE, FanOut, FanTable
from nmhw.values.quantized import QuantizedNetwork
from nmhw.values.rng import stream

Ints = NDArray[np.int64]

#: Names of the synop kinds in the order of the encodings.
SYNOPS = tuple(f"synop.{encoding}" for encoding in ENCODINGS)

#: Up to so many distinct rows are counted as classes: a product with so many rows costs about as
#: much as a dozen events that add their own.
MAX_CLASSES = 128

#: Rows of which less than one part in so many is not zero are kept without their zeros: adding one
#: element costs about as much as adding a vector of them.
MIN_SPARSITY = 8


@dataclass(frozen=True, slots=True, eq=False)
class SourceTable:
    """Rows of one source.

    Attributes
    ----------
    blocks : tuple of (kind, delay)
        Of the columns ``k * n_cores ... (k + 1) * n_cores``.
    home : (n_source,) int64 or None
        Column of every neuron's own core; None for inputs.
    packets : (n_source,) int64
        Packets that a spike sends.
    classes : (n_source,) int64 or None
        Which of ``rows`` each source has; None: ``rows[i]`` is that of source i.
    rows : (n_classes or n_source, n_blocks * n_cores) int32, or None
        None where there is ``sparse``, or where it would be too large: then ``tables`` are counted
        one by one.
    sparse : CSR (row pointers int64, columns int32, values int32) of every source's row, or None
    tables : (FanTable, (n_cores,) bool) of every block
        The second marks the columns that belong to the block's kind.
    products : tuple of (block, first column, (n_columns, n_classes) int32)
        What the events of all classes are multiplied with, between the first and the last column
        that is not all zero.
    """

    blocks: tuple[tuple[str, int], ...]
    home: Ints | None
    packets: Ints
    classes: Ints | None
    rows: NDArray[np.int32] | None
    tables: tuple[tuple[FanTable, NDArray[np.bool_]], ...]
    products: tuple[tuple[tuple[str, int], int, NDArray[np.int32]], ...] = ()
    sparse: tuple[Ints, NDArray[np.int32], NDArray[np.int32]] | None = None

    @property
    def n_classes(self) -> int:
        """Number of distinct rows; 0 where every source has its own."""
        return 0 if self.classes is None or self.rows is None else self.rows.shape[0]


def source_table(quantized: QuantizedNetwork, fan_out: FanOut, source: str) -> SourceTable:
    """Return the table of one population or input, made once per ``fan_out``."""
    if source not in fan_out.kept:
        fan_out.kept[source] = _build(quantized, fan_out, source)
    found: SourceTable = fan_out.kept[source]
    return found


def _build(quantized: QuantizedNetwork, fan_out: FanOut, source: str) -> SourceTable:
    n_cores, n = fan_out.cores.size, quantized.sizes()[source]
    everywhere = np.ones(n_cores, np.bool_)
    blocks: list[tuple[str, int]] = []
    tables: list[tuple[FanTable, NDArray[np.bool_]]] = []
    for delay, table in fan_out.packets[source]:
        blocks.append(("axon.in", delay))
        tables.append((table, everywhere))
    for projection in quantized.projections:
        if projection.source == source:
            codes = fan_out.encodings[projection.name]
            for code in np.unique(codes[codes >= 0]).tolist():
                blocks.append((SYNOPS[code], projection.delay_steps))
                tables.append((fan_out.synops[projection.name], codes == code))
    home = fan_out.homes.get(source)
    packets = np.zeros(n, np.int64)
    for _, table in fan_out.packets[source]:
        packets += table.fan_out()
    classes, first = _classes(n, home, [table for table, _ in tables])
    rows = sparse = None
    if first.size <= MAX_CLASSES:
        rows = dense_rows(tables, first, n_cores)
    else:
        classes, width = None, n_cores * max(1, len(blocks))
        if MIN_SPARSITY * sum(_n_stored(table) for table, _ in tables) <= n * width:
            sparse = _sparse_rows(tables, n, n_cores)
        elif n * width <= MAX_DENSE_TABLE:
            rows = dense_rows(tables, np.arange(n), n_cores)
    products: list[tuple[tuple[str, int], int, NDArray[np.int32]]] = []
    if classes is not None and rows is not None:
        products = _products(blocks, rows, n_cores)
        if home is not None:
            at = np.zeros((first.size, n_cores), np.int32)
            at[np.arange(first.size), home[first]] = 1
            products += _products([("neuron.spike", 0)], at, n_cores)
            products += _products([("axon.out", 0)], at * packets[first][:, None], n_cores)
    return SourceTable(
        tuple(blocks), home, packets, classes, rows, tuple(tables), tuple(products), sparse
    )


def _products(
    blocks: list[tuple[str, int]], rows: Any, n_cores: int
) -> list[tuple[tuple[str, int], int, NDArray[np.int32]]]:
    """Return every block with the columns where it is not zero."""
    found = []
    for k, key in enumerate(blocks):
        block = rows[:, k * n_cores : (k + 1) * n_cores]
        used = np.flatnonzero(block.any(axis=0))
        if used.size:
            columns = slice(int(used[0]), int(used[-1]) + 1)
            weights = np.ascontiguousarray(block[:, columns].T, np.int32)
            found.append((key, int(used[0]), weights))
    return found


def _classes(n: int, home: Ints | None, tables: list[FanTable]) -> tuple[Ints | None, Ints]:
    """Return every source's class, and one source of every class (all of them if no two agree)."""
    random = stream(0, "step-tables")
    mixed = np.zeros(n, np.int64) if home is None else home * _words(random, 1)
    for table in tables:
        word, words = _words(random, 1), _words(random, table.columns.size)
        if table.columns.any():
            mixed += table.rows * word
        if table.sparse is not None and table.sparse.nnz:
            mixed += np.asarray(table.sparse @ words).ravel()
    _, first, classes = np.unique(mixed, return_index=True, return_inverse=True)
    classes = classes.ravel()
    if first.size > MAX_CLASSES or not _agree(home, tables, first, classes):
        return None, np.arange(n)
    return classes, first


def _words(random: np.random.Generator, n: int) -> Ints:
    return random.integers(-(2**62), 2**62, n)


def _agree(home: Ints | None, tables: list[FanTable], first: Ints, classes: Ints) -> bool:
    """Whether every source really equals the first one of its class."""
    if home is not None and (home[first][classes] != home).any():
        return False
    for table in tables:
        if table.columns.any() and (table.rows[first][classes] != table.rows).any():
            return False
        m: Any = table.sparse
        if m is not None and m.nnz and (m[first][classes] != m).nnz:
            return False
    return True


def _n_stored(table: FanTable) -> int:
    """Return how many elements of a table are not zero, at most."""
    outer = np.count_nonzero(table.rows) * np.count_nonzero(table.columns)
    return int(outer) + (0 if table.sparse is None else int(table.sparse.nnz))


def _sparse_rows(
    tables: list[tuple[FanTable, NDArray[np.bool_]]], n: int, n_cores: int
) -> tuple[Ints, NDArray[np.int32], NDArray[np.int32]]:
    """Return the CSR arrays of all sources' rows, block beside block."""
    from scipy.sparse import coo_array, csr_array

    row, column, value = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for k, (table, columns) in enumerate(tables):
        sources, cores = np.flatnonzero(table.rows), np.flatnonzero(table.columns * columns)
        row.append(np.repeat(sources, cores.size))
        column.append(k * n_cores + np.tile(cores, sources.size))
        value.append(np.multiply.outer(table.rows[sources], table.columns[cores]).ravel())
        if table.sparse is not None and table.sparse.nnz:
            stored: Any = table.sparse.tocoo()
            kept = columns[stored.col]
            row.append(stored.row[kept])
            column.append(k * n_cores + stored.col[kept].astype(np.int64))
            value.append(stored.data[kept])
    places = (np.concatenate(row), np.concatenate(column))
    made: Any = coo_array((np.concatenate(value), places), shape=(n, len(tables) * n_cores))
    m: Any = csr_array(made)  # elements that meet are added
    return m.indptr.astype(np.int64), m.indices.astype(np.int32), m.data.astype(np.int32)


def dense_rows(
    tables: list[tuple[FanTable, NDArray[np.bool_]]], chosen: Ints, n_cores: int
) -> NDArray[np.int32]:
    """Return the rows of chosen sources: one column per block and core."""
    rows = np.zeros((chosen.size, len(tables) * n_cores), np.int32)
    for k, (table, columns) in enumerate(tables):
        block = np.multiply.outer(table.rows[chosen], table.columns)
        if table.sparse is not None and table.sparse.nnz:
            block = block + table.sparse[chosen].toarray()
        rows[:, k * n_cores : (k + 1) * n_cores] = block * columns
    return rows
