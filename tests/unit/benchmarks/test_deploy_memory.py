"""The benchmark of memory: one row per phase of a deployment."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def deploy_memory(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import deploy_memory

    return deploy_memory


def test_every_phase_has_a_row(deploy_memory: ModuleType) -> None:
    rows = deploy_memory.run(600)
    assert [row["phase"] for row in rows] == [
        "build", "quantize", "map", "first run", "second run",
    ]  # fmt: skip
    for row in rows:
        assert row["synapses"] == 600 * 256
        assert row["cores"] >= 1
        assert row["peak_mb"] >= row["after_mb"] > 0
        assert row["cpu_s"] >= 0


def test_synapses_of_a_source_are_distinct(deploy_memory: ModuleType) -> None:
    matrix = deploy_memory.build(1000).projections[0].ops[0].matrix
    assert matrix.has_canonical_format
    assert matrix.nnz == 256_000
