"""Each framework's own forward against the float run of ``nmhw.from_torch``, in every bin.

The networks are trained for a few steps in float32 and converted with the states of their last
sample still in them. A bin may differ by rounding where a membrane comes within 1e-5 of its
threshold; with these seeds none does.
"""

from collections.abc import Callable
from typing import Any

import pytest

CASES = [
    ("snntorch", "dense", "lif", 2),
    ("snntorch", "conv", "lif", 3),
    ("snntorch", "current", "cubalif", 2),
    ("norse", "dense", "lif", 2),
    ("norse", "conv", "lif", 2),
    ("norse", "current", "cubalif", 2),
    ("spikingjelly", "dense", "lif", 2),
    ("spikingjelly", "conv", "if", 3),
    ("sinabs-layers", "dense", "lif", 2),
    ("sinabs-layers", "conv", "if", 2),
]


@pytest.mark.parametrize(("name", "case", "kind", "n_populations"), CASES)
def test_the_float_run_makes_the_frameworks_spikes(
    ask_framework: Callable[[str], Any], name: str, case: str, kind: str, n_populations: int
) -> None:
    question = {"framework": name.partition("-")[0], "case": case}
    answer = ask_framework(name)("agreement.py", question)
    rows = answer["populations"]
    assert len(rows) == n_populations
    assert answer["kinds"][0] == kind
    assert all(row["spikes"] > 0 for row in rows.values()), rows
    assert sum(row["differing"] for row in rows.values()) == 0, rows
    assert "torch.checked" in answer["rules"]
