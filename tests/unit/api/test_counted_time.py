"""A dt of 1 or more counts steps: nothing may be priced or shown in seconds from it."""

import numpy as np
import pytest

import nmhw
from nmhw.errors import UsageError


@pytest.fixture(scope="module")
def deployed():
    build = nmhw.Network.build("steps").input("in", 3).population("lif", 2, "lif", tau_mem_s=8.0)
    network = build.project("in", "lif", np.ones((2, 3))).output("out", "lif").done()
    from nmhw.api.reading import give_meaning

    return nmhw.deploy(give_meaning(network, "lava", dt_s=1.0), "loihi1-nahuku")


def test_counted_time_has_no_realtime_pace_and_no_rates(deployed):
    raster = np.ones((2, 10, 3), np.int8)
    run = deployed.run(raster)
    assert run.summary()["dt_s"] is None
    assert [row["pace"] for row in run.summary()["other_paces"]] == []
    assert "Hz" not in run.report()
    with pytest.raises(UsageError, match="realtime"):
        deployed.run(raster, pace="realtime")


def test_counted_time_is_said(deployed):
    assert "profile.dt-in-steps" in [n["rule"] for n in deployed.summary()["notices"]]
