"""Three networks over all chips: a table says fits or why not, with cores and utilization.

Nothing here says which chips run: every packaged chip must be told apart with rule and numbers.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len

import nmhw
from nmhw.io.chip_file import list_chips
from nmhw.report.compare_text import render_comparison

CASES = Path(__file__).parents[1] / "data" / "nir-cases"
MODELS = {
    "cnn": CASES / "02_cnn" / "cnn_sinabs.nir",
    "braille": CASES / "03_rnn" / "braille_noDelay_bias_zero.nir",
    "digits": Path(str(resources.files("nmhw.data") / "digits.nir")),
}
NAMES = [chip.name for chip in list_chips()]


@pytest.fixture(scope="module", params=list(MODELS))
def table(request: pytest.FixtureRequest) -> tuple[list[dict[str, Any]], str]:
    rows = nmhw.compare(nmhw.load(MODELS[request.param]), "all")
    return rows, render_comparison(request.param, rows, is_run=False)


def test_every_chip_has_a_verdict_with_cores_or_a_reason(
    table: tuple[list[dict[str, Any]], str],
) -> None:
    rows, _ = table
    assert [row["chip"] for row in rows] == NAMES
    for row in rows:
        assert row["verdict"] in ("yes", "no", "refused", "not run")
        assert row["fits"] is {"yes": True, "not run": None}.get(row["verdict"], False)
        if row["fits"]:
            assert 1 <= row["n_cores"] <= row["n_cores_available"]
            assert 0 < row["fullest_share"] <= 1
            continue
        assert row["rule"]
        assert row["reason"]
        if row["verdict"] == "no":  # every broken limit: what is needed, and how much there is
            for sentence in row["violations"]:
                assert len(re.findall(r"\d[\d,]*", sentence)) >= 2, sentence
        if row["verdict"] == "refused":
            assert re.search(r"got .+ \(limit .+\)", row["reason"]), row["reason"]


def test_the_text_stays_inside_100_columns_and_tries_come_last(
    table: tuple[list[dict[str, Any]], str],
) -> None:
    rows, text = table
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    flat = " ".join(text.split())
    for row in rows:
        assert re.search(rf"\n{re.escape(row['chip'])} +{row['verdict']} ", text)
        if row["verdict"] != "yes":
            start = f"{row['chip']}: {row['verdict']} [{row['rule']}] "
            assert start in flat
            if row["hint"]:
                after = flat[flat.index(start) + len(start) :]
                assert "try:" not in after[: after.index(f"; try: {row['hint']}")]


def test_the_sheets_that_cannot_run_are_told_from_those_that_refuse() -> None:
    rows = {row["chip"]: row for row in nmhw.compare(nmhw.load(MODELS["digits"]), "all")}
    for chip in list_chips():
        if not chip.is_executable:
            assert rows[chip.name]["verdict"] in ("not run", "no")
            assert rows[chip.name]["rule"] in ("map.limits-only", "map.does-not-fit")
        else:
            assert rows[chip.name]["rule"] != "map.limits-only"


def test_inputs_that_a_chip_does_not_take_are_not_run_and_without_input_nothing_runs() -> None:
    network = nmhw.load(MODELS["digits"])
    counts = np.full((1, 4, 64), 3, np.uint8)
    (row,) = nmhw.compare(network, ["loihi1-nahuku"], counts)
    assert (row["verdict"], row["fits"], row["rule"]) == ("not run", True, "input.kind")
    (row,) = nmhw.compare(network, ["loihi1-nahuku"])
    assert (row["verdict"], row["accuracy"], row["pace"]) == ("yes", None, None)
