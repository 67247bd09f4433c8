"""Files of the frameworks' own NIR exporters: the float run makes the framework's own spikes.

What each file needs to be told is the ``meaning`` below; docs/torch.md lists it. Norse 1.1.0 cannot
write its graph with nir 1.0.8 (and would state its time constants times dt): the way is from_torch.
"""

from collections.abc import Callable
from typing import Any

import pytest

SNNTORCH = {"profile": "snntorch", "reset": "subtract", "reset_lag": 1}
# Spyx writes r = beta for a LIF whose inputs have the weight 1
SPYX = {"profile": "spyx", "dt_s": 1e-3, "input_gain": "unit"}
CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("snntorch", "dense", SNNTORCH),
    ("snntorch", "recurrent", SNNTORCH),
    ("spikingjelly", "dense", {"profile": "spikingjelly", "dt_s": 1e-3}),
    ("sinabs-layers", "dense", {"profile": "sinabs", "dt_s": 1}),
    ("rockpool", "dense", {"profile": "rockpool", "dt_s": 1e-3}),
    ("spyx", "dense", SPYX),
    ("spyx", "recurrent", SPYX),
]


@pytest.mark.parametrize(("environment", "case", "meaning"), CASES)
def test_exported_files_make_the_frameworks_spikes(
    ask_framework: Callable[[str], Any], environment: str, case: str, meaning: dict[str, Any]
) -> None:
    question = {"framework": environment.partition("-")[0], "case": case, "meaning": meaning}
    answer = ask_framework(environment)("exporters.py", question)
    assert answer["losses"][1] < answer["losses"][0]
    assert answer["spikes"] > 0
    assert answer["differing"] == 0, answer
    is_straightened = (environment, case) == ("spyx", "recurrent")
    assert ("nir.recurrent-input" in answer["rules"]) == is_straightened


def test_norse_cannot_write_its_own_graph(ask_framework: Callable[[str], Any]) -> None:
    question = {"framework": "norse", "case": "dense", "meaning": {}}
    answer = ask_framework("norse")("exporters.py", question)
    assert "Scalar datasets" in answer["fails"]
