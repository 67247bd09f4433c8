"""Weights far from the threshold: refused before anything overflows, clipped before they bound."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

import nmhw
from nmhw.api.reading import give_meaning
from nmhw.errors import UnsupportedError
from nmhw.values.linear import Dense, Scale

X = np.ones((2, 5, 2), np.uint8)


def network(weights: object = None, **projection: object) -> nmhw.Network:
    build = nmhw.Network.build("net").input("in", 2).population("pop", 3, "if")
    build.project("in", "pop", weights, **projection)  # type: ignore[arg-type]
    return give_meaning(build.output("out", "pop").done(), "snntorch")


@pytest.mark.parametrize(
    "net",
    [
        network(np.full((3, 2), 1e308)),
        network(csr_array(np.full((2, 3), -1e308))),
        network(ops=(Scale(np.full(2, 1e200)), Dense(np.full((3, 2), 1e200)))),
        network(ops=(Scale(np.full(2, 1e29)), Dense(np.full((3, 2), 1e29)))),
    ],
)
@pytest.mark.parametrize("chip", ["loihi1-nahuku", "spinnaker2"])
def test_they_are_refused_before_a_float_overflows(net: nmhw.Network, chip: str) -> None:
    with pytest.raises(UnsupportedError, match="a weight of in>pop is too large") as caught:
        nmhw.deploy(net, chip, calibration=X)
    assert caught.value.rule == "quantize.extreme-value"


def test_headroom_is_that_of_the_weights_that_clipping_left() -> None:
    # 1e6 thresholds become 254 << 7 at the threshold's smallest register: two of them fit u
    rules = {n.rule for n in nmhw.quantize(network(np.full((3, 2), 1e6)), "loihi1-d18").notices}
    assert "quantize.clipped" in rules
    assert "quantize.headroom-u" not in rules
    build = nmhw.Network.build("net").input("in", 9).population("pop", 3, "if")
    wide = build.project("in", "pop", np.full((3, 9), 1e6)).output("out", "pop").done()
    rules = {n.rule for n in nmhw.quantize(wide, "loihi1-d18").notices}
    assert {"quantize.clipped", "quantize.headroom-u"} <= rules
