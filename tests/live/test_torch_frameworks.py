"""Each framework's own forward against the float run of ``nmhw.from_torch``, in every bin.

The networks are trained for three epochs in float32 and converted with the states of their last
sample still in them. A bin may differ by rounding where a membrane comes within 1e-5 of its
threshold; such a bin is printed.
"""

from collections.abc import Callable
from typing import Any

import pytest

CASES = [
    ("snntorch", "dense", "lif", 2),
    ("snntorch", "conv", "lif", 3),
    ("snntorch", "current", "cubalif", 2),
    ("snntorch", "recurrent", "lif", 2),
    ("snntorch", "recurrent-current", "cubalif", 2),
    ("norse", "dense", "lif", 2),
    ("norse", "conv", "lif", 2),
    ("norse", "current", "cubalif", 2),
    ("norse", "recurrent", "cubalif", 2),
    ("norse", "sequence", "cubalif", 2),
    ("spikingjelly", "dense", "lif", 2),
    ("spikingjelly", "conv", "if", 3),
    ("spikingjelly", "recurrent", "lif", 2),
    ("sinabs-layers", "dense", "lif", 2),
    ("sinabs-layers", "conv", "if", 2),
    ("sinabs-layers", "recurrent", "lif", 2),
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
    listed = {where: row for where, row in rows.items() if row["differing"]}
    print(f"{name} {case}: {listed or 'no bin differs'}")
    assert not listed or any(row["close"] for row in listed.values()), rows
    assert answer["losses"][1] < answer["losses"][0]
    assert ("rec" in case or case == "sequence") == (answer["loops"] > 0)
    assert {"torch.checked", "torch.rounding"} & set(answer["rules"])
