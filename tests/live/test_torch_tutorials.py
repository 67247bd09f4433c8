"""Networks as the frameworks' tutorials write them: equal and deployed, or refused by name."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAGE = runpy.run_path(str(Path(__file__).with_name("networks_table.py")))
FRAMEWORKS: tuple[tuple[str, str, str], ...] = PAGE["FRAMEWORKS"]
#: Per environment: networks, of them refused.
COUNTS = {"snntorch": (12, 3), "norse": (6, 1), "spikingjelly": (9, 2), "sinabs-layers": (3, 0)}
ANSWERS: dict[str, dict[str, Any]] = {}


@pytest.mark.parametrize(("environment", "name", "title"), FRAMEWORKS)
def test_tutorial_networks_deploy_equal_or_are_refused_with_a_remedy(
    ask_framework: Callable[[str], Any], environment: str, name: str, title: str
) -> None:
    rows = ask_framework(environment)("tutorials.py", {"framework": name})
    ANSWERS[title] = rows
    refused = {k: row for k, row in rows.items() if row["outcome"] == "refused"}
    assert (len(rows), len(refused)) == COUNTS[environment]
    for row in refused.values():
        assert row["rule"].startswith("torch.")
        assert row["hint"]
    for network, row in rows.items():
        if row["outcome"] == "equal":
            assert row["differing"] == 0 or row["close"], (network, row)
            assert row["chip"] is not None, (network, row)
            assert row["silent"] == [], (network, row)


def test_the_page_says_what_was_found() -> None:
    if len(ANSWERS) < len(FRAMEWORKS):
        pytest.skip("not every framework is there")
    assert PAGE["render"](ANSWERS) == PAGE["DOCUMENT"].read_text()
