"""Compilation: stamps that notice edits, and no crash where nothing can be cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import pytest

from nmhw.sim.kernels import compiled, export, step


def test_entry_points_carry_the_stamp_in_their_cache_key() -> None:
    for entry in (step.run_steps, export.export_events):
        cells = [cell.cell_contents for cell in entry.py_func.__closure__]
        assert compiled.source_stamp() in cells


def test_the_stamp_changes_with_any_kernel_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("compiled.py", "one.py", "two.py"):
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "compiled.py"))
    before = compiled.source_stamp()
    (tmp_path / "two.py").write_text("x = 2\n")
    assert compiled.source_stamp() != before


def test_the_stamp_tells_checked_from_unchecked_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "CHECK_BOUNDS", False)
    plain = compiled.source_stamp()
    monkeypatch.setattr(compiled, "CHECK_BOUNDS", True)
    assert compiled.source_stamp() != plain


def test_without_a_place_for_the_cache_kernels_still_compile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(**options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiled, "njit", njit)

    def add(x: int, y: int) -> int:
        return x + y

    assert compiled.entry_point(add)(2, 3) == 5
