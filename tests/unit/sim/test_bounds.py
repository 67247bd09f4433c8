"""Update forms: the fast ones exactly where they are exact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nmhw.sim.bounds import choose_update, state_bound
from nmhw.sim.kernels import fields as f
from nmhw.values.quantized import CellSpec

Make = Callable[..., Any]
LOIHI = CellSpec(
    has_current=True,
    u_decay="mulshift",
    v_decay="mulshift",
    input_shift=6,
    u_bits=24,
    v_bits=24,
    u_overflow="wrap",
    v_overflow="wrap",
)


@pytest.mark.parametrize(
    ("spec", "arrays", "form"),
    [
        (CellSpec(v_decay="shift"), {"v_keep": 4}, f.UPDATE_UNIFORM),
        (CellSpec(reset="subtract"), {}, f.UPDATE_UNIFORM),
        (CellSpec(v_bits=16), {}, f.UPDATE_UNIFORM_CLAMP),
        (CellSpec(v_decay="shift"), {"v_keep": 4, "threshold": [5, 6, 7, 8]}, f.UPDATE_ARRAYS),
        (LOIHI, {"v_keep": 4000, "u_keep": 0}, f.UPDATE_CURRENT),
        (replace(LOIHI, has_current=False, u_decay="clear"), {"v_keep": 9}, f.UPDATE_CURRENT),
        (replace(LOIHI, u_decay="shift"), {}, f.UPDATE_GENERAL),
        (replace(LOIHI, u_bits=32), {}, f.UPDATE_LANES),
        (replace(LOIHI, v_bits=31), {"v_keep": 4096}, f.UPDATE_LANES),
        (replace(LOIHI, v_bits=31), {"v_keep": 4096, "v_bias": 2**29}, f.UPDATE_GENERAL),
        (CellSpec(v_bits=16, v_overflow="wrap"), {}, f.UPDATE_GENERAL),
        (CellSpec(u_bits=10), {}, f.UPDATE_GENERAL),
        (CellSpec(max_spikes_per_step=2), {}, f.UPDATE_LANES),
        (CellSpec(max_spikes_per_step=2), {"threshold": 0}, f.UPDATE_GENERAL),
        (CellSpec(max_spikes_per_step=2, reset_delay=1), {}, f.UPDATE_GENERAL),
        (CellSpec(reset_delay=1), {}, f.UPDATE_LANES),
        (CellSpec(reset_delay=1, is_spiking=False), {}, f.UPDATE_UNIFORM),
        (CellSpec(), {"v_min": -3}, f.UPDATE_LANES),
        (CellSpec(lower="reset"), {"v_min": -3}, f.UPDATE_GENERAL),
        (CellSpec(v_bits=16, sum_bits=32), {"v_min": -3}, f.UPDATE_LANES),
        (CellSpec(v_bits=16, sum_bits=17), {"v_min": -3, "v_bias": 2**15}, f.UPDATE_GENERAL),
        (CellSpec(v_decay="mulshift"), {"v_keep": 4096}, f.UPDATE_LANES),
        (CellSpec(v_decay="mulshift"), {"v_keep": 4097}, f.UPDATE_GENERAL),
        (CellSpec(v_decay="converge", v_bits=20), {}, f.UPDATE_LANES),
        (CellSpec(v_decay="converge", v_bits=33), {"v_bias": 2**30}, f.UPDATE_GENERAL),
        (CellSpec(), {"refractory_steps": 2}, f.UPDATE_LANES),
        (CellSpec(), {"refractory_steps": 0}, f.UPDATE_UNIFORM),
        (CellSpec(reset="subtract"), {"threshold": -3}, f.UPDATE_GENERAL),
        (CellSpec(v_bits=40), {"threshold": 2**33}, f.UPDATE_GENERAL),
        (CellSpec(state="float32"), {"floats": {}}, f.UPDATE_FLOAT_ROWS),
        (CellSpec(state="float32", reset_delay=1), {"floats": {}}, f.UPDATE_FLOAT),
    ],
)
def test_the_form_follows_the_cell(
    population: Make, spec: CellSpec, arrays: dict[str, Any], form: int
) -> None:
    assert choose_update(population("p", (4,), spec, **arrays), 1000, 100) == form


def test_large_inputs_and_long_runs_leave_the_unchecked_form(population: Make) -> None:
    cell = population("p", (4,), CellSpec(v_decay="none"))
    assert choose_update(cell, 1000, 2_000_000) == f.UPDATE_UNIFORM
    assert choose_update(cell, 1000, 3_000_000) == f.UPDATE_UNIFORM_CLAMP
    assert choose_update(cell, 2**31, 1) == f.UPDATE_GENERAL
    assert choose_update(population("p", (4,), LOIHI), 2**24, 9) == f.UPDATE_CURRENT
    assert choose_update(population("p", (4,), LOIHI), 2**24 + 1, 9) == f.UPDATE_GENERAL


@pytest.mark.parametrize(
    ("kind", "keep"),
    [("none", 0), ("clear", 0), ("shift", 3), ("mulshift", 250), ("mulshift", 256)],
)
def test_bounds_hold_for_the_worst_drive(kind: str, keep: int) -> None:
    bound = state_bound(kind, np.array([keep]), 8, 5, 40, 300)
    worst = 0
    for sign in (1, -1):
        x = 5 * sign
        for _ in range(300):
            if kind == "shift":
                x -= x >> keep
            elif kind == "mulshift":
                x = x * keep >> 8
            elif kind == "clear":
                x = 0
            x += 40 * sign
            worst = max(worst, abs(x))
    assert worst <= bound <= 1.2 * worst + 400
