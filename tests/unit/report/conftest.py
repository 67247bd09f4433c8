"""Summaries of real runs of networks with awkward names and many layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import nmhw


def chain(names: list[str], width: int = 6) -> nmhw.Network:
    """A chain of IF populations of equal width."""
    rng = np.random.default_rng(0)
    builder = nmhw.Network.build("chain")
    builder.input("input", width)
    source = "input"
    for name in names:
        builder.population(name, width, "if", v_threshold=1.0)
        builder.project(source, name, rng.normal(0.4, 1, (width, width)))
        source = name
    return builder.output("output", source).done()


@pytest.fixture(scope="session")
def run_chain() -> Callable[..., nmhw.Run]:
    """Deploy and run a chain of populations with these names."""

    def run(names: list[str], chip: str = "loihi1-nahuku", **options: Any) -> nmhw.Run:
        x = (np.random.default_rng(1).random((3, 8, 6)) < 0.5).astype(np.uint8)
        return nmhw.deploy(chain(names), chip).run(x, np.array([0, 1, 2]), **options)

    return run
