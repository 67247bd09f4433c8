"""The table of neuron forms: cells of common profiles and chips take a form with vectors."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from nmhw.sim import workspace
from nmhw.sim.bounds import choose_update
from nmhw.sim.kernels import fields as f

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


@pytest.fixture
def neuron_forms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import neuron_forms

    return neuron_forms


def test_no_common_cell_takes_the_general_update(neuron_forms: ModuleType) -> None:
    forms = {}
    for case in neuron_forms.CASES:
        (cell,) = neuron_forms.layer_of(neuron_forms.quantized_cell(case), 8, case).populations
        forms[case.name] = choose_update(cell, 1000, 100)
    assert f.UPDATE_GENERAL not in forms.values(), forms
    assert f.UPDATE_FLOAT not in forms.values(), forms


@pytest.mark.parametrize(("chip", "kind"), [("speck2f", "if"), ("generic", "cubalif")])
def test_a_row_compares_both_forms(neuron_forms: ModuleType, chip: str, kind: str) -> None:
    row = neuron_forms.measure(neuron_forms.Case(chip, "sinabs", kind), 200, 40, 1)
    assert row["form"] == "lanes"
    assert row["equal"]
    assert row["rate"] > 0.01
    assert row["ns"] > 0
    assert row["general_ns"] > 0
    assert row["cell"] in neuron_forms.render(row)
    assert workspace.choose_update is choose_update
