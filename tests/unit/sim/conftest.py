"""Small quantized networks for the simulator's tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from nmhw.values.network import InputPort, OutputPort
from nmhw.values.profile import preset
from nmhw.values.quantized import (
    CellSpec,
    QuantizedNetwork,
    QuantizedPopulation,
    QuantizedProjection,
)


def make_population(
    name: str, shape: tuple[int, ...], spec: CellSpec | None = None, **arrays: Any
) -> QuantizedPopulation:
    n = int(np.prod(shape))
    values = dict.fromkeys(("u_keep", "v_keep", "u_bias", "v_bias", "v_reset", "v0"), 0)
    values |= {"threshold": 10, "profile_index": 0}
    full = {key: np.full(n, value, np.int64) for key, value in values.items()}
    for key, value in arrays.items():
        is_optional = value is None or key == "floats"
        full[key] = value if is_optional else np.broadcast_to(value, (n,)).astype(np.int64)
    return QuantizedPopulation(name, shape, spec or CellSpec(), scale=np.ones(n), depth=0, **full)


def make_network(
    inputs: Sequence[InputPort],
    populations: Sequence[QuantizedPopulation],
    projections: Sequence[QuantizedProjection],
    drain_steps: int = 0,
) -> QuantizedNetwork:
    last = populations[-1]
    out = (OutputPort("out", last.shape, (last.name,)),)
    return QuantizedNetwork(
        "small",
        "generic",
        "generic",
        preset("lava"),
        tuple(inputs),
        tuple(populations),
        tuple(projections),
        out,
        drain_steps,
    )


@pytest.fixture
def population() -> Callable[..., QuantizedPopulation]:
    """Return a maker: (name, shape, spec, **arrays) -> QuantizedPopulation."""
    return make_population


@pytest.fixture
def network() -> Callable[..., QuantizedNetwork]:
    """Return a maker: (inputs, populations, projections, drain_steps) -> QuantizedNetwork."""
    return make_network
