"""Compilation: stamps that notice edits, and no crash where nothing can be cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from nmhw.sim.kernels import calls, compiled, export, step
from nmhw.sim.kernels import fields as f


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


def test_late_kernels_carry_the_stamp_in_their_cache_key() -> None:
    for kernel, _ in calls._FORMS.values():
        cells = [cell.cell_contents for cell in kernel.py_func.__closure__]
        assert compiled.STAMP in cells


def test_every_late_kernel_compiles_against_its_signature() -> None:
    table = calls.link(calls._FORMS)
    assert (table[sorted(calls._FORMS)] != 0).all()
    assert (calls.link([f.CALL_PROBES]) != 0).sum() == 1
    assert calls.address(f.CALL_PROBES) == table[f.CALL_PROBES]


def test_a_kernel_called_by_address_refuses_other_types() -> None:
    @numba.njit
    def pool(pointers: Any, events: Any, out: Any) -> Any:
        return calls.call_pool(np.int64(0), pointers, events, 0, 0, events, 0, 1, out)

    words = np.zeros(2, np.uint32)
    with pytest.raises(numba.TypingError):
        pool(np.zeros(2, np.int32), words, words)


def test_an_error_in_a_kernel_called_by_address_reaches_python() -> None:
    @numba.njit(boundscheck=True)
    def fail(x: Any) -> Any:
        return x[5]

    form = numba.int64(numba.int64[::1])
    call = calls._caller(form)

    @numba.njit
    def caller(address: int, x: Any) -> Any:
        return call(address, x) + 1

    fail.compile(form)
    compiled_form = fail.overloads[form.args]
    address = compiled_form.library.get_pointer_to_function(compiled_form.fndesc.llvm_func_name)
    assert caller(address, np.arange(6)) == 6
    with pytest.raises(IndexError):
        caller(address, np.arange(3))


def test_a_run_links_only_the_forms_it_uses() -> None:
    pops = np.zeros((1, f.P_FIELDS), np.int64)
    pops[0, [f.P_UPDATE, f.P_END_PORT]] = f.UPDATE_ARRAYS, 2
    ports = np.zeros((2, f.A_FIELDS), np.int64)
    ports[1, f.A_IS16] = 1
    projections = np.full((1, f.J_FIELDS), -1, np.int64)
    projections[0, f.J_KIND] = f.KIND_CONV16
    found = calls.needed_slots(pops, ports, projections, np.zeros((0, f.R_FIELDS), np.int64))
    assert found == {
        f.CALL_DELIVER + f.KIND_CONV16,
        f.CALL_UPDATE + 2 * f.UPDATE_ARRAYS,
        f.CALL_FOLD_NARROW + 1,
    }
    pops[0, f.P_UPDATE] = f.UPDATE_GENERAL
    found = calls.needed_slots(pops, ports, projections, np.zeros((1, f.R_FIELDS), np.int64))
    assert found == {
        f.CALL_DELIVER + f.KIND_CONV16,
        f.CALL_UPDATE + 2 * f.UPDATE_GENERAL,
        f.CALL_FOLD,
        f.CALL_FOLD + 1,
        f.CALL_PROBES,
    }
