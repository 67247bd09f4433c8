"""Arguments of a wrong type are nmhw errors; one item may stand for a list."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

import nmhw
from nmhw.errors import UsageError


def test_a_path_is_no_network(x: np.ndarray) -> None:
    path = cast(Any, "ok.nir")
    with pytest.raises(UsageError, match=r"takes a network: got str; try: nmhw\.load"):
        nmhw.deploy(path, "loihi1-nahuku")
    with pytest.raises(UsageError, match=r"takes a network: got str; try: nmhw\.load"):
        nmhw.run_float(path, x)


def test_none_is_no_chip(network: nmhw.Network) -> None:
    with pytest.raises(UsageError, match="takes a chip: got NoneType"):
        nmhw.deploy(network, cast(Any, None))


def test_one_allowed_field_may_stand_alone(network: nmhw.Network) -> None:
    one = nmhw.deploy(network, "loihi1-nahuku", allow="reset")
    assert one.summary() == nmhw.deploy(network, "loihi1-nahuku", allow=["reset"]).summary()
