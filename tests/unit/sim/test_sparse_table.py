"""Tables of sparse rows are the same whatever the size of the blocks they are made from."""

import numpy as np
import pytest
from scipy.sparse import csr_array, random_array

from nmhw.sim import sparse_table
from nmhw.sim.sparse_table import count_per_core, row_blocks


def matrix(seed: int, n_rows: int = 23, n_columns: int = 41) -> csr_array:
    rng = np.random.default_rng(seed)
    made = random_array((n_rows, n_columns), density=0.2, format="csr", rng=rng)
    made.data = rng.integers(-128, 128, made.nnz).astype(np.int8)
    made.sort_indices()
    return csr_array(made)


@pytest.mark.parametrize("block", [1, 7, 50, 1 << 21])
def test_blocks_cover_all_rows_once(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse_table, "_BLOCK", block)
    pointers = np.array([0, 0, 3, 3, 60, 61, 61])
    found = list(row_blocks(pointers))
    assert [first for first, _ in found] == [0, *(end for _, end in found[:-1])]
    assert found[-1][1] == 6
    for first, end in found:
        assert end == first + 1 or pointers[end] - pointers[first] <= block


@pytest.mark.parametrize("block", [1, 9, 1 << 21])
@pytest.mark.parametrize("n_cores", [3, 1 << 21])
def test_tables_of_sparse_table_count_synapses_per_core(
    n_cores: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_table, "_BLOCK", block)
    given = matrix(7)
    home = np.random.default_rng(8).integers(0, 3, given.shape[1])
    table = count_per_core(given.indptr.astype(np.int64), given.indices, home, n_cores)
    expected = np.zeros((given.shape[0], 3), np.int64)
    for row in range(given.shape[0]):
        for target in given.indices[given.indptr[row] : given.indptr[row + 1]]:
            expected[row, home[target]] += 1
    np.testing.assert_array_equal(table[:, :3].toarray(), expected)
    assert table.nnz == np.count_nonzero(expected)
    assert table.data.dtype == np.int64
